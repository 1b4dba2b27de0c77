"""What quantization did to a network, parameter by parameter."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.chip import arithmetic as chip
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import (
    SparseWeights,
    Weights,
    added,
    columns_of,
    dense,
    per_row,
    sparse_weights,
    spread,
    values_of,
    with_values,
)
from isotau.convert.records.fixedpoint import (
    FixedPointNetwork,
    WeightBlock,
)
from isotau.convert.records.lif import LIFNetwork, Ranges, decay_fraction
from isotau.convert.to_fixed.decay_registers import TAU_CLOSE, missed, tau_of_loss
from isotau.convert.to_fixed.quantize import NOISE_SD


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterError:
    """How well one parameter survived.

    Attributes:
        name: as in `LIFNetwork`.
        rms: root mean square of the error over that of the exact values.
        worst: largest |error| over the largest |exact value|.
        zeroed: values that were not 0 and became 0.
        total: values that were not 0.
    """

    name: str
    rms: float
    worst: float
    zeroed: int
    total: int


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class QuantizationReport:
    """Every parameter before and after, time constants, and how much room is left.

    Attributes:
        parameters: one entry each.
        tau_syn: seconds, before quantization.
        tau_syn_register: seconds, what du means for large u.
        tau_syn_effective: seconds, what truncation leaves of it at the root mean square
            of u that was recorded; NaN where u stays below one unit.
        current_rms: root mean square of u that was recorded, in integers: what
            truncation, less than one a step, is to be held against.
        tau_mem: seconds, before quantization.
        tau_mem_register: seconds, what dv means.
        dt: step, in seconds.
        headroom_u: 2^23 over the largest |u| that was recorded, scaled.
        headroom_v: 2^23 over the deepest v; infinite if v never went below reset.
        noise_std: volts, stationary, of each neuron, before and after.
        current_noise_std: as well.
        state_scale: integers per volt, one for each population.
    """

    parameters: tuple[ParameterError, ...]
    tau_syn: Float64[np.ndarray, " n"]
    tau_syn_register: Float64[np.ndarray, " n"]
    tau_syn_effective: Float64[np.ndarray, " n"]
    current_rms: Float64[np.ndarray, " n"]
    tau_mem: Float64[np.ndarray, " n"]
    tau_mem_register: Float64[np.ndarray, " n"]
    dt: float
    headroom_u: float
    headroom_v: float
    noise_std: tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]
    current_noise_std: tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]
    state_scale: tuple[float, ...]


def report_quantization(
    before: LIFNetwork, after: FixedPointNetwork, ranges: Ranges
) -> QuantizationReport:
    """Return how a network differs from its integers.

    Args:
        before: the network.
        after: its integers.
        ranges: what the network's states visited, as for `quantize`.
    """
    # Back to volts by (F4) to (F6): what is left is rounding.
    a_mem = after.dv / chip.DECAY_UNITY
    keep_u = after.du.astype(np.int64) + chip.DU_OFFSET
    per_volt = after.u_per_volt
    gain = decay_fraction(before.tau_syn, before.dt) / (keep_u / chip.DECAY_UNITY)
    unit = gain * (1 << chip.INPUT_SHIFT) / per_volt
    # A weight of messages: one unit of input is input_scale of them.
    w_in = after.input_scale * dense_weights(after, "input") * unit[:, None]
    w_rec = total_weights(after, "recurrent")
    w_rec = with_values(w_rec, values_of(w_rec) * per_row(w_rec, unit))
    drive = chip.effective_bias(after.bias_mant, after.bias_exp) / per_volt
    swing = after.vth * float(1 << chip.INPUT_SHIFT) / after.state_scale
    tau_syn = tau_of_loss(keep_u / chip.DECAY_UNITY, before.dt)
    tau_mem = tau_of_loss(a_mem, before.dt)
    # Over the whole network: the worst neuron is the one that overflows.
    u_peak = float((per_volt * ranges.i_peak).max())
    v_low = float((after.state_scale * ranges.v_low).max())
    current_rms = per_volt * ranges.i_rms
    noise, current_noise = noise_of(after)
    return QuantizationReport(
        parameters=(
            _error("w_in", before.w_in, w_in),
            _error("w_rec", *_side_by_side(before.w_rec, w_rec)),
            _error("v_leak", before.v_leak - before.v_reset, drive),
            _error("v_th", before.v_th - before.v_reset, swing),
            _error("tau_syn", before.tau_syn, tau_syn),
            _error("tau_mem", before.tau_mem, tau_mem),
            _error("noise_std", before.noise_std, noise),
            _error("current_noise_std", before.current_noise_std, current_noise),
        ),
        tau_syn=before.tau_syn,
        tau_syn_register=tau_syn,
        tau_syn_effective=effective_tau(keep_u, current_rms, before.dt),
        current_rms=current_rms,
        tau_mem=before.tau_mem,
        tau_mem_register=tau_mem,
        dt=before.dt,
        headroom_u=chip.STATE_LIMIT / u_peak if u_peak else float("inf"),
        headroom_v=chip.STATE_LIMIT / v_low if v_low else float("inf"),
        noise_std=(before.noise_std, noise),
        current_noise_std=(before.current_noise_std, current_noise),
        state_scale=tuple(after.state_scale[_first_of_each(after.population)].tolist()),
    )


def summarize(report: QuantizationReport) -> dict[str, Any]:
    """Return the report as plain numbers for JSON; infinities become None."""

    def finite(x: float) -> float | None:
        return x if np.isfinite(x) else None

    def median_ms(tau: np.ndarray) -> float | None:
        finite_tau = tau[np.isfinite(tau)]
        return float(np.median(finite_tau)) * 1e3 if finite_tau.size else None

    return {
        "parameters": [asdict(p) for p in report.parameters],
        "median_tau_syn_ms": {
            "before": median_ms(report.tau_syn),
            "register": median_ms(report.tau_syn_register),
            "effective": median_ms(report.tau_syn_effective),
        },
        "tau_syn_kept": {
            "register": _kept(report.tau_syn, report.tau_syn_register),
            "effective": _kept(report.tau_syn, report.tau_syn_effective),
        },
        "current_rms_units": {
            "median": float(np.median(report.current_rms)),
            "least": float(report.current_rms.min()),
        },
        "step_ms": 1e3 * report.dt,
        "tau_missed": list(missed_taus(report)),
        "said": describe_slowest(report),
        "headroom_u": finite(report.headroom_u),
        "headroom_v": finite(report.headroom_v),
        "noise_std_mv": _root_mean_squares(report.noise_std),
        "noise_kept": _kept(*report.noise_std),
        "current_noise_std_mv": _root_mean_squares(report.current_noise_std),
        "current_noise_kept": _kept(*report.current_noise_std),
        "state_scale_per_volt": list(report.state_scale),
    }


def far_neurons(report: QuantizationReport) -> Bool[np.ndarray, " n"]:
    """Return which neurons have no register within `TAU_CLOSE` of a time constant."""
    synapses = missed(report.tau_syn, report.tau_syn_register, report.dt)
    return synapses | missed(report.tau_mem, report.tau_mem_register, report.dt)


def missed_taus(report: QuantizationReport) -> Iterator[dict[str, Any]]:
    """Yield each time constant that its register misses: asked and held, in ms."""
    for name in ("tau_syn", "tau_mem"):
        asked, held = getattr(report, name), getattr(report, f"{name}_register")
        for k in np.flatnonzero(missed(asked, held, report.dt)):
            yield {
                "parameter": name,
                "neuron": int(k),
                "asked_ms": 1e3 * float(asked[k]),
                # A membrane without leak keeps what it has for ever.
                "held_ms": 1e3 * float(held[k]) if np.isfinite(held[k]) else None,
            }


def describe_slowest(report: QuantizationReport) -> str:
    """Return what became of the slowest synapse; "" if it is not slow for a register.

    A register loses whole 4096ths of a step: few of them for a time constant of more
    than some hundred steps, so that the next longer one is far off.
    """
    k = int(np.argmax(report.tau_syn))
    if report.tau_syn[k] <= TAU_CLOSE * chip.DECAY_UNITY * report.dt:
        return ""
    far = far_neurons(report)
    share = f"{int(far.sum())} of {len(far)} neurons"
    rest = f"; in {share} a time constant is {TAU_CLOSE:.0%} off or more"
    return (
        f"The slowest synapse, of {report.tau_syn[k]:.4g} s, has "
        f"{report.tau_syn_register[k]:.4g} s in the chip's steps of "
        f"{1e3 * report.dt:.4g} ms{rest if far.any() else ''}."
    )


def dense_weights(
    net: FixedPointNetwork, source: str
) -> Float64[np.ndarray, "n columns"]:
    """Return all weights of one source as real numbers, mantissa · 2^exponent.

    Raises:
        ValueError: sparse ones of too large a network, see `dense`.
    """
    return dense(total_weights(net, source), f"all {source} weights")


def total_weights(net: FixedPointNetwork, source: str) -> Weights:
    """Return all weights of one source as real numbers, sparse if a block of it is."""
    columns = net.n if source == "recurrent" else net.n_in
    blocks = [block for block in net.blocks if block.source == source]
    if any(isinstance(block.weights, SparseWeights) for block in blocks):
        return _sparse_total(blocks, columns)
    total = np.zeros((net.n, columns))
    for block in blocks:
        # Added up: an outlier's block stands beside that of the rest.
        total[:, block.pre] += values_of(block.weights) * 2.0**block.weight_exp
    return total


def _sparse_total(blocks: list[WeightBlock], columns: int) -> SparseWeights:
    parts = []
    for block in blocks:
        own = sparse_weights(block.weights)
        parts.append(spread(own, own.data * 2.0**block.weight_exp, block.pre, columns))
    return added(parts)


def _side_by_side(exact: Weights, rounded: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Return two matrices' numbers, place by place; what is 0 in both is left out."""
    if not isinstance(exact, SparseWeights):
        return exact, dense(rounded, "comparing them with dense ones")
    # What was 0 stays 0: the places of the exact ones are all there are.
    ours, theirs = (
        columns_of(w).astype(np.int64) * w.shape[0] + w.indices
        for w in (exact, sparse_weights(rounded))
    )
    values = np.zeros(len(ours))
    values[np.searchsorted(ours, theirs)] = values_of(sparse_weights(rounded))
    return exact.data, values


