"""Spike-count autocorrelation over trials, the raw material of the estimators."""

import numpy as np
from jaxtyping import Float64, Integer

from isotau.convert import spikes, validation
from isotau.convert.spikes import Spikes


def binned(recording: Spikes, bin_width: float) -> np.ndarray:
    """Return the spike counts in bins of `bin_width` seconds, bins × batch × neuron.

    Raises:
        ValueError: `bin_width` is no whole number of steps, or longer than a trial.
    """
    steps = validation.number("bin_width", bin_width, positive=True) / recording.dt
    width = round(steps)
    if width < 1 or abs(steps - width) > 1e-6 * width:
        raise ValueError(
            f"bin_width: got {bin_width} s, need a whole number of steps of "
            f"{recording.dt} s"
        )
    return spikes.count(recording, width=width)


def autocorrelation(
    counts: Integer[np.ndarray, "bins batch n"], lags: int
) -> Float64[np.ndarray, "lags n"]:
    """Return each neuron's spike-count correlation at lags of 1 to `lags` bins.

    ρ(k) is the mean over bins i of the Pearson correlation, over trials, between the
    counts in bins i and i + k. Pairs with a bin that is the same in every trial have
    none and are left out; NaN where no pair is left.
    Source: Murray et al. 2014, doi:10.1038/nn.3862.

    Raises:
        ValueError: fewer than 3 trials (two always correlate fully) or too few bins.
    """
    bins, batch, n = counts.shape
    if batch < 3:
        raise ValueError(f"trials: got {batch}, need at least 3; run more trials")
    lags = validation.whole("lags", lags, 1, 2**31 - 1)
    if bins <= lags:
        raise ValueError(
            f"bins: got {bins}, need more than {lags} (the lags); run longer trials"
        )
    centred = counts - counts.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    varies = size > 0
    scores = np.divide(centred, size, out=np.zeros_like(centred), where=varies)
    rho = np.full((lags, n), np.nan)
    for k in range(1, lags + 1):
        pairs = np.sum(varies[:-k] & varies[k:], axis=(0, 1))
        total = np.einsum("ibn,ibn->n", scores[:-k], scores[k:])
        np.divide(total, pairs, out=rho[k - 1], where=pairs > 0)
    return rho
