"""LIF → Loihi fixed point: registers, weight blocks, and the scale of the state.

With v' = v − v_reset and a_mem = dv/4096 the network of `LIFNetwork` is the chip's own
model up to rounding: u = S·a_mem·i, v = S·v', bias = S·a_mem·(v_leak − v_reset). What
is free is S, the integers per volt, and it decides: a small state is eaten by
truncation, a large one overflows. Every population has an S of its own.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.chip import arithmetic as chip
from isotau.convert.ground import validation
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.ground.sparse import per_row, row_peaks, values_of, with_values
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.lif import (
    LIFNetwork,
    Ranges,
    decay_fraction,
)
from isotau.convert.simulate.vectors.shared_noise import fill_channels
from isotau.convert.to_fixed.decay_registers import nearest_register, too_long
from isotau.convert.to_fixed.weight_blocks import (
    SIGNS,
    bits_of,
    largest_weight,
    of_signs,
    weight_blocks,
)
from isotau.convert.to_fixed.weight_blocks import QuantizeConfig as QuantizeConfig

NOISE_SD = float(np.sqrt(((2 * chip.NOISE_MAX + 1) ** 2 - 1) / 12))
"""Standard deviation of the integers −127 … 127, each as likely, (F13)."""
MESSAGE_MAX = 127
"""Of a message: Loihi 2 sends more bits, but a weight times a message has 16."""
NOISE_PEAK = 4.0
"""Standard deviations of a channel's noise that its messages have the fineness for."""
USUAL = QuantizeConfig()
BIAS_USED = 0.9
"""Share of the bias register that is used; the rest is for what truncation costs."""


class DecayRegisters(NamedTuple):
    """Decay registers, and what they make of the network's time constants.

    Attributes:
        du: of the current, 0 … 4095.
        dv: of the membrane, 0 … 4095.
        a_mem: what a step takes from v, α_v of (F4).
        gain: γ of (F5), of the rounded decay over the exact one.
    """

    du: Int64[np.ndarray, " n"]
    dv: Int64[np.ndarray, " n"]
    a_mem: Float64[np.ndarray, " n"]
    gain: Float64[np.ndarray, " n"]


