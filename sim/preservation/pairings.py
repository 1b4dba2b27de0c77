"""What two stages and their repeats are compared by, as sums over neurons."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64
from scipy import stats

from isotau.sim.preservation.bootstrap import Level
from isotau.sim.preservation.moments import Moments, Sums, features, moments
from isotau.sim.preservation.pair import PAIRINGS, Pair, log_tau, trial_deviations

CROSS = slice(0, 4)
"""The pairings of stage a with stage b."""
REPEATS = slice(4, 6)
"""The pairings of a stage with its repeat."""
_WIDTH = 18
_END = _WIDTH * len(PAIRINGS)


def levels(pairs: Sequence[Pair], *, guarded: bool) -> list[Level]:
    """Return what to resample of every network.

    A neuron's deviations count by the share of pairings of a with b that it is in.

    Guarded ones have two neurons more that count for the loss alone: both identified in
    both runs of a, one lost in b only and one lost in the repeats of a only. Without
    them, intervals would shrink to a point where nothing was lost among few neurons.
    Source: Agresti & Min 2005, doi:10.1002/sim.1781.
    """
    runs = [log_tau(pair) for pair in pairs]
    bounds = np.cumsum([0, *(pair.n for pair in pairs)])
    every = np.concatenate(runs, axis=1)
    compared = np.concatenate([_compared(every[i], every[j]) for i, j in PAIRINGS], 1)
    found = []
    for pair, run, start, stop in zip(
        pairs, runs, bounds[:-1], bounds[1:], strict=True
    ):
        rows = np.concatenate([compared[start:stop], _kept(run)], axis=1)
        if guarded:
            rows = np.concatenate([rows, _guards()])
        there = np.isfinite(run)
        share = np.mean([there[i] & there[j] for i, j in PAIRINGS[CROSS]], axis=0)
        a, b = trial_deviations(pair)
        found.append(Level(rows, a * share, b * share))
    return found


def logs(sums: Float64[np.ndarray, "*lead sums"]) -> Moments:
    """Return the moments of log τ, network × pairing."""
    return moments(_parts(sums)[..., 0:6])


def ranks(sums: Float64[np.ndarray, "*lead sums"]) -> Moments:
    """Return the moments of the ranks of τ among all neurons, network × pairing."""
    return moments(_parts(sums)[..., 6:12])


def memberships(
    sums: Float64[np.ndarray, "*lead sums"],
) -> Float64[np.ndarray, "*lead pairings group count"]:
    """Return how many are long and short (> Q75, < Q25): in one, the other, and both.

    Quartiles are those of all networks' neurons together, as in the published work.
    """
    parts = _parts(sums)[..., 12:18]
    return parts.reshape(*parts.shape[:-1], 2, 3)


def kept(sums: Float64[np.ndarray, "*lead sums"]) -> Float64[np.ndarray, "*lead kept"]:
    """Return how many are identified: in a, in its repeat, and in both of pairings.

    The pairings are the first five of `PAIRINGS`.
    """
    return sums[..., _END : _END + 7]


def deviations(sums: Float64[np.ndarray, "*lead sums"]) -> Sums:
    """Return the sum of what other trials would have added to log ratios."""
    return sums[..., -1]


def _parts(sums: Sums) -> Sums:
    return sums[..., :_END].reshape(*sums.shape[:-1], len(PAIRINGS), _WIDTH)


def _compared(
    x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n width"]:
    """Return the features of one pairing, over the neurons of all networks."""
    both = np.isfinite(x) & np.isfinite(y)
    x_ranks, y_ranks = np.full(x.size, np.nan), np.full(x.size, np.nan)
    x_ranks[both] = stats.rankdata(x[both])
    y_ranks[both] = stats.rankdata(y[both])
    groups = []
    for sign in (1, -1):
        in_x, in_y = _upper(sign * x, both), _upper(sign * y, both)
        groups += [in_x, in_y, in_x & in_y]
    indicators = np.stack(groups, axis=-1).astype(float)
    return np.concatenate([features(x, y), features(x_ranks, y_ranks), indicators], 1)


def _upper(
    x: Float64[np.ndarray, " n"], both: Bool[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Return which of the neurons that are in both lie above the upper quartile."""
    if not both.any():
        return both
    inside = np.zeros(x.size, dtype=bool)
    inside[both] = x[both] > np.quantile(x[both], 0.75)
    return inside


def _kept(run: Float64[np.ndarray, "runs n"]) -> Float64[np.ndarray, "n 7"]:
    """Return the features of the loss."""
    there = np.isfinite(run)
    columns = [there[0], there[1], *(there[i] & there[j] for i, j in PAIRINGS[:5])]
    return np.stack(columns, axis=-1).astype(float)


def _guards() -> Float64[np.ndarray, "2 features"]:
    """Return the features of the two neurons that guard the loss."""
    rows = np.zeros((2, _END + 7))
    rows[0, _END:] = [1, 1, 0, 0, 0, 0, 1]
    rows[1, _END:] = [1, 1, 1, 1, 1, 1, 0]
    return rows
