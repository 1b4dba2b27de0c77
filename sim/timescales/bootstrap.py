"""Resampled trials, and the intervals that they give.

Trials are drawn with replacement and the whole estimate is made again (Efron 1979,
doi:10.1214/aos/1176344552). Nothing else knows how far the correlations at different
lags move together.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert import validation
from isotau.sim.timescales.decay_fit import DecayFit
from isotau.sim.timescales.record import Status

FEWEST = 20
"""Resamples below which there are no percentiles to speak of."""


def resamples(
    observed: Bool[np.ndarray, "batch n"],
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
    return _draws(observed, many, rng)


def _draws(
    observed: np.ndarray, many: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    patterns, which = np.unique(observed, axis=1, return_inverse=True)
    sizes = patterns.sum(axis=0)
    for _ in range(many):
        drawn = np.zeros(patterns.shape)
        for p, size in enumerate(sizes):
            if size:
                chosen = rng.integers(size, size=size)
                drawn[patterns[:, p], p] = np.bincount(chosen, minlength=size)
        yield drawn[:, which.ravel()]


def of_fits(
    fits: Iterable[DecayFit], shortest: float, longest: float, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of τ over resampled fits, in seconds: low and high.

    A resample in which nothing decays may stand for any τ: it counts as 0 for the lower
    end and as infinity for the upper one. One that ends at the shortest τ counts as 0
    for the lower end, one that ends at the longest as infinity for the upper.
    """
    lows, highs = [], []
    for fit in fits:
        flat = np.array([status is Status.NO_DECAY for status in fit.status])
        with np.errstate(invalid="ignore"):
            lows.append(np.where(flat | (fit.tau <= shortest), 0.0, fit.tau))
            highs.append(np.where(flat | (fit.tau >= longest), np.inf, fit.tau))
    return percentiles(np.array(lows), np.array(highs), level)


def percentiles(
    lows: Float64[np.ndarray, "draws n"],
    highs: Float64[np.ndarray, "draws n"],
    level: float,
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return the ends that hold `level` of the draws between them; NaN is left out.

    Ends are draws, not means of two, so that infinity stays what it is.

    Raises:
        ValueError: `level` is no share between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: got {level}, need a share between 0 and 1")
    tail = (1 - level) / 2
    return _quantile(lows, tail, np.floor), _quantile(highs, 1 - tail, np.ceil)


def _quantile(draws: np.ndarray, share: float, rounding: np.ufunc) -> np.ndarray:
    ordered = np.sort(draws, axis=0)  # NaN last
    last = np.count_nonzero(~np.isnan(ordered), axis=0) - 1
    # An end that falls on a draw must not move to the next by rounding.
    place = rounding(np.round(share * np.maximum(last, 0), 9)).astype(np.int64)
    return np.take_along_axis(ordered, place[None], axis=0)[0]
