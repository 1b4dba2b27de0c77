"""The parameters of many networks, stacked; what they start from and amount to."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.ground import validation
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials
from isotau.convert.training.train_config import TrainConfig
from isotau.convert.training.unroll import Steps

EDGE = 1e-4
"""How near a given τ may come to the ends of its range, as a fraction of it."""


class Stack(NamedTuple):
    """K networks, each tensor's first axis; what is trained, and what is not.

    Trained, as the configuration has it: w, magnitudes under Dale's law, else signed,
    or m and n; tau, its place in the range before the logistic; w_in or gain_in; w_out
    or gain_out; b_out; bias. Fixed: allowed, 0 where a connection is absent; signs; x0;
    and of w_in, w_out, bias and tau (in seconds) those that are not trained.
    """

    trained: dict[str, Tensor]
    fixed: dict[str, Tensor]


class Effective(NamedTuple):
    """What the parameters of K networks amount to, in the fields of `RateRNN`."""

    w_rec: Tensor | None
    m: Tensor | None
    n: Tensor | None
    w_in: Tensor
    w_out: Tensor
    bias: Tensor
    b_out: Tensor
    tau: Tensor


def effective(stack: Stack, config: TrainConfig) -> Effective:
    """Return the networks that the parameters stand for, differentiable."""
    trained = stack.trained
    parts = stack.fixed | trained
    w_in, w_out, tau = parts["w_in"], parts["w_out"], parts["tau"]
    if "gain_in" in trained:
        w_in = w_in * trained["gain_in"][:, None, :]
    if "gain_out" in trained:
        w_out = w_out * trained["gain_out"][:, :, None]
    if "tau" in trained:  # (B2); a τ that is fixed stands in seconds
        span = config.tau_max - config.tau_min
        tau = torch.sigmoid(tau) * span + config.tau_min
    return Effective(
        w_rec=_signed(stack, config) if config.rank is None else None,
        m=trained.get("m"),
        n=trained.get("n"),
        w_in=w_in,
        w_out=w_out,
        bias=parts["bias"],
        b_out=trained["b_out"],
        tau=tau,
    )


def _signed(stack: Stack, config: TrainConfig) -> Tensor:
    """Return W, K × post × pre (B1)."""
    w, allowed = stack.trained["w"], stack.fixed["allowed"]
    if config.p_inh is None:
        return w * allowed
    # relu has no slope at 0, where clamp has one: missing connections stay missing.
    # Adding 0 turns the −0 of a missing inhibitory one into 0.
    return torch.relu(w) * allowed * stack.fixed["signs"][:, None, :] + 0.0


def as_steps(nets: Effective, dt: float) -> Steps:
    """Return what `unroll` takes: pre × post and scaled by dt/τ; the bias an input."""
    gain = (dt / nets.tau)[:, None, :]
    # scaled once here instead of in every step (R2)
    w_in = torch.cat([nets.w_in.transpose(1, 2), nets.bias[:, None, :]], dim=1)
    if nets.w_rec is not None:
        first, second = nets.w_rec.transpose(1, 2) * gain, None
    elif nets.m is not None and nets.n is not None:
        first, second = nets.n, nets.m.transpose(1, 2) * gain / nets.m.shape[1]
    return Steps(
        keep=1.0 - gain, w_in=w_in * gain, first=first, second=second, w_out=nets.w_out
    )


def initial(config: TrainConfig, trials: Trials, chance: torch.Generator) -> Stack:
    """Return one network before training, for trials like these, K = 1.

    W_in ~ N(0, w_in_std²), W_out ~ N(0, w_out_std²), τ's place ~ N(0, 1), biases 0; see
    `TrainConfig` for W.
    """
    n, n_in, n_out = config.n, trials.inputs.shape[2], trials.targets.shape[2]

    def normal(*shape: int) -> Tensor:
        return torch.randn((1, *shape), generator=chance)

    trained: dict[str, Tensor] = {}
    fixed = {"x0": torch.zeros(1, n)}
    if config.rank is None:
        trained["w"], fixed["allowed"], fixed["signs"] = _sparse(config, chance)
    else:
        trained["m"] = normal(n, config.rank)  # (B4)
        trained["n"] = config.overlap * trained["m"] + normal(n, config.rank)
    # drawn whether it trains or not: what trains then does not change the draws
    start = {
        "w_in": normal(n, n_in) * config.w_in_std,
        "w_out": normal(n_out, n) * config.w_out_std,
        "b_out": torch.zeros(1, n_out),
        "bias": torch.zeros(1, n),
        "tau": normal(n),
    }
    return _divide(start, trained, fixed, config)


def _sparse(
    config: TrainConfig, chance: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights, which of them are allowed, and the units' signs; K = 1."""
    n = config.n
    inhibitory = torch.rand(n, generator=chance) < (config.p_inh or 0.0)
    allowed = torch.rand((n, n), generator=chance) < config.p_rec
    scale = config.gain / max(n * config.p_rec, 1.0) ** 0.5  # (B3)
    w = torch.randn((n, n), generator=chance) * scale
    if config.p_inh is not None:
        w = w.abs() * torch.where(inhibitory, config.inhibition, 1.0)
    # the first of the inhibitory units, which are in random places anyway
    spared = round(config.sst_fraction * int(inhibitory.sum()))
    sst = inhibitory & (inhibitory.cumsum(0) <= spared)
    allowed &= ~(sst[:, None] & inhibitory)
    if config.motif_mask is not None:
        allowed &= torch.tensor(config.motif_mask != 0)
    signs = 1.0 - 2.0 * inhibitory.float()
    if config.p_inh is None:
        signs = torch.zeros(n)
    return (w * allowed)[None], allowed.float()[None], signs[None]


