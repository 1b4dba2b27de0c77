"""`FixedPointNetwork`: the hub. Every engine and every exporter takes one."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int8, Int16, Int32, Int64, UInt8, UInt16

from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground import validation
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.ground.representation import short_repr

SOURCES = ("input", "recurrent")
REGISTERS: dict[str, tuple[type[np.integer[Any]], int, int]] = {
    "du": (np.uint16, 0, arithmetic.DECAY_MAX),
    "dv": (np.uint16, 0, arithmetic.DECAY_MAX),
    "vth": (np.int32, 0, arithmetic.VTH_MAX),
    "bias_mant": (np.int16, arithmetic.BIAS_MANT_MIN, arithmetic.BIAS_MANT_MAX),
    "bias_exp": (np.int8, arithmetic.BIAS_EXP_MIN, arithmetic.BIAS_EXP_MAX),
    "refractory": (np.uint8, 0, arithmetic.REFRACTORY_MAX),
}
"""Type and range of what every neuron has."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WeightBlock:
    """One connection: weights of one source that share exponent, bits and sign mode.

    It delivers (Σ weights · message) · 2^weight_exp, 1 + `delay` steps after the
    message. The message of a recurrent block is a spike, that of an input block a
    signed integer. Synapses of different delays go into blocks of their own, which
    gives the same bits as one connection with a matrix of delays.

    Attributes:
        source: "input" or "recurrent": what the columns of `weights` listen to.
        pre: indices of the input channels or neurons that the columns belong to,
            ascending.
        weights: mantissas, post × pre; on the grid of `num_weight_bits` and
            `sign_mode` (see `arithmetic.on_grid`).
        weight_exp: −8 … 7.
        num_weight_bits: 1 … 8.
        sign_mode: which signs occur; decides the range and the grid.
        delay: further steps before delivery, 0 … 62.
        binary: whether an input block takes any message but 0 for one spike, as
            recurrent blocks always do.
    """

    source: str
    pre: Int32[np.ndarray, " pre"]
    weights: Int16[np.ndarray, "n pre"]
    weight_exp: int
    num_weight_bits: int
    sign_mode: SignMode
    delay: int = 0
    binary: bool = False

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = validation.length("weights", self.weights)
        columns = validation.length("weights", self.weights, axis=1)
        mode = SignMode(
            validation.choice("sign_mode", self.sign_mode, [m.value for m in SignMode])
        )
        bits = validation.whole(
            "num_weight_bits", self.num_weight_bits, 1, arithmetic.WEIGHT_BITS_MAX
        )
        exponent = validation.whole(
            "weight_exp",
            self.weight_exp,
            arithmetic.WEIGHT_EXP_MIN,
            arithmetic.WEIGHT_EXP_MAX,
        )
        weights = validation.integers(
            "weights",
            self.weights,
            (n, columns),
            "post × pre",
            dtype=np.int16,
            low=0
            if mode is SignMode.EXCITATORY
            else -256 + (mode is not SignMode.MIXED),
            high=0 if mode is SignMode.INHIBITORY else 255,
            remedy="raise weight_exp or clip",
        )
        off = arithmetic.on_grid(weights, bits, mode) != weights
        if off.any():
            where = validation.first(off)
            step = arithmetic.grid_step(bits, mode)
            raise DoesNotFit(
                f"weights: got {weights[where]} at {list(where)}, need multiples of "
                f"{step} ({bits} bits, {mode.value}); use arithmetic.on_grid"
            )
        pre = validation.integers(
            "pre",
            self.pre,
            (columns,),
            "column of weights",
            dtype=np.int32,
            low=0,
            high=2**31 - 1,
        )
        if (np.diff(pre) <= 0).any():
            raise ValueError(f"pre: got {pre.tolist()}, need ascending indices")
        fields: dict[str, Any] = {
            "source": validation.choice("source", self.source, SOURCES),
            "pre": pre,
            "weights": weights,
            "weight_exp": exponent,
            "num_weight_bits": bits,
            "sign_mode": mode,
            "delay": validation.whole("delay", self.delay, 0, arithmetic.DELAY_MAX),
            "binary": bool(self.binary),
        }
        validation.freeze(self, fields)


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FixedPointNetwork:
    """A recurrent LIF network in Loihi's integers, and the way back to SI units.

    Integers of state are `state_scale` per volt above `v_reset`. An input of x volts'
    worth enters as the message round(x · input_scale). The readout runs off the chip,
    on spikes: o = w_out f + b_out, with f the spike trains filtered by
    exp(−t/tau_out)/tau_out, in Hz.

    Attributes:
        blocks: connections, in the order in which they are added.
        n_in: number of input channels.
        du: register of current decay, 0 … 4095; the chip loses (du + 1)/4096 a step.
        dv: register of voltage decay, 0 … 4095; the chip loses dv/4096 a step.
        vth: threshold register, 0 … 131071; a neuron spikes where v > vth·2^6.
        bias_mant: −4096 … 4095, added to v every step as bias_mant·2^bias_exp.
        bias_exp: 0 … 7 on the chip; down to −16 in simulation.
        refractory: steps at reset after a spike, 0 … 63 (the chip's register is one
            more).
        noise_exp: exponent of the membrane noise, uniform ±127·2^(noise_exp − 7) added
            to v every step; None for no noise.
        state_scale: integers of u and v per volt, per neuron; one number given stands
            for all.
        v_reset: what v = 0 stands for, in volts, per neuron.
        input_scale: message per unit of input.
        dt: length of a step, in seconds.
        w_out: output per Hz, output × neuron.
        b_out: constant part of each output.
        tau_out: time constant of the readout filter, in seconds.
        made_from: SHA-256 of the `LIFNetwork` it was made from, or "".
        reset_interval: steps between resets of u and v to 0, as Lava's LIFReset does
            before the dynamics of step t (from 1) if t mod interval is `reset_offset`
            mod interval; 0 for none. What is under way in connections stays.
        reset_offset: see `reset_interval`.
        u0: u at power-up, within 24 bits; zero if not given.
        v0: v at power-up; zero if not given.
        f0: filtered spike trains at power-up, in Hz; zero if not given.
        population: number of the population that each neuron belongs to, from 0; all
            of one if not given.
    """

    blocks: tuple[WeightBlock, ...]
    n_in: int
    du: UInt16[np.ndarray, " n"]
    dv: UInt16[np.ndarray, " n"]
    vth: Int32[np.ndarray, " n"]
    bias_mant: Int16[np.ndarray, " n"]
    bias_exp: Int8[np.ndarray, " n"]
    refractory: UInt8[np.ndarray, " n"]
    noise_exp: int | None
    state_scale: Float64[np.ndarray, " n"]
    v_reset: Float64[np.ndarray, " n"]
    input_scale: float
    dt: float
    w_out: Float64[np.ndarray, "n_out n"]
    b_out: Float64[np.ndarray, " n_out"]
    tau_out: Float64[np.ndarray, " n"]
    made_from: str = ""
    reset_interval: int = 0
    reset_offset: int = 0
    u0: Int32[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.int32))
    v0: Int32[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.int32))
    f0: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    population: Int64[np.ndarray, " n"] = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = validation.length("du", self.du, ndim=1)
        n_out = validation.length("w_out", self.w_out)
        fields: dict[str, Any] = {
            name: validation.integers(
                name,
                getattr(self, name),
                (n,),
                "neuron",
                dtype=kind,
                low=low,
                high=high,
            )
            for name, (kind, low, high) in REGISTERS.items()
        }
        fields |= {
            "blocks": tuple(self.blocks),
            "n_in": validation.whole("n_in", self.n_in, 1, 1 << 20),
            "noise_exp": None
            if self.noise_exp is None
            else validation.whole(
                "noise_exp",
                self.noise_exp,
                arithmetic.NOISE_EXP_MIN,
                arithmetic.NOISE_EXP_MAX,
            ),
            "v_reset": validation.floats("v_reset", self.v_reset, (n,), "neuron"),
            "w_out": validation.floats(
                "w_out", self.w_out, (n_out, n), "output × neuron"
            ),
            "b_out": validation.floats("b_out", self.b_out, (n_out,), "output"),
            "tau_out": validation.floats(
                "tau_out", self.tau_out, (n,), "neuron", positive=True
            ),
            "made_from": str(self.made_from),
            "reset_interval": validation.whole(
                "reset_interval", self.reset_interval, 0, 2**31 - 1
            ),
            "reset_offset": validation.whole(
                "reset_offset", self.reset_offset, 0, 2**31 - 1
            ),
        }
        fields |= self._start(n)
        scale: Any = self.state_scale
        scale = scale if np.ndim(scale) else np.full(n, scale)
        fields["state_scale"] = validation.floats(
            "state_scale", scale, (n,), "neuron", positive=True
        )
        fields["population"] = validation.population(self.population, n)
        for name in ("input_scale", "dt"):
            fields[name] = validation.number(name, getattr(self, name), positive=True)
        validation.freeze(self, fields)
        for k, block in enumerate(self.blocks):
            self._check_block(k, block)

    def _start(self, n: int) -> dict[str, np.ndarray]:
        """Return the state at power-up, checked."""
        given = {name: np.asarray(getattr(self, name)) for name in ("u0", "v0", "f0")}
        given = {name: v if v.size else np.zeros(n) for name, v in given.items()}
        checked = {
            name: validation.integers(
                name,
                given[name],
                (n,),
                "neuron",
                dtype=np.int32,
                low=1 - arithmetic.STATE_LIMIT,
                high=arithmetic.STATE_LIMIT - 1,
                remedy="lower state_scale",
            )
            for name in ("u0", "v0")
        }
        return checked | {"f0": validation.floats("f0", given["f0"], (n,), "neuron")}

    def _check_block(self, k: int, block: WeightBlock) -> None:
        if not isinstance(block, WeightBlock):
            raise TypeError(
                f"blocks[{k}]: got {type(block).__name__}, need WeightBlock"
            )
        if block.weights.shape[0] != self.n:
            raise ValueError(
                f"blocks[{k}].weights: got {block.weights.shape[0]} rows, need "
                f"{self.n} (post × pre)"
            )
        limit = self.n if block.source == "recurrent" else self.n_in
        if block.pre[-1] >= limit:
            raise ValueError(
                f"blocks[{k}].pre: got index {block.pre[-1]}, need less than {limit} "
                f"(source {block.source})"
            )

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.du.shape[0]

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.w_out.shape[0]

    @property
    def slots(self) -> int:
        """Number of coming steps for which deliveries may be under way."""
        return 1 + max((block.delay for block in self.blocks), default=0)


def resets(net: FixedPointNetwork, step: int) -> bool:
    """Return whether u and v are reset at the start of a step, counted from 0."""
    interval = net.reset_interval
    return interval > 0 and (step + 1) % interval == net.reset_offset % interval
