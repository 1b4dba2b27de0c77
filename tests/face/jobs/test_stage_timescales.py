"""Timescales of a stage: bins that fit the trials, repeats, and replicates."""

import numpy as np

from isotau.convert.records.spikes import Spikes, pack
from isotau.jobs.quiet_runs import METHODS, Twice, measure_stage
from isotau.sim.timescales.records.autocorrelation import LAGS


def noisy(seconds: float, tau: float, seed: int, n: int = 6) -> Spikes:
    """Neurons whose rates move with the same timescale, in steps of 1 ms."""
    rng = np.random.default_rng(seed)
    steps, x = round(1e3 * seconds), rng.standard_normal((60, n))
    raster = np.empty((steps, 60, n), dtype=bool)
    keep = np.exp(-1e-3 / tau)
    for t in range(steps):
        x = keep * x + np.sqrt(1 - keep**2) * rng.standard_normal(x.shape)
        raster[t] = rng.random(x.shape) < 1e-3 * np.maximum(25 + 25 * x, 0)
    return Spikes(bits=pack(raster), n=n, dt=1e-3, engine="lif")


def test_short_trials_come_in_the_published_bins():
    found = measure_stage(Twice(noisy(1.0, 0.1, 0), noisy(1.0, 0.1, 1)))
    assert set(found.timescales) == set(METHODS)
    first, again = found.timescales["ml"]
    assert (first.bin_width, found.curve_bin) == (0.025, 0.05)
    assert np.nanmedian(first.tau) / 0.1 < 1.4
    assert np.nanmedian(again.tau) / 0.1 > 0.7
    assert (first.tau != again.tau).all()
    assert found.curves.shape == (2, LAGS, 6)
    assert found.replicates == {}


def test_longer_trials_come_in_wider_bins():
    found = measure_stage(Twice(noisy(3.0, 0.3, 2), noisy(3.0, 0.3, 3)), groups=4)
    assert np.isclose(found.timescales["ml"][0].bin_width, 0.075)
    assert np.isclose(found.curve_bin, 0.15)
    replicates = found.replicates["ml"]
    assert replicates.shape == (4, 6)
    # other trials would have given other values, about as far off as a repeat is
    assert 0 < np.nanstd(replicates, axis=0).max() < 1
