"""From a fit of every neuron to `Timescales`: intervals by resampling, and statuses.

An estimator brings a correlation, a fit of it and rules of its own; what follows is
shared. Trials are drawn with replacement and the whole estimate is made again (B. Efron
1979, doi:10.1214/aos/1176344552): nothing else knows how far the correlations at
different lags move together.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.timescales.records.record import Status, Timescales
from isotau.sim.timescales.records.series import Series, mean_rates

FEWEST = 20
"""Resamples below which there are no percentiles to speak of."""
Interval: TypeAlias = tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]
"""Lower and upper ends of τ, in seconds."""


@short_repr
class NeuronFits(NamedTuple):
    """What a fit says of every neuron, before it is judged; all of equal length.

    Attributes:
        tau: in seconds; NaN where the fit gives none.
        amplitude: of the decay, as the method defines it; NaN where none.
        offset: of the decay, as the method defines it; NaN where none.
        goodness: of the fit, as the method defines it; NaN where none.
        status: a `Status` each, in an array of objects.
        least: the τ that the fit counts as, as one of many resampled ones, for the
            lower end of the interval, in seconds: 0 where nothing decays.
        most: the same for the upper end: infinite where nothing decays.
    """

    tau: Float64[np.ndarray, " n"]
    amplitude: Float64[np.ndarray, " n"]
    offset: Float64[np.ndarray, " n"]
    goodness: Float64[np.ndarray, " n"]
    status: np.ndarray
    least: Float64[np.ndarray, " n"]
    most: Float64[np.ndarray, " n"]


def estimate(
    fit: Callable[[Float64[np.ndarray, "batch n"]], NeuronFits],
    series: Series,
    *,
    method: str,
    lags: int,
    min_rate: float = 0.0,
    bootstrap: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> Timescales:
    """Return the timescales of a series by one fit, judged.

    Args:
        fit: see `fit_trials`.
        series: of the neurons.
        method: name of the estimator.
        lags: number of lags.
        min_rate: in Hz, below which a neuron has TOO_FEW_SPIKES.
        bootstrap: resamples of the trials for the interval; 0 for none.
        rng: draws them.
        level: of the interval.

    Raises:
        ValueError: see `resamples` and `percentiles`.
    """
    fits, ends = fit_trials(fit, series.recorded, bootstrap, rng, level)
    rate = mean_rates(series)
    return judge(
        fits, ends, few=find_quiet(rate, min_rate, series.kind), rate=rate,
        method=method, bin_width=series.bin_width, lags=lags, level=level,
    )  # fmt: skip


def fit_trials(
    fit: Callable[[Float64[np.ndarray, "batch n"]], NeuronFits],
    recorded: Bool[np.ndarray, "batch n"],
    bootstrap: int,
    rng: np.random.Generator | None,
    level: float,
) -> tuple[NeuronFits, Interval | None]:
    """Return the fits to all trials, and the interval that resampled trials give.

    Args:
        fit: to trials that count so often for each neuron, batch × neuron.
        recorded: whether each neuron was recorded in each trial.
        bootstrap: resamples of the trials; 0 for no interval.
        rng: draws them.
        level: of the interval.

    Raises:
        ValueError: see `resamples` and `percentiles`.
    """
    draws = resamples(recorded, bootstrap, rng)
    return fit(recorded.astype(np.float64)), interval(map(fit, draws), level)


def judge(
    fits: NeuronFits,
    ends: Interval | None,
    *,
    few: Bool[np.ndarray, " n"],
    rate: Float64[np.ndarray, " n"],
    method: str,
    bin_width: float,
    lags: int,
    level: float = 0.95,
    decisive: bool = True,
) -> Timescales:
    """Return the record of fits, with a τ where fit, spikes and interval allow it.

    Args:
        fits: of all neurons.
        ends: of the interval, None for none.
        few: neurons with TOO_FEW_SPIKES, whatever their fit.
        rate: in Hz.
        method: name of the estimator.
        bin_width: in seconds.
        lags: number of lags.
        level: of the interval.
        decisive: whether an interval that reaches down to 0 makes a neuron
            NOT_IDENTIFIABLE.
    """
    low, high = np.full((2, fits.tau.size), np.nan) if ends is None else ends
    status = fits.status.copy()
    if decisive:  # an end of NaN, which is none, refuses nobody
        status[find_status(status, Status.OK) & (low == 0)] = Status.NOT_IDENTIFIABLE
    status[few] = Status.TOO_FEW_SPIKES
    return Timescales(
        tau=np.where(find_status(status, Status.OK), fits.tau, np.nan),
        status=tuple(status),
        amplitude=fits.amplitude,
        offset=fits.offset,
        rate=rate,
        method=method,
        bin_width=bin_width,
        lags=lags,
        low=low,
        high=high,
        estimate=fits.tau,
        goodness=fits.goodness,
        level=level,
    )


def find_status(status: np.ndarray, *wanted: Status) -> Bool[np.ndarray, " n"]:
    """Return where a status is one of those wanted."""
    # numpy compares with the name of an enumeration's member, not with its value.
    return np.array([value in wanted for value in status], dtype=bool)


def find_quiet(
    rate: Float64[np.ndarray, " n"], min_rate: float, kind: str = "counts"
) -> Bool[np.ndarray, " n"]:
    """Return which neurons fire too little: not at all, or below `min_rate` Hz.

    A signal has no rate to fall short of.
    """
    if kind != "counts":
        return np.zeros(rate.shape, dtype=bool)
    # A neuron without trials has the rate NaN, and no spike.
    events = np.nan_to_num(rate)
    return (events < min_rate) | (events == 0)


def resamples(
    recorded: Bool[np.ndarray, "batch n"],
    many: int,
    rng: np.random.Generator | None,
) -> Iterator[Float64[np.ndarray, "batch n"]]:
    """Return `many` sets of weights: how often each trial of each neuron was drawn.

    Neurons recorded in the same trials share their draws, so that what they have in
    common stays so.

    Raises:
        ValueError: `many` is not 0 and below 20, or there is no generator to draw with.
    """
    many = validation.whole("bootstrap", many, 0, 2**31 - 1)
    if 0 < many < FEWEST:
        raise ValueError(f"bootstrap: got {many}, need 0 or at least {FEWEST}")
    if not many:
        return iter(())
    if rng is None:
        raise ValueError(
            "rng: got None, need a generator for the bootstrap; pass "
            "np.random.default_rng(seed)"
        )
    # A generator of its own, so that the errors above come at the call.
    return _draw_trials(recorded, many, rng)


def _draw_trials(
    recorded: np.ndarray, many: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    # One draw for all neurons with the same trials.
    patterns, pattern_of = np.unique(recorded, axis=1, return_inverse=True)
    sizes = patterns.sum(axis=0)
    for _ in range(many):
        times_drawn = np.zeros(patterns.shape)
        for p, size in enumerate(sizes):
            if size:
                trials = rng.integers(size, size=size)
                times_drawn[patterns[:, p], p] = np.bincount(trials, minlength=size)
        # numpy 2.0 alone shapes the inverse like the array.
        yield times_drawn[:, pattern_of.ravel()]


def interval(resampled: Iterable[NeuronFits], level: float) -> Interval | None:
    """Return the ends that hold `level` of the fits' τ; None without fits."""
    pairs = [(fits.least, fits.most) for fits in resampled]
    if not pairs:
        return None
    lows, highs = np.array(pairs).transpose(1, 0, 2)
    return percentiles(lows, highs, level)


def percentiles(
    lows: Float64[np.ndarray, "draws n"],
    highs: Float64[np.ndarray, "draws n"],
    level: float,
) -> Interval:
    """Return the ends that hold `level` of the draws between them; NaN is left out.

    Ends are draws, not means of two, so that infinity stays what it is.

    Raises:
        ValueError: `level` is no share between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: got {level}, need a share between 0 and 1")
    # (T40): outwards to the next draw, so that the interval holds `level` at least.
    tail = (1 - level) / 2
    return _quantile(lows, tail, np.floor), _quantile(highs, 1 - tail, np.ceil)


def _quantile(draws: np.ndarray, share: float, rounding: np.ufunc) -> np.ndarray:
    ordered = np.sort(draws, axis=0)  # NaN last
    last = np.count_nonzero(~np.isnan(ordered), axis=0) - 1
    # An end that falls on a draw must not move to the next by rounding.
    place = rounding(np.round(share * np.maximum(last, 0), 9)).astype(np.int64)
    return np.take_along_axis(ordered, place[None], axis=0)[0]
