"""Autocorrelations against numpy's, pair by pair, and against covariance matrices."""

import re
import warnings

import numpy as np
import pytest

from isotau.convert.records.spikes import Spikes, pack
from isotau.sim.timescales.records.autocorrelation import (
    autocorrelation,
    autocovariance,
    binned,
    correlate,
    expected_autocovariance,
    lags_within,
)


def brute_force(counts, lags):
    """Return ρ by one np.corrcoef per pair of bins, without pairs that have none."""
    bins, _, n = counts.shape
    rho, used = np.full((lags, n), np.nan), np.zeros((lags, n))
    for lag, neuron in np.ndindex(lags, n):
        pairs = []
        for i in range(bins - lag - 1):
            x, y = counts[i, :, neuron], counts[i + lag + 1, :, neuron]
            if x.std() > 0 and y.std() > 0:
                pairs.append(np.corrcoef(x, y)[0, 1])
        used[lag, neuron] = len(pairs)
        if pairs:
            rho[lag, neuron] = np.mean(pairs)
    return rho, used


@pytest.mark.parametrize("rate", [0.05, 0.3, 5])
@pytest.mark.parametrize("lags", [1, 6, 9])
def test_against_numpy(rate, lags):
    counts = np.random.default_rng(0).poisson(rate, (10, 12, 4))
    rho, pairs = correlate(counts, lags)
    expected, used = brute_force(counts, lags)
    np.testing.assert_allclose(rho, expected, atol=1e-14)
    np.testing.assert_array_equal(pairs, used)
    np.testing.assert_array_equal(autocorrelation(counts, lags), rho)


def test_a_signal_correlates_like_counts():
    signal = 40 + np.random.default_rng(5).standard_normal((8, 20, 3))
    expected, _ = brute_force(signal, 7)
    np.testing.assert_allclose(autocorrelation(signal, 7), expected, atol=1e-12)


def test_weights_are_trials_repeated():
    rng = np.random.default_rng(3)
    counts = rng.poisson(2, (9, 6, 2))
    weights = np.array([[0, 1], [2, 1], [3, 0], [1, 1], [1, 0], [0, 4]])
    rho = autocorrelation(counts, 5, weights)
    for k in range(2):
        again = np.repeat(counts[:, :, [k]], weights[:, k], axis=1)
        np.testing.assert_allclose(rho[:, [k]], brute_force(again, 5)[0], atol=1e-13)


def test_a_neuron_with_two_trials_has_no_correlation():
    counts = np.random.default_rng(3).poisson(2, (9, 6, 2))
    weights = np.array([[1, 1], [1, 1], [0, 1], [0, 1], [0, 1], [0, 1]])
    rho, pairs = correlate(counts, 5, weights)
    assert np.isnan(rho[:, 0]).all()
    assert not pairs[:, 0].any()
    assert np.isfinite(rho[:, 1]).all()


def test_neurons_without_variance_have_none():
    counts = np.zeros((8, 5, 3), dtype=np.int64)
    counts[:, :, 1] = 7  # always the same
    counts[:4, :, 2] = np.random.default_rng(1).poisson(3, (4, 5))  # silent later
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rho = autocorrelation(counts, 7)
        assert np.isnan(autocorrelation(np.full((8, 7, 1), 0.1), 7)).all()
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
    with pytest.raises(ValueError, match=re.escape("bins: got 6, need more than 7")):
        autocovariance(counts, 7)


def test_lags_of_seconds():
    assert lags_within(0.7, 0.05, 20) == 14
    assert lags_within(9.0, 0.05, 20) == 19
    with pytest.raises(ValueError, match=r"max_lag: got 0\.15 s with bins of 0\.05 s"):
        lags_within(0.15, 0.05, 20)
    with pytest.raises(ValueError, match=r"trials of 4 bins, need at least 4 lags"):
        lags_within(0.7, 0.05, 4)


def test_autocovariance_sums_products_within_each_trial():
    x = np.random.default_rng(0).standard_normal((11, 3, 2))
    found = autocovariance(x, 10)
    for lag, trial, neuron in np.ndindex(found.shape):
        one = x[:, trial, neuron] - x[:, trial, neuron].mean()
        products = [one[i] * one[i + lag] for i in range(11 - lag)]
        assert found[lag, trial, neuron] == pytest.approx(np.mean(products), abs=1e-13)


def test_expected_autocovariance_is_that_of_the_centred_covariance_matrix():
    """x − x̄ = M x has covariance M C M."""
    n = 40
    k = np.arange(n)
    for curve in (np.exp(-k / 7.0), np.cos(k / 3.0), np.eye(1, n)[0]):
        centring = np.eye(n) - 1 / n
        matrix = centring @ curve[np.abs(k[:, None] - k)] @ centring
        expected = [np.diagonal(matrix, lag).mean() for lag in range(25)]
        np.testing.assert_allclose(
            expected_autocovariance(curve, 24), expected, atol=1e-14
        )
    both = np.stack((np.exp(-k / 7.0), np.exp(-k / 2.0)))
    np.testing.assert_allclose(
        expected_autocovariance(both, 9)[1], expected_autocovariance(both[1], 9)
    )


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
