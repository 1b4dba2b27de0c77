"""The fit of a decay to measured correlations, for many neurons at a time.

y(k) ≈ A s_τ(k) + Σⱼ Bⱼ gⱼ(k): for any τ the best A and B are a linear regression, so
what is left is a search over τ alone, which a fine grid makes global (variable
projection; Golub & Pereyra 1973, doi:10.1137/0710036). A is at least 0.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Real

from isotau.convert.ground import validation
from isotau.sim.timescales.estimators.judge import NeuronFits
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
OUTCOMES = np.array(
    [Status.OK, Status.UNDEFINED, Status.NO_DECAY, Status.AT_BOUND], dtype=object
)
FITTED, TOO_FEW, RISING, EDGE = range(len(OUTCOMES))
ROUNDING = 1e-12
"""A decay that explains no more of y, relative to its size, is rounding."""


class Shapes(NamedTuple):
    """What a decay looks like, for each τ that is tried.

    Attributes:
        tau: in seconds, ascending and evenly spaced in log τ.
        decay: τ × lags; s_τ.
        terms: terms × lags; g, the terms with a free factor of either sign.
    """

    tau: Float64[np.ndarray, " taus"]
    decay: Float64[np.ndarray, "taus lags"]
    terms: Float64[np.ndarray, "terms lags"]


def timescale_grid(
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


def fit_exponential(
    y: Float64[np.ndarray, "lags n"],
    weights: Real[np.ndarray, "lags n"],
    tau: Float64[np.ndarray, " taus"],
    times: Float64[np.ndarray, " lags"],
    offset: str,
) -> NeuronFits:
    """Return the fit of A exp(−t/τ) + B with a B that is one of `OFFSETS`.

    A "positive" B is the free one where that is at least 0, and 0 elsewhere.
    """
    # (T12); the level is the term beside the decay.
    decay, level = exponentials(tau, times), np.ones((1, times.size))
    heavy = weights.astype(np.float64)
    if offset == "free":
        return fit_shapes(y, heavy, Shapes(tau, decay, level))
    flat = fit_shapes(y, heavy, Shapes(tau, decay, level[:0]))
    # A B that is not fitted is 0, not missing; unless there is no fit at all.
    flat = flat._replace(offset=np.where(np.isnan(flat.tau), np.nan, 0.0))
    if offset == "none":
        return flat
    free = fit_shapes(y, heavy, Shapes(tau, decay, level))
    below = free.offset < 0
    return NeuronFits(
        *(np.where(below, *pair) for pair in zip(flat, free, strict=True))
    )


def fit_shapes(
    y: Float64[np.ndarray, "lags n"],
    weights: Float64[np.ndarray, "lags n"],
    shapes: Shapes,
) -> NeuronFits:
    """Return the weighted least-squares fit to each column, as y ≈ A s_τ + Σ B g.

    Lags with a y of NaN or a weight of 0 are left out. A column needs more of them than
    the fit has parameters, else it is UNDEFINED. Where every decay makes the fit worse
    than the other terms alone, there is NO_DECAY; where the first or the last τ is the
    best, the column is AT_BOUND.

    `amplitude` is A, `offset` the B of the first other term (NaN where there is none),
    `goodness` R², the share of the weighted variance that the fit explains. A fit
    without a decay may stand for any τ, one that ends at the shortest τ for any below
    it, one at the longest for any above.
    """
    n = y.shape[1]
    present = np.isfinite(y) & (weights > 0)
    heavy = np.where(present, weights, 0.0)
    relative = heavy / np.maximum(heavy.max(axis=0), 1e-300)
    numbers = np.full((4, n), np.nan)
    outcome = np.full(n, TOO_FEW)
    # Columns with the same weights share one regression.
    patterns, pattern_of = np.unique(relative, axis=1, return_inverse=True)
    for p in range(patterns.shape[1]):
        columns = np.flatnonzero(pattern_of.ravel() == p)
        # A and τ come on top of the other terms' factors.
        if np.count_nonzero(patterns[:, p]) <= len(shapes.terms) + 2:
            continue
        regress = functools.partial(_regress, np.sqrt(patterns[:, p]), shapes)
        for start in range(0, columns.size, CHUNK):
            part = columns[start : start + CHUNK]
            numbers[:, part], outcome[part] = regress(np.where(present, y, 0)[:, part])
    tau, amplitude, offset, goodness = numbers
    flat = outcome == RISING
    return NeuronFits(
        tau,
        amplitude,
        offset,
        goodness,
        OUTCOMES[outcome],
        least=np.where(flat | (tau <= shapes.tau[0]), 0.0, tau),
        most=np.where(flat | (tau >= shapes.tau[-1]), np.inf, tau),
    )


def _regress(
    root: np.ndarray, shapes: Shapes, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return τ, A, B and R² (rows), and the outcome, of columns with equal weights.

    `root` are the square roots of the weights, which make the regression a plain one.
    """
    terms, values = (shapes.terms * root).T, y * root[:, None]
    decay = shapes.decay * root
    basis = np.linalg.qr(terms)[0] if terms.size else terms
    # (T13): what the other terms explain is taken out of both sides.
    residual = values - basis @ (basis.T @ values)
    pure, scale = _without(basis, decay)
    gain = (pure @ residual) * scale[:, None]
    best = np.argmax(gain, axis=0)
    columns = np.arange(y.shape[1])
    edge = (best == 0) | (best == len(gain) - 1)
    middle = np.clip(best, 1, len(gain) - 2)
    # (T14): a parabola through the gain at the best τ and beside it.
    before, peak, after = (gain[middle + i, columns] for i in (-1, 0, 1))
    bend = before - 2 * peak + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < 0)
    shift = np.where(edge, best - middle, np.clip(shift, -1, 1))
    step = np.log(shapes.tau[-1] / shapes.tau[0]) / (len(gain) - 1)
    # The shape at the refined τ, by Lagrange's polynomial through three of the grid.
    lagrange = shift * (shift - 1) / 2, 1 - shift**2, shift * (shift + 1) / 2
    refined = sum(c[:, None] * decay[middle + i - 1] for i, c in enumerate(lagrange))
    pure, scale = _without(basis, np.asarray(refined))
    amplitude = np.einsum("nl,ln->n", pure, residual) * scale**2
    loss = np.sum((residual - amplitude * pure.T) ** 2, axis=0)
    offset = np.full(amplitude.shape, np.nan)
    if len(shapes.terms):
        beside = values - amplitude * np.asarray(refined).T
        offset = np.linalg.lstsq(terms, beside, rcond=None)[0][0]
    # (T15)
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
    pure = decay - decay @ basis @ basis.T
    norm = np.einsum("gl,gl->g", pure, pure)
    usable = norm > COLLINEAR * np.einsum("gl,gl->g", decay, decay)
    scale = np.divide(1.0, np.sqrt(norm), out=np.zeros_like(norm), where=usable)
    return pure, scale
