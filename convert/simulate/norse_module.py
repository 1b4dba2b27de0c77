"""The LIF stage as a Norse network: `LIFNetwork` ⇄ a torch module around `lif_step`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from norse.torch.functional.lif import LIFParameters, LIFState, lif_step
from torch import Tensor, nn

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import choice, number
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.weight_form import densified
from isotau.convert.simulate.normal_kernels import draw
from isotau.convert.simulate.trainable import SURROGATES, TRAINABLE, WEIGHTS
from isotau.convert.simulate.vectors.normals import MEMBRANE, SYNAPSE, Place

CONSTANTS = ("tau_syn", "tau_mem", "v_th", "v_leak", "v_reset", "refractory")
OPTIONAL = ("i0", "v0", "f0", "tau_out")
NOISES = ("noise_std", "current_noise_std")


class StepNoise(NamedTuple):
    """What noise adds in a step, or its standard deviations; None for no noise.

    Attributes:
        v: to the membrane potential, batch × neuron, in the network's volts.
        i: to the synaptic current.
    """

    v: Tensor | None = None
    i: Tensor | None = None

    def by_step(self, steps: int) -> "list[StepNoise]":
        """Return the noise of each step of what has an axis of steps before."""
        parts = [[None] * steps if part is None else part.unbind() for part in self]
        return [StepNoise(*pair) for pair in zip(*parts, strict=True)]


SILENT = StepNoise()


@short_repr
class ModuleState(NamedTuple):
    """What the network remembers between two steps; every tensor is batch × neuron.

    Attributes:
        lif: spikes z, potential v and synaptic current i, as Norse has them.
        refractory_left: steps that each neuron still stays at reset.
    """

    lif: LIFState
    refractory_left: Tensor


class LIFModule(nn.Module):
    """A `LIFNetwork` whose time step is Norse's `lif_step`.

    Around Norse's step, equations (L1) to (L3), stand the things it lacks: noise, of
    which the current's is there before the jump (L1) and the membrane's rides on v_leak
    (L9), and the refractory period (L4 to L6): a neuron
    within it is put back to v_reset and its spike removed after the step. Exact decays
    come from handing Norse (1 − e^(−dt/τ))/dt as inverse time constants.

    What trains is a parameter, everything else a buffer, each under the name it has in
    `LIFNetwork` and in the same units.

    A surrogate is as wide as one unit of the voltages: with x = v − v_th, "super" has
    the slope 1/(1 + |x|)², "tanh" sech²(x), "triangle" max(0, 1 − |x|), "heavi_erfc"
    2/√π·exp(−x²), "circ" (1 + x²)^(−3/2). (Norse 1.1 takes a steepness, but "super"
    ignores it and "triangle" multiplies with it.) Bring a network to units in which
    that is the width you want: `isotau.convert.tuning.forward.units`.
    """

    w_in: Tensor
    w_rec: Tensor
    w_out: Tensor
    b_out: Tensor
    tau_syn: Tensor
    tau_mem: Tensor
    v_th: Tensor
    v_leak: Tensor
    v_reset: Tensor
    refractory: Tensor
    i0: Tensor
    v0: Tensor
    f0: Tensor
    tau_out: Tensor
    rest_steps: Tensor
    unit: Tensor
    noise_std: Tensor
    current_noise_std: Tensor

    def __init__(
        self,
        net: LIFNetwork,
        *,
        dtype: torch.dtype = torch.float64,
        surrogate: str = "super",
        damping: float = 1.0,
        train: Sequence[str] = WEIGHTS,
        unit: np.ndarray | None = None,
    ) -> None:
        """Build the module from a network.

        Args:
            net: the network; with float64, `to_network` gives it back bit for bit.
            dtype: of parameters and state; float32 is twice as fast.
            surrogate: one of `SURROGATES`.
            damping: factor on the surrogate's slope.
            train: names of what trains, from `TRAINABLE`.
            unit: volts that each neuron's unit of voltage stands for, for a network in
                other units; its noise is in volts all the same. 1 if None.
        """
        super().__init__()
        for name in train:
            choice("train", name, TRAINABLE)
        small = densified(net, "Norse's step")
        # Buffers, too, move between devices and into checkpoints.
        for name in WEIGHTS + CONSTANTS + OPTIONAL:
            value = torch.tensor(getattr(small, name), dtype=dtype)
            if name in train:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)
        self.register_buffer("rest_steps", torch.tensor(net.refractory_steps))
        # Not in checkpoints: the caller chooses the unit anew.
        volts = np.ones(net.n) if unit is None else unit
        self.register_buffer("unit", torch.tensor(volts, dtype=dtype), persistent=False)
        self.dt = net.dt
        for name in NOISES:
            value = torch.tensor(getattr(net, name), dtype=torch.float64)
            self.register_buffer(name, value, persistent=False)
        self.population = net.population
        self.surrogate = choice("surrogate", surrogate, SURROGATES)
        self.damping = number("damping", damping, positive=True)

    def loss_per_step(self, tau: Tensor) -> Tensor:
        """Return 1 − exp(−dt/τ), what is lost in a step (L7), rounded once."""
        return -torch.expm1(-self.dt / tau.double()).to(tau.dtype)

    def noise_per_step(self) -> StepNoise:
        """Return the standard deviations of what a step's noises add (L8), (L19)."""
        sizes = []
        for std, tau in (
            (self.noise_std, self.tau_mem),
            (self.current_noise_std, self.tau_syn),
        ):
            share = torch.sqrt(-torch.expm1(-2 * self.dt / tau.double()))
            some = bool((std > 0).any())
            sizes.append((std * share / self.unit).to(tau.dtype) if some else None)
        return StepNoise(*sizes)

    def current_noise_factor(self) -> Tensor:
        """Return 1 for each neuron, as a factor on its current's noise: (U21).

        Noise is drawn without a gradient; τ_syn, which sets its size (L19), has one
        through this factor where it trains.
        """
        size = self.noise_per_step().i
        if size is None or not size.requires_grad:
            return torch.ones_like(self.tau_syn).detach()
        present = torch.where(size > 0, size, torch.ones_like(size)).detach()
        return 1 + (size - size.detach()) / present

    def norse_parameters(self) -> LIFParameters:
        """Return Norse's parameters with exact exponential decays."""
        return LIFParameters(
            tau_syn_inv=self.loss_per_step(self.tau_syn) / self.dt,
            tau_mem_inv=self.loss_per_step(self.tau_mem) / self.dt,
            v_leak=self.v_leak,
            v_th=self.v_th,
            v_reset=self.v_reset,
            method=self.surrogate,
            alpha=1.0,
        )

    def initial_state(self, batch: int) -> ModuleState:
        """Return the state before the first step, no spike under way (L14)."""
        zeros = self.v_reset.new_zeros(batch, self.v_reset.shape[0])
        return ModuleState(
            LIFState(z=zeros, v=self.v0.expand_as(zeros), i=self.i0.expand_as(zeros)),
            torch.zeros_like(zeros, dtype=torch.int64),
        )

    def current(
        self, inputs: Tensor, state: ModuleState, noise: StepNoise = SILENT
    ) -> Tensor:
        """Return J of the step that follows a state, batch × neuron: (L1).

        Args:
            inputs: batch × input channel.
            state: from `initial_state` or the step before.
            noise: of the step.
        """
        before = state.lif.i if noise.i is None else state.lif.i + noise.i
        return before + inputs @ self.w_in.T + state.lif.z @ self.w_rec.T

    def step(
        self,
        inputs: Tensor,
        state: ModuleState,
        parameters: LIFParameters,
        noise: StepNoise = SILENT,
        gain: Tensor | float = 1.0,
    ) -> ModuleState:
        """Return the state one dt later; its spikes are `state.lif.z`.

        Args:
            inputs: batch × input channel.
            state: from `initial_state` or the step before.
            parameters: from `norse_parameters`, once per run.
            noise: what is added to v and i.
            gain: factor on all recurrent weights, a number or batch × 1: many scalings
                of one network run as one batch.
        """
        if noise.v is not None:
            # (L9); Norse multiplies v_leak by dt·tau_mem_inv, which is a_mem.
            lift = noise.v / (self.dt * parameters.tau_mem_inv)
            parameters = parameters._replace(v_leak=parameters.v_leak + lift)
        # A factor on spikes that arrive is one on all recurrent weights.
        before = state.lif._replace(z=state.lif.z * gain)
        if noise.i is not None:
            before = before._replace(i=before.i + noise.i)
        # (L1) to (L3)
        _, lif = lif_step(inputs, before, self.w_in, self.w_rec, parameters, dt=self.dt)
        steps_left, z = state.refractory_left, lif.z
        if self.damping != 1:
            # (U3): the value of z stays, its gradient is damped.
            z = z.detach() + self.damping * (z - z.detach())
        # (L4) to (L6); Norse itself has reset the neurons that fired.
        z = torch.where(steps_left > 0, torch.zeros_like(z), z)
        v = torch.where(steps_left > 0, self.v_reset, lif.v)
        steps_left = torch.where(z > 0, self.rest_steps, (steps_left - 1).clamp(min=0))
        return ModuleState(LIFState(z=z, v=v, i=lif.i), steps_left)

    def draw_noise(
        self, steps: int, batch: int, *, seed: int | None, step: int = 0
    ) -> StepNoise:
        """Return what noise adds in some steps, steps × batch × neuron: (U4).

        The samples are those of `simulate_lif`, on any device; without a gradient.

        Args:
            steps: how many.
            batch: number of trials, from trial 0 on.
            seed: 0 ≤ seed < 2^64; None for none.
            step: number of the first step.
        """
        if seed is None:
            return SILENT
        parts: list[Tensor | None] = []
        for size, stream in zip(
            self.noise_per_step(), (MEMBRANE, SYNAPSE), strict=True
        ):
            if size is None:
                parts.append(None)
                continue
            shape = (steps, batch, len(size))
            samples = torch.from_numpy(draw(Place(seed, stream, step), shape))
            # float32 samples are the same numbers in float64.
            parts.append(size.detach() * samples.to(size))
        return StepNoise(*parts)

    def forward(self, inputs: Tensor, seed: int | None = None) -> tuple[Tensor, Tensor]:
        """Return outputs (steps × batch × output) and spikes (steps × batch × neuron).

        Differentiable with respect to every parameter, from the start state. The
        noise is that of `simulate_lif` for the seed; for None there is none.
        """
        parameters = self.norse_parameters()
        steps, batch, _ = inputs.shape
        state = self.initial_state(batch)
        noises = self.draw_noise(steps, batch, seed=seed).by_step(steps)
        spikes = []
        for x, noise in zip(inputs.unbind(), noises, strict=True):
            state = self.step(x, state, parameters, noise)
            spikes.append(state.lif.z)
        return self.read_out(spikes), torch.stack(spikes)

    def read_out(self, spikes: list[Tensor]) -> Tensor:
        """Return W_out f + b_out for the filtered spikes f of each step."""
        loss = self.loss_per_step(self.tau_out)
        filtered = self.f0.expand_as(spikes[0])
        outputs = []
        for z in spikes:
            # (L12), (L13); out of place, since gradients need every f
            filtered = filtered * (1 - loss) + z * (loss / self.dt)
            outputs.append(filtered @ self.w_out.T + self.b_out)
        return torch.stack(outputs)


def to_network(module: LIFModule) -> LIFNetwork:
    """Return the network that a module holds now, trained or not, in float64."""

    # float32 parameters become float64 numbers of the same value.
    def numbers(tensor: Tensor) -> np.ndarray:
        return tensor.detach().cpu().double().numpy()

    arrays = {
        name: numbers(getattr(module, name))
        for name in WEIGHTS + CONSTANTS + OPTIONAL + NOISES
    }
    return LIFNetwork(
        **arrays,
        dt=module.dt,
        population=module.population,
    )
