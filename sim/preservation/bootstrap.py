"""Hierarchical bootstrap: networks, their neurons, and the trials behind each τ.

All that is compared between two runs is written as sums over neurons of features. A
resampled network is then a matrix product, weights times features, and the statistics
are functions of the sums. Sums have any leading axes (bootstrap draws), then networks,
then `PAIRINGS`. Source: Saravanan, Berman & Sober 2020, doi:10.51628/001c.13927.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

Sums = Float64[np.ndarray, "..."]


class RunMoments(NamedTuple):
    """Sums over neurons of what two runs say of each, and of their products."""

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
    """Return what to sum to get `RunMoments`: zeros where x or y is NaN."""
    defined = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(defined, x, 0.0), np.where(defined, y, 0.0)
    return np.stack([defined.astype(float), x, y, x * x, y * y, x * y], axis=-1)


def moments(sums: Float64[np.ndarray, "*lead 6"]) -> RunMoments:
    """Return the moments in sums of `features`."""
    return RunMoments(*np.moveaxis(sums, -1, 0))


def each(m: RunMoments) -> Spread:
    """Return every network's own spread; variances divide by size − 1."""
    return _spread(m, _centred(m), m.size, m.size - 1)


def pooled(m: RunMoments) -> Spread:
    """Return the spread over the neurons of all networks together."""
    total = RunMoments(*(part.sum(axis=-2) for part in m))
    return _spread(total, _centred(total), total.size, total.size - 1)


def within(m: RunMoments) -> Spread:
    """Return the spread within networks: about each one's mean, over all neurons."""
    centred = tuple(part.sum(axis=-2) for part in _centred(m))
    freedom = np.maximum(m.size - 1, 0).sum(axis=-2)
    total = RunMoments(*(part.sum(axis=-2) for part in m))
    return _spread(total, centred, total.size, freedom)


def ratio(above: Sums, below: Sums) -> Sums:
    """Return above / below, and NaN where below is not greater than 0."""
    above, below = np.broadcast_arrays(above, below)
    undefined = np.full(below.shape, np.nan)
    return np.divide(above, below, out=undefined, where=below > 0)


def _centred(m: RunMoments) -> tuple[Sums, Sums, Sums]:
    """Return the sums of squares and products about the means; not below 0."""
    size = np.maximum(m.size, 1)
    # Rounding makes a sum of squares that is 0 fall below it.
    xx = np.maximum(m.xx - m.x * m.x / size, 0)
    yy = np.maximum(m.yy - m.y * m.y / size, 0)
    return xx, yy, m.xy - m.x * m.y / size


def _spread(
    m: RunMoments, centred: tuple[Sums, ...], size: Sums, freedom: Sums
) -> Spread:
    return Spread(
        ratio(m.x, size), ratio(m.y, size), *(ratio(s, freedom) for s in centred)
    )


ROWS = 1 << 22
"""Weights held in memory at a time."""


class Level(NamedTuple):
    """What the bootstrap resamples of one network.

    Attributes:
        features: what is summed over neurons, neuron × feature.
        trials_a: equally likely deviations of each neuron's log τ at stage a, row ×
            neuron; one row is drawn for all neurons, since they share their trials.
        trials_b: equally likely deviations at stage b, row × neuron.
    """

    features: Float64[np.ndarray, "n features"]
    trials_a: Float64[np.ndarray, "rows_a n"]
    trials_b: Float64[np.ndarray, "rows_b n"]


def without_trials(features: Float64[np.ndarray, "n features"]) -> Level:
    """Return a level whose trials are not resampled."""
    still = np.zeros((1, features.shape[0]))
    return Level(features, still, still)


def totals(levels: Sequence[Level]) -> Float64[np.ndarray, "networks sums"]:
    """Return the sums as they were found, with no deviation: a zero at the end."""
    sums = np.stack([level.features.sum(axis=0) for level in levels])
    return np.concatenate([sums, np.zeros((len(levels), 1))], axis=1)


