"""The covariances of one timescale, drift and noise, and what diagonalizes them.

The shared part of (T21) relative to its noise N_c does not depend on a neuron, so that
`build_grids` finds its eigenvectors once. All these matrices look the same from both
ends of a trial: every eigenvector is even or odd about the trial's middle. Both halves
are solved apart, and ρ does not change the direction of the odd ones (T43).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.linalg import toeplitz

RHOS = np.array([0.0, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85])
REGULARITY = {"counts": (0.0, 0.25, 0.4, 0.48), "signal": (0.0,)}
"""c that are looked at, below the ½ at which N_c is no covariance any more."""
GAINS = {
    "counts": np.concatenate([[0.0], np.geomspace(0.01, 100.0, 40)]),
    "signal": np.concatenate([[0.0], np.geomspace(0.01, 1e6, 60)]),
}
"""g, by the kind of data: a signal may have hardly any noise of its own."""


def binned_ou(tau: float, bin_width: float, bins: int) -> Float64[np.ndarray, " bins"]:
    """Return the correlation between bins of an Ornstein–Uhlenbeck process.

    With q = exp(−w/τ) and the process of variance 1, the integrals over bins of width w
    covary as τ² (1 − q)² e^(−(l − 1) w/τ) at lag l ≥ 1, and have the variance
    2 τ² (w/τ − 1 + q). From lag 1 on the correlation is exponential in any bin width;
    that is why binning does not change τ.

    Args:
        tau: in seconds.
        bin_width: w, in seconds.
        bins: number of lags, from 0.
    """
    # (T5)
    ratio = bin_width / tau
    lag = np.arange(bins)
    # Both divided by τ². The variance of bins much shorter than τ loses all its digits,
    # so that a series takes over.
    series = ratio**2 * (1 - ratio / 3)
    variance = 2 * (ratio + np.expm1(-ratio)) if ratio > 1e-4 else series
    across = np.expm1(-ratio) ** 2 * np.exp(-ratio * (np.maximum(lag, 1) - 1))
    return np.where(lag == 0, 1.0, across / variance)


def sampled_ou(tau: float, dt: float, bins: int) -> Float64[np.ndarray, " bins"]:
    """Return the correlation e^(−l dt/τ) of samples l · `dt` seconds apart."""
    # (T6)
    return np.exp(-np.arange(bins) * (dt / tau))


CORRELATIONS = {"counts": binned_ou, "signal": sampled_ou}
"""By the kind of a `Series`."""


def correlation_matrix(
    kind: str, tau: float, bin_width: float, bins: int
) -> Float64[np.ndarray, "bins bins"]:
    """Return the correlation between all pairs of bins."""
    return CORRELATIONS[kind](tau, bin_width, bins)[_lags(bins)]


@lru_cache(maxsize=8)
def _lags(bins: int) -> Int64[np.ndarray, "bins bins"]:
    """Return how far apart all pairs of bins are."""
    bin_of = np.arange(bins)
    return np.abs(bin_of[:, None] - bin_of)


class Grid(NamedTuple):
    """What the likelihood needs and no neuron changes, for one c.

    Vectors v stand in columns, in the coordinates of `halves`, and have vᵀ N_c v = 1.
    """

    taus: Float64[np.ndarray, " taus"]
    gains: Float64[np.ndarray, " gains"]
    regularity: float
    """c."""
    even: Float64[np.ndarray, "taus rhos half half"]
    """Eigenvectors that are the same from both ends; ⌈bins/2⌉ of them."""
    odd: Float64[np.ndarray, "taus lower lower"]
    """Those of opposite signs from both ends, ⌊bins/2⌋ of them, of any ρ."""
    values: Float64[np.ndarray, "taus rhos bins"]
    """Eigenvalues λ of the shared part relative to N_c: of the even, then the odd."""
    log_det: float
    """Of N_c."""


@lru_cache(maxsize=8)
def build_grids(
    kind: str, bins: int, bin_width: float, taus: tuple[float, ...]
) -> tuple[Grid, ...]:
    """Return the grids, one for each c, for trials of `bins` bins of `bin_width` s.

    Args:
        kind: "counts" or "signal".
        bins: of a trial.
        bin_width: in seconds.
        taus: in seconds, ascending.
    """
    shared = np.array([correlation_matrix(kind, tau, bin_width, bins) for tau in taus])
    even, odd = halves(shared)
    drift, _ = halves(np.ones((bins, bins)))
    rho = RHOS[:, None, None]
    grids = []
    for c in REGULARITY[kind]:
        noise = noise_matrix(c, bins)
        even_noise, odd_noise = halves(noise)
        even_values, even_vectors = _relative(
            (1 - rho) * even[:, None] + rho * drift, even_noise
        )
        odd_values, odd_vectors = _relative(odd, odd_noise)
        # (T43): drift is even.
        values = [even_values, (1 - rho[:, 0]) * odd_values[:, None]]
        grid = Grid(
            taus=np.array(taus),
            gains=GAINS[kind],
            regularity=c,
            even=even_vectors,
            odd=odd_vectors,
            # Rounding takes the smallest of long τ, which are next to 0, below it.
            values=np.maximum(np.concatenate(values, axis=-1), 0.0),
            log_det=float(np.linalg.slogdet(noise)[1]),
        )
        grids.append(grid)
    return tuple(grids)


def halves(
    matrix: Float64[np.ndarray, "*many bins bins"],
) -> tuple[
    Float64[np.ndarray, "*many half half"], Float64[np.ndarray, "*many low low"]
]:
    """Return a matrix among even and among odd vectors about the trial's middle.

    Of what couples the two nothing remains; a matrix that is the same from both ends
    has none of it. Even vectors are (e_i + e_(B+1−i))/√2 and, with odd B, the middle
    e_i; odd ones are (e_i − e_(B+1−i))/√2. (T43)
    """
    bins = matrix.shape[-1]
    half, low = (bins + 1) // 2, bins // 2
    near = matrix[..., :half, :half]
    turned = matrix[..., ::-1, ::-1][..., :half, :half]
    across = matrix[..., :, ::-1][..., :half, :half]
    back = matrix[..., ::-1, :][..., :half, :half]
    even, odd = near + turned + (across + back), near + turned - (across + back)
    even, odd = 0.5 * even, 0.5 * odd[..., :low, :low]
    if bins % 2:  # the middle meets itself
        even[..., -1, :] *= np.sqrt(0.5)
        even[..., :, -1] *= np.sqrt(0.5)
    return even, odd


def _relative(
    matrices: Float64[np.ndarray, "*many size size"],
    noise: Float64[np.ndarray, "size size"],
) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues of matrices relative to N_c, and v with vᵀ N_c v = 1."""
    inverse = np.linalg.inv(np.linalg.cholesky(noise))
    values, vectors = np.linalg.eigh(inverse @ matrices @ inverse.T)
    return values, inverse.T @ vectors


@lru_cache(maxsize=8)
def noise_matrix(c: float, bins: int) -> Float64[np.ndarray, "bins bins"]:
    """Return N_c: 1 on the diagonal, −c beside it."""
    # (T22)
    return toeplitz([1.0, -c] + [0.0] * (bins - 2))