def effective_tau(
    fraction: np.ndarray, amplitude: np.ndarray, dt: float
) -> Float64[np.ndarray, " n"]:
    """Return the time in which a decay from `amplitude` really falls to 1/e, (F25).

    Every step truncates toward zero, so that below 4096/fraction the fall is linear.
    The time is interpolated between steps.

    Args:
        fraction: what a step loses, in 1/4096 (du + 1, or dv), at least 1.
        amplitude: where the decay starts, in integers of state.
        dt: step, in seconds.
    """
    x = np.rint(np.abs(amplitude)).astype(np.int64)
    goal = x / np.e
    steps = np.where(x >= 1, 0.0, np.nan)
    falling = x >= 1
    while falling.any():
        after = chip.decay(x, fraction)
        ended = falling & (after <= goal)
        # The last step counts in part: along an exponential, or straight down to 0.
        with np.errstate(divide="ignore", invalid="ignore"):
            curved = np.log(x / goal) / np.log(x / after)
            part = np.where(after > 0, curved, 1 - goal / x)
        steps = steps + np.where(ended, part, np.where(falling, 1.0, 0.0))
        falling = falling & ~ended
        x = after
    return steps * dt


def noise_of(
    net: FixedPointNetwork,
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return the stationary SD of each neuron's noise in v and in i, in volts: (F27).

    0 for noise on what loses nothing, which has no stationary SD.
    """
    losses = net.dv / chip.DECAY_UNITY, (net.du + 1.0) / chip.DECAY_UNITY
    exponents = net.noise_exp, net.current_noise_exp
    per_volt = net.state_scale, net.u_per_volt
    deviations = []
    for loss, exponent, scale in zip(losses, exponents, per_volt, strict=True):
        sd = np.where(exponent > 0, NOISE_SD * 2.0 ** (exponent - 7.0), 0.0)
        lost = 1 - (1 - loss) ** 2
        # A membrane without leak, which no volts of current reach either.
        usable = (lost > 0) & (scale > 0)
        root = np.sqrt(np.where(usable, lost, 1.0)) * np.where(usable, scale, 1.0)
        deviations.append(np.where(usable, sd / root, 0.0))
    return deviations[0], deviations[1]


def _root_mean_squares(parts: tuple[np.ndarray, np.ndarray]) -> list[float]:
    """Return the root mean squares over neurons of volts, in mV."""
    return [1e3 * float(np.sqrt(np.mean(part**2))) for part in parts]


def _kept(before: np.ndarray, after: np.ndarray) -> dict[str, float] | None:
    """Return the ratio after : before, its median and the one farthest from 1.

    None where nothing that was there can be held against what it became.
    """
    usable = (before > 0) & np.isfinite(after)
    if not usable.any():
        return None
    ratios = after[usable] / before[usable]
    with np.errstate(divide="ignore"):  # what is lost is as far off as can be
        worst = int(np.argmax(np.abs(np.log(ratios))))
    return {"median": float(np.median(ratios)), "worst": float(ratios[worst])}


def _first_of_each(population: np.ndarray) -> np.ndarray:
    """Return the index of each population's first neuron."""
    return np.unique(population, return_index=True)[1]


def _error(name: str, exact: np.ndarray, rounded: np.ndarray) -> ParameterError:
    off, nonzero = np.abs(rounded - exact), exact != 0
    # Against the typical and the largest value: relative errors of zeros are none.
    power, peak = float((exact**2).sum()), float(np.abs(exact).max())
    return ParameterError(
        name=name,
        rms=float(np.sqrt((off**2).sum() / power)) if power else 0.0,
        worst=float(off.max() / peak) if peak else 0.0,
        zeroed=int((nonzero & (rounded == 0)).sum()),
        total=int(nonzero.sum()),
    )
