"""What the chip's rounded registers stand for, with a gradient straight through.

Every rounding, shift, wrap and saturation counts as if it were not there, a
straight-through estimator (doi:10.48550/arXiv.1308.3432): the gradient is that of the
LIF step (U10) with the rounded numbers as coefficients (U11), in the module's units of
voltage. How large the integers are, and so the state scale, has no part in it.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.chip import arithmetic as chip
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.to_fixed.quantization_report import dense_weights


class Scales(NamedTuple):
    """Integers per unit of the module's voltages, float64, one for each neuron."""

    v: np.ndarray
    u: np.ndarray
    """Of the current: the chip's u is a_mem times J."""


class ChipCoefficients(NamedTuple):
    """What the rounded registers stand for in the module's units.

    In the order of `tape.COEFFICIENTS`. Their values are the chip's; their gradients go
    on to the module's parameters as if nothing had been rounded.
    """

    w_in: Tensor
    w_rec: Tensor
    v_leak: Tensor
    v_th: Tensor
    a_mem: Tensor
    a_syn: Tensor
    noise: Tensor


class Clipped(NamedTuple):
    """Weights that were cut at the top of their block; no gradient passes these."""

    w_in: np.ndarray
    w_rec: np.ndarray


class _Straight(torch.autograd.Function):
    """The value of one tensor with the gradient of another."""

    @staticmethod
    def forward(ctx: Any, smooth: Tensor, exact: Tensor) -> Tensor:
        # a copy: a view of what gets no gradient must not become what does
        return exact.to(smooth.dtype, copy=True)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0], None


def straight(smooth: Tensor, exact: Tensor) -> Tensor:
    """Return `exact`, in the type of `smooth` and with its gradient."""
    value: Tensor = _Straight.apply(smooth, exact)
    return value


def scales_of(fixed: FixedPointNetwork, unit: np.ndarray) -> Scales:
    """Return the integers per unit of voltage; `unit` is in volts."""
    per = fixed.state_scale * unit
    return Scales(per, per * (fixed.dv / chip.DECAY_UNITY))


def coefficients(
    module: LIFModule,
    fixed: FixedPointNetwork,
    unit: np.ndarray,
    clipped: Clipped | None,
    dtype: torch.dtype,
) -> ChipCoefficients:
    """Return the step's coefficients, differentiable.

    A weight on the grid stands for gain·w, with the gain (du + 1)/4096 / (1 −
    exp(−dt/τ_syn)) by which `quantize` makes up for the rounding of τ_syn: (U12).

    Args:
        module: gives the parameters.
        fixed: the integers that they were rounded to.
        unit: volts of the module's units, per neuron.
        clipped: weights that get no gradient (U13); None where none was cut.
        dtype: of the coefficients.
    """
    scales = scales_of(fixed, unit)
    # volts of u, in units, that a weight of 1 on the grid adds
    per_u = ((1 << chip.INPUT_SHIFT) / scales.u)[:, None]
    reset = fixed.v_reset / unit
    bias = chip.effective_bias(fixed.bias_mant, fixed.bias_exp)
    exact = ChipCoefficients(  # (U11)
        *(
            module.w_rec.new_tensor(value, dtype=dtype)
            for value in (
                dense_weights(fixed, "input") * (fixed.input_scale * per_u),
                dense_weights(fixed, "recurrent") * per_u,
                reset + bias / scales.u,
                reset + fixed.vth * float(1 << chip.INPUT_SHIFT) / scales.v,
                fixed.dv / chip.DECAY_UNITY,
                (fixed.du + float(chip.DU_OFFSET)) / chip.DECAY_UNITY,
                np.ones(fixed.n),
            )
        )
    )
    loss = module.loss_per_step(module.tau_syn.to(dtype))
    a_syn = straight(loss, exact.a_syn)
    # Through a_syn the gradient of a weight reaches τ_syn too.
    gain = (a_syn / loss)[:, None]
    smooth = {
        name: getattr(module, name).to(dtype) * gain for name in ("w_in", "w_rec")
    }
    if clipped is not None:
        for name, cut in clipped._asdict().items():
            weights = smooth[name]
            mask = torch.from_numpy(cut).to(weights.device)
            smooth[name] = torch.where(mask, weights.detach(), weights)  # (U13)
    return ChipCoefficients(
        w_in=straight(smooth["w_in"], exact.w_in),
        w_rec=straight(smooth["w_rec"], exact.w_rec),
        v_leak=straight(module.v_leak.to(dtype), exact.v_leak),
        v_th=straight(module.v_th.to(dtype), exact.v_th),
        a_mem=straight(module.loss_per_step(module.tau_mem.to(dtype)), exact.a_mem),
        a_syn=a_syn,
        # (U21): the size that the chip's samples have counts as the one asked for
        noise=straight(module.current_noise_factor().to(dtype), exact.noise),
    )


def inputs_of(fixed: FixedPointNetwork, sent: np.ndarray) -> Tensor:
    """Return the inputs that messages stand for, float64."""
    binary = any(block.binary for block in fixed.blocks if block.source == "input")
    return torch.tensor((sent != 0 if binary else sent) / fixed.input_scale)