def quantize(
    net: LIFNetwork,
    ranges: Ranges,
    *,
    input_peak: float,
    config: QuantizeConfig = USUAL,
    traced: bool = True,
) -> FixedPointNetwork:
    """Return the network in the chip's integers.

    The state scale of a population is the largest that keeps the recorded ranges
    `headroom` times below the limits and lets threshold, bias and recurrent weights fit
    their registers. With noise, whose amplitude the chip sets in powers of two, all
    populations have the largest such scale at which an exponent gives the wanted SD
    exactly: of the greater one where membranes and currents have noise, and nearly for
    neurons that differ. Every other noise has the exponent nearest to it. Weights and
    biases are divided by the rounded decays' own gain, so that constant input gives the
    float network's u and v.

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
    # DecayRegisters first: the scale makes up for what they round.
    registers = decay_registers(net)
    a_mem = registers.a_mem
    scale = state_scale(net, ranges, config, registers)
    per_volt = weight_gain(net, scale, registers)[:, 0]
    groups = net.population  # each with a scale, and so with blocks, of its own
    values = values_of(net.w_rec) * per_row(net.w_rec, per_volt)
    w_rec = with_values(net.w_rec, values)
    recurrent = weight_blocks("recurrent", w_rec, groups, groups, config)
    w_in = net.w_in * per_volt[:, None]
    if config.spiking_input:
        if len(net.input_noise_std):
            raise DoesNotFit(
                f"spiking_input: got {len(net.input_noise_std)} input channels of "
                "noise, need none, as a spike has no size; leave spiking_input out"
            )
        # A binary block adds its weight for any message: one input is one spike.
        input_scale = 1 / validation.number("input_peak", input_peak, positive=True)
    else:
        input_scale = _input_scale(net, w_in, input_peak)
    inputs = input_blocks(net, scale, input_scale, config, registers)
    # (F1), (F9) and, for the state at power-up, (F14).
    bias_mant, bias_exp = fit_bias(scale * a_mem * (net.v_leak - net.v_reset))
    threshold = scale * (net.v_th - net.v_reset) / (1 << chip.INPUT_SHIFT)
    return FixedPointNetwork(
        blocks=inputs + recurrent,
        n_in=net.n_in,
        du=registers.du,
        dv=registers.dv,
        vth=np.rint(threshold),
        bias_mant=bias_mant,
        bias_exp=bias_exp,
        refractory=net.refractory_steps,
        noise_exp=_noise_exp("noise_std", scale * net.noise_per_step),
        state_scale=scale,
        v_reset=net.v_reset,
        input_scale=input_scale,
        dt=net.dt,
        w_out=net.w_out,
        b_out=net.b_out,
        tau_out=net.tau_out,
        made_from=net.fingerprint if traced else "",
        u0=np.rint(np.sign(net.i0) * scale * _current_at_start(net, a_mem)),
        v0=np.rint(scale * (net.v0 - net.v_reset)),
        f0=net.f0,
        population=net.population,
        current_noise_exp=_noise_exp(
            "current_noise_std", scale * _current_noise(net, registers)
        ),
        input_noise_std=net.input_noise_std,
    )


def weight_gain(
    net: LIFNetwork,
    scale: Float64[np.ndarray, " n"],
    registers: DecayRegisters | None = None,
) -> Float64[np.ndarray, "n 1"]:
    """Return what a volt of weight is onto each neuron, in units of 2^6 of u: (F6).

    Args:
        net: the network.
        scale: integers per volt of each neuron.
        registers: of the network; None to work them out.
    """
    registers = registers or decay_registers(net)
    unit = 1 << chip.INPUT_SHIFT
    return np.asarray(scale * registers.a_mem * registers.gain / unit)[:, None]


def input_blocks(
    net: LIFNetwork,
    scale: Float64[np.ndarray, " n"],
    input_scale: float,
    config: QuantizeConfig,
    registers: DecayRegisters | None = None,
) -> tuple[WeightBlock, ...]:
    """Return the blocks of a network's input weights.

    Args:
        net: the network.
        scale: integers per volt of each neuron.
        input_scale: messages per 1 of an input.
        config: choices.
        registers: of the network; None to work them out.

    Raises:
        DoesNotFit: a weight needs an exponent that the chip has not.
    """
    weights = net.w_in * weight_gain(net, scale, registers) / input_scale
    # All channels have one scale of messages; weights of noise have exponents of their
    # own, as they have little to do with those of what is shown.
    blocks = weight_blocks("input", weights, net.population, net.channel_group, config)
    return tuple(replace(block, binary=config.spiking_input) for block in blocks)


def messages(
    net: FixedPointNetwork,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    *,
    seed: int | None = 0,
    first_trial: int = 0,
) -> np.ndarray:
    """Return what the input channels send for real inputs: round(input · scale), (F8).

    Args:
        net: the network.
        inputs: in its steps; where the last channels carry noise of the others alone,
            or of all.
        seed: of the noise that neurons share, as for `fill_channels`.
        first_trial: number of the first trial, for it.

    Raises:
        ValueError: a seed or trial number that the noise has not.
        DoesNotFit: an input needs a message beyond 32 bits.
    """
    inputs = fill_channels(net, inputs, seed=seed, first_trial=first_trial)
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
    """Return the registers nearest to time constants; refuse what none stands for."""
    if too_long(tau, dt).any():
        neuron = int(np.argmax(tau))
        raise DoesNotFit(
            f"{name}: got {tau[neuron]} s at [{neuron}], need less than "
            f"{2 * chip.DECAY_UNITY * dt} s; raise dt"
        )
    return nearest_register(tau, dt, offset)


def state_scale(
    net: LIFNetwork,
    ranges: Ranges,
    config: QuantizeConfig,
    registers: DecayRegisters | None = None,
) -> Float64[np.ndarray, " n"]:
    """Return each neuron's integers per volt.

    Args:
        net: the network.
        ranges: what its states visited.
        config: choices.
        registers: of the network; None to work them out.

    Raises:
        DoesNotFit: a time constant has no register, or noise no exponent.
    """
    if registers is None:
        registers = decay_registers(net)
    largest = np.empty(net.n)
    tightest: list[str] = []
    for group in range(int(net.population.max()) + 1):
        inside = net.population == group
        limit, name = _largest_scale(net, ranges, registers, inside, config)
        largest[inside] = limit
        tightest.append(name)
    if config.state_scale is not None:
        largest = np.full(net.n, float(config.state_scale))
    name, wanted = "current_noise_std", _current_noise(net, registers)
    # The greater one: a membrane's noise that is off by a third fires another network.
    if _typical(net.noise_std) > _typical(net.current_noise_std):
        name, wanted = "noise_std", net.noise_per_step
    wanted = wanted[wanted > 0]
    if not wanted.size:
        return largest
    per_step = _common(wanted)
    # (F12): S·σ_step = NOISE_SD·2^(exp − 7), the largest below the limit. A scale that
    # is at the limit but for rounding counts as below.
    limit = float(largest.min())
    exponent = int(np.floor(np.log2(limit * per_step / NOISE_SD) + 1e-9)) + 7
    exponent = min(exponent, chip.NOISE_EXP_MAX)
    if exponent < chip.NOISE_EXP_MIN:
        tight = tightest[int(net.population[np.argmin(largest)])]
        raise DoesNotFit(
            f"{name}: got {getattr(net, name).max()} V, need more at the {limit:.3g} "
            f"integers per volt that {tight} allows; set {name} to 0"
        )
    scale = NOISE_SD * 2.0 ** (exponent - 7) / per_step
    return np.full(net.n, scale)


def _typical(std: np.ndarray) -> float:
    """Return the median SD of noise over neurons that have any; 0 without."""
    return float(np.median(std[std > 0])) if (std > 0).any() else 0.0


def _common(wanted: np.ndarray) -> float:
    """Return the SD of which powers of two are nearest to all that are wanted."""
    # Equal ones are met to the last digit, which no mean of logarithms does.
    if np.ptp(wanted) <= 1e-9 * wanted.max():
        return float(wanted[0])
    # Octaves are as good as one another: a mean on the circle of one.
    octaves = np.log2(wanted)
    centre = float(np.median(octaves))
    turn = np.angle(np.exp(2j * np.pi * (octaves - centre)).mean())
    return float(2.0 ** (centre + turn / (2 * np.pi)))


def _current_noise(
    net: LIFNetwork, registers: DecayRegisters
) -> Float64[np.ndarray, " n"]:
    """Return the SD of a step's noise in u, per integer of state scale: (F31)."""
    # By what the rounded register loses: the SD of u at rest is then as wanted.
    keep = 1 - (registers.du + chip.DU_OFFSET) / chip.DECAY_UNITY
    return registers.a_mem * net.current_noise_std * np.sqrt(1 - keep**2)


