"""LIF → Loihi fixed point: registers, weight blocks, and the scale of the state.

With v' = v − v_reset and a_mem = dv/4096 the network of `LIFNetwork` is the chip's own
model up to rounding: u = S·a_mem·i, v = S·v', bias = S·a_mem·(v_leak − v_reset). What
is free is S, the integers per volt, and it decides: a small state is eaten by
truncation, a large one overflows. Every population has an S of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64

from isotau.convert.chip import arithmetic as chip
from isotau.convert.ground import validation
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import (
    LIFNetwork,
    Ranges,
    decay_fraction,
    refractory_steps,
)
from isotau.convert.records.storage import fingerprint
from isotau.convert.to_fixed.weight_blocks import (
    SIGNS,
    WeightConfig,
    bits_of,
    checked_bits,
    largest_weight,
    of_signs,
    weight_blocks,
)

NOISE_SD = float(np.sqrt(((2 * chip.NOISE_MAX + 1) ** 2 - 1) / 12))
"""Standard deviation of the integers −127 … 127, each as likely."""
MESSAGE_MAX = 127
BIAS_USED = 0.9
"""Share of the bias register that is used; the rest is for what truncation costs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantizeConfig:
    """How to quantize.

    Attributes:
        headroom: factor left between the largest |u| and deepest v that were recorded
            and the limit of 2^23; at least 1.
        num_weight_bits: bits of a weight, 1 … 8: one number, or one for each kind of
            block by name: "input", "recurrent", or finer "recurrent.excitatory" and so
            on, which go before; what has no name has 8.
        state_scale: integers per volt; None to choose the largest that fits.
        outliers: what happens to a few weights much larger than the rest: "split",
            "clip", "keep" or "fit"; see `WeightConfig`.
        percentile: of the weights' magnitudes, beyond which they are outliers.
        spiking_input: whether every input is 0 or `input_peak`, and enters as spikes:
            Loihi 1 has no messages with numbers.
    """

    headroom: float = 2.0
    num_weight_bits: int | Mapping[str, int] = field(default=8, hash=False)
    state_scale: float | None = None
    outliers: str = "split"
    percentile: float = 99.0
    spiking_input: bool = False

    def __post_init__(self) -> None:
        """Check the bits, and copy them."""
        bits = checked_bits(self.num_weight_bits)
        validation.freeze(self, {"num_weight_bits": bits})


