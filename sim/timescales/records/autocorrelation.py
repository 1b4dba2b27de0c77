"""Autocorrelation over trials and within them, the raw material of the estimators."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Real

from isotau.convert.ground import validation
from isotau.convert.records import spikes
from isotau.convert.records.spikes import BIN_WIDTH as BIN_WIDTH
from isotau.convert.records.spikes import LAGS as LAGS
from isotau.convert.records.spikes import Spikes

MAX_LAG = 0.7
"""`LAGS` bins of `BIN_WIDTH`, in seconds."""
ROUNDING = 1e-20
"""A variance below this share of the mean square is rounding."""


class Correlation(NamedTuple):
    """Each neuron's correlation at lags of 1, 2, … bins.

    Attributes:
        rho: lags × neuron; NaN where no pair of bins has a correlation.
        pairs: lags × neuron; the pairs of bins that have one.
    """

    rho: Float64[np.ndarray, "lags n"]
    pairs: Int64[np.ndarray, "lags n"]


def binned(recording: Spikes, bin_width: float) -> np.ndarray:
    """Return the spike counts in bins of `bin_width` seconds, bins × batch × neuron.

    Raises:
        ValueError: `bin_width` is no whole number of steps, or longer than a trial.
    """
    steps = validation.number("bin_width", bin_width, positive=True) / recording.dt
    # 50 ms is no multiple of 0.1 ms in binary; a millionth of a bin is rounding.
    width = round(steps)
    if width < 1 or abs(steps - width) > 1e-6 * width:
        raise ValueError(
            f"bin_width: got {bin_width} s, need a whole number of steps of "
            f"{recording.dt} s"
        )
    return spikes.count(recording, width=width)


def correlate(
    values: Real[np.ndarray, "bins batch n"],
    lags: int,
    weights: Real[np.ndarray, "batch n"] | None = None,
) -> Correlation:
    """Return each neuron's correlation over trials at lags of 1 to `lags` bins.

    ρ(k) is the mean over bins i of the Pearson correlation, over trials, between the
    values in bins i and i + k. Pairs with a bin that is the same in every trial have
    none and are left out.
    Source: Murray et al. 2014, doi:10.1038/nn.3862.

    Args:
        values: spike counts or samples.
        lags: number of lags.
        weights: how often each trial of each neuron counts; once if left out. A trial
            in which a neuron was not recorded counts 0 times; a bootstrap counts some
            trials repeatedly.

    Raises:
        ValueError: no neuron has 3 trials (two always correlate fully), or too few
            bins.
    """
    bins, batch, n = values.shape
    w = np.ones((batch, n)) if weights is None else weights
    longest = int(w.sum(axis=0).max())
    if longest < 3:
        raise ValueError(f"trials: got {longest}, need at least 3; run more trials")
    lags = lags_below(lags, bins)
    # (T1), with each trial counted w times; a neuron without trials divides by 1.
    total = np.maximum(w.sum(axis=0), 1)
    centred = values - np.einsum("ibn,bn->in", values, w)[:, None] / total
    centred *= np.sqrt(w)
    size = np.einsum("ibn,ibn->in", centred, centred)
    # Of a bin that is the same in every trial rounding leaves a little.
    varies = size > ROUNDING * np.einsum("ibn,ibn,bn->in", values, values, w)
    varies &= w.sum(axis=0) >= 3
    # 0 where a bin has no correlation, which drops it from every sum below.
    scale = np.divide(1.0, np.sqrt(size), out=np.zeros_like(size), where=varies)
    centred *= scale[:, None]
    rho = np.full((lags, n), np.nan)
    pairs = np.zeros((lags, n), dtype=np.int64)
    for k in range(1, lags + 1):
        pairs[k - 1] = np.sum(varies[:-k] & varies[k:], axis=0)
        sums = np.einsum("ibn,ibn->n", centred[:-k], centred[k:])
        np.divide(sums, pairs[k - 1], out=rho[k - 1], where=pairs[k - 1] > 0)
    return Correlation(rho, pairs)


def autocorrelation(
    values: Real[np.ndarray, "bins batch n"],
    lags: int,
    weights: Real[np.ndarray, "batch n"] | None = None,
) -> Float64[np.ndarray, "lags n"]:
    """Return ρ alone of `correlate`."""
    return correlate(values, lags, weights).rho


def lags_below(lags: int, bins: int) -> int:
    """Return `lags` if trials of so many bins have them.

    Raises:
        ValueError: they do not.
    """
    lags = validation.whole("lags", lags, 1, 2**31 - 1)
    if bins <= lags:
        raise ValueError(
            f"bins: got {bins}, need more than {lags} (the lags); run longer trials"
        )
    return lags


def lags_within(max_lag: float, bin_width: float, bins: int) -> int:
    """Return how many lags of `bin_width` fit `max_lag` seconds and the trial.

    At least one pair of bins must be that far apart, so there are fewer than `bins`.

    Raises:
        ValueError: fewer than 4, the least that a decay and an offset can be fitted to.
    """
    # 0.7 s has 14 bins of 50 ms, though 0.7 / 0.05 is less than 14.
    reach = validation.number("max_lag", max_lag, positive=True) / bin_width
    lags = min(int(np.floor(reach * (1 + 1e-9))), bins - 1)
    if lags < 4:
        raise ValueError(
            f"max_lag: got {max_lag} s with bins of {bin_width} s and trials of {bins} "
            "bins, need at least 4 lags; use shorter bins or longer trials"
        )
    return lags


def autocovariance(
    values: Real[np.ndarray, "bins batch n"], lags: int
) -> Float64[np.ndarray, "lags batch n"]:
    """Return each trial's autocovariance about its own mean, at lags of 0 to `lags`.

    C(k) = Σᵢ (xᵢ − x̄)(xᵢ₊ₖ − x̄) / (bins − k), by Fourier transform; x̄ is the trial's
    mean. Taking it away makes C(k) too small, see `expected_autocovariance`.
    """
    bins = values.shape[0]
    lags = lags_below(lags, bins)
    # (T2); padded to twice the length, so that the end does not meet the start.
    spectrum = np.fft.rfft(values - values.mean(axis=0), 2 * bins, axis=0)
    sums = np.fft.irfft(np.abs(spectrum) ** 2, 2 * bins, axis=0)[: lags + 1]
    return sums / (bins - np.arange(lags + 1.0))[:, None, None]


def expected_autocovariance(
    covariance: Float64[np.ndarray, "*many bins"], lags: int
) -> Float64[np.ndarray, "*many lags"]:
    """Return the mean of `autocovariance` over trials of a stationary process.

    E[Ĉ(k)] = C(k) + v − 2/(bins − k) Σ_{i < bins − k} rᵢ, where rᵢ = ⟨xᵢ x̄⟩ is the mean
    of row i of the trial's covariance matrix and v = ⟨x̄²⟩ their mean; exact.

    Args:
        covariance: C(k) of the process itself at lags of 0 to bins − 1.
        lags: the longest lag of the result, which starts at lag 0.
    """
    bins = covariance.shape[-1]
    lags = lags_below(lags, bins)
    # (T3); row i of the matrix holds C at lags of i to 0 and of 0 to bins − 1 − i.
    up_to = np.cumsum(covariance, axis=-1)
    rows = (up_to + up_to[..., ::-1] - covariance[..., :1]) / bins
    k = np.arange(lags + 1)
    sums = np.cumsum(rows, axis=-1)[..., bins - 1 - k]
    mean = rows.mean(axis=-1, keepdims=True)
    return covariance[..., : lags + 1] + mean - 2 * sums / (bins - k)
