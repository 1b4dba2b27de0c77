"""Running a `LIFNetwork`: batches of trials without gradients, spikes kept packed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from norse.torch.functional.lif import LIFState

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import floats, length, whole
from isotau.convert.records import spikes as packed
from isotau.convert.records.lif import LIFNetwork, Ranges
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate.norse_module import LIFModule

NAME = "norse"
FORGETFUL = 1e-3
"""Share of i left by a step below which i before its decay is not read off from it."""


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class LIFRun:
    """What a run left behind.

    Attributes:
        spikes: all of them.
        ranges: how far the states went.
        current: i before its decay (L1), in volts, after every so many steps; None
            unless asked for.
    """

    spikes: Spikes
    ranges: Ranges
    current: Float32[np.ndarray, "samples batch n"] | None = None


def simulate_lif(
    net: LIFNetwork,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    *,
    generator: torch.Generator | None,
    burn_in: int = 0,
    scalings: Sequence[tuple[float, float]] = ((1.0, 0.0),),
    keep_current_every: int = 0,
    progress: Progress = silent,
) -> LIFRun:
    """Return the spikes of a batch of trials, in float32.

    Every trial starts in the network's start state, which is rest unless the network
    says otherwise, and passes `burn_in` steps with zero input before the first step
    that counts.

    Args:
        net: the network.
        inputs: steps of `net.dt`.
        generator: of the membrane noise; None for a run without it.
        burn_in: steps before the trial, in which nothing is recorded.
        scalings: variants of the network, each a factor on all recurrent weights and
            volts added to every v_leak. The trials run once for each, all in one batch
            and with the same noise; the result's batch holds variant after variant.
        keep_current_every: keep i after every so many steps; 0 for never.
        progress: is given the steps as they pass.
    """
    interval = whole("keep_current_every", keep_current_every, 0, 1 << 30)
    steps, batch = length("inputs", inputs, ndim=3), inputs.shape[1]
    shape = (steps, batch, net.n_in)
    inputs = floats("inputs", inputs, shape, "steps × batch × channel")
    # Variant after variant along the batch: one pass through Norse serves them all.
    copies = len(scalings)
    variants = torch.tensor(scalings, dtype=torch.float32)
    variants = variants.repeat_interleave(batch, dim=0)
    gain, drive = variants[:, :1], variants[:, 1:]
    # float32 is twice as fast; spikes differ from those in float64 in rare near-ties.
    module = LIFModule(net, dtype=torch.float32)
    parameters, per_step = module.norse_parameters(), module.noise_per_step()
    parameters = parameters._replace(v_leak=parameters.v_leak + drive)
    state = module.initial_state(copies * batch)
    bits = np.empty((steps, copies * batch, (net.n + 7) // 8), dtype=np.uint8)
    i_peak, i_power, v_low = (torch.zeros(net.n) for _ in range(3))
    keep = 1 - module.loss_per_step(module.tau_syn)
    forgetful = torch.nonzero(keep < FORGETFUL).ravel()
    currents = []
    with torch.inference_mode():
        for t in progress(range(-burn_in, steps), "LIF network in Norse"):
            x = torch.zeros(batch, net.n_in)
            if t >= 0:  # before that, the network settles without input
                x = torch.tensor(inputs[t], dtype=torch.float32)
            # Variants share their noise, so that they differ by the scaling alone.
            noise = _draw(net, (batch, net.n), per_step, generator)
            noise = None if noise is None else noise.repeat(copies, 1)
            x = x.repeat(copies, 1)
            before = state.lif
            state = module.step(x, state, parameters, noise, gain)
            # (L17): Norse returns i after its decay.
            i = state.lif.i / keep.clamp(min=FORGETFUL)
            if len(forgetful):
                i[:, forgetful] = _jump(module, x, before, gain, forgetful)
            # (L16)
            i_peak = torch.maximum(i_peak, i.abs().amax(0))
            v_low = torch.maximum(v_low, (module.v_reset - state.lif.v).amax(0))
            if t >= 0:
                i_power += (i * i).mean(0)
                bits[t] = packed.pack(state.lif.z.numpy() > 0)
            if interval and t >= 0 and (t + 1) % interval == 0:
                currents.append(i.numpy().copy())  # torch may use its memory again
    return LIFRun(
        _spikes(net, bits),
        Ranges(
            i_peak=i_peak.double().numpy(),
            i_rms=(i_power / steps).sqrt().double().numpy(),
            v_low=v_low.double().numpy(),
        ),
        np.stack(currents) if currents else None,
    )


def _jump(
    module: LIFModule,
    x: torch.Tensor,
    before: LIFState,
    gain: torch.Tensor,
    neurons: torch.Tensor,
) -> torch.Tensor:
    """Return i of some neurons right after the jump of a step (L1)."""
    arriving = x @ module.w_in[neurons].T
    returning = (before.z * gain) @ module.w_rec[neurons].T
    return before.i[:, neurons] + arriving + returning


def respond(
    net: LIFNetwork,
    currents: Iterable[Float64[np.ndarray, "batch n"]],
    *,
    steps: int,
    generator: torch.Generator | None,
    progress: Progress = silent,
) -> Spikes:
    """Return the spikes of the neurons alone under currents that are laid down.

    Weights and time constants of the synapses do not count: i is what it is told to be
    in every step.

    Args:
        net: the neurons.
        currents: i of each step, in volts.
        steps: how many there are.
        generator: of the membrane noise; None for none.
        progress: is given the steps as they pass.
    """
    module = LIFModule(net, dtype=torch.float32)
    parameters, per_step = module.norse_parameters(), module.noise_per_step()
    bits, state = [], None
    with torch.inference_mode():
        # i is set before each step and nothing may be added to it in the step.
        module.w_rec.zero_()
        module.w_in.zero_()
        ticks = progress(range(steps), "neurons under laid-down currents")
        for _, current in zip(ticks, currents, strict=True):
            i = torch.tensor(current, dtype=torch.float32)
            if state is None:
                state = module.initial_state(len(i))
                nothing = torch.zeros(len(i), net.n_in)
            noise = _draw(net, i.shape, per_step, generator)
            forced = state._replace(lif=state.lif._replace(i=i))
            state = module.step(nothing, forced, parameters, noise)
            bits.append(packed.pack(state.lif.z.numpy() > 0))
    return _spikes(net, np.stack(bits))


def _draw(
    net: LIFNetwork,
    shape: Sequence[int],
    per_step: torch.Tensor,
    generator: torch.Generator | None,
) -> torch.Tensor | None:
    """Return the membrane noise of a step (L8), None where there is none."""
    if generator is None or net.noise_std == 0:
        return None
    return per_step * torch.randn(shape, generator=generator)


def _spikes(net: LIFNetwork, bits: UInt8[np.ndarray, "steps batch bytes"]) -> Spikes:
    return Spikes(bits=bits, n=net.n, dt=net.dt, engine=NAME, network=net.fingerprint)
