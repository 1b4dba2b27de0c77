"""The chip's time step in torch operations, any device; the reference for training.

The forward pass keeps the chip's integers as float64, in which all of them are exact:
no product or sum of a step reaches 2^53. The rules are those of
`isotau.convert.chip.arithmetic`.
Backward it is the float step with the rounded coefficients (`chip_coefficients`).
"""

from typing import NamedTuple

import numpy as np
import torch
from norse.torch.functional.threshold import threshold
from torch import Tensor

from isotau.convert.chip import arithmetic as chip
from isotau.convert.chip.philox import membrane_samples
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.forward.chip_coefficients import (
    Coefficients,
    scales_of,
    shown,
    straight,
)
from isotau.convert.tuning.forward.dynamics import State


class Registers(NamedTuple):
    """A network's integers as float64 tensors."""

    blocks: list[tuple[bool, bool, Tensor, Tensor, float]]
    """Of each connection: whether it listens to neurons, whether its inputs are
    spikes, the columns, weights (pre × post) and 2^exponent."""
    keep_u: Tensor
    """4096 − (du + 1); `keep_v` is 4096 − dv."""
    keep_v: Tensor
    bias: Tensor
    threshold: Tensor
    refractory: Tensor


def registers(fixed: FixedPointNetwork, device: torch.device) -> Registers:
    """Return a network's integers on a device."""

    def tensor(value: np.ndarray) -> Tensor:
        return torch.tensor(value.astype(np.float64), device=device)

    return Registers(
        blocks=[
            (
                block.source == "recurrent",
                block.binary,
                torch.tensor(block.pre.astype(np.int64), device=device),
                tensor(block.weights.T),
                2.0**block.weight_exp,
            )
            for block in fixed.blocks
        ],
        keep_u=chip.DECAY_UNITY - chip.DU_OFFSET - tensor(fixed.du),
        keep_v=chip.DECAY_UNITY - tensor(fixed.dv),
        bias=tensor(chip.effective_bias(fixed.bias_mant, fixed.bias_exp)),
        threshold=tensor(fixed.vth) * (1 << chip.INPUT_SHIFT),
        refractory=torch.tensor(fixed.refractory.astype(np.int64), device=device),
    )


class Frame(NamedTuple):
    """What all steps of a run share."""

    chips: Registers
    have: Coefficients
    per_v: Tensor
    """Integers of v per unit; `per_u` is that of u."""
    per_u: Tensor
    reset: Tensor
    """v_reset, in units."""
    surrogate: str
    damping: float


class Now(NamedTuple):
    """The state between two steps: integers, and what they stand for in units."""

    z: Tensor
    u: Tensor
    v: Tensor
    rest: Tensor
    current: Tensor
    potential: Tensor


def run_steps(
    module: LIFModule,
    fixed: FixedPointNetwork,
    unit: np.ndarray,
    have: Coefficients,
    sent: np.ndarray,
    state: State,
    *,
    seed: int | None,
    step: int,
) -> tuple[Tensor, State]:
    """Return spikes (steps × batch × neuron, float64) and the state after them.

    Args:
        module: gives surrogate and damping.
        fixed: the integers.
        unit: volts of the module's units.
        have: from `coefficients`, in float64.
        sent: what was sent in the step before the first and in each but the last, from
            `quantize.messages`; steps × batch × channel.
        state: before the first step; its `x` is not looked at.
        seed: of the noise; None for none.
        step: number of the first step.
    """
    device = state.v.device
    scales = scales_of(fixed, unit)
    frame = Frame(
        chips=registers(fixed, device),
        have=have,
        per_v=torch.tensor(scales.v, device=device),
        per_u=torch.tensor(scales.u, device=device),
        reset=torch.tensor(fixed.v_reset / unit, device=device),
        surrogate=module.surrogate,
        damping=module.damping,
    )
    now = Now(
        z=state.z.double(),
        u=state.i.detach(),
        v=state.v.detach(),
        rest=state.rest,
        current=state.i / frame.per_u,
        potential=frame.reset + state.v / frame.per_v,
    )
    messages = torch.tensor(sent, dtype=torch.float64, device=device)
    inputs = shown(fixed, sent).to(device)
    spikes = []
    for t in range(len(sent)):
        noise = _noise(fixed, seed, step + t, now.v)
        now = _step(frame, now, messages[t], inputs[t], noise)
        spikes.append(now.z)
    end = State(
        z=now.z,
        v=straight((now.potential - frame.reset) * frame.per_v, now.v),
        i=straight(now.current * frame.per_u, now.u),
        rest=now.rest,
        x=state.x,
    )
    return torch.stack(spikes), end