def _divide(
    start: dict[str, Tensor],
    trained: dict[str, Tensor],
    fixed: dict[str, Tensor],
    config: TrainConfig,
) -> Stack:
    """Return a network whose parts went where the configuration wants them."""
    for name, place in (("in", config.train_inputs), ("out", config.train_outputs)):
        weights = start[f"w_{name}"]
        (trained if place == "weights" else fixed)[f"w_{name}"] = weights
        if place == "gains":
            channels = weights.shape[2 if name == "in" else 1]
            trained[f"gain_{name}"] = torch.ones(1, channels)
    trained["b_out"] = start["b_out"]
    (trained if config.train_bias else fixed)["bias"] = start["bias"]
    if config.tau_min < config.tau_max:
        trained["tau"] = start["tau"]
    else:
        fixed["tau"] = torch.full_like(start["tau"], config.tau_min)
    return Stack(trained, fixed)


def from_net(net: RateRNN, config: TrainConfig) -> Stack:
    """Return a given network as the start of training, K = 1.

    Raises:
        ValueError: it does not agree with the configuration, or has a readout bias.
    """
    _check_start(net, config)

    def tensor(array: np.ndarray) -> Tensor:
        return torch.tensor(array, dtype=torch.float32)[None]

    # float32, as all training: a network that went through it comes back rounded
    trained: dict[str, Tensor] = {}
    fixed = {"x0": tensor(net.x0)}
    if config.rank is not None:
        trained["m"], trained["n"] = tensor(net.m_vectors), tensor(net.n_vectors)
    else:
        dale = config.p_inh is not None
        trained["w"] = tensor(np.abs(net.w_rec) if dale else net.w_rec)
        fixed["allowed"] = tensor(net.w_rec != 0)
        fixed["signs"] = tensor(net.dale)
    # (B2) turned round; at the range's ends its place would be infinite
    span = max(config.tau_max - config.tau_min, 1e-300)
    place = np.clip((net.tau - config.tau_min) / span, EDGE, 1 - EDGE)
    start = {
        "w_in": tensor(net.w_in),
        "w_out": tensor(net.w_out),
        "b_out": tensor(net.b_out),
        "bias": tensor(net.bias),
        "tau": tensor(np.log(place / (1 - place))),
    }
    return _divide(start, trained, fixed, config)


