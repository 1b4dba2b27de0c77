"""The chip's time step on tensors: the torch engine and tuning run this one.

All numbers are whole and held in float64, on any device. None reaches 2^53, powers of
two scale without rounding, and division truncates: every operation is exact and the
bits are those of `isotau.convert.chip.arithmetic`. float64 needs half the operations
that int64 would, which torch has no matrix product for on a GPU.

Tensors are batch × neuron, or one number per neuron; v and u are integers of the chip,
what arrives is in units of 2^6. A step is `advance` (H3 to H11), then `deliver` for
each connection (H12). Both change what they are given in place.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from isotau.convert.chip.arithmetic import DECAY_UNITY, INPUT_SHIFT, STATE_LIMIT
from isotau.convert.chip.philox import (
    MASK,
    MEMBRANE,
    MULTIPLIERS,
    ROUNDS,
    SYNAPSE,
    WEYL,
    noise_key,
)


class ChipTensors(NamedTuple):
    """What a network's neurons compute with, one number for each, float64."""

    keep_u: Tensor
    """4096 − (du + 1): what a decay leaves of u, in 1/4096."""
    keep_v: Tensor
    """4096 − dv."""
    bias: Tensor
    threshold: Tensor
    """2^6 vth."""
    refractory: Tensor | None
    """Steps at reset after a spike; None if no neuron ever rests."""
    noise_exp: Tensor | None
    """Of what goes to v, 0 for a neuron without; None for no noise at all."""
    current_noise_exp: Tensor | None
    """The same of what goes to u."""
    wide: bool
    """Whether any sum may leave 32 bits, so that all are wrapped (H14)."""


class NeuronTensors(NamedTuple):
    """The neurons' state, batch × neuron, float64; and room to compute in."""

    u: Tensor
    v: Tensor
    rest: Tensor
    """Steps left at reset."""
    fired: Tensor
    """Spikes of the step before, 0 or 1."""
    spare: Tensor


def on_chip(u: Tensor, v: Tensor, rest: Tensor) -> NeuronTensors:
    """Return a state with room to compute in; the tensors are copied."""
    u, v, rest = (x.to(torch.float64, copy=True) for x in (u, v, rest))
    return NeuronTensors(u, v, rest, torch.zeros_like(u), torch.empty_like(u))


def advance(
    chip: ChipTensors,
    state: NeuronTensors,
    arriving: Tensor,
    drive: Tensor,
    *,
    current_noise: Tensor | None = None,
    counts: Tensor | None = None,
    peak: Tensor | None = None,
) -> None:
    """Update u, v, rest and fired by one time step.

    Args:
        chip: the neurons.
        state: changed.
        arriving: what connections hand over in this step.
        drive: bias and noise: (H6).
        current_noise: what is added to u: (H3).
        counts: 4 × neuron, what left its range is added, over trials: sums beyond 32
            bits, u that wrapped, v that was cut at the bottom and at the top.
        peak: gets v before spikes and reset.
    """
    u, v, rest, fired, spare = state
    scale = 1 << INPUT_SHIFT
    u.mul_(chip.keep_u).div_(DECAY_UNITY, rounding_mode="trunc")  # (H4)
    if current_noise is not None:
        u.add_(current_noise)
    if chip.wide:
        wrap_int32(u.add_(wrap_int32(arriving * scale)))  # (H3)
    else:
        u.add_(arriving, alpha=scale)
    # By how many 2M, of −1, 0 and 1, u is off: u = M is in place, u = −M is not. (H5)
    off = torch.mul(u, 0.5 / STATE_LIMIT, out=spare).sub_(0.5).ceil_().clamp_(-1, 1)
    u.sub_(off, alpha=2 * STATE_LIMIT)
    if counts is not None:
        half = (1 << 31) // scale
        counts[0] += ((arriving < -half) | (arriving >= half)).sum(dim=0)
        counts[1] += off.abs_().sum(dim=0)
    v.mul_(chip.keep_v).div_(DECAY_UNITY, rounding_mode="trunc").add_(u).add_(drive)
    if chip.wide:
        wrap_int32(v)
    if counts is not None:
        counts[2] += ((rest <= 0) & (v < 1 - STATE_LIMIT)).sum(dim=0)
        counts[3] += ((rest <= 0) & (v > STATE_LIMIT - 1)).sum(dim=0)
    v.clamp_(1 - STATE_LIMIT, STATE_LIMIT - 1)  # (H7)
    if peak is not None:
        peak.copy_(v)
    if chip.refractory is not None:
        v.mul_(torch.le(rest, 0, out=spare))  # (H8)
    torch.gt(v, chip.threshold, out=fired)  # (H9)
    v.addcmul_(v, fired, value=-1)  # (H11)
    if chip.refractory is not None:
        # A neuron at rest has v = 0 and does not spike: the period is added to 0. (H10)
        rest.sub_(1).clamp_(min=0).addcmul_(fired, chip.refractory)


