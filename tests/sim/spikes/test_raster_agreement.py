"""Rasters against brute force and against what was done to them."""

import numpy as np
import pytest

from isotau.convert.records.spikes import Spikes, pack
from isotau.sim.spikes.raster_agreement import compare_rasters


def spikes(raster):
    return Spikes(bits=pack(raster), n=raster.shape[2], dt=1e-3, engine="test")


def drawn(seed, p=0.1, shape=(200, 3, 11)):
    return np.random.default_rng(seed).random(shape) < p


def most_pairs(a, b, tolerance):
    """The largest matching of two lists of times, by dynamic programming."""
    best = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            best[i, j] = max(
                best[i - 1, j],
                best[i, j - 1],
                best[i - 1, j - 1] + (abs(x - y) <= tolerance),
            )
    return best[-1, -1]


@pytest.mark.parametrize("lag", [0, 1, -2])
def test_a_shifted_copy_is_identical_at_its_lag(lag):
    raster = drawn(0)
    shifted = np.roll(raster, lag, axis=0)
    found = compare_rasters(spikes(raster), spikes(shifted))
    assert found.identical and found.lag == lag
    assert found.cosine == found.coincident == pytest.approx(1.0)
    assert found.rate_cosine == pytest.approx(1.0)


def test_silence_agrees_at_no_lag_and_has_no_cosine():
    nothing = spikes(np.zeros((20, 2, 3), dtype=bool))
    found = compare_rasters(nothing, nothing)
    assert found.identical and found.lag == 0 and found.spikes == (0, 0)
    assert np.isnan([found.cosine, found.rate_cosine, found.coincident]).all()


def test_cosines_by_their_definition():
    a, b = drawn(1), drawn(2)
    found = compare_rasters(spikes(a), spikes(b), lags=(0,))
    x, y = a.ravel().astype(float), b.ravel().astype(float)
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    assert found.cosine == pytest.approx(cosine)
    x, y = a.sum(0).ravel().astype(float), b.sum(0).ravel().astype(float)
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    assert found.rate_cosine == pytest.approx(cosine)
    assert found.spikes == (a.sum(), b.sum()) and not found.identical


@pytest.mark.parametrize("tolerance", [0, 1, 3])
def test_coincidences_are_the_largest_matching(tolerance):
    a, b = drawn(3, 0.3), drawn(4, 0.2)
    found = compare_rasters(spikes(a), spikes(b), lags=(0,), tolerance=tolerance)
    pairs = sum(
        most_pairs(np.flatnonzero(a[:, k, i]), np.flatnonzero(b[:, k, i]), tolerance)
        for k in range(3)
        for i in range(11)
    )
    assert found.coincident == pytest.approx(2 * pairs / (a.sum() + b.sum()))


def test_wrong_runs_and_lags_are_named():
    run = spikes(drawn(0))
    with pytest.raises(ValueError, match=r"got \(200, 3, 11\) and \(90, 3, 11\), need"):
        compare_rasters(run, spikes(drawn(0)[:90]))
    with pytest.raises(ValueError, match=r"lags: got \[200\], need at least one"):
        compare_rasters(run, run, lags=(200,))
    with pytest.raises(ValueError, match=r"lags: got \[\], need"):
        compare_rasters(run, run, lags=())
    with pytest.raises(ValueError, match="tolerance: got -1, need 0 to 200"):
        compare_rasters(run, run, tolerance=-1)
