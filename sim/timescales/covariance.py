"""Correlation of what is measured when something with one timescale drives it."""

import numpy as np
from jaxtyping import Float64
from scipy.linalg import toeplitz


def binned_ou(tau: float, bin_width: float, bins: int) -> Float64[np.ndarray, " bins"]:
    """Return the correlation between bin means of an Ornstein–Uhlenbeck process.

    With q = exp(−w/τ) and the process of variance 1, the integrals over bins of width w
    covary as τ² (1 − q)² e^(−(l − 1) w/τ) at lag l ≥ 1, and have the variance
    2 τ² (w/τ − 1 + q). From lag 1 on the correlation is exponential in any bin width;
    that is why binning does not change τ.

    Args:
        tau: in seconds.
        bin_width: w, in seconds.
        bins: number of lags, from 0.
    """
    ratio = bin_width / tau
    lag = np.arange(bins)
    # Both divided by τ². The variance of bins much shorter than τ loses all its digits.
    series = ratio**2 * (1 - ratio / 3)
    variance = 2 * (ratio + np.expm1(-ratio)) if ratio > 1e-4 else series
    across = np.expm1(-ratio) ** 2 * np.exp(-ratio * (np.maximum(lag, 1) - 1))
    return np.where(lag == 0, 1.0, across / variance)


def sampled_ou(tau: float, dt: float, bins: int) -> Float64[np.ndarray, " bins"]:
    """Return the correlation e^(−l dt/τ) between samples l · `dt` seconds apart."""
    return np.exp(-np.arange(bins) * (dt / tau))


CORRELATIONS = {"counts": binned_ou, "signal": sampled_ou}
"""By the kind of a `Series`."""


def matrix(
    kind: str, tau: float, bin_width: float, bins: int
) -> Float64[np.ndarray, "bins bins"]:
    """Return the correlation between all pairs of bins."""
    return toeplitz(CORRELATIONS[kind](tau, bin_width, bins))
