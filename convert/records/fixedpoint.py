"""`FixedPointNetwork`: the hub. Every engine and every exporter takes one."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Int8, Int16, Int32, Int64, UInt8, UInt16

from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import SparseWeights, sparse_weights, values_of
from isotau.convert.ground.validation import (
    Numbers,
    Size,
    check_fields,
    choice,
    first,
    freeze,
    length,
    population,
)
from isotau.convert.records.content import RecordContent, channel_noise

SOURCES = ("input", "recurrent")
SIGN_MODES = tuple(mode.value for mode in SignMode)


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WeightBlock(RecordContent):
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
            `sign_mode` (see `arithmetic.on_grid`); `SparseWeights` where most are 0.
        weight_exp: −8 … 7.
        num_weight_bits: 1 … 8.
        sign_mode: which signs occur; decides the range and the grid.
        delay: further steps before delivery, 0 … 62.
        binary: whether an input block takes any message but 0 for one spike, as
            recurrent blocks always do.
    """

    source: str
    pre: Int32[np.ndarray, " pre"]
    weights: Int16[np.ndarray, "n pre"] | SparseWeights
    weight_exp: int
    num_weight_bits: int
    sign_mode: SignMode
    delay: int = 0
    binary: bool = False

    n = Size("weights")
    """Number of neurons that the connection leads to."""

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = length("weights", self.weights)
        columns = length("weights", self.weights, axis=1)
        mode = SignMode(
            choice("sign_mode", self.sign_mode, [m.value for m in SignMode])
        )
        # A mixed block spends a bit on two's complement, which reaches one further
        # down (F16).
        lowest = -256 if mode is SignMode.MIXED else -255
        weights = Numbers(
            "n pre",
            "post × pre",
            dtype=np.int16,
            low=0 if mode is SignMode.EXCITATORY else lowest,
            high=0 if mode is SignMode.INHIBITORY else 255,
            remedy="raise weight_exp or clip",
            sparse=sparse_weights,
        )
        check_fields(self, BLOCK_RULES | {"weights": weights}, n=n, pre=columns)
        freeze(self, {"sign_mode": mode, "binary": bool(self.binary)})
        choice("source", self.source, SOURCES)
        # No index twice: exporters put columns in the place of their index, where the
        # last would hide the others.
        if (np.diff(self.pre) <= 0).any():
            raise ValueError(f"pre: got {self.pre.tolist()}, need ascending indices")
        self._check_grid()

    def _check_grid(self) -> None:
        """Refuse weights that the synapse memory would change (F16)."""
        bits, mode = self.num_weight_bits, self.sign_mode
        mantissas = values_of(self.weights)
        off = arithmetic.on_grid(mantissas, bits, mode) != mantissas
        if off.any():
            k = first(off)
            raise DoesNotFit(
                f"weights: got {mantissas[k]} at {list(k)}, need multiples of "
                f"{arithmetic.grid_step(bits, mode)} ({bits} bits, {mode.value}); use "
                "arithmetic.on_grid"
            )