def deliver(arriving: Tensor, total: Tensor, exponent: int, *, wide: bool) -> None:
    """Add a connection's sums, shifted as a whole, to what will arrive: (H12).

    Args:
        arriving: float64; changed.
        total: sums of weights; may be changed.
        exponent: by which the sums have yet to be shifted.
        wide: whether a sum may leave 32 bits.
    """
    factor = 2.0**exponent
    if wide:
        total = wrap_int32(total.to(torch.float64)).mul_(factor).floor_()
        wrap_int32(arriving.add_(wrap_int32(total)))
    elif exponent < 0:
        arriving.add_(total.mul_(factor).floor_())
    else:
        arriving.add_(total, alpha=factor)


def wrap_int32(x: Tensor) -> Tensor:
    """Change whole numbers to what int32 keeps of them, and return them: (H14)."""
    return x.sub_(x.add(2**31).mul_(2.0**-32).floor_(), alpha=2**32)


def draw_noise(
    chip: ChipTensors, *, seed: int, steps: range, trials: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Return the noise of some steps in v and u, step × trial × neuron; None for none.

    Args:
        chip: the neurons.
        seed: 0 ≤ seed < 2^64.
        steps: as for `noise_samples`.
        trials: as for `noise_samples`.
    """
    to_v, to_u = (
        None
        if exponent is None
        else scaled_noise(exponent, stream, seed=seed, steps=steps, trials=trials)
        for exponent, stream in (
            (chip.noise_exp, MEMBRANE),
            (chip.current_noise_exp, SYNAPSE),
        )
    )
    return to_v, to_u


def scaled_noise(
    noise_exp: Tensor, stream: int, *, seed: int, steps: range, trials: Tensor
) -> Tensor:
    """Return the noise of some steps, step × trial × neuron, float64: (P6).

    Args:
        noise_exp: of each neuron, float64; 0 for no noise.
        stream: of `philox`, for v or u.
        seed: 0 ≤ seed < 2^64.
        steps: as for `noise_samples`.
        trials: as for `noise_samples`.
    """
    samples = noise_samples(seed, steps, trials, len(noise_exp), stream)
    scaled = samples.to(torch.float64).mul_(torch.exp2(noise_exp - 7)).floor_()
    return scaled.mul_(noise_exp > 0)


def noise_samples(
    seed: int, steps: range, trials: Tensor, n: int, stream: int = MEMBRANE
) -> Tensor:
    """Return uniform integers on −127 … 127, step × trial × neuron, int64.

    The samples are those of `isotau.convert.chip.philox.noise_samples`. torch has no
    unsigned 64-bit product; int64 holds the same 64 bits, of which masks take the
    halves. The first rounds act on parts of the counter that many steps, trials or
    neurons share, and broadcasting leaves them small.

    Args:
        seed: 0 ≤ seed < 2^64.
        steps: successive numbers of steps since power-up, each below 2^32.
        trials: number of each trial, int64, 0 ≤ trial < 2^32; its device computes.
        n: number of neurons.
        stream: of `philox`, for v or u.
    """
    if steps.start < 0 or steps.stop - 1 > MASK:
        raise ValueError(
            f"steps: got {steps.start} to {steps.stop - 1}, need 0 to 2^32 − 1"
        )
    blocks = (n + 7) // 8
    device = trials.device
    c0 = torch.arange(blocks, device=device).view(1, 1, -1)  # (P1)
    c1 = torch.arange(steps.start, steps.stop, device=device).view(-1, 1, 1)
    c2 = trials.view(1, -1, 1)
    c3 = torch.full_like(c0, stream)
    k0, k1 = noise_key(seed)
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]  # (P2)
        c0, c1 = (p1 >> 32).bitwise_and_(MASK) ^ c1 ^ k0, p1.bitwise_and_(MASK)
        c2, c3 = (p0 >> 32).bitwise_and_(MASK) ^ c3 ^ k1, p0.bitwise_and_(MASK)
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK  # (P3)
    halves = torch.stack(  # (P4)
        [half for c in (c0, c1, c2, c3) for half in (c & 0xFFFF, c >> 16)], dim=-1
    )
    samples = halves.mul_(255).bitwise_right_shift_(16).sub_(127)  # (P5)
    return samples.view(len(steps), len(trials), 8 * blocks)[..., :n]