def _check_start(net: RateRNN, config: TrainConfig) -> None:
    """Refuse a network that is not of the configuration's kind."""
    # factors of a start may be given up
    rank = None if config.rank is None else net.rank or None
    kind = (net.n, rank, net.activation, net.ceiling)
    need = (config.n, config.rank, config.activation, config.ceiling)
    if kind != need:
        raise ValueError(
            f"start: got (n, rank, activation, ceiling) = {kind}, need {need}; change "
            "the configuration"
        )
    if config.p_inh is not None and not np.all(net.dale):
        raise ValueError("start: got units of mixed signs, need p_inh None for them")
    if net.readout_bias.any():
        raise ValueError("start: got a readout bias, which training cannot keep")
    margin = 1e-6 * config.tau_max  # τ from files in decimal milliseconds
    low, high = config.tau_min - margin, config.tau_max + margin
    if net.tau.min() < low or net.tau.max() > high:
        raise ValueError(
            f"start: got τ from {net.tau.min():g} to {net.tau.max():g} s, need "
            f"{config.tau_min:g} to {config.tau_max:g}; widen tau_min and tau_max"
        )


def join(stacks: Sequence[Stack]) -> Stack:
    """Return networks of one configuration in one stack."""
    parts = [
        {name: torch.cat([d[name] for d in dicts]) for name in dicts[0]}
        for dicts in zip(*stacks, strict=True)
    ]
    return Stack(*parts)


def pick(stack: Stack, which: Tensor) -> Stack:
    """Return some of the networks, copied, by their places."""
    parts = [{name: part[which] for name, part in d.items()} for d in stack]
    return Stack(*parts)


def as_rate_rnn(stack: Stack, config: TrainConfig, dt: float, k: int = 0) -> RateRNN:
    """Return network k of the stack as a record of its own."""
    single = pick(stack, torch.tensor([k]))
    nets = effective(single, config)

    def array(tensor: Tensor) -> np.ndarray:
        return tensor[0].detach().double().numpy()

    factors: dict[str, np.ndarray] = {}
    if nets.w_rec is not None:
        w_rec, dale = array(nets.w_rec), array(single.fixed["signs"])
    elif nets.m is not None and nets.n is not None:
        factors = {"m_vectors": array(nets.m), "n_vectors": array(nets.n)}
        w_rec = factors["m_vectors"] @ factors["n_vectors"].T / config.n
        dale = np.zeros(config.n)
    return RateRNN(
        w_rec=w_rec,
        w_in=array(nets.w_in),
        w_out=array(nets.w_out),
        bias=array(nets.bias),
        b_out=array(nets.b_out),
        tau=array(nets.tau),
        dale=dale,
        activation=config.activation,
        noise_std=config.noise_std,
        dt=dt,
        ceiling=config.ceiling,
        x0=array(single.fixed["x0"]),
        x0_std=config.x0_std,
        **factors,
    )


def truncate(net: RateRNN, rank: int) -> RateRNN:
    """Return the network with the best approximation of its weights of that rank.

    W ≈ m nᵀ/N with m = √N U √S and n = √N V √S from the leading singular triplets of
    W = U S Vᵀ, so that both have vectors of equal length. Dale's law is given up.
    Source: Dubreuil et al. 2022, doi:10.1038/s41593-022-01088-4, whose low-rank
    networks for harder tasks start so from full ones.

    Raises:
        ValueError: the rank is more than the network has units.
    """
    rank = validation.whole("rank", rank, 1, net.n)
    u, sizes, v = np.linalg.svd(net.w_rec)  # (R14), with Vᵀ as v
    scale = np.sqrt(net.n * sizes[:rank])
    m, n = u[:, :rank] * scale, v[:rank].T * scale
    return dataclasses.replace(
        net,
        w_rec=m @ n.T / net.n,
        dale=np.zeros(net.n, dtype=np.int8),
        m_vectors=m,
        n_vectors=n,
    )
