"""Spike-count autocorrelation against numpy's correlation, pair by pair."""

import re
import warnings

import numpy as np
import pytest

from isotau.convert.spikes import Spikes, pack
from isotau.sim.timescales.autocorrelation import autocorrelation, binned


def brute_force(counts, lags):
    """Return ρ by one np.corrcoef per pair of bins, without pairs that have none."""
    bins, _, n = counts.shape
    rho = np.full((lags, n), np.nan)
    for lag, neuron in np.ndindex(lags, n):
        pairs = []
        for i in range(bins - lag - 1):
            x, y = counts[i, :, neuron], counts[i + lag + 1, :, neuron]
            if x.std() > 0 and y.std() > 0:
                pairs.append(np.corrcoef(x, y)[0, 1])
        if pairs:
            rho[lag, neuron] = np.mean(pairs)
    return rho


@pytest.mark.parametrize("rate", [0.05, 0.3, 5])
@pytest.mark.parametrize("lags", [1, 6, 9])
def test_against_numpy(rate, lags):
    counts = np.random.default_rng(0).poisson(rate, (10, 12, 4))
    np.testing.assert_allclose(
        autocorrelation(counts, lags), brute_force(counts, lags), atol=1e-14
    )


def test_neurons_without_variance_have_none():
    counts = np.zeros((8, 5, 3), dtype=np.int64)
    counts[:, :, 1] = 7  # always the same
    counts[:4, :, 2] = np.random.default_rng(1).poisson(3, (4, 5))  # silent later
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rho = autocorrelation(counts, 7)
    assert np.isnan(rho[:, :2]).all()
    assert np.isfinite(rho[:3, 2]).all()
    assert np.isnan(rho[3:, 2]).all()


def test_a_rate_that_differs_between_trials_alone_correlates_fully():
    counts = np.broadcast_to(np.array([1, 5, 2, 9])[None, :, None], (6, 4, 1))
    np.testing.assert_allclose(autocorrelation(counts, 5), 1)


def test_refusals():
    counts = np.ones((6, 4, 1), dtype=np.int64)
    with pytest.raises(ValueError, match="trials: got 2, need at least 3; run more"):
        autocorrelation(counts[:, :2], 3)
    with pytest.raises(
        ValueError, match=re.escape("bins: got 6, need more than 6 (the")
    ):
        autocorrelation(counts, 6)
    with pytest.raises(ValueError, match="lags: got 0, need 1 to"):
        autocorrelation(counts, 0)


def recording(dt, steps=100):
    raster = np.random.default_rng(2).random((steps, 3, 2)) < 0.2
    return raster, Spikes(bits=pack(raster), n=2, dt=dt, engine="recorded")


def test_bins_of_seconds():
    raster, spikes = recording(dt=0.0025)
    counts = binned(spikes, 0.05)
    assert counts.shape == (5, 3, 2)
    np.testing.assert_array_equal(counts[1], raster[20:40].sum(axis=0))


@pytest.mark.parametrize("width", [0.0049, 0.0001])
def test_bins_of_broken_steps(width):
    with pytest.raises(
        ValueError, match=f"bin_width: got {width} s, need a whole number"
    ):
        binned(recording(dt=0.001)[1], width)


def test_bins_longer_than_a_trial():
    with pytest.raises(ValueError, match="width: got 200 steps, need 1 to 100"):
        binned(recording(dt=0.001)[1], 0.2)
