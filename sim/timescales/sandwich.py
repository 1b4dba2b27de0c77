"""How far the spread of real data exceeds what a Gaussian likelihood takes for given.

Spike counts are no Gaussians: their fourth moments make a likelihood of second moments
too sure of itself. The remedy is Huber's: compare the variance of the score over trials
with what the likelihood expects of it. H. White 1982, doi:10.2307/1912526; the degrees
of freedom after Satterthwaite, doi:10.2307/3002019.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from isotau.sim.timescales.covariance import matrix
from isotau.sim.timescales.likelihood import noise_matrix

STEP = 1e-3
"""Of log τ, log g and ρ, for derivatives of the covariance."""
BOUNDS = 0.5, 30.0


class Inflation(NamedTuple):
    """By what the curvature of the likelihood of log τ overstates what is known."""

    kappa: float
    """Variance of log τ over the one that the likelihood alone would give."""
    freedom: float
    """Degrees of freedom of that variance, from the kurtosis of the scores."""


class Point(NamedTuple):
    """A point of the likelihood (see `likelihood`)."""

    tau: float
    rho: float
    gain: float
    white: float
    regularity: float
    free: bool


def inflation(
    values: Float64[np.ndarray, "bins trials"], kind: str, bin_width: float, at: Point
) -> Inflation:
    """Return how much wider intervals for log τ must be than the likelihood says.

    κ = (H⁻¹ J H⁻¹)₁₁ / (H⁻¹)₁₁ with H the expected information of all free parameters
    and J the sum over trials of outer products of their scores; it is kept between
    `BOUNDS`. κ = 1 for Gaussian data. ρ counts as free where it is not 0.

    Args:
        values: of one neuron, at least 2 trials.
        kind: "counts" or "signal".
        bin_width: in seconds.
        at: where the likelihood is highest.
    """
    bins, trials = values.shape
    slopes, inverse = _slopes(kind, bin_width, bins, at)
    centred = values - values.mean(axis=1, keepdims=True)
    weighted = inverse @ centred
    scores = np.array(
        [
            0.5 * (np.einsum("bk,bc,ck->k", weighted, slope, weighted) - expected)
            for slope in slopes
            for expected in [np.sum(inverse * slope) * (trials - 1) / trials]
        ]
    )
    whitened = [inverse @ slope for slope in slopes]
    information = (
        0.5 * trials * np.array([[np.sum(a * b.T) for b in whitened] for a in whitened])
    )
    try:
        row = np.linalg.inv(information)[0]
    except np.linalg.LinAlgError:  # two parameters do the same here
        return Inflation(BOUNDS[1], 1.0)
    along = row @ scores
    along = along - along.mean()
    power = np.sum(along**2)
    if not (row[0] > 0 and power > 0):
        return Inflation(BOUNDS[1], 1.0)
    kurtosis = trials * np.sum(along**4) / power**2
    return Inflation(
        float(np.clip(power / row[0], *BOUNDS)),
        float(2 * trials / max(kurtosis - 1, 0.1)),
    )


def _slopes(
    kind: str, bin_width: float, bins: int, at: Point
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return dS/dp for log τ, log g, and log d and ρ where free; and S⁻¹."""

    def shared(log_tau: float, rho: float) -> np.ndarray:
        return (1 - rho) * matrix(kind, np.exp(log_tau), bin_width, bins) + rho

    x = np.log(at.tau)
    mixed = shared(x, at.rho)
    scale = at.white * at.gain
    covariance = at.white * noise_matrix(at.regularity, bins) + scale * mixed
    up, down = shared(x + STEP, at.rho), shared(x - STEP, at.rho)
    slopes = [scale * (up - down) / (2 * STEP), scale * mixed]
    if at.free:
        slopes.append(covariance)
    if at.rho > 0:
        slopes.append(scale * (1.0 - matrix(kind, at.tau, bin_width, bins)))
    return slopes, np.linalg.inv(covariance)
