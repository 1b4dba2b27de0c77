"""Populations of units, found in the cloud of their entries in a network's vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from sklearn.mixture import GaussianMixture

from isotau.convert import validation


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Populations:
    """What a mixture of Gaussians says of the units; the largest population is first.

    Attributes:
        shares: probability that a unit belongs to a population, unit × population.
        counts: numbers of populations that were tried.
        bic: Bayesian information criterion of each; the smallest was taken.
    """

    shares: Float64[np.ndarray, "n populations"]
    counts: tuple[int, ...]
    bic: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = validation.length("shares", self.shares)
        count = validation.length("shares", self.shares, axis=1)
        fields: dict[str, Any] = {
            "shares": validation.floats(
                "shares", self.shares, (n, count), "unit × population", minimum=0
            ),
            "counts": tuple(int(k) for k in self.counts),
            "bic": tuple(float(value) for value in self.bic),
        }
        validation.freeze(self, fields)

    @property
    def labels(self) -> Int64[np.ndarray, " n"]:
        """The likeliest population of each unit."""
        return self.shares.argmax(axis=1)


def find_populations(
    loadings: Float64[np.ndarray, "n k"],
    *,
    rng: np.random.Generator,
    counts: Sequence[int] = (1, 2, 3, 4),
    restarts: int = 10,
) -> Populations:
    """Return the mixture of Gaussians with the smallest BIC on the units' entries.

    Every vector is divided by its own standard deviation first; vectors of one value
    are left out. Populations that share their centre and differ in covariance alone, as
    trained networks often have, are found in the same way, but need many units.

    Args:
        loadings: from `isotau.sim.lowrank.overlaps.loadings`.
        rng: of the starts.
        counts: numbers of populations to try.
        restarts: starts for each number.

    Raises:
        ValueError: counts that are none or no number of populations, or more of them
            than units.
    """
    n = validation.length("loadings", loadings)
    k = validation.length("loadings", loadings, axis=1)
    cloud = validation.floats("loadings", loadings, (n, k), "unit × vector")
    if not counts or min(counts) < 1 or max(counts) > n:
        raise ValueError(f"counts: got {tuple(counts)}, need numbers from 1 to {n}")
    spread = cloud.std(axis=0)
    varies = spread > 1e-12 * np.maximum(np.abs(cloud).max(axis=0), 1e-300)
    if not varies.any():
        raise ValueError("loadings: got the same for every unit, need differences")
    cloud = (cloud[:, varies] - cloud[:, varies].mean(axis=0)) / spread[varies]
    fits = [
        GaussianMixture(
            count,
            n_init=restarts,
            max_iter=1000,
            random_state=int(rng.integers(2**31)),
        ).fit(cloud)
        for count in counts
    ]
    bic = [float(fit.bic(cloud)) for fit in fits]
    shares = fits[int(np.argmin(bic))].predict_proba(cloud)
    order = np.argsort(-shares.sum(axis=0), kind="stable")
    return Populations(shares=shares[:, order], counts=tuple(counts), bic=tuple(bic))
