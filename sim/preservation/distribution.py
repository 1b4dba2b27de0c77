"""Whether two stages have the same distribution of τ, whichever neuron has which.

Networks are the units: their labels a and b are exchanged as wholes, because neurons of
one network are not independent.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation

EXACT = 10
"""Networks up to which all permutations are taken."""
Groups = Sequence[np.ndarray]  # of any lengths


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distances:
    """Distances between the distributions of log τ, over the neurons of all networks.

    Attributes:
        wasserstein: Wasserstein-1 of a and b: the mean |log ratio| of equal quantiles.
        wasserstein_floor: the mean of that of a, and of b, and their repeats.
        wasserstein_p: share of permutations of networks with as large a distance; NaN
            for fewer than two networks, whose permutation changes nothing.
        kolmogorov: Kolmogorov–Smirnov's, the largest difference of cumulative shares.
        kolmogorov_floor: the mean of that of the repeats.
        kolmogorov_p: share of permutations with as large a one, or NaN.
    """

    wasserstein: float
    wasserstein_floor: float
    wasserstein_p: float
    kolmogorov: float
    kolmogorov_floor: float
    kolmogorov_p: float

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields: dict[str, Any] = {}
        for name in self.__slots__:
            value = float(getattr(self, name))
            if not np.isnan(value):
                value = validation.number(name, value, minimum=0.0)
            fields[name] = value
        validation.freeze(self, fields)


def distances(
    runs: Sequence[Float64[np.ndarray, "runs n"]],
    draws: int,
    rng: np.random.Generator,
) -> Distances:
    """Return the distances of two stages and the chance of as large ones.

    Args:
        runs: log τ of each network, from `pair.log_tau`; NaN where there is none.
        draws: permutations, where there are too many networks for all.
        rng: draws them.
    """
    a, a_again, b, b_again = (
        [row[np.isfinite(row)] for row in rows] for rows in zip(*runs, strict=True)
    )
    unchanged = np.zeros((1, len(runs)), dtype=bool)
    (wasserstein, kolmogorov), *floors = (
        [float(distance[0]) for distance in _exchanged(*pair, unchanged)]
        for pair in ((a, b), (a, a_again), (b, b_again))
    )
    ps = (np.nan, np.nan)
    if len(runs) > 1 and not np.isnan(wasserstein):
        swaps, exact = permutations(len(runs), draws, rng)
        areas, peaks = _exchanged(a, b, swaps)
        ps = _share(wasserstein, areas, exact), _share(kolmogorov, peaks, exact)
    floor = np.mean(floors, axis=0)
    return Distances(
        wasserstein=wasserstein,
        wasserstein_floor=floor[0],
        wasserstein_p=ps[0],
        kolmogorov=kolmogorov,
        kolmogorov_floor=floor[1],
        kolmogorov_p=ps[1],
    )


def permutations(
    networks: int, draws: int, rng: np.random.Generator
) -> tuple[Bool[np.ndarray, "permutations networks"], bool]:
    """Return which networks exchange their labels, and whether these are all ways.

    The first network keeps its label where all are taken: exchanging all is no change.
    """
    if networks <= EXACT:
        # (S25): of an exchange and its opposite one is enough.
        ways = list(itertools.product([False, True], repeat=networks - 1))
        return np.array([(False, *way) for way in ways]), True
    return rng.random((draws, networks)) < 0.5, False


def _share(
    distance: float, permuted: Float64[np.ndarray, " draws"], exact: bool
) -> float:
    """Return the share of permuted distances that are as large, but for rounding.

    The distance itself counts among drawn ones, as it does among all (Phipson & Smyth
    2010, doi:10.2202/1544-6115.1585).
    """
    as_large = permuted >= distance * (1 - 1e-9)
    # An exchange that leaves nothing to compare is no evidence of a difference.
    hits, size = int((as_large | np.isnan(permuted)).sum()), permuted.size
    # (S25)
    return hits / size if exact else (hits + 1) / (size + 1)


def _exchanged(
    a: Groups, b: Groups, swaps: Bool[np.ndarray, "permutations networks"]
) -> tuple[Float64[np.ndarray, " permutations"], Float64[np.ndarray, " permutations"]]:
    """Return both distances after some networks exchanged a and b.

    Both are of the step functions F_a − F_b: Wasserstein-1 is the integral of the
    absolute difference, Kolmogorov–Smirnov's its maximum.
    """
    values = np.concatenate([*a, *b])
    sizes = [len(group) for group in (*a, *b)]
    network = np.repeat(np.tile(np.arange(len(a)), 2), sizes)
    in_b = np.repeat(np.repeat([False, True], len(a)), sizes)
    order = np.argsort(values, kind="stable")
    values, network, in_b = values[order], network[order], in_b[order]
    gaps = np.diff(values)
    areas, peaks = np.full(len(swaps), np.nan), np.full(len(swaps), np.nan)
    for k, swap in enumerate(swaps):
        now_b = in_b ^ swap[network]
        n_b = int(now_b.sum())
        if not 0 < n_b < values.size:
            continue
        # (S24): F_a − F_b changes at every value by one share of a or of b.
        steps = np.where(now_b, -1 / n_b, 1 / (values.size - n_b))
        apart = np.abs(np.cumsum(steps))[:-1]
        areas[k] = apart @ gaps
        # Among equal values the difference is not yet what it will be after them.
        peaks[k] = apart[gaps > 0].max(initial=0.0)
    return areas, peaks
