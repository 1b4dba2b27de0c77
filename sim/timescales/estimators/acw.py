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

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from isotau.sim.timescales.estimators.judge import (
    NeuronFits,
    estimate,
    find_status,
)
from isotau.sim.timescales.records.autocorrelation import (
    BIN_WIDTH,
    MAX_LAG,
    autocorrelation,
    lags_within,
)
from isotau.sim.timescales.records.record import Status, Timescales
from isotau.sim.timescales.records.series import Series, Source, as_series

THRESHOLD = float(np.exp(-1.0))
Measure: TypeAlias = tuple[float, Status]
"""τ in seconds, NaN where there is none, and why it has none."""


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

    # The published widths have names of their own.
    name = {THRESHOLD: "acw", 0.5: "acw-50", 0.0: "acw-0"}.get(
        threshold, f"acw-{threshold:g}"
    )
    return _estimate(
        as_series(source, bin_width), partial(_width, threshold=threshold), name,
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
        as_series(source, bin_width), _area, "integral",
        max_lag, min_rate, bootstrap, rng, level,
    )  # fmt: skip


def _estimate(
    series: Series,
    measure: Callable[[np.ndarray, np.ndarray], Measure],
    method: str,
    max_lag: float,
    min_rate: float,
    bootstrap: int,
    rng: np.random.Generator | None,
    level: float,
) -> Timescales:
    """Return the timescales by a measure of one neuron's correlation and its times."""
    lags = lags_within(max_lag, series.bin_width, series.bins)
    # Lag 0 of counts holds the spikes' own noise; a signal's is a point of the curve.
    from_zero = series.kind != "counts"
    times = np.arange(0 if from_zero else 1, lags + 1) * series.bin_width
    span = times[-1] - times[0]

    def fit(weights: np.ndarray) -> NeuronFits:
        rho = autocorrelation(series.values, lags, weights)
        if from_zero:
            start = np.where(np.isnan(rho[:1]), np.nan, 1.0)
            rho = np.concatenate((start, rho))
        measures = [_measure(column, times, measure) for column in rho.T]
        tau = np.array([tau for tau, _ in measures])
        status = np.array([status for _, status in measures], dtype=object)
        fallen = find_status(status, Status.NEGATIVE_AMPLITUDE)
        # Of a correlation that does not fall within the span only this is known.
        endless = find_status(status, Status.TOO_LONG, Status.NO_DECAY)
        missing = np.full(series.n, np.nan)
        return NeuronFits(
            tau,
            amplitude=rho[0],
            offset=missing,
            goodness=missing,
            status=status,
            least=np.select([fallen, endless], [0.0, span], tau),
            most=np.where(fallen | endless, np.inf, tau),
        )

    return estimate(
        fit, series, method=method, lags=lags, min_rate=min_rate,
        bootstrap=bootstrap, rng=rng, level=level,
    )  # fmt: skip


def _measure(
    rho: np.ndarray,
    times: np.ndarray,
    measure: Callable[[np.ndarray, np.ndarray], Measure],
) -> Measure:
    """Return what a neuron's correlation measures, without the lags that have none."""
    present = ~np.isnan(rho)
    if not present[0] or present.sum() < 2:
        return math.nan, Status.UNDEFINED
    if rho[0] <= 0:
        return math.nan, Status.NEGATIVE_AMPLITUDE
    return measure(rho[present], times[present])


def _width(y: np.ndarray, t: np.ndarray, threshold: float) -> Measure:
    """Return τ by the time at which y falls to a share of its start."""
    # (T16)
    goal = threshold * y[0]
    below = np.flatnonzero(y <= goal)
    if not below.size:
        return math.nan, Status.TOO_LONG
    i = below[0]
    width = t[i - 1] - t[0] + (t[i] - t[i - 1]) * _crossing(y[i - 1], y[i], goal)
    # ACW-0 counts from lag 0, where an exponential's width would be infinite.
    return width / -np.log(threshold) if threshold > 0 else width + t[0], Status.OK


def _area(y: np.ndarray, t: np.ndarray) -> Measure:
    """Return τ by the area below y, up to its first zero."""
    # (T18): a tail that is cut off is taken away at both ends.
    below = np.flatnonzero(y <= 0)
    last = below[0] if below.size else y.size - 1
    end = max(y[last], 0.0)
    if not y[0] > end:
        return math.nan, Status.NO_DECAY
    area = sum((t[i + 1] - t[i]) * _below(y[i], y[i + 1]) for i in range(last))
    return area / (y[0] - end), Status.OK


def _crossing(above: float, under: float, goal: float) -> float:
    """Return where, from 0 to 1, the way from above to under passes the goal."""
    # (T17): like an exponential, which has no way down to 0 or below; there in a line.
    if goal > 0 and under > 0:
        return float(np.log(above / goal) / np.log(above / under))
    return float((above - goal) / (above - under))


def _below(left: float, right: float) -> float:
    """Return the mean height between two points, of the part above zero."""
    # (T19): a triangle up to the zero, else an exponential's mean.
    if right <= 0:
        return float(left / 2 * left / (left - right))
    if abs(left - right) < 1e-9 * left:  # 0/0 below
        return float(left)
    return float((left - right) / np.log(left / right))
