"""How alike two runs of states are, unit by unit: pure figures of recorded states.

τ is where the autocovariance about the mean of the trials falls to 1/e. Trials of
several conditions are each taken about the mean of their own condition.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from isotau.convert.to_lif.state_match import RestingState, match, resting_state

LONGEST, WINDOW = 1.0, 1.0
"""Seconds: of the longest lag; of a window within which a state is looked at."""
FAR = 0.3
"""|ln ratio| of τ from which a unit counts as one that misses."""
MOVED, SHOT, CLIPPED, SLOW = 1.0, 0.5, 0.05, 0.1
"""Where a cause is named: a mean state off by so many standard deviations; τ ratios
that correlate so much with SD ratios (negatively), or errors with weights; such a share
of saturated neurons; and of units whose τ is beyond the longest lag."""


class StateRun(NamedTuple):
    """Moments of one run of one stage.

    Attributes:
        dt: between two samples, in seconds.
        mean: of every unit's state.
        moments: about the mean of the trials; τ in samples.
        within: about each trial's own mean over a window; None if not looked at.
        between: SD over trials of those means; None if not looked at.
    """

    dt: float
    mean: Float64[np.ndarray, " n"]
    moments: RestingState
    within: RestingState | None = None
    between: Float64[np.ndarray, " n"] | None = None


def state_run(
    x: Float64[np.ndarray, "samples trials n"],
    dt: float,
    conditions: Int64[np.ndarray, " trials"] | None = None,
    *,
    windowed: bool = False,
) -> StateRun:
    """Return the moments of states.

    Args:
        x: the states.
        dt: between two samples, in seconds.
        conditions: of the trials; None where all are alike.
        windowed: whether windows of `WINDOW` seconds are looked at, too.
    """
    # Half a recording's lags at most: longer ones would be of few pairs.
    lags = max(5, min(round(LONGEST / dt), len(x) // 2))
    centred = x if conditions is None else centre_by_condition(x, conditions)
    moments, mean = resting_state(centred, lags), x.mean(axis=(0, 1))
    if not windowed:
        return StateRun(dt, mean, moments)
    within, between = split_by_window(x, max(10, round(WINDOW / dt)))
    inner = resting_state(within, max(5, len(within) // 2))
    return StateRun(dt, mean, moments, inner, between)


def centre_by_condition(
    x: Float64[np.ndarray, "samples trials n"],
    conditions: Int64[np.ndarray, " trials"],
) -> Float64[np.ndarray, "samples trials n"]:
    """Return states about the mean of their condition, ready for `resting_state`.

    Scaled so that its n − 1 becomes n less the number of conditions.
    """
    kinds = np.unique(conditions)
    trials = x.shape[1]
    if trials <= len(kinds):
        raise ValueError(
            f"conditions: got {len(kinds)} in {trials} trials, need more trials than "
            "conditions"
        )
    centred = np.empty_like(x)
    for kind in kinds:
        those = conditions == kind
        centred[:, those] = x[:, those] - x[:, those].mean(axis=1, keepdims=True)
    return centred * np.sqrt((trials - 1) / (trials - len(kinds)))


def split_by_window(
    x: Float64[np.ndarray, "samples trials n"], length: int
) -> tuple[Float64[np.ndarray, "length parts n"], Float64[np.ndarray, " n"]]:
    """Return states about their trial's mean over a window, and the SD of those means.

    The SD is over trials, about their mean in each window; what a window leaves over at
    the end is left out.

    Args:
        x: the states; at least as many samples as a window has.
        length: of a window, in samples.
    """
    samples, trials, n = x.shape
    windows = samples // length
    parts = x[: windows * length].reshape(windows, length, trials, n)
    means = parts.mean(axis=1, keepdims=True)
    within = np.moveaxis(parts - means, 1, 0).reshape(length, windows * trials, n)
    between = np.sqrt(means.var(axis=2, ddof=1).mean(axis=(0, 1)))
    return within, between


def compare_states(first: StateRun, second: StateRun) -> dict[str, Any]:
    """Return how the second run's states differ from the first's."""
    figures = compare_moments(first.moments, second.moments, first.dt)
    sd = first.moments.sd
    off = np.abs(second.mean - first.mean)[sd > 0] / sd[sd > 0]
    figures["mean_off"] = _finite(np.median(off)) if off.size else None
    if first.within is not None and second.within is not None:
        figures["within"] = compare_moments(first.within, second.within, first.dt)
    if first.between is not None and second.between is not None:
        figures["between_sd_ratio"] = _median_ratio(first.between, second.between)
        shares = [_share(run) for run in (first, second)]
        figures["between_share"] = shares
    return figures


def compare_moments(
    first: RestingState, second: RestingState, dt: float
) -> dict[str, Any]:
    """Return how the second moments differ from the first, all units together.

    Args:
        first: the reference.
        second: held against it.
        dt: between two samples, in seconds.
    """
    one, two = np.isfinite(first.tau), np.isfinite(second.tau)
    both = one & two
    a, b = np.log(first.tau[both]), np.log(second.tau[both])
    ratios = b - a
    # A constant has no correlation.
    varied = ratios.size > 2 and a.std() > 0 and b.std() > 0
    difference = second.autocorrelation - first.autocorrelation
    return {
        "units": len(one),
        "with_tau": [int(one.sum()), int(two.sum()), int(both.sum())],
        "beyond_in_both": int((~one & ~two).sum()),
        "tau_s": [_median_s(run.tau, dt) for run in (first, second)],
        "ratio": float(np.exp(np.median(ratios))) if ratios.size else None,
        "sd_log": float(ratios.std()) if ratios.size else None,
        "correlation": float(np.corrcoef(a, b)[0, 1]) if varied else None,
        "acf_rms": float(np.sqrt(np.mean(difference**2))),
        "sd_ratio": _median_ratio(first.sd, second.sd),
        "covariance_error": match(first, second).covariance_error,
    }


class UnitTraits(NamedTuple):
    """What could make a unit's timescale go wrong.

    Attributes:
        tau: nominal time constant, in seconds.
        weights: sum of |recurrent weights| onto the unit, in units of its state.
        rate_hz: of its neurons, in the task or at rest.
        highest_hz: rate that no neuron exceeds.
    """

    tau: Float64[np.ndarray, " n"]
    weights: Float64[np.ndarray, " n"]
    rate_hz: Float64[np.ndarray, " n"]
    highest_hz: float


def explain(first: StateRun, second: StateRun, traits: UnitTraits) -> dict[str, Any]:
    """Return which units miss, and the figures that name a cause.

    Args:
        first: of the rate network.
        second: of the LIF network.
        traits: of the units.
    """
    a, b = first.moments, second.moments
    usable = np.isfinite(a.tau) & np.isfinite(b.tau) & (a.sd > 0) & (b.sd > 0)
    ratio = np.full(len(usable), np.nan)
    ratio[usable] = np.log(b.tau[usable] / a.tau[usable])
    spread = np.log(b.sd[usable] / a.sd[usable])
    far = usable & (np.abs(ratio) > FAR)
    figures: dict[str, Any] = {
        "far": int(far.sum()),
        "too_fast": int((far & (ratio < 0)).sum()),
        "sd_tau_correlation": _correlation(spread, ratio[usable]),
        "error_tau_correlation": _correlation(
            np.log(traits.tau[usable]), np.abs(ratio[usable])
        ),
        "error_weights_correlation": _correlation(
            traits.weights[usable], np.abs(ratio[usable])
        ),
        "tau_ms": _beside(1e3 * traits.tau, far),
        "weights": _beside(traits.weights, far),
        "rate_hz": _beside(traits.rate_hz, far),
        "saturated": float((traits.rate_hz > 0.8 * traits.highest_hz).mean()),
        "beyond": float((~np.isfinite(a.tau)).mean()),
    }
    return figures


def causes(why: dict[str, Any], compared: dict[str, Any]) -> list[str]:
    """Return the causes that the figures of `explain` and `compare_states` name."""
    named = []
    sd_ratio, off = compared["sd_ratio"], compared["mean_off"]
    moved = off is not None and off > MOVED
    if moved or (sd_ratio is not None and not 0.5 <= sd_ratio <= 2):
        named.append("another state")
    rhythm, weights = why["sd_tau_correlation"], why["error_weights_correlation"]
    if (rhythm is not None and rhythm < -SHOT) or (
        weights is not None and weights > SHOT
    ):
        named.append("shot noise")
    if why["saturated"] > CLIPPED:
        named.append("saturation")
    if why["beyond"] > SLOW:
        named.append("slower than the window")
    return named


def _beside(values: np.ndarray, far: Bool[np.ndarray, " n"]) -> list[float | None]:
    """Return the median of units that miss, and of the others."""
    return [float(np.median(values[x])) if x.any() else None for x in (far, ~far)]


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    if len(a) < 3 or a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _share(run: StateRun) -> float | None:
    """Return the share of the variance that lies between windows, the median."""
    assert run.within is not None and run.between is not None
    total = run.within.sd**2 + run.between**2
    shares = run.between[total > 0] ** 2 / total[total > 0]
    return float(np.median(shares)) if shares.size else None


def _median_ratio(first: np.ndarray, second: np.ndarray) -> float | None:
    moving = (first > 0) & (second > 0)
    return float(np.median(second[moving] / first[moving])) if moving.any() else None


def _median_s(tau: np.ndarray, dt: float) -> float | None:
    finite = tau[np.isfinite(tau)]
    return dt * float(np.median(finite)) if finite.size else None


def _finite(value: float) -> float | None:
    """Return a number as JSON has it, which knows no NaN."""
    return float(value) if np.isfinite(value) else None
