"""What every update keeps: Dale's law, absent synapses, and the ranges of constants."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.norse_module import LIFModule

TAU_MAX = 10.0
"""Largest time constant that tuning may reach, in seconds."""
THRESHOLD_MIN = 0.05
"""Least v_th − v_reset that is left, as a share of what it was."""


class Constraints(NamedTuple):
    """What `hold` keeps; every tensor in the module's units.

    Attributes:
        low: least recurrent weights, post × pre; −∞ where any will do.
        high: largest ones; both are 0 where a synapse is absent.
        tau: shortest and longest τ of each neuron, in seconds, by name.
        v_th_min: least threshold of each neuron.
    """

    low: Tensor
    high: Tensor
    tau: dict[str, tuple[Tensor, Tensor]]
    v_th_min: Tensor


def constraints_of(
    net: LIFNetwork, *, dale: bool, sparse: bool, like: Tensor
) -> Constraints:
    """Return what is to be kept of a network.

    A neuron all of whose recurrent weights have one sign keeps it, also where new
    synapses may grow. Where the signs are mixed, each weight keeps its own. A τ may
    fall to two steps, or, where it is shorter, not at all.

    Args:
        net: the network before tuning, in the module's units.
        dale: whether signs are kept.
        sparse: whether weights that are 0 stay 0.
        like: gives type and device.
    """
    # (U17)
    sign = np.sign(net.w_rec)
    of_neuron = np.sign(sign.sum(axis=0)) * (
        np.abs(sign.sum(axis=0)) == (sign != 0).sum(0)
    )
    allowed = np.where(sign != 0, sign, of_neuron)
    low = np.where(dale & (allowed > 0), 0.0, -np.inf)
    high = np.where(dale & (allowed < 0), 0.0, np.inf)
    if sparse:  # also where signs are free: an absent synapse is no small one
        low, high = (np.where(sign == 0, 0.0, bound) for bound in (low, high))
    span = net.v_th - net.v_reset

    def tensor(x: np.ndarray) -> Tensor:
        return torch.tensor(x, dtype=like.dtype, device=like.device)

    return Constraints(
        low=tensor(low),
        high=tensor(high),
        tau={
            name: (
                # below, a step would lose nearly all, and the gradient with it
                tensor(np.minimum(tau, 2 * net.dt)),
                tensor(np.maximum(tau, TAU_MAX)),
            )
            for name, tau in (("tau_syn", net.tau_syn), ("tau_mem", net.tau_mem))
        },
        v_th_min=tensor(net.v_reset + THRESHOLD_MIN * span),
    )


def hold(module: LIFModule, kept: Constraints) -> None:
    """Bring what trains back to where it may be, in place; nothing else is changed."""
    with torch.no_grad():
        if module.w_rec.requires_grad:
            module.w_rec.copy_(module.w_rec.maximum(kept.low).minimum(kept.high))
        for name, (least, most) in kept.tau.items():
            tau = getattr(module, name)
            if tau.requires_grad:
                tau.copy_(tau.maximum(least).minimum(most))
        if module.v_th.requires_grad:
            module.v_th.copy_(module.v_th.maximum(kept.v_th_min))


def typical_sizes(module: LIFModule) -> dict[str, float]:
    """Return the typical size of each parameter that trains, as learning rates need it.

    The root mean square of weights that are not 0; for b_out that of what the weights
    deliver at 10 Hz, as it is often 0; for thresholds and resting potentials the mean
    of v_th − v_reset; for time constants their mean.
    """
    # (U16)
    span = float((module.v_th - module.v_reset).detach().mean())
    weights = {name: _rms(getattr(module, name)) for name in ("w_in", "w_rec", "w_out")}
    n = module.w_rec.shape[0]
    sizes = {
        "w_in": weights["w_in"] or span,
        "w_rec": weights["w_rec"] or span / n**0.5,
        # at 10 Hz, a usual rate, n such weights make an output of 1
        "w_out": weights["w_out"] or 1 / (10.0 * n),
        "v_leak": span,
        "v_th": span,
        "tau_syn": float(module.tau_syn.detach().mean()),
        "tau_mem": float(module.tau_mem.detach().mean()),
    }
    sizes["b_out"] = 10.0 * sizes["w_out"] * n**0.5
    return {name: sizes[name] for name, _ in module.named_parameters()}


def _rms(weights: Tensor) -> float:
    # absent synapses would make the typical weight of a sparse matrix small
    present = weights.detach()[weights != 0]
    return float(present.double().square().mean().sqrt()) if present.numel() else 0.0