def quantize(
    net: LIFNetwork,
    ranges: Ranges,
    *,
    input_peak: float,
    config: QuantizeConfig = QuantizeConfig(),
    traced: bool = True,
) -> FixedPointNetwork:
    """Return the network in the chip's integers.

    The state scale of a population is the largest that keeps the recorded ranges
    `headroom` times below the limits and lets threshold, bias and recurrent weights fit
    their registers. With membrane noise, whose amplitude the chip sets in powers of
    two, all populations have the largest such scale at which an exponent gives the
    wanted SD exactly. Weights and biases are divided by the
    rounded decays' own gain, so that constant input gives the float network's u and v.

    Excitatory and inhibitory presynaptic neurons come into blocks of their own, each
    with the smallest exponent that holds its largest weight. (A neuron with both signs
    has its positive weights in one and its negative ones in the other.) Input weights
    are split by sign in the same way, and each pair of populations has its own blocks.

    Args:
        net: the network.
        ranges: what its states visited, from `simulate_lif` on typical input.
        input_peak: largest |input| that the network will be shown.
        config: choices.
        traced: whether `made_from` names the network; its hash takes most of the time.

    Raises:
        DoesNotFit: a time constant, refractory period, threshold, bias or weight has no
            register that holds it; the message names it.
    """
    if not config.headroom >= 1:
        raise ValueError(f"headroom: got {config.headroom}, need at least 1")
    weights = WeightConfig(
        num_weight_bits=config.num_weight_bits,
        outliers=config.outliers,
        percentile=config.percentile,
    )
    du = _register("tau_syn", net.tau_syn, net.dt, chip.DU_OFFSET)
    dv = _register("tau_mem", net.tau_mem, net.dt, 0)
    a_mem = dv / chip.DECAY_UNITY
    gain = (
        (du + chip.DU_OFFSET) / chip.DECAY_UNITY / decay_fraction(net.tau_syn, net.dt)
    )
    noise_exp, scale = _scale(net, ranges, a_mem, gain, config)
    per_volt = (scale * a_mem * gain / (1 << chip.INPUT_SHIFT))[:, None]
    groups = net.population
    recurrent = weight_blocks(
        "recurrent", net.w_rec * per_volt, groups, groups, weights
    )
    wanted = net.w_in * per_volt
    if config.spiking_input:
        input_scale = 1 / validation.number("input_peak", input_peak, positive=True)
    else:
        input_scale = _input_scale(np.abs(wanted).max(), input_peak)
    channels = np.zeros(net.n_in, dtype=np.int64)
    inputs = tuple(
        replace(block, binary=config.spiking_input)
        for block in weight_blocks(
            "input", wanted / input_scale, groups, channels, weights
        )
    )
    bias_mant, bias_exp = fit_bias(scale * a_mem * (net.v_leak - net.v_reset))
    threshold = scale * (net.v_th - net.v_reset) / (1 << chip.INPUT_SHIFT)
    return FixedPointNetwork(
        blocks=inputs + recurrent,
        n_in=net.n_in,
        du=du,
        dv=dv,
        vth=np.rint(threshold),
        bias_mant=bias_mant,
        bias_exp=bias_exp,
        refractory=refractory_steps(net),
        noise_exp=noise_exp,
        state_scale=scale,
        v_reset=net.v_reset,
        input_scale=input_scale,
        dt=net.dt,
        w_out=net.w_out,
        b_out=net.b_out,
        tau_out=net.tau_out,
        made_from=fingerprint(net) if traced else "",
        u0=np.rint(np.sign(net.i0) * scale * _current_at_start(net, a_mem)),
        v0=np.rint(scale * (net.v0 - net.v_reset)),
        f0=net.f0,
        population=net.population,
    )


def messages(
    net: FixedPointNetwork, inputs: Float64[np.ndarray, "steps batch n_in"]
) -> np.ndarray:
    """Return what the input channels send for real inputs: round(input · scale).

    Raises:
        DoesNotFit: an input needs a message beyond 32 bits.
    """
    scaled = np.rint(np.asarray(inputs, dtype=np.float64) * net.input_scale)
    return validation.integers(
        "inputs · input_scale",
        scaled,
        scaled.shape,
        "steps × batch × channel",
        dtype=np.int64,
        low=-(2**31),
        high=2**31 - 1,
        remedy="quantize with a larger input_peak",
    )


def _register(name: str, tau: np.ndarray, dt: float, offset: int) -> np.ndarray:
    """Return round(4096·(1 − e^(−dt/τ))) − offset, the register nearest to τ."""
    exact = chip.DECAY_UNITY * decay_fraction(tau, dt)
    if (exact < 0.5).any():
        neuron = int(np.argmin(exact))
        raise DoesNotFit(
            f"{name}: got {tau[neuron]} s at [{neuron}], need less than "
            f"{2 * chip.DECAY_UNITY * dt} s; raise dt"
        )
    return np.clip(np.rint(exact) - offset, 0, chip.DECAY_MAX).astype(np.int64)


