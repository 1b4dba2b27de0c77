"""What two stages and their repeats are compared by, as sums over neurons.

Among it the three numbers that decide: shift, scatter and loss of a network. A run and
its repeat are exchangeable, so every number is averaged over all pairings of the runs
of a with the runs of b; this halves the noise of one run and uses no neuron less.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy import stats

from isotau.sim.preservation.bootstrap import (
    Level,
    RunMoments,
    Sums,
    each,
    features,
    moments,
    ratio,
)
from isotau.sim.preservation.pair import PAIRINGS, Pair, log_tau, trial_deviations

NetworkSums = Float64[np.ndarray, "*lead networks sums"]
CROSS = slice(0, 4)
"""The pairings of stage a with stage b."""
REPEATS = slice(4, 6)
"""The pairings of a stage with its repeat."""
_WIDTH = 18
"""Sums of a pairing: six of log τ, six of ranks, three each of long and of short."""
_END = _WIDTH * len(PAIRINGS)
"""Where the sums of who is identified begin."""


def levels(pairs: Sequence[Pair]) -> list[Level]:
    """Return what to resample of every network.

    A neuron's deviations count by the share of pairings of a with b that it is in.
    """
    runs = [log_tau(pair) for pair in pairs]
    bounds = np.cumsum([0, *(pair.n for pair in pairs)])
    every = np.concatenate(runs, axis=1)
    # Ranks and quartiles are those among the neurons of all networks.
    compared = np.concatenate([_compared(every[i], every[j]) for i, j in PAIRINGS], 1)
    networks = []
    for pair, run, start, stop in zip(
        pairs, runs, bounds[:-1], bounds[1:], strict=True
    ):
        rows = np.concatenate([compared[start:stop], _kept(run)], axis=1)
        identified = np.isfinite(run)
        paired = [identified[i] & identified[j] for i, j in PAIRINGS[CROSS]]
        # A neuron in half of the pairings adds half of its deviation to their mean.
        share = np.mean(paired, axis=0)
        a, b = trial_deviations(pair)
        networks.append(Level(rows, a * share, b * share))
    return networks


def guard(networks: Sequence[Level]) -> list[Level]:
    """Return networks with two neurons more each, that count for the loss alone.

    Both are identified in both runs of a; one is lost in b only and one in the repeats
    of a only. Without them, intervals would shrink to a point where nothing was lost
    among few neurons. Source: Agresti & Min 2005, doi:10.1002/sim.1781.
    """
    guards = _guards()
    return [
        level._replace(features=np.concatenate([level.features, guards]))
        for level in networks
    ]


def logs(sums: Float64[np.ndarray, "*lead sums"]) -> RunMoments:
    """Return the moments of log τ, network × pairing."""
    return moments(_parts(sums)[..., 0:6])


def ranks(sums: Float64[np.ndarray, "*lead sums"]) -> RunMoments:
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
    both = np.stack([x, y])
    defined = np.isfinite(both).all(axis=0)
    # Of the negated numbers the upper quartile is the lower one.
    signed = np.concatenate([both, -both])
    rank_rows, outer = np.full(both.shape, np.nan), np.zeros(signed.shape, dtype=bool)
    if defined.any():
        rank_rows[:, defined] = stats.rankdata(both[:, defined], axis=1)
        inside = signed[:, defined]
        outer[:, defined] = inside > np.quantile(inside, 0.75, axis=1, keepdims=True)
    groups = [
        g for one, other in (outer[:2], outer[2:]) for g in (one, other, one & other)
    ]
    indicators = np.stack(groups, axis=-1).astype(float)
    return np.concatenate([features(x, y), features(*rank_rows), indicators], 1)


def _kept(run: Float64[np.ndarray, "runs n"]) -> Float64[np.ndarray, "n 7"]:
    """Return the features of the loss."""
    identified = np.isfinite(run)
    paired = (identified[i] & identified[j] for i, j in PAIRINGS[:5])
    columns = [identified[0], identified[1], *paired]
    return np.stack(columns, axis=-1).astype(float)


def _guards() -> Float64[np.ndarray, "2 features"]:
    """Return the features of the two neurons that guard the loss."""
    # (S16), in the order of `kept`: lost in b alone, then in the repeat alone.
    rows = np.zeros((2, _END + 7))
    rows[0, _END:] = [1, 1, 0, 0, 0, 0, 1]
    rows[1, _END:] = [1, 1, 1, 1, 1, 1, 0]
    return rows


def shift(sums: NetworkSums) -> Float64[np.ndarray, "*lead networks"]:
    """Return each network's mean log ratio of b to a; NaN if a pairing has no neuron.

    With what other trials would have made of it, if the sums are resampled ones.
    """
    m = logs(sums)
    # (S2), with the trials' part of (S12)
    means = ratio(m.y - m.x, m.size)[..., CROSS].mean(axis=-1)
    neurons = m.size[..., CROSS].mean(axis=-1)
    return means + ratio(deviations(sums), neurons)


def repeat_shift(sums: NetworkSums) -> Float64[np.ndarray, "*lead networks stage"]:
    """Return each network's mean log ratio of the repeat to the run, of a and of b."""
    m = logs(sums)
    return ratio(m.y - m.x, m.size)[..., REPEATS]


def ratio_variances(
    sums: NetworkSums,
) -> Float64[np.ndarray, "*lead networks pairings"]:
    """Return the variance over a network's neurons of the log ratio of each pairing."""
    # Rounding makes a variance of 0 fall below it.
    spread = each(logs(sums))
    return np.maximum(spread.var_x + spread.var_y - 2 * spread.cov, 0)


def scatter_parts(sums: NetworkSums) -> tuple[Sums, Sums]:
    """Return the two variances whose difference is the scatter beyond the noise floor.

    Estimates of the variance of the mean log ratio of both runs, and of the noise in
    it, that are independent of each other. The difference may be negative.
    """
    # (S3) as (S4) splits it: A, then F.
    variances = ratio_variances(sums)
    noise = variances[..., REPEATS].sum(axis=-1) / 4
    return variances[..., CROSS].mean(axis=-1) - noise, noise


def loss(sums: NetworkSums) -> tuple[Sums, Sums]:
    """Return the share of neurons identified in a that b, and that a repeat, loses."""
    counts = kept(sums)
    # (S5): of the four pairings of a with b, then of a with its repeat either way.
    runs = np.stack([counts[..., 0]] * 2 + [counts[..., 1]] * 2, axis=-1)
    by_b = 1 - ratio(counts[..., 2:6], runs).mean(axis=-1)
    by_repeat = 1 - ratio(counts[..., 6:7], counts[..., 0:2]).mean(axis=-1)
    return by_b, by_repeat


def mean_of_defined(values: Sums, axis: int = -1) -> Sums:
    """Return the mean of what is no NaN; NaN where there is nothing else."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(axis=axis)
    return ratio(total, defined.sum(axis=axis))
