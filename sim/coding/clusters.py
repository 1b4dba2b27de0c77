"""Where two groups' matrices differ: a permutation test on clusters of elements.

E. Maris & R. Oostenveld 2007, doi:10.1016/j.jneumeth.2007.03.024: neighbouring elements
that all stand out are summed, and the sum is held against the largest one that chance
makes anywhere, which keeps false alarms at the level for the matrix as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import ndimage
from scipy.stats import norm

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.coding.discriminability import (
    LEAST_UNITS,
    Patterns,
    add,
    correlate,
    off_diagonal,
    sums,
)
from isotau.sim.coding.groups import Groups

FORMING = 0.05
PERMUTATIONS = 500
FEW_NETWORKS = 6
"""With fewer, no shuffling of networks makes p < 0.05."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clusters:
    """A difference of two matrices and the clusters in it.

    Attributes:
        difference: t₁ × t₂.
        times: of rows and columns, in seconds.
        labels: t₁ × t₂; 0 outside clusters, k in the k-th.
        signs: of the difference in each cluster, +1 or −1.
        p: of each cluster, for the matrix as a whole; not below 1/(1 + permutations).
        permutations: how many chance was asked.
    """

    difference: Float64[np.ndarray, "samples samples"]
    times: Float64[np.ndarray, " samples"]
    labels: Int64[np.ndarray, "samples samples"]
    signs: Int64[np.ndarray, " clusters"]
    p: Float64[np.ndarray, " clusters"]
    permutations: int

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        samples, count = len(self.times), len(self.p)
        shape = (samples, samples)
        difference = np.array(self.difference, dtype=np.float64)
        if difference.shape != shape:
            raise ValueError(f"difference: got shape {difference.shape}, need {shape}")
        difference.setflags(write=False)
        fields: dict[str, Any] = {
            "difference": difference,
            "times": validation.floats("times", self.times, (samples,), "sample"),
            "labels": validation.integers(
                "labels",
                self.labels,
                shape,
                "t₁ × t₂",
                dtype=np.int64,
                low=0,
                high=count,
            ),
            "signs": validation.integers(
                "signs", self.signs, (count,), "cluster", dtype=np.int64, low=-1, high=1
            ),
            "p": validation.floats("p", self.p, (count,), "cluster", minimum=0),
            "permutations": validation.whole(
                "permutations", self.permutations, 1, 1 << 30
            ),
        }
        validation.freeze(self, fields)


def significant(clusters: Clusters, level: float = 0.05) -> Bool[np.ndarray, "s s"]:
    """Return the elements in clusters with p ≤ level."""
    return np.isin(clusters.labels, 1 + np.flatnonzero(clusters.p <= level))


def find_clusters(
    difference: Float64[np.ndarray, "samples samples"],
    chance: Float64[np.ndarray, "permutations samples samples"],
    times: Float64[np.ndarray, " samples"],
    *,
    where: Bool[np.ndarray, "samples samples"] | None = None,
    forming: float = FORMING,
) -> Clusters:
    """Return the clusters in a difference and how often chance makes larger ones.

    Each element is standardized by its mean and SD under chance; those beyond the
    normal quantile of `forming` (two-sided) form clusters with neighbours of the same
    sign above, below, left and right. A cluster's size is its sum of |z|.

    Args:
        difference: observed.
        chance: the same statistic where the groups' names mean nothing.
        times: of rows and columns, in seconds.
        where: elements that may be in clusters, such as those off the diagonal.
        forming: probability by which an element joins a cluster.

    Raises:
        ValueError: chance of another shape; a probability outside 0 to 1.
    """
    if not 0 < forming < 1:
        raise ValueError(f"forming: got {forming}, need a probability between 0 and 1")
    if chance.ndim != 3 or chance.shape[1:] != difference.shape or len(chance) < 2:
        raise ValueError(
            f"chance: got shape {chance.shape}, need several of {difference.shape}"
        )
    # An element without spread under chance can be neither near nor far.
    usable = np.isfinite(difference) & np.isfinite(chance).all(axis=0)
    spread = np.where(usable, chance.std(axis=0), 0.0)
    usable &= spread > 0
    if where is not None:
        usable &= where
    # (M12)
    mean, spread = chance.mean(axis=0), np.where(usable, spread, 1.0)
    beyond = float(norm.isf(forming / 2))
    labels, signs, sizes = _clusters((difference - mean) / spread, usable, beyond)
    largest = np.array(
        [
            _clusters((matrix - mean) / spread, usable, beyond)[2].max(initial=0.0)
            for matrix in chance
        ]
    )
    # The largest anywhere: the p of a cluster then holds for the whole matrix.
    exceed = (largest >= sizes[:, None]).sum(axis=1)
    return Clusters(
        difference=difference,
        times=times,
        labels=labels,
        signs=signs,
        # The observed matrix is one of the permutations, so that p is never 0.
        p=(1 + exceed) / (1 + len(chance)),
        permutations=len(chance),
    )