def leaving_out(level: Level) -> Float64[np.ndarray, "n 1 sums"]:
    """Return a network's sums without each of its neurons in turn."""
    sums = level.features.sum(axis=0) - level.features
    return np.concatenate([sums, np.zeros((len(sums), 1))], axis=1)[:, None]


def jackknife_means(
    levels: Sequence[Level],
    statistic: Callable[[Sums], Sums],
    matters: Callable[[Sums], Bool[np.ndarray, " n"]],
    *,
    fixed: bool,
) -> list[Float64[np.ndarray, " units"]]:
    """Return a mean over networks without each of its units in turn: θ₋ᵢ of (S6).

    Units are networks in which the statistic is defined, in one group. Those of `fixed`
    networks are the neurons that matter to it, in a group for each network.
    """
    values = statistic(totals(levels))
    defined = np.isfinite(values)
    total, size = values[defined].sum(), int(defined.sum())
    if not fixed:
        return [(total - values[defined]) / max(size - 1, 1)]
    groups = []
    for level, value in zip(levels, values, strict=True):
        if np.isfinite(value):
            # Without a neuron that no sum counts the mean would be as it is: such
            # neurons would make the jackknife's units too many and its error too small.
            units = matters(level.features)
            without = statistic(leaving_out(level)[units])[:, 0]
            groups.append((total - value + without) / size)
    return groups or [np.zeros(0)]


def resample(
    levels: Sequence[Level], draws: int, rng: np.random.Generator, *, fixed: bool
) -> Float64[np.ndarray, "draws networks sums"]:
    """Return the sums over neurons of resampled networks.

    Each draw takes as many networks as there are, with replacement (`fixed` ones are
    taken as they are); of each, as many neurons as it has, with replacement; and one
    row of trial deviations at each stage. The last sum is that of b's less a's
    deviations.
    """
    n_networks = len(levels)
    # Too few networks to draw from would make draws of one network many times.
    chosen = np.tile(np.arange(n_networks), (draws, 1))
    if not fixed:
        chosen = rng.integers(n_networks, size=(draws, n_networks))
    width = levels[0].features.shape[1] + 1
    sums = np.empty((draws * n_networks, width))
    for k, level in enumerate(levels):
        # All draws of one network at once: one matrix product instead of thousands.
        (slots,) = np.nonzero(chosen.ravel() == k)
        step = max(1, ROWS // len(level.features))
        for start in range(0, len(slots), step):
            rows = slots[start : start + step]
            weights = _weights(len(level.features), len(rows), rng)
            # (S12): the sums behind Σ W d, and Σ W (e_b − e_a) as the last.
            sums[rows, :-1] = weights @ level.features
            sums[rows, -1] = _deviation(level.trials_b, weights, rng)
            sums[rows, -1] -= _deviation(level.trials_a, weights, rng)
    return sums.reshape(draws, n_networks, width)


def _weights(
    n: int, rows: int, rng: np.random.Generator
) -> Float64[np.ndarray, "rows n"]:
    """Return how often each of n is drawn in n draws with replacement."""
    neurons: Int64[np.ndarray, "rows n"] = rng.integers(n, size=(rows, n))
    # Every row counts in bins of its own, so that one bincount does for all rows.
    neurons += n * np.arange(rows)[:, None]
    counts = np.bincount(neurons.ravel(), minlength=rows * n)
    return counts.reshape(rows, n).astype(np.float64)


def _deviation(
    trials: Float64[np.ndarray, "choices n"],
    weights: Float64[np.ndarray, "rows n_and_guards"],
    rng: np.random.Generator,
) -> Float64[np.ndarray, " rows"]:
    """Return the sum over neurons of a row of deviations drawn for each draw."""
    row = rng.integers(len(trials), size=len(weights))
    neurons = trials.shape[1]  # the guards of (S16), which follow, have no trials
    return np.einsum("rn,rn->r", weights[:, :neurons], trials[row])