def _scale(
    net: LIFNetwork,
    ranges: Ranges,
    a_mem: np.ndarray,
    gain: np.ndarray,
    config: QuantizeConfig,
) -> tuple[int | None, np.ndarray]:
    """Return the noise exponent (None without noise) and each neuron's state scale."""
    largest = np.empty(net.n)
    tightest: list[str] = []
    for group in range(int(net.population.max()) + 1):
        inside = net.population == group
        limit, name = _largest_scale(net, ranges, a_mem, gain, inside, config)
        largest[inside] = limit
        tightest.append(name)
    if config.state_scale is not None:
        given = validation.number("state_scale", config.state_scale, positive=True)
        largest = np.full(net.n, given)
    if net.noise_std == 0:
        return None, largest
    per_step = net.noise_std * np.sqrt(decay_fraction(net.tau_mem / 2, net.dt))
    if np.ptp(per_step) > 1e-9 * per_step.max():
        raise DoesNotFit(
            f"tau_mem: got {net.tau_mem.min()} to {net.tau_mem.max()} s with noise, "
            "need one value, as the chip has one noise amplitude; set noise_std to 0"
        )
    limit = float(largest.min())
    # S·σ_step = NOISE_SD·2^(exp − 7)
    exponent = int(np.floor(np.log2(limit * per_step[0] / NOISE_SD) + 1e-9)) + 7
    exponent = min(exponent, chip.NOISE_EXP_MAX)
    if exponent < chip.NOISE_EXP_MIN:
        name = tightest[int(net.population[np.argmin(largest)])]
        raise DoesNotFit(
            f"noise_std: got {net.noise_std} V, need more at the {limit:.3g} integers "
            f"per volt that {name} allows; set noise_std to 0"
        )
    scale = NOISE_SD * 2.0 ** (exponent - 7) / float(per_step[0])
    return exponent, np.full(net.n, scale)


def _current_at_start(net: LIFNetwork, a_mem: np.ndarray) -> np.ndarray:
    """Return |u| per unit of state scale that i0 stands for.

    The chip decays u before it uses it, the float network i after.
    """
    return a_mem * np.exp(net.dt / net.tau_syn) * np.abs(net.i0)


def _largest_scale(
    net: LIFNetwork,
    ranges: Ranges,
    a_mem: np.ndarray,
    gain: np.ndarray,
    inside: np.ndarray,
    config: QuantizeConfig,
) -> tuple[float, str]:
    """Return the largest state scale of some neurons, and the name of what limits."""
    bias_max = BIAS_USED * (chip.BIAS_MANT_MAX << chip.BIAS_EXP_MAX)
    above = net.v_th - net.v_reset
    limits = {
        "u": (chip.STATE_LIMIT, config.headroom * a_mem * ranges.i_peak),
        "v": (chip.STATE_LIMIT, config.headroom * ranges.v_low),
        "u0": (chip.STATE_LIMIT - 1, _current_at_start(net, a_mem)),
        "v0": (chip.STATE_LIMIT - 1, np.abs(net.v0 - net.v_reset)),
        "vth": (chip.VTH_MAX << chip.INPUT_SHIFT, above),
        "bias": (bias_max, a_mem * np.abs(net.v_leak - net.v_reset)),
    }
    for mode, signed in zip(SIGNS, of_signs(net.w_rec), strict=True):
        largest = largest_weight(bits_of(config.num_weight_bits, "recurrent", mode))
        peak = np.abs(signed).max(axis=1)
        limits[f"{mode.value} w_rec"] = (
            largest << chip.INPUT_SHIFT,
            a_mem * gain * peak,
        )
    scales = {
        name: limit / float(per_volt[inside].max())
        for name, (limit, per_volt) in limits.items()
        if per_volt[inside].max() > 0
    }
    tightest = min(scales, key=lambda name: scales[name])
    return scales[tightest], tightest


def _input_scale(weight_peak: float, input_peak: float) -> float:
    """Return the power of two by which inputs are multiplied before rounding.

    As fine as a message of ±127 allows, but not so fine that the weights, divided by
    it, would need an exponent below the chip's.
    """
    peak = validation.number("input_peak", input_peak, minimum=0)
    exponent = int(np.floor(np.log2(MESSAGE_MAX / peak))) if peak > 0 else 0
    if weight_peak > 0:
        finest = np.log2(weight_peak / 255) - chip.WEIGHT_EXP_MIN
        exponent = min(exponent, int(np.floor(finest)))
    return float(2.0**exponent)


def fit_bias(wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mantissas and the smallest exponents that hold the wanted biases."""
    exponent = np.zeros(len(wanted), dtype=np.int64)
    for _ in range(chip.BIAS_EXP_MAX):
        too_large = np.abs(np.rint(wanted / 2.0**exponent)) > chip.BIAS_MANT_MAX
        exponent = exponent + too_large
    return np.rint(wanted / 2.0**exponent), exponent