def flip_networks(
    differences: Float64[np.ndarray, "networks samples samples"],
    rng: np.random.Generator,
    *,
    permutations: int = PERMUTATIONS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean difference over networks, and the same with random signs.

    With few networks little can be shown: of k, no p falls below about 2^(1 − k).

    Raises:
        ValueError: a single network.
    """
    networks = len(differences)
    if networks < 2:
        raise ValueError(
            f"differences: got {networks} networks, need at least 2; permute units "
            "instead"
        )
    # (M13): under chance a network's difference is as likely to be its negative.
    signs = rng.choice([-1.0, 1.0], size=(permutations, networks)) / networks
    return differences.mean(axis=0), np.tensordot(signs, differences, axes=1)


def swap_units(
    patterns: Sequence[Patterns],
    long: Sequence[np.ndarray],
    short: Sequence[np.ndarray],
    rng: np.random.Generator,
    *,
    permutations: int = PERMUTATIONS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return long less short units' discriminability, and the same with names shuffled.

    Which of a network's units are long is shuffled within the network; it takes no more
    than one, but says nothing of other networks.

    Raises:
        ValueError: a group of fewer than three units.
    """
    # Three units at least have a correlation that is not ±1 whatever they do.
    sizes = [int(np.sum([mask.sum() for mask in group])) for group in (long, short)]
    if min(sizes) < LEAST_UNITS:
        raise ValueError(
            f"long, short: got {sizes[0]} and {sizes[1]} units, need {LEAST_UNITS} of "
            "each"
        )
    whole = [sums(p, a | b) for p, a, b in zip(patterns, long, short, strict=True)]
    everyone = add(whole)

    def difference(masks: Sequence[np.ndarray]) -> np.ndarray:
        # Short are all that are not long: their moments are a difference, not a sum.
        group = add([sums(p, mask) for p, mask in zip(patterns, masks, strict=True)])
        return correlate(group) - correlate(add([everyone, group], [1, -1]))

    chance = []
    for _ in range(permutations):
        masks = []
        for a, b in zip(long, short, strict=True):
            # As many long units in every network as there are: rates stay matched.
            mask = np.zeros_like(a)
            mask[rng.choice(np.flatnonzero(a | b), a.sum(), False)] = True
            masks.append(mask)
        chance.append(difference(masks))
    return difference(long), np.array(chance)


def compare_groups(
    patterns: Sequence[Patterns],
    draws: Sequence[Groups],
    rng: np.random.Generator,
    *,
    lag: float,
    permutations: int = PERMUTATIONS,
    forming: float = FORMING,
) -> tuple[Clusters | None, str]:
    """Return clusters of long less short units' discriminability, and how tested.

    By shuffling "networks", where at least six have three units of each group in every
    draw; else "units", of the first draw; None where that has too few.

    Args:
        patterns: of each network.
        draws: sets of long and short units, averaged.
        rng: shuffles.
        lag: how far from the diagonal clusters may be, in seconds.
        permutations: how many.
        forming: see `find_clusters`.
    """
    differences = []
    for k, one in enumerate(patterns):
        pairs = [(draw.long[k], draw.short[k]) for draw in draws]
        if min(int(mask.sum()) for pair in pairs for mask in pair) >= LEAST_UNITS:
            matrices = [[correlate(sums(one, mask)) for mask in p] for p in pairs]
            differences.append(np.mean([a - b for a, b in matrices], axis=0))
    # Networks where there are enough of them: only they speak for others.
    if len(differences) >= FEW_NETWORKS:
        matrices_of_chance = flip_networks(
            np.array(differences), rng, permutations=permutations
        )
        shuffled = "networks"
    elif min(draws[0].sizes) >= LEAST_UNITS:
        long, short = draws[0].long, draws[0].short
        matrices_of_chance = swap_units(
            patterns, long, short, rng, permutations=permutations
        )
        shuffled = "units"
    else:
        return None, ""
    times = patterns[0].times
    # On the diagonal both groups hold what they hold at once: no stability is there.
    far = off_diagonal(times, lag)
    clusters = find_clusters(*matrices_of_chance, times, where=far, forming=forming)
    return clusters, shuffled


def _clusters(
    z: np.ndarray, usable: np.ndarray, beyond: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels of clusters, their signs and their sums of |z|."""
    labels = np.zeros(z.shape, dtype=np.int64)
    signs: list[int] = []
    for sign in (1, -1):
        # Apart by sign: neighbours of opposite signs are no cluster.
        parts, count = ndimage.label(usable & (sign * z > beyond))
        labels[parts > 0] = parts[parts > 0] + len(signs)
        signs += [sign] * count
    sizes = np.bincount(labels.ravel(), np.abs(z).ravel(), len(signs) + 1)[1:]
    return labels, np.array(signs, dtype=np.int64), sizes
