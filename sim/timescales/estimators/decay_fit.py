"""The fit of a decay to measured correlations, for many neurons at a time.

y(k) ≈ A s_τ(k) + Σⱼ Bⱼ gⱼ(k): for any τ the best A and B are a linear regression, so
what is left is a search over τ alone, which a fine grid makes global (variable
projection; Golub & Pereyra 1973, doi:10.1137/0710036). A is at least 0.

Resampled trials, and the intervals that they give.

Trials are drawn with replacement and the whole estimate is made again (Efron 1979,
doi:10.1214/aos/1176344552). Nothing else knows how far the correlations at different
lags move together.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Real

from isotau.convert.ground import validation
from isotau.sim.timescales.records.record import Status

OFFSETS = ("free", "positive", "none")
"""What B may be."""
GRID = 800
"""Timescales that are tried; the best is refined between its neighbours."""
MAX_TAU = 2.0
SHORTEST = 0.2
"""Of a bin: what is shorter looks the same from the first lag on."""
CHUNK = 4096
"""Fits at a time."""
COLLINEAR = 1e-18
"""A shape of which no more is left beside the other terms cannot be told from them."""
OUTCOMES = (Status.OK, Status.UNDEFINED, Status.NO_DECAY, Status.AT_BOUND)
FITTED, TOO_FEW, RISING, EDGE = range(len(OUTCOMES))
ROUNDING = 1e-12
"""A decay that explains no more of y, relative to its size, is rounding."""


class Shapes(NamedTuple):
    """What a decay looks like, for each τ that is tried.

    Attributes:
        tau: in seconds, ascending and evenly spaced in log τ.
        decay: τ × lags; s_τ.
        others: terms × lags; g, the terms with a free factor of either sign.
    """

    tau: Float64[np.ndarray, " taus"]
    decay: Float64[np.ndarray, "taus lags"]
    others: Float64[np.ndarray, "terms lags"]


class DecayFit(NamedTuple):
    """The fits of several neurons, or of several resamples of one.

    Attributes:
        tau: in seconds; NaN where nothing decays.
        amplitude: A; NaN where nothing decays.
        offset: factor of the first other term; NaN where there is none.
        goodness: R², the share of the weighted variance that the fit explains.
        status: OK, UNDEFINED, NO_DECAY or AT_BOUND.
    """

    tau: Float64[np.ndarray, " n"]
    amplitude: Float64[np.ndarray, " n"]
    offset: Float64[np.ndarray, " n"]
    goodness: Float64[np.ndarray, " n"]
    status: tuple[Status, ...]


def tried(
    bin_width: float, max_tau: float, min_tau: float | None = None
) -> Float64[np.ndarray, " taus"]:
    """Return the timescales to try, in seconds; from a fifth of a bin by default.

    Raises:
        ValueError: the longest is not longer than the shortest.
    """
    low = SHORTEST * bin_width
    if min_tau is not None:
        low = validation.number("min_tau", min_tau, positive=True)
    high = validation.number("max_tau", max_tau, positive=True)
    if high <= low:
        raise ValueError(
            f"max_tau: got {max_tau} s, need more than {low:g} s (min_tau)"
        )
    return np.geomspace(low, high, GRID)


def exponentials(
    tau: Float64[np.ndarray, " taus"], times: Float64[np.ndarray, " lags"]
) -> Float64[np.ndarray, "taus lags"]:
    """Return exp(−t/τ)."""
    return np.exp(-times / tau[:, None])


def offset_fit(
    y: Float64[np.ndarray, "lags n"],
    weights: Real[np.ndarray, "lags n"],
    tau: Float64[np.ndarray, " taus"],
    times: Float64[np.ndarray, " lags"],
    offset: str,
) -> DecayFit:
    """Return the fit of A exp(−t/τ) + B with a B that is one of `OFFSETS`.

    A "positive" B is the free one where that is at least 0, and 0 elsewhere.
    """
    decay, level = exponentials(tau, times), np.ones((1, times.size))
    heavy = weights.astype(np.float64)
    free = fit(y, heavy, Shapes(tau, decay, level))
    if offset == "free":
        return free
    flat = fit(y, heavy, Shapes(tau, decay, level[:0]))
    flat = flat._replace(offset=np.where(np.isnan(flat.tau), np.nan, 0.0))
    if offset == "none":
        return flat
    below = free.offset < 0
    pairs = zip(below, flat.status, free.status, strict=True)
    return DecayFit(
        tau=np.where(below, flat.tau, free.tau),
        amplitude=np.where(below, flat.amplitude, free.amplitude),
        offset=np.where(below, flat.offset, free.offset),
        goodness=np.where(below, flat.goodness, free.goodness),
        status=tuple(a if low else b for low, a, b in pairs),
    )


def fit(
    y: Float64[np.ndarray, "lags n"],
    weights: Float64[np.ndarray, "lags n"],
    shapes: Shapes,
) -> DecayFit:
    """Return the weighted least-squares fit to each column.

    Lags with a y of NaN or a weight of 0 are left out. A column needs more of them than
    the fit has parameters, else it is UNDEFINED. Where every decay makes the fit worse
    than the other terms alone, there is NO_DECAY; where the first or the last τ is the
    best, the column is AT_BOUND.
    """
    n = y.shape[1]
    kept = np.isfinite(y) & (weights > 0)
    heavy = np.where(kept, weights, 0.0)
    relative = heavy / np.maximum(heavy.max(axis=0), 1e-300)
    found = np.full((4, n), np.nan)
    outcome = np.full(n, TOO_FEW)
    # Columns with the same weights share one regression.
    patterns, which = np.unique(relative, axis=1, return_inverse=True)
    for p in range(patterns.shape[1]):
        columns = np.flatnonzero(which.ravel() == p)
        if np.count_nonzero(patterns[:, p]) <= len(shapes.others) + 2:
            continue
        regress = functools.partial(_regress, np.sqrt(patterns[:, p]), shapes)
        for start in range(0, columns.size, CHUNK):
            part = columns[start : start + CHUNK]
            found[:, part], outcome[part] = regress(np.where(kept, y, 0)[:, part])
    tau, amplitude, offset, goodness = found
    status = tuple(OUTCOMES[code] for code in outcome)
    return DecayFit(tau, amplitude, offset, goodness, status)


def _regress(
    root: np.ndarray, shapes: Shapes, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return τ, A, B and R² (rows), and the outcome, of columns with equal weights."""
    others, values = (shapes.others * root).T, y * root[:, None]
    decay = shapes.decay * root
    basis = np.linalg.qr(others)[0] if others.size else others
    left = values - basis @ (basis.T @ values)
    flat, scale = _without(basis, decay)
    gain = (flat @ left) * scale[:, None]
    best = np.argmax(gain, axis=0)
    columns = np.arange(y.shape[1])
    edge = (best == 0) | (best == len(gain) - 1)
    middle = np.clip(best, 1, len(gain) - 2)
    before, here, after = (gain[middle + i, columns] for i in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < 0)
    shift = np.where(edge, best - middle, np.clip(shift, -1, 1))
    step = np.log(shapes.tau[-1] / shapes.tau[0]) / (len(gain) - 1)
    # The shape at the refined τ, by Lagrange's polynomial through three of the grid.
    lagrange = shift * (shift - 1) / 2, 1 - shift**2, shift * (shift + 1) / 2
    refined = sum(c[:, None] * decay[middle + i - 1] for i, c in enumerate(lagrange))
    flat, scale = _without(basis, np.asarray(refined))
    amplitude = np.einsum("nl,ln->n", flat, left) * scale**2
    loss = np.sum((left - amplitude * flat.T) ** 2, axis=0)
    offset = np.full(amplitude.shape, np.nan)
    if len(shapes.others):
        rest = values - amplitude * np.asarray(refined).T
        offset = np.linalg.lstsq(others, rest, rcond=None)[0][0]
    mean = root @ values / (root @ root)
    total = np.sum((values - root[:, None] * mean) ** 2, axis=0)
    share = np.divide(loss, total, out=np.full_like(loss, np.nan), where=total > 0)
    tau = shapes.tau[middle] * np.exp(shift * step)
    rows = np.stack((tau, amplitude, offset, 1 - share))
    outcome = np.where(edge, EDGE, FITTED)
    size = np.sqrt(np.sum(values**2, axis=0))
    rising = (gain[best, columns] <= ROUNDING * size) | (amplitude <= 0)
    outcome[rising] = RISING
    rows[:, rising] = np.nan
    return rows, outcome


def _without(basis: np.ndarray, decay: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the decays without what the basis explains, and 1 / their norm, or 0."""
    flat = decay - decay @ basis @ basis.T
    norm = np.einsum("gl,gl->g", flat, flat)
    usable = norm > COLLINEAR * np.einsum("gl,gl->g", decay, decay)
    scale = np.divide(1.0, np.sqrt(norm), out=np.zeros_like(norm), where=usable)
    return flat, scale


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
