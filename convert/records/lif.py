"""`LIFNetwork`: a recurrent network of leaky integrate-and-fire neurons, in floats."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import SparseWeights, sparse_weights
from isotau.convert.ground.validation import (
    Numbers,
    Size,
    check_fields,
    freeze,
    length,
    population,
)
from isotau.convert.neuron.lif_constants import check_neurons
from isotau.convert.records.content import RecordContent, channel_noise

# (L10)
MEMORYLESS = 50.0
"""Steps per τ of something without memory: 1 − exp(−50) is 1 in double precision."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LIFNetwork(RecordContent):
    """Current-based LIF neurons with one exponential synapse each; SI units.

    One step of length dt, in Norse's order (`norse.torch.functional.lif.lif_step`):

        i ← i + noise + W_in x + W_rec z         z: the spikes of the step before
        v ← v + a_mem (v_leak − v + i) + noise   a_mem = 1 − exp(−dt/τ_mem)
        i ← i (1 − a_syn)                        a_syn = 1 − exp(−dt/τ_syn)
        z ← v > v_th;  v ← v_reset where z, and held there for the refractory period

    The decays are exact exponentials, so τ does not depend on dt. Both noises are
    white, Gaussian, independent, and scaled by what a neuron without input makes of
    them: its i has standard deviation `current_noise_std`, to which a step adds
    current_noise_std·√(1 − exp(−2dt/τ_syn)); its v, without threshold and by the
    membrane's noise alone, has `noise_std`, with τ_mem in the place of τ_syn.

    Output: o = W_out f + b_out, where f is each neuron's spike train filtered by
    exp(−t/τ_out)/τ_out, in Hz. A filter, synapse or membrane without memory has
    τ = dt/`MEMORYLESS`.

    Attributes:
        w_in: volts that one unit of input adds to i in one step, post × input channel.
        w_rec: volts that one spike adds to i, post × pre; where most are 0,
            `SparseWeights` or one of scipy's sparse arrays, which becomes such.
        w_out: output per Hz, output × neuron.
        b_out: constant part of each output.
        tau_syn: synaptic time constant of each neuron, in seconds.
        tau_mem: membrane time constant of each neuron, in seconds.
        v_th: threshold of each neuron, in volts.
        v_leak: resting potential, with constant drive added, in volts.
        v_reset: potential after a spike, in volts; below `v_th`.
        refractory: absolute refractory period, in seconds; a multiple of dt.
        noise_std: stationary standard deviation of each neuron's membrane noise, in
            volts; one number stands for all.
        dt: step, in seconds.
        current_noise_std: stationary standard deviation of the noise in each synaptic
            current, in volts; one number stands for all. Zero if not given.
        i0: synaptic current before the first step, in volts; zero if not given.
        v0: membrane potential before it, in volts; `v_reset` if not given.
        f0: filtered spike train f before it, in Hz; zero if not given.
        tau_out: time constant of each neuron's readout filter, in seconds; `tau_syn`
            if not given.
        population: number of the population that each neuron belongs to, from 0; all
            of one if not given. Quantization gives each its own scale.
        input_noise_std: the last input channels, as many as this has numbers, carry
            white noise that neurons share: its standard deviations, in units of input.
            None if not given; the other channels are shown inputs.
    """

    w_in: Float64[np.ndarray, "n n_in"]
    w_rec: Float64[np.ndarray, "n n"] | SparseWeights
    w_out: Float64[np.ndarray, "n_out n"]
    b_out: Float64[np.ndarray, " n_out"]
    tau_syn: Float64[np.ndarray, " n"]
    tau_mem: Float64[np.ndarray, " n"]
    v_th: Float64[np.ndarray, " n"]
    v_leak: Float64[np.ndarray, " n"]
    v_reset: Float64[np.ndarray, " n"]
    refractory: Float64[np.ndarray, " n"]
    noise_std: Float64[np.ndarray, " n"]
    dt: float
    current_noise_std: Float64[np.ndarray, " n"] = field(
        default_factory=lambda: np.zeros(0)
    )
    i0: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    v0: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    f0: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    tau_out: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    population: Int64[np.ndarray, " n"] = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )

    input_noise_std: Float64[np.ndarray, " sources"] = field(
        default_factory=lambda: np.zeros(0)
    )

    LATER = ("current_noise_std", "input_noise_std")
    ONCE_NUMBERS: ClassVar[dict[str, Any]] = {"noise_std": 0.0}

    n = Size("w_rec")
    """Number of neurons."""
    n_in = Size("w_in", 1)
    """Number of input channels."""
    n_out = Size("w_out")
    """Number of outputs."""

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = length("w_rec", self.w_rec)
        check_fields(
            self,
            RULES,
            n=n,
            n_in=length("w_in", self.w_in, axis=1),
            n_out=length("w_out", self.w_out),
        )
        # Numbered without a gap, which the rules above do not know.
        freeze(self, {"population": population(self.population, n)})
        freeze(self, {"input_noise_std": channel_noise(self)})
        check_neurons(self.v_reset, self.v_th, self.refractory, self.dt)

    @property
    def n_shown(self) -> int:
        """Number of input channels that are shown something: not noise."""
        return self.n_in - len(self.input_noise_std)

    @property
    def channel_group(self) -> Int64[np.ndarray, " n_in"]:
        """0 for an input channel that is shown something, 1 for one of noise."""
        return (np.arange(self.n_in) >= self.n_shown).astype(np.int64)

    @property
    def noisy(self) -> bool:
        """Whether any neuron has noise of its own, in i or in v."""
        return bool(self.noise_std.any() or self.current_noise_std.any())

    @property
    def noise_per_step(self) -> Float64[np.ndarray, " n"]:
        """Standard deviation of what a step's noise adds to each v, in volts: (L8)."""
        return self.noise_std * np.sqrt(decay_fraction(self.tau_mem / 2, self.dt))

    @property
    def current_noise_per_step(self) -> Float64[np.ndarray, " n"]:
        """Standard deviation of what a step's noise adds to each i, in volts: (L19)."""
        share = decay_fraction(self.tau_syn / 2, self.dt)
        return self.current_noise_std * np.sqrt(share)

    @property
    def refractory_steps(self) -> Int64[np.ndarray, " n"]:
        """Steps that each neuron stays at reset after a spike."""
        # Rounded, as 0.002/0.001 may come out just below 2.
        return np.rint(self.refractory / self.dt).astype(np.int64)