def _step(
    frame: Frame, now: Now, messages: Tensor, inputs: Tensor, noise: Tensor | float
) -> Now:
    """Return the state a step later: integers forward, the float step backward."""
    chips, have, resting = frame.chips, frame.have, now.rest > 0
    arriving = _arrived(chips, now.z.detach(), messages) * (1 << chip.INPUT_SHIFT)
    u = _wrap_u(_wrap(_decay(now.u, chips.keep_u) + _wrap(arriving)))
    before = _wrap(_decay(now.v, chips.keep_v) + u + chips.bias + noise)
    before = before.clamp(1 - chip.STATE_LIMIT, chip.STATE_LIMIT - 1)

    jump = inputs @ have.w_in.T + now.z @ have.w_rec.T
    current = straight((1 - have.a_syn) * now.current + jump, u / frame.per_u)
    pull = have.a_mem * (have.v_leak - now.potential + current)
    potential = straight(now.potential + pull, frame.reset + before / frame.per_v)
    over = (before - chips.threshold) / frame.per_v
    slope = threshold(straight(potential - have.v_th, over), frame.surrogate, 1.0)
    # The slope is damped, the spike is not.
    z = straight(frame.damping * slope, slope.detach())
    z = torch.where(resting, torch.zeros_like(z), z)
    still = resting | (z > 0)
    return Now(
        z=z,
        u=u,
        v=torch.where(still, torch.zeros_like(before), before),
        rest=torch.where(z > 0, chips.refractory, (now.rest - 1).clamp(min=0)),
        current=current,
        potential=torch.where(still, frame.reset, potential),
    )


def _decay(x: Tensor, keep: Tensor) -> Tensor:
    """Return x · keep/4096, truncated toward zero."""
    return torch.trunc(x * keep / chip.DECAY_UNITY)


def _wrap(x: Tensor) -> Tensor:
    """Return whole numbers as int32 keeps them."""
    return x - 2.0**32 * torch.floor((x + 2.0**31) / 2.0**32)


def _wrap_u(u: Tensor) -> Tensor:
    """Return u after one wrap into 24 bits."""
    limit = chip.STATE_LIMIT
    once = torch.where(u > limit, u - 2 * limit, u)
    return torch.where(u <= -limit, u + 2 * limit, once)


def _arrived(chips: Registers, z: Tensor, messages: Tensor) -> Tensor:
    """Return what all connections hand over, batch × neuron."""
    total = torch.zeros_like(z)
    for recurrent, binary, pre, weights, factor in chips.blocks:
        source = z if recurrent else messages
        source = (source != 0).double() if binary else source
        summed = _wrap(source[:, pre] @ weights)
        total = total + _wrap(torch.floor(summed * factor))
    return _wrap(total)


def _noise(
    fixed: FixedPointNetwork, seed: int | None, step: int, like: Tensor
) -> Tensor | float:
    if seed is None or fixed.noise_exp is None:
        return 0.0
    sample = membrane_samples(seed, step, np.arange(len(like)), fixed.n)
    scaled = chip.scale_noise(sample, fixed.noise_exp)
    return torch.tensor(scaled, dtype=torch.float64, device=like.device)
