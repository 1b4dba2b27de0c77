"""Sums over neurons, from which a bootstrap gets its statistics by adding weights.

All that is compared between two runs is written as sums over neurons of some features.
A resampled network is then a matrix product, weights times features, and the statistics
are functions of the sums. Sums have any leading axes (bootstrap draws), then networks,
then `PAIRINGS`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

Sums = Float64[np.ndarray, "..."]


class Moments(NamedTuple):
    """Sums over neurons of two numbers per neuron, and of their products."""

    size: Sums
    x: Sums
    y: Sums
    xx: Sums
    yy: Sums
    xy: Sums


class Spread(NamedTuple):
    """Means, variances and the covariance of two numbers; NaN where undefined."""

    mean_x: Sums
    mean_y: Sums
    var_x: Sums
    var_y: Sums
    cov: Sums


def features(
    x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n 6"]:
    """Return what to sum over neurons to get `Moments`; zeros where x or y is NaN."""
    both = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
    return np.stack([both.astype(float), x, y, x * x, y * y, x * y], axis=-1)


def moments(sums: Float64[np.ndarray, "*lead 6"]) -> Moments:
    """Return the moments in sums of `features`."""
    return Moments(*np.moveaxis(sums, -1, 0))


def each(m: Moments) -> Spread:
    """Return every network's own spread; variances divide by size − 1."""
    return _spread(m, _centred(m), m.size, m.size - 1)


def pooled(m: Moments) -> Spread:
    """Return the spread over the neurons of all networks together."""
    total = Moments(*(part.sum(axis=-2) for part in m))
    return _spread(total, _centred(total), total.size, total.size - 1)


def within(m: Moments) -> Spread:
    """Return the spread within networks: about each one's mean, over all neurons."""
    centred = tuple(part.sum(axis=-2) for part in _centred(m))
    freedom = np.maximum(m.size - 1, 0).sum(axis=-2)
    total = Moments(*(part.sum(axis=-2) for part in m))
    return _spread(total, centred, total.size, freedom)


def ratio(above: Sums, below: Sums) -> Sums:
    """Return above / below, and NaN where below is not greater than 0."""
    above, below = np.broadcast_arrays(above, below)
    out = np.full(below.shape, np.nan)
    return np.divide(above, below, out=out, where=below > 0)


def _centred(m: Moments) -> tuple[Sums, Sums, Sums]:
    """Return the sums of squares and products about the means; not below 0."""
    size = np.maximum(m.size, 1)
    xx = np.maximum(m.xx - m.x * m.x / size, 0)
    yy = np.maximum(m.yy - m.y * m.y / size, 0)
    return xx, yy, m.xy - m.x * m.y / size


def _spread(m: Moments, centred: tuple[Sums, ...], size: Sums, freedom: Sums) -> Spread:
    return Spread(
        ratio(m.x, size), ratio(m.y, size), *(ratio(s, freedom) for s in centred)
    )