RULES = {
    "w_in": Numbers("n n_in", "post × input"),
    "w_rec": Numbers("n n", "post × pre", sparse=sparse_weights),
    "w_out": Numbers("n_out n", "output × neuron"),
    "b_out": Numbers("n_out", "output"),
    **dict.fromkeys(("tau_syn", "tau_mem"), Numbers("n", "neuron", positive=True)),
    **dict.fromkeys(("v_th", "v_leak", "v_reset"), Numbers("n", "neuron")),
    "refractory": Numbers("n", "neuron", minimum=0),
    "noise_std": Numbers("n", "neuron", minimum=0, spread=True),
    "current_noise_std": Numbers("n", "neuron", minimum=0, spread=True, empty=0.0),
    "dt": Numbers(positive=True),
    # Start states (L14) and what stands for them; the fields they copy come before.
    **dict.fromkeys(("i0", "f0"), Numbers("n", "neuron", empty=0.0)),
    "v0": Numbers("n", "neuron", empty="v_reset"),
    "tau_out": Numbers("n", "neuron", positive=True, empty="tau_syn"),
}
"""What the numbers of a `LIFNetwork` have to be."""


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """How far the state of each neuron went.

    Attributes:
        i_peak: largest |i| of the synaptic current right after the jump of a step, in
            volts.
        i_rms: root mean square of i over the recorded steps, in volts.
        v_low: deepest v below reset, as a number ≥ 0, in volts.
    """

    i_peak: Float64[np.ndarray, " n"]
    i_rms: Float64[np.ndarray, " n"]
    v_low: Float64[np.ndarray, " n"]


def decay_fraction(tau: Float64[np.ndarray, " n"], dt: float) -> np.ndarray:
    """Return 1 − exp(−dt/τ): what an exact exponential loses in one step (L7)."""
    # expm1 keeps the digits that 1 − exp(x) loses for dt much shorter than τ.
    return -np.expm1(-dt / tau)
