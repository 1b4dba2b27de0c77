"""Timescales without a fit: the width of the autocorrelation, and the area below it.

The autocorrelation window is the time at which the correlation first falls to a share
of where it starts: half of it, or zero (Golesorkhi et al. 2021,
doi:10.1038/s42003-021-01785-z). Here it is the correlation over trials, as in
`exponential`; between lags it goes down like an exponential where it is positive, and
in a straight line where it ends below zero. An exponential gives its τ back exactly,
bins or no bins.

Where it starts: a signal at lag 0, with 1; counts at lag 1, since lag 0 holds the
spikes' own noise. Either is the same for an exponential. Correlations that outlast the
trial (slow drift) count as they are: take `exponential` where there are some.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from isotau.sim.timescales.estimators import decay_fit as resampling
from isotau.sim.timescales.estimators.exponential import BIN_WIDTH, MAX_LAG, quiet
from isotau.sim.timescales.records.autocorrelation import autocorrelation, lags_within
from isotau.sim.timescales.records.record import Status, Timescales
from isotau.sim.timescales.records.series import Series, Source, as_series, mean_rates

THRESHOLD = float(np.exp(-1.0))


class Width(NamedTuple):
    """τ of each neuron, NaN where there is none, and why it has none."""

    tau: Float64[np.ndarray, " n"]
    status: tuple[Status, ...]


def acw(
    source: Source,
    *,
    threshold: float = THRESHOLD,
    bin_width: float = BIN_WIDTH,
    max_lag: float = MAX_LAG,
    min_rate: float = 0.0,
    bootstrap: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> Timescales:
    """Return each neuron's timescale by the width of its autocorrelation, in seconds.

    τ = w / −ln(threshold), where w is the time from the start of the correlation to
    where it first falls to the threshold, a share of the start: 1/e (the default) makes
    τ the width itself, 0.5 is ACW-50. A threshold of 0 is ACW-0, whose width from lag 0
    to the first zero is returned as it is: an exponential has none.

    `amplitude` is the correlation at the start. A neuron whose correlation never falls
    so far within `max_lag` is TOO_LONG, one that starts below zero has a
    NEGATIVE_AMPLITUDE. With a bootstrap, one whose interval reaches down to 0 is
    NOT_IDENTIFIABLE: there the correlation also starts below zero. Of Poisson
    neurons 4 % remain.

    Args:
        source: spikes, counts or a signal; at least 3 trials.
        threshold: from 0 to below 1.
        bin_width: in seconds; a series keeps its own.
        max_lag: longest lag, in seconds.
        min_rate: in Hz, below which a neuron has none.
        bootstrap: resamples of the trials for the interval; 0 for none.
        rng: draws them.
        level: of the interval.

    Raises:
        ValueError: too few trials, bins or lags, or such a threshold.
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold: got {threshold}, need 0 to below 1")

    def measure(rho: np.ndarray, times: np.ndarray) -> Width:
        return _widths(rho, times, threshold)

    name = {THRESHOLD: "acw", 0.5: "acw-50", 0.0: "acw-0"}.get(
        threshold, f"acw-{threshold:g}"
    )
    return _estimate(
        as_series(source, bin_width), measure, name,
        max_lag, min_rate, bootstrap, rng, level,
    )  # fmt: skip