def _noise_exp(name: str, per_step: np.ndarray) -> Int64[np.ndarray, " n"]:
    """Return the exponents nearest to the SD of a step's noise; 0 where it has none.

    Raises:
        DoesNotFit: noise so small or large that the nearest exponent is further off
            than others are from theirs.
    """
    noisy = per_step > 0
    exact = np.log2(np.where(noisy, per_step, 1.0) / NOISE_SD) + 7
    exponent = np.clip(np.rint(exact), chip.NOISE_EXP_MIN, chip.NOISE_EXP_MAX)
    far = noisy & (np.abs(exact - exponent) > 0.5 + 1e-9)
    if far.any():
        k = int(np.argmax(far))
        raise DoesNotFit(
            f"{name}: got noise of {per_step[k]:.3g} integers a step at [{k}], need "
            f"{NOISE_SD * 2.0 ** (chip.NOISE_EXP_MIN - 7):.3g} to "
            f"{NOISE_SD * 2.0 ** (chip.NOISE_EXP_MAX - 7):.3g}; set it to 0 there"
        )
    return np.where(noisy, exponent, 0).astype(np.int64)


def decay_registers(net: LIFNetwork) -> DecayRegisters:
    """Return the registers nearest to a network's time constants.

    Raises:
        DoesNotFit: a time constant is too long for any register.
    """
    du = _register("tau_syn", net.tau_syn, net.dt, chip.DU_OFFSET)
    dv = _register("tau_mem", net.tau_mem, net.dt, 0)
    loss = (du + chip.DU_OFFSET) / chip.DECAY_UNITY
    gain = loss / decay_fraction(net.tau_syn, net.dt)
    return DecayRegisters(du, dv, dv / chip.DECAY_UNITY, gain)


