"""Few registers that stand for many: clusters of decays and thresholds by logarithm.

A core holds few profiles. Registers are compared by the logarithm of what they mean, a
time constant or a threshold, so that a difference is a relative error. Along one axis
the best clusters are intervals, and dynamic programming finds them (Wang & Song 2011,
doi:10.32614/RJ-2011-015); along two it is k-means, from ten starts.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from threadpoolctl import threadpool_limits

from isotau.convert.chip import arithmetic

WITHOUT_MEMORY = 1 / 50
"""Time constant, in steps, that stands for a decay that loses everything at once."""
STARTS = 10


class Axis(NamedTuple):
    """The registers that may stand for others, and the logarithm of what one means."""

    registers: Int64[np.ndarray, " registers"]
    """In ascending order of the logarithm."""
    log: Callable[[np.ndarray], np.ndarray]


class RegisterClusters(NamedTuple):
    """Which cluster each value belongs to, what stands for it, and what that costs."""

    labels: Int64[np.ndarray, " values"]
    centres: Int64[np.ndarray, "clusters axes"]
    cost: float
    """Sum over neurons of the squared differences of logarithms."""


def log_tau(loss: Int64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Return log τ, in steps, of decays that lose loss/4096 a step, 1 ≤ loss ≤ 4096."""
    partial = np.minimum(loss, arithmetic.DECAY_UNITY - 1)
    tau = -1 / np.log1p(-partial / arithmetic.DECAY_UNITY)  # (F24), in steps
    return np.log(np.where(loss == partial, tau, WITHOUT_MEMORY))


def decay_axis(most: int) -> Axis:
    """Return the axis of decays that lose 1 to `most` of 4096 a step."""
    # From the largest loss on, as the shortest τ comes first.
    return Axis(np.arange(most, 0, -1), log_tau)


def threshold_axis() -> Axis:
    """Return the axis of threshold registers above 0."""
    return Axis(np.arange(1, arithmetic.VTH_MAX + 1), np.log)


def cluster(
    values: Int64[np.ndarray, "values axes"],
    counts: Int64[np.ndarray, " values"],
    axes: Sequence[Axis],
    k: int,
) -> RegisterClusters:
    """Return at most k clusters of distinct values; the best there are on one axis.

    Args:
        values: distinct registers, one row each. An axis on which all are the same is
            not looked at.
        counts: how many neurons have each.
        axes: what the columns of `values` are.
        k: largest number of clusters.
    """
    if len(values) <= k:
        return RegisterClusters(np.arange(len(values)), values, 0.0)
    varying = [a for a in range(values.shape[1]) if np.ptp(values[:, a]) > 0]

    def logs_of(registers: np.ndarray) -> np.ndarray:
        return np.stack([axes[a].log(registers[:, a]) for a in varying], axis=1)

    logs = logs_of(values)
    find = _intervals if len(varying) == 1 else _in_plane
    centres = np.tile(values[0], (k, 1))
    centres[:, varying] = find(logs, counts, [axes[a] for a in varying], k)
    # Two clusters may get the same register, and then one of them is not used.
    centres = np.unique(centres, axis=0)
    apart = ((logs[:, None, :] - logs_of(centres)) ** 2).sum(axis=2)
    present, labels = np.unique(np.argmin(apart, axis=1), return_inverse=True)
    cost = float(counts @ apart.min(axis=1))  # (F30)
    return RegisterClusters(labels.reshape(-1), centres[present], cost)


def share(costs: Sequence[Sequence[float]], most: int) -> list[int]:
    """Return how many clusters each class gets, for the least sum of their costs.

    Args:
        costs: for each class what 1, 2, … clusters cost it.
        most: clusters in all, at least one for each class.
    """
    # By the clusters in use so far: the least cost, and how they were shared for it.
    totals: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for table in costs:
        extended: dict[int, tuple[float, list[int]]] = {}
        for number, (cost, shares) in totals.items():
            for k, more in enumerate(table, start=1):
                total = (cost + more, [*shares, k])
                if number + k <= most and total < extended.get(
                    number + k, (np.inf, [])
                ):
                    extended[number + k] = total
        totals = extended
    return min(totals.values())[1]


def _intervals(
    logs: Float64[np.ndarray, "values 1"],
    counts: Int64[np.ndarray, " values"],
    axes: Sequence[Axis],
    k: int,
) -> np.ndarray:
    """Return the registers of the k intervals that cost least, each its best one."""
    order = np.argsort(logs[:, 0])
    # Counted from the middle, so that squares far from 0 do not cancel.
    middle = logs.mean()
    x, w = logs[order, 0] - middle, counts[order].astype(np.float64)
    sums = [np.concatenate([[0.0], np.cumsum(w * x**power)]) for power in (0, 1, 2)]
    start, stop = np.ogrid[: len(x), 1 : len(x) + 1]
    inside = stop > start
    # Σw, Σwx and Σwx² over the values from each start to each stop.
    m, s, q = (np.where(inside, total[stop] - total[start], 1.0) for total in sums)
    register = _nearest(axes[0], s / m + middle)
    centre = axes[0].log(register) - middle
    cost = np.where(inside, q - 2 * centre * s + centre**2 * m, np.inf)
    # The best cost of all values up to each stop, with one interval more each time.
    best, cuts = cost[0], []
    for _ in range(k - 1):
        total = np.concatenate([[np.inf], best[:-1]])[:, None] + cost
        cuts.append(np.argmin(total, axis=0))
        best = np.min(total, axis=0)
    bounds = [len(x)]
    for cut in reversed(cuts):
        bounds.insert(0, int(cut[bounds[0] - 1]))
    bounds.insert(0, 0)
    return np.array([[register[i, j - 1]] for i, j in pairwise(bounds)])


def _in_plane(
    logs: Float64[np.ndarray, "values 2"],
    counts: Int64[np.ndarray, " values"],
    axes: Sequence[Axis],
    k: int,
) -> np.ndarray:
    """Return pairs of registers near the means of k clusters, always the same ones."""
    # Imported here, because it takes a second and few networks come this far.
    from sklearn.cluster import KMeans

    fit = KMeans(n_clusters=k, n_init=STARTS, random_state=0)
    # On busy cores the threads for a few hundred points wait for one another.
    with threadpool_limits(1):
        fit.fit(logs, sample_weight=counts)
    means = np.asarray(fit.cluster_centers_)
    columns = zip(axes, means.T, strict=True)
    return np.stack([_nearest(axis, column) for axis, column in columns], axis=1)


def _nearest(axis: Axis, targets: Float64[np.ndarray, "*shape"]) -> np.ndarray:
    """Return the register of an axis that is nearest to each logarithm."""
    logs = axis.log(axis.registers)
    after = np.clip(np.searchsorted(logs, targets), 1, len(logs) - 1)
    nearer = targets - logs[after - 1] <= logs[after] - targets
    return axis.registers[after - nearer]
