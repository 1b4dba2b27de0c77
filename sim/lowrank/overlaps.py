"""Overlaps: how a network's vectors project on each other, for each population.

In the limit of many units, what a low-rank network does depends on its vectors through
their joint distribution alone; a mixture of Gaussians describes it: Dubreuil, Valente,
Beiran, Mastrogiuseppe & Ostojic 2022, doi:10.1038/s41593-022-01088-4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.rate import RateRNN
from isotau.sim.lowrank.factors import Factors


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Overlaps:
    """Moments of the vectors' entries over units, in all and for each population.

    A unit's entries in all vectors are one point; a population is a cloud of them.

    Attributes:
        names: of the vectors: m1 …, n1 …, I1 … (input), b (bias), w1 … (output; N times
            `w_out`, so that o = wᵀr/N).
        rank: number of m, and of n.
        matrix: aᵀb/N for every pair of vectors.
        fractions: α, the part of the units that each population has.
        means: mean entry, population × vector.
        covariances: population × vector × vector.
    """

    names: tuple[str, ...]
    rank: int
    matrix: Float64[np.ndarray, "k k"]
    fractions: Float64[np.ndarray, " populations"]
    means: Float64[np.ndarray, "populations k"]
    covariances: Float64[np.ndarray, "populations k k"]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        k, p = len(self.names), validation.length("fractions", self.fractions, ndim=1)
        fields: dict[str, Any] = {
            "names": tuple(self.names),
            # Each mode has an m and an n among the vectors.
            "rank": validation.whole("rank", self.rank, 1, max(1, k // 2)),
            "matrix": validation.floats("matrix", self.matrix, (k, k), "vector²"),
            "fractions": validation.floats(
                "fractions", self.fractions, (p,), "population", positive=True
            ),
            "means": validation.floats(
                "means", self.means, (p, k), "population × vector"
            ),
            "covariances": validation.floats(
                "covariances", self.covariances, (p, k, k), "population × vector²"
            ),
        }
        validation.freeze(self, fields)

    def columns(self, letter: str) -> Int64[np.ndarray, " columns"]:
        """Return where the vectors of one kind stand: "m", "n", "I", "b" or "w"."""
        places = [i for i, name in enumerate(self.names) if name[0] == letter]
        # An empty list would make an array of floats, which is no index.
        return np.array(places, dtype=np.int64)


def overlaps(
    net: RateRNN,
    factors: Factors,
    shares: Float64[np.ndarray, "n populations"]
    | Int64[np.ndarray, " n"]
    | None = None,
) -> Overlaps:
    """Return the overlaps of a network's vectors.

    Σ_p α_p (covariance_p + mean_p mean_pᵀ) is `matrix` for whatever populations.

    Args:
        net: the network.
        factors: of the network.
        shares: which population each unit belongs to: labels from 0 on, or the fraction
            that each population has of it; None for one population.

    Raises:
        ValueError: factors or shares that do not fit, or a population without units.
    """
    cloud = loadings(net, factors)
    weights = _shares(shares, net.n)
    fractions = weights.mean(axis=0)
    if not (fractions > 0).all():
        raise ValueError(
            f"shares: got no unit in population {int(np.argmin(fractions))}, need at "
            "least one; number populations without gaps"
        )
    # (K13), a unit counting in each population by its share.
    means = weights.T @ cloud / (net.n * fractions[:, None])
    covariances = np.stack(
        [
            (part[:, None] * (cloud - mean)).T @ (cloud - mean) / part.sum()
            for part, mean in zip(weights.T, means, strict=True)
        ]
    )
    return Overlaps(
        names=_names(net, factors),
        rank=factors.rank,
        # (K12)
        matrix=cloud.T @ cloud / net.n,
        fractions=fractions,
        means=means,
        covariances=covariances,
    )


def loadings(net: RateRNN, factors: Factors) -> Float64[np.ndarray, "n k"]:
    """Return every unit's entries in m, n, I, b and w, in the order of `Overlaps`."""
    if factors.n != net.n:
        raise ValueError(
            f"factors: got {factors.n} units, need {net.n}; take the network's own"
        )
    return np.hstack(
        [
            factors.m_vectors,
            factors.n_vectors,
            net.w_in,
            net.bias[:, None],
            # Readouts of these papers are wᵀφ/N: times N they are of the others' size.
            net.n * net.w_out.T,
        ]
    )


def _names(net: RateRNN, factors: Factors) -> tuple[str, ...]:
    def numbered(letter: str, count: int) -> tuple[str, ...]:
        return tuple(f"{letter}{k + 1}" for k in range(count))

    modes = numbered("m", factors.rank) + numbered("n", factors.rank)
    return (*modes, *numbered("I", net.n_in), "b", *numbered("w", net.n_out))


def _shares(shares: np.ndarray | None, n: int) -> Float64[np.ndarray, "n populations"]:
    """Return each population's fraction of each unit; the rows add to 1."""
    if shares is None:
        return np.ones((n, 1))
    if np.ndim(shares) == 1:
        labels = validation.integers(
            "shares", shares, (n,), "unit", dtype=np.int64, low=0, high=n - 1
        )
        return (labels[:, None] == np.arange(labels.max() + 1)).astype(np.float64)
    count = validation.length("shares", shares, axis=1)
    parts = validation.floats(
        "shares", shares, (n, count), "unit × population", minimum=0
    )
    # Else the parts would not add up to the whole of (K12).
    off = np.abs(parts.sum(axis=1) - 1)
    if (off > 1e-6).any():
        unit = int(np.argmax(off))
        raise ValueError(
            f"shares: got {parts[unit].sum():.6g} in all for unit {unit}, need 1; "
            "divide each row by its sum"
        )
    return parts