def _current_at_start(net: LIFNetwork, a_mem: np.ndarray) -> np.ndarray:
    """Return |u| per unit of state scale that i0 stands for, (F14).

    The chip decays u before it uses it, the float network i after.
    """
    return a_mem * np.exp(net.dt / net.tau_syn) * np.abs(net.i0)


def _largest_scale(
    net: LIFNetwork,
    ranges: Ranges,
    registers: DecayRegisters,
    inside: np.ndarray,
    config: QuantizeConfig,
) -> tuple[float, str]:
    """Return the largest state scale of some neurons, and the name of what limits."""
    a_mem, gain = registers.a_mem, registers.gain
    # (F11): what a register or state holds, and how much of it a volt takes.
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
        peak = row_peaks(signed)
        limits[f"{mode.value} w_rec"] = (
            largest << chip.INPUT_SHIFT,
            a_mem * gain * peak,
        )
    # A limit that nothing of the network touches is none.
    scales = {
        name: limit / float(per_volt[inside].max())
        for name, (limit, per_volt) in limits.items()
        if per_volt[inside].max() > 0
    }
    tightest = min(scales, key=lambda name: scales[name])
    return scales[tightest], tightest


def _input_scale(net: LIFNetwork, w_in: np.ndarray, input_peak: float) -> float:
    """Return the power of two by which inputs are multiplied before rounding, (F7).

    As fine as a message of ±127 allows, but not so fine that the weights, divided by
    it, would need an exponent below the chip's: those of what is shown, or of noise.
    """
    peak = validation.number("input_peak", input_peak, minimum=0)
    peak = max(peak, NOISE_PEAK * float(net.input_noise_std.max(initial=0.0)))
    parts = w_in[:, : net.n_shown], w_in[:, net.n_shown :]
    peaks = (float(np.abs(part).max(initial=0.0)) for part in parts)
    weight_peak = min((size for size in peaks if size > 0), default=0.0)
    exponent = int(np.floor(np.log2(MESSAGE_MAX / peak))) if peak > 0 else 0
    if weight_peak > 0:
        finest = np.log2(weight_peak / 255) - chip.WEIGHT_EXP_MIN
        exponent = min(exponent, int(np.floor(finest)))
    return float(2.0**exponent)


def fit_bias(bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mantissas and the smallest exponents that hold biases, (F10)."""
    exponent = np.zeros(len(bias), dtype=np.int64)
    # One step at a time: rounding may lift a mantissa over its limit again.
    for _ in range(chip.BIAS_EXP_MAX):
        too_large = np.abs(np.rint(bias / 2.0**exponent)) > chip.BIAS_MANT_MAX
        exponent = exponent + too_large
    # What is still too large is refused by the record, by name.
    return np.rint(bias / 2.0**exponent), exponent