# Ranges are those of the chip's registers, which `arithmetic` has; wider types would
# let numpy hold what the chip cannot.
BLOCK_RULES = {
    "pre": Numbers("pre", "column of weights", dtype=np.int32),
    "num_weight_bits": Numbers(dtype=np.int64, low=1, high=arithmetic.WEIGHT_BITS_MAX),
    "weight_exp": Numbers(
        dtype=np.int64, low=arithmetic.WEIGHT_EXP_MIN, high=arithmetic.WEIGHT_EXP_MAX
    ),
    "delay": Numbers(dtype=np.int64, high=arithmetic.DELAY_MAX),
}
"""What the numbers of a `WeightBlock` have to be, but for its weights."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FixedPointNetwork(RecordContent):
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
        noise_exp: exponent of each neuron's membrane noise, uniform
            ±127·2^(noise_exp − 7) added to v every step; 0 for no noise. One number
            stands for all, and None for 0.
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
        current_noise_exp: as `noise_exp`, of the noise that is added to u; none if not
            given.
        input_noise_std: standard deviations of the noise that the last input channels
            carry, as in `LIFNetwork`, in units of input; none if not given.
    """

    blocks: tuple[WeightBlock, ...]
    n_in: int
    du: UInt16[np.ndarray, " n"]
    dv: UInt16[np.ndarray, " n"]
    vth: Int32[np.ndarray, " n"]
    bias_mant: Int16[np.ndarray, " n"]
    bias_exp: Int8[np.ndarray, " n"]
    refractory: UInt8[np.ndarray, " n"]
    noise_exp: UInt8[np.ndarray, " n"]
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

    current_noise_exp: UInt8[np.ndarray, " n"] = field(
        default_factory=lambda: np.zeros(0, np.uint8)
    )

    input_noise_std: Float64[np.ndarray, " sources"] = field(
        default_factory=lambda: np.zeros(0)
    )

    LATER = ("current_noise_exp", "input_noise_std")
    ONCE_NUMBERS: ClassVar[dict[str, Any]] = {"noise_exp": None}

    n = Size("du")
    """Number of neurons."""
    n_out = Size("w_out")
    """Number of outputs."""

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = length("du", self.du, ndim=1)
        freeze(self, {"blocks": tuple(self.blocks), "made_from": str(self.made_from)})
        if self.noise_exp is None:  # as files had it when it was one number
            freeze(self, {"noise_exp": 0})
        check_fields(self, RULES, n=n, n_out=length("w_out", self.w_out))
        freeze(self, {"population": population(self.population, n)})
        freeze(self, {"input_noise_std": channel_noise(self)})
        for k, block in enumerate(self.blocks):
            self._check_block(k, block)

    def _check_block(self, k: int, block: WeightBlock) -> None:
        if not isinstance(block, WeightBlock):
            raise TypeError(
                f"blocks[{k}]: got {type(block).__name__}, need WeightBlock"
            )
        if block.n != self.n:
            raise ValueError(
                f"blocks[{k}].weights: got {block.n} rows, need {self.n} (post × pre)"
            )
        # The last index is the largest, as they ascend.
        limit = self.n if block.source == "recurrent" else self.n_in
        if block.pre[-1] >= limit:
            raise ValueError(
                f"blocks[{k}].pre: got index {block.pre[-1]}, need less than {limit} "
                f"(source {block.source})"
            )

    @property
    def u_per_volt(self) -> Float64[np.ndarray, " n"]:
        """The integers of u that a volt of current is, for each neuron.

        What the membrane takes of a current in a step, dv/4096 of it, the chip adds
        whole: the factor S·α_v of (F1) is in its weights and biases instead.
        """
        return self.state_scale * self.dv / arithmetic.DECAY_UNITY

    @property
    def n_shown(self) -> int:
        """Number of input channels that are shown something: not noise."""
        return self.n_in - len(self.input_noise_std)

    @property
    def noisy(self) -> bool:
        """Whether any neuron has noise of its own, in u or in v."""
        return bool(self.noise_exp.any() or self.current_noise_exp.any())

    @property
    def slots(self) -> int:
        """Number of coming steps for which deliveries may be under way (H12)."""
        return 1 + max((block.delay for block in self.blocks), default=0)


REGISTERS = {
    "du": Numbers("n", "neuron", dtype=np.uint16, high=arithmetic.DECAY_MAX),
    "dv": Numbers("n", "neuron", dtype=np.uint16, high=arithmetic.DECAY_MAX),
    # 17 bits; v is compared with vth·2^6 (H9).
    "vth": Numbers("n", "neuron", dtype=np.int32, high=arithmetic.VTH_MAX),
    "bias_mant": Numbers(
        "n",
        "neuron",
        dtype=np.int16,
        low=arithmetic.BIAS_MANT_MIN,
        high=arithmetic.BIAS_MANT_MAX,
    ),
    "bias_exp": Numbers(
        "n",
        "neuron",
        dtype=np.int8,
        low=arithmetic.BIAS_EXP_MIN,
        high=arithmetic.BIAS_EXP_MAX,
    ),
    "refractory": Numbers(
        "n", "neuron", dtype=np.uint8, high=arithmetic.REFRACTORY_MAX
    ),
}
"""Type and range of what every neuron has in the chip."""
# u wraps and v saturates at 24 bits, (H5) and (H7): a start has to lie within.
STATE = Numbers(
    "n",
    "neuron",
    dtype=np.int32,
    low=1 - arithmetic.STATE_LIMIT,
    high=arithmetic.STATE_LIMIT - 1,
    remedy="lower state_scale",
    empty=0,
)
# 0 is no noise: the least exponent is 1.
NOISE_EXP = Numbers(
    "n", "neuron", dtype=np.uint8, high=arithmetic.NOISE_EXP_MAX, spread=True
)
RULES = REGISTERS | {
    # Far beyond a chip's axons; a damaged file may claim any number.
    "n_in": Numbers(dtype=np.int64, low=1, high=1 << 20),
    "noise_exp": NOISE_EXP,
    "current_noise_exp": NOISE_EXP._replace(empty=0),
    "v_reset": Numbers("n", "neuron"),
    "w_out": Numbers("n_out n", "output × neuron"),
    "b_out": Numbers("n_out", "output"),
    "tau_out": Numbers("n", "neuron", positive=True),
    "reset_interval": Numbers(dtype=np.int64),
    "reset_offset": Numbers(dtype=np.int64),
    "u0": STATE,
    "v0": STATE,
    "f0": Numbers("n", "neuron", empty=0.0),
    "state_scale": Numbers("n", "neuron", positive=True, spread=True),
    "input_scale": Numbers(positive=True),
    "dt": Numbers(positive=True),
}
"""What the numbers of a `FixedPointNetwork` have to be."""


def resets(net: FixedPointNetwork, step: int) -> bool:
    """Return whether u and v are reset at the start of a step, counted from 0."""
    # (H2); steps are counted from 1 there, as in Lava.
    interval = net.reset_interval
    return interval > 0 and (step + 1) % interval == net.reset_offset % interval