def integral(
    source: Source,
    *,
    bin_width: float = BIN_WIDTH,
    max_lag: float = MAX_LAG,
    min_rate: float = 0.0,
    bootstrap: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> Timescales:
    """Return each neuron's timescale by the area of its autocorrelation, in seconds.

    τ = ∫ρ dt / (ρ(start) − ρ(end)), from the start of the correlation to its first zero
    or to `max_lag`, whichever is first. Without the end it is the usual integral of the
    normalized correlation; with it a tail that is cut off does not make τ shorter.

    Arguments, fields and statuses are those of `acw`; a correlation that ends higher
    than it started shows NO_DECAY.

    Raises:
        ValueError: too few trials, bins or lags.
    """
    return _estimate(
        as_series(source, bin_width), _areas, "integral",
        max_lag, min_rate, bootstrap, rng, level,
    )  # fmt: skip


def _estimate(
    series: Series,
    measure: Callable[[np.ndarray, np.ndarray], Width],
    method: str,
    max_lag: float,
    min_rate: float,
    bootstrap: int,
    rng: np.random.Generator | None,
    level: float,
) -> Timescales:
    """Return the record of a measure of the correlation and its times."""
    assert series.observed is not None
    lags = lags_within(max_lag, series.bin_width, series.bins)
    from_zero = series.kind != "counts"
    times = np.arange(0 if from_zero else 1, lags + 1) * series.bin_width

    def curve(weights: np.ndarray) -> np.ndarray:
        rho = autocorrelation(series.values, lags, weights)
        start = np.where(np.isnan(rho[:1]), np.nan, 1.0)
        return np.concatenate((start, rho)) if from_zero else rho

    draws = resampling.resamples(series.observed, bootstrap, rng)
    rho = curve(series.observed.astype(np.float64))
    found = measure(rho, times)
    low, high = np.full((2, series.n), np.nan)
    if bootstrap:
        widths = [measure(curve(weights), times) for weights in draws]
        ends = [_ends(width, times[-1] - times[0]) for width in widths]
        lows, highs = np.array(ends).transpose(1, 0, 2)
        low, high = resampling.percentiles(lows, highs, level)
    silent = quiet(series, min_rate)
    status = [
        Status.TOO_FEW_SPIKES
        if silent[k]
        else Status.NOT_IDENTIFIABLE
        if one is Status.OK and low[k] == 0
        else one
        for k, one in enumerate(found.status)
    ]
    ok = np.array([one is Status.OK for one in status])
    return Timescales(
        tau=np.where(ok, found.tau, np.nan),
        status=tuple(status),
        amplitude=rho[0],
        offset=np.full(series.n, np.nan),
        rate=mean_rates(series),
        method=method,
        bin_width=series.bin_width,
        lags=lags,
        low=low,
        high=high,
        estimate=found.tau,
        level=level,
    )


def _ends(width: Width, span: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what a resample says of the lower and of the upper end of τ.

    A correlation that does not fall within the span is as long as that at least.
    """
    fallen = [s is Status.NEGATIVE_AMPLITUDE for s in width.status]
    endless = [s in (Status.TOO_LONG, Status.NO_DECAY) for s in width.status]
    low = np.select([fallen, endless], [0.0, span], width.tau)
    return low, np.where(np.logical_or(fallen, endless), np.inf, width.tau)


def _widths(rho: np.ndarray, times: np.ndarray, threshold: float) -> Width:
    """Return τ by the time at which each column falls to a share of its start."""
    tau, status = np.full(rho.shape[1], np.nan), []
    for k in range(rho.shape[1]):
        y, t, verdict = _curve(rho[:, k], times)
        if verdict is Status.OK:
            below = np.flatnonzero(y <= threshold * y[0])
            verdict = Status.OK if below.size else Status.TOO_LONG
        if verdict is Status.OK:
            i = below[0]
            goal = threshold * y[0]
            width = (
                t[i - 1] - t[0] + (t[i] - t[i - 1]) * _crossing(y[i - 1], y[i], goal)
            )
            tau[k] = width / -np.log(threshold) if threshold > 0 else width + t[0]
        status.append(verdict)
    return Width(tau, tuple(status))


def _areas(rho: np.ndarray, times: np.ndarray) -> Width:
    """Return τ by the area below each column, up to its first zero."""
    tau, status = np.full(rho.shape[1], np.nan), []
    for k in range(rho.shape[1]):
        y, t, verdict = _curve(rho[:, k], times)
        if verdict is Status.OK:
            below = np.flatnonzero(y <= 0)
            last = below[0] if below.size else y.size - 1
            end = max(y[last], 0.0)
            area = sum((t[i + 1] - t[i]) * _below(y[i], y[i + 1]) for i in range(last))
            verdict = Status.OK if y[0] > end else Status.NO_DECAY
        if verdict is Status.OK:
            tau[k] = area / (y[0] - end)
        status.append(verdict)
    return Width(tau, tuple(status))


def _curve(rho: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, Status]:
    """Return a correlation without its gaps, its times, and whether it is of use."""
    kept = ~np.isnan(rho)
    if not kept[0] or kept.sum() < 2:
        return rho, times, Status.UNDEFINED
    status = Status.OK if rho[0] > 0 else Status.NEGATIVE_AMPLITUDE
    return rho[kept], times[kept], status


def _crossing(above: float, under: float, goal: float) -> float:
    """Return where, from 0 to 1, the way from above to under passes the goal."""
    if goal > 0 and under > 0:
        return float(np.log(above / goal) / np.log(above / under))
    return float((above - goal) / (above - under))


def _below(left: float, right: float) -> float:
    """Return the mean height between two points, of the part above zero."""
    if right <= 0:
        return float(left / 2 * left / (left - right))
    if abs(left - right) < 1e-9 * left:
        return float(left)
    return float((left - right) / np.log(left / right))
