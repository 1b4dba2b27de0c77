"""How spikes follow from a module's parameters: what every way to compute them shares.

There are three: Norse's loop, which is the reference and runs on any device
(`NorseLoop`), the same in one compiled pass (`fused.Fused`), and the chip's integers
(`chip.ChipDynamics`). All are differentiable with respect to what the module trains.
"""

from typing import NamedTuple, Protocol

import torch
from norse.torch.functional.lif import LIFState
from torch import Tensor

from isotau.convert.simulate.norse_module import LIFModule, ModuleState


class ForwardState(NamedTuple):
    """What is remembered between two steps.

    The chip's integers stand in the same fields, exact in float64.
    """

    z: Tensor
    """Spikes of the step before, batch × neuron, 0 or 1."""
    v: Tensor
    """Potential after the reset, batch × neuron."""
    i: Tensor
    """Synaptic current (the chip's u), batch × neuron; see `LIFNetwork` for when."""
    rest: Tensor
    """Steps left at reset, batch × neuron, int64."""
    x: Tensor
    """Inputs of the step before, batch × channel; only the chip needs them."""


class ForwardRun(NamedTuple):
    """What some steps left behind, differentiable."""

    spikes: Tensor
    """Steps × batch × neuron, of the module's type."""
    state: ForwardState
    """After the last step."""
    currents: Tensor
    """Samples × batch × neuron: J right after its jump (L1), in the module's units; of
    the chip what u stands for. No samples if none were asked for."""


class Prepared(Protocol):
    """A network ready to run: what is computed once for an update is computed."""

    def start(self, batch: int) -> ForwardState:
        """Return the state before the first step."""

    def run(
        self,
        inputs: Tensor,
        state: ForwardState,
        *,
        seed: int | None,
        step: int,
        every: int = 0,
    ) -> ForwardRun:
        """Return what the network does in some steps.

        Args:
            inputs: steps × batch × channel, of the module's type, on its device.
            state: before the first of these steps.
            seed: of the membrane noise, 0 … 2^63 − 1; None for none. The same seed
                and step give the same noise in every run.
            step: number of the first of these steps since the trial began.
            every: steps between two samples of the current, the first after so many
                since the trial began; 0 for none.
        """


class Dynamics(Protocol):
    """A way to compute spikes."""

    def prepare(self, module: LIFModule) -> Prepared:
        """Return the module's network, ready to run with its present parameters."""


def detach(state: ForwardState) -> ForwardState:
    """Return a state through which no gradient passes."""
    return ForwardState(*(part.detach() for part in state))


class NorseLoop:
    """Norse's `lif_step`, one step after another; the reference."""

    def prepare(self, module: LIFModule) -> "NorseRun":
        """Return the network, ready to run."""
        return NorseRun(module)


class NorseRun:
    """A network as `NorseLoop` runs it."""

    def __init__(self, module: LIFModule) -> None:
        """Compute Norse's parameters."""
        self.module = module
        self.parameters = module.norse_parameters()

    def start(self, batch: int) -> ForwardState:
        """Return the state before the first step."""
        return start(self.module, batch)

    def run(
        self,
        inputs: Tensor,
        state: ForwardState,
        *,
        seed: int | None,
        step: int,
        every: int = 0,
    ) -> ForwardRun:
        """Return what the network does; see `Prepared.run`."""
        module = self.module
        steps, batch = inputs.shape[:2]
        drawn = module.draw_noise(steps, batch, seed=seed, step=step)
        if drawn.i is not None:
            drawn = drawn._replace(i=drawn.i * module.current_noise_factor())  # (U21)
        noise = drawn.by_step(steps)
        now = ModuleState(LIFState(z=state.z, v=state.v, i=state.i), state.rest)
        spikes, currents = [], [state.i[None][:0]]
        # unbind, not inputs[t]: the backward pass of the latter is quadratic in steps
        for t, x in enumerate(inputs.unbind()):
            if is_sampled(step + t, every):
                currents.append(module.current(x, now, noise[t])[None])
            now = module.step(x, now, self.parameters, noise[t])
            spikes.append(now.lif.z)
        lif, rest = now
        end = ForwardState(lif.z, lif.v, lif.i, rest, inputs[-1])
        return ForwardRun(torch.stack(spikes), end, torch.cat(currents))


def is_sampled(step: int, every: int) -> bool:
    """Return whether the current is sampled in a step; never for `every` of 0."""
    return every > 0 and (step + 1) % every == 0


def samples_in(step: int, steps: int, every: int) -> int:
    """Return how many samples are taken in some steps from `step` on."""
    return (step + steps) // every - step // every if every else 0


def start(module: LIFModule, batch: int) -> ForwardState:
    """Return a module's state before the first step."""
    lif, rest = module.initial_state(batch)
    x = lif.v.new_zeros(batch, module.w_in.shape[1])
    return ForwardState(lif.z, lif.v, lif.i, rest, x)
