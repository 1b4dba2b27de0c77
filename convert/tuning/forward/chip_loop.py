"""The chip's time step in torch operations, any device; the reference for training.

Forward it is `isotau.convert.chip.torch_step`: the chip's integers, no gradient.
Backward it is the float step with the rounded coefficients (`chip_coefficients`), whose
values are replaced by what the integers stand for: (U10).
"""

from typing import NamedTuple

import torch
from norse.torch.functional.threshold import threshold
from torch import Tensor

from isotau.convert.chip import torch_step
from isotau.convert.chip.torch_step import ChipTensors, NeuronTensors
from isotau.convert.simulate import chip_tensors
from isotau.convert.tuning.forward.chip_coefficients import (
    ChipCoefficients,
    inputs_of,
    scales_of,
    straight,
)
from isotau.convert.tuning.forward.chip_pass import ChipSegment
from isotau.convert.tuning.forward.dynamics import (
    ForwardRun,
    ForwardState,
    is_sampled,
)


class LoopConstants(NamedTuple):
    """What all steps of a run share."""

    chip: ChipTensors
    connections: list[chip_tensors.Connection]
    coefficients: ChipCoefficients
    per_v: Tensor
    """Integers of v per unit; `per_u` is that of u."""
    per_u: Tensor
    reset: Tensor
    """v_reset, in units."""
    surrogate: str
    damping: float


class Traced(NamedTuple):
    """What gradients go through between two steps, batch × neuron, in units."""

    z: Tensor
    current: Tensor
    potential: Tensor


def run_steps(
    segment: ChipSegment, coefficients: ChipCoefficients, state: ForwardState
) -> ForwardRun:
    """Return what the chip does in some steps, in float64.

    Args:
        segment: what is to be run; its program is not looked at.
        coefficients: from `chip_coefficients`, in float64.
        state: before the first step; its `x` is not looked at.
    """
    fixed, seed, device = segment.fixed, segment.seed, state.v.device
    scales = scales_of(fixed, segment.unit)
    constants = LoopConstants(
        # Nothing bounds what is learned: any sum may wrap.
        chip=chip_tensors.load_neurons(fixed, device, wide=True, resting=True),
        connections=chip_tensors.load_connections(fixed, device, wide=True),
        coefficients=coefficients,
        per_v=torch.tensor(scales.v, device=device),
        per_u=torch.tensor(scales.u, device=device),
        reset=torch.tensor(fixed.v_reset / segment.unit, device=device),
        surrogate=segment.surrogate,
        damping=segment.damping,
    )
    # copies, which the steps change in place; gradients go through `Traced` alone
    neurons = torch_step.on_chip(state.i.detach(), state.v.detach(), state.rest)
    traced = Traced(
        z=state.z.double(),
        current=state.i / constants.per_u,
        potential=constants.reset + state.v / constants.per_v,
    )
    messages = torch.tensor(segment.sent, dtype=torch.float64, device=device)
    inputs = inputs_of(fixed, segment.sent).to(device)
    trials = torch.arange(len(state.v), device=device)
    spikes, currents = [], [traced.current[None][:0]]
    for t in range(len(messages)):
        noise: tuple[Tensor | None, Tensor | None] = (None, None)
        if seed is not None:
            # One step at a time: noise takes as much room as all spikes.
            now = range(segment.step + t, segment.step + t + 1)
            noise = torch_step.draw_noise(
                constants.chip, seed=seed, steps=now, trials=trials
            )
        traced = _step(constants, neurons, traced, messages[t], inputs[t], noise)
        spikes.append(traced.z)
        if is_sampled(segment.step + t, segment.every):
            currents.append(traced.current[None])
    v = (traced.potential - constants.reset) * constants.per_v
    end = ForwardState(
        z=traced.z,
        v=straight(v, neurons.v),
        i=straight(traced.current * constants.per_u, neurons.u),
        rest=neurons.rest.long(),
        x=state.x,
    )
    return ForwardRun(torch.stack(spikes), end, torch.cat(currents))


def _step(
    constants: LoopConstants,
    neurons: NeuronTensors,
    traced: Traced,
    messages: Tensor,
    inputs: Tensor,
    noise: tuple[Tensor | None, Tensor | None],
) -> Traced:
    """Return what is traced a step later; the neurons are changed: (U10)."""
    to_v, to_u = noise
    drive = constants.chip.bias if to_v is None else constants.chip.bias + to_v[0]
    stirred = None if to_u is None else to_u[0]
    chip, weights = constants.chip, constants.coefficients
    arriving = torch.zeros_like(neurons.u)
    # What the step before sent arrives: (H12), without a ring, as there are no delays.
    for link in constants.connections:
        if link.source == "recurrent":
            total = chip_tensors.sum_spikes(link, traced.z.detach())
        else:
            total = chip_tensors.hear_messages(link, messages) @ link.weights
        torch_step.deliver(arriving, total, link.exponent, wide=True)
    resting, peak = neurons.rest > 0, torch.empty_like(neurons.v)
    torch_step.advance(chip, neurons, arriving, drive, current_noise=stirred, peak=peak)

    # The float step (U10), each result replaced by what the integers stand for.
    jump = inputs @ weights.w_in.T + traced.z @ weights.w_rec.T
    if stirred is not None:  # (U21); its value is in u already
        jump = jump + weights.noise * (stirred / constants.per_u)
    current = (1 - weights.a_syn) * traced.current + jump
    current = straight(current, neurons.u / constants.per_u)
    pull = weights.a_mem * (weights.v_leak - traced.potential + current)
    potential = constants.reset + peak / constants.per_v
    potential = straight(traced.potential + pull, potential)
    over = straight(potential - weights.v_th, (peak - chip.threshold) / constants.per_v)
    slope = threshold(over, constants.surrogate, 1.0)
    # The slope is damped, the spike is not; a resting neuron has neither. (U3)
    slope = torch.where(resting, torch.zeros_like(slope), constants.damping * slope)
    # The reset is taken as given: no gradient goes back through it.
    still = resting | (neurons.fired > 0)
    return Traced(
        z=straight(slope, neurons.fired),
        current=current,
        potential=torch.where(still, constants.reset, potential),
    )
