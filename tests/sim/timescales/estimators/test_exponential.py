"""The bounded fit over trials, on neurons and signals of known timescale."""

import math
import re

import numpy as np
import pytest

from benchmarks.synthetic.gaussian import standard_paths
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.timescales.estimators.exponential import exponential
from isotau.sim.timescales.records.record import Status
from isotau.sim.timescales.records.series import Series, from_signal

W = 0.05


def counts(rng, rate, sd, tau, n=200, trials=50):
    """Poisson counts whose rate is an Ornstein-Uhlenbeck process, cut at zero."""
    values = np.zeros((20, trials, n))
    keep = math.exp(-0.005 / tau)
    x = rng.standard_normal((trials, n))
    for b in range(20):
        mean = 0.0
        for _ in range(10):
            x = keep * x + math.sqrt(1 - keep**2) * rng.standard_normal(x.shape)
            mean = mean + 0.005 * np.maximum(rate + sd * x, 0)
        values[b] = rng.poisson(mean)
    return Series(values=values, bin_width=W)


@pytest.mark.parametrize(
    ("tau", "kept", "near"), [(0.1, 0.85, 0.40), (0.2, 0.95, 0.33)]
)
def test_the_median_is_the_truth_and_the_interval_holds_it(tau, kept, near):
    series = counts(np.random.default_rng(1), 20, 20, tau)
    found = exponential(series, bootstrap=100, rng=np.random.default_rng(0))
    assert np.isfinite(found.tau).mean() > kept
    assert np.nanmedian(found.estimate) == pytest.approx(tau, rel=0.12)
    assert np.mean(np.abs(found.estimate / tau - 1) < 0.25) > near
    inside = (found.low <= tau) & (tau <= found.high)
    assert 0.88 < inside.mean() < 0.99


def test_poisson_neurons_are_not_identified():
    rng = np.random.default_rng(2)
    series = Series(values=rng.poisson(0.5, (20, 50, 400)), bin_width=W)
    found = exponential(series, bootstrap=100, rng=rng)
    assert np.isfinite(found.tau).mean() <= 0.02
    assert {Status.NOT_IDENTIFIABLE, Status.AT_BOUND} <= set(found.status)


def test_drift_over_trials_goes_into_the_offset():
    rng = np.random.default_rng(3)
    x = standard_paths(np.full(8, 0.1), 4000, 1.0, W, rng)
    drift = 0.5 * rng.standard_normal(x[0].shape)
    found = exponential(from_signal(x + drift, W))
    np.testing.assert_allclose(found.tau, 0.1, rtol=0.1)
    np.testing.assert_allclose(found.offset, 0.2, atol=0.03)
    np.testing.assert_allclose(found.amplitude, 0.8, atol=0.05)
    assert np.isnan(found.rate).all()
    assert np.isnan(found.low).all()
    assert found.goodness.min() > 0.98
    assert (found.method, found.bin_width, found.lags) == ("exponential", W, 14)


def test_choices_of_the_offset():
    series = counts(np.random.default_rng(4), 20, 20, 0.2, n=100)
    free, positive, none = (
        exponential(series, offset=offset) for offset in ("free", "positive", "none")
    )
    cut = free.offset < 0
    assert 0.2 < cut.mean() < 0.8
    np.testing.assert_array_equal(positive.estimate[~cut], free.estimate[~cut])
    np.testing.assert_array_equal(positive.estimate[cut], none.estimate[cut])
    spread = [np.nanstd(np.log(x.estimate)) for x in (free, none)]
    assert spread[1] < spread[0]


def test_neurons_that_cannot_be_measured_say_why():
    values = np.zeros((20, 30, 4))
    values[:, :, 1] = 2  # always the same
    rng = np.random.default_rng(0)
    values[:, :, 2] = rng.poisson(0.02, (20, 30))  # 0.4 Hz
    values[:, :, 3] = np.arange(30) % 5 + rng.standard_normal((20, 30)).cumsum(0) ** 2
    series = Series(values=values, bin_width=W)
    found = exponential(series, min_rate=1.0)
    assert found.status[:3] == (
        Status.TOO_FEW_SPIKES,
        Status.UNDEFINED,
        Status.TOO_FEW_SPIKES,
    )
    assert exponential(series).status[2] is not Status.TOO_FEW_SPIKES


def test_neurons_of_different_sessions():
    """Trials in which a neuron was not recorded do not count as silent ones."""
    rng = np.random.default_rng(5)
    values = counts(rng, 20, 20, 0.1, n=1, trials=60).values
    alone = exponential(Series(values=values[:, :40], bin_width=W))
    trial, bins = np.nonzero(np.ones((40, 20)))
    spikes = values[:, :40, 0].T[trial, bins].astype(int)
    times = SpikeTimes(
        times=np.repeat((bins + 0.5) * W, spikes),
        trial=np.repeat(trial, spikes),
        neuron=np.ones(spikes.sum(), dtype=int),
        trials=np.array([0, 40, 60]),
        duration=1.0,
    )
    found = exponential(times, bootstrap=20, rng=rng)
    assert found.tau[1] == pytest.approx(alone.tau[0])
    assert found.status[0] is found.status[2] is Status.TOO_FEW_SPIKES


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_lag": 0.1}, "max_lag: got 0.1 s with bins of 0.05 s and trials of 20"),
        ({"offset": "any"}, "offset: got 'any', need one of free, positive, none"),
        ({"max_tau": 0.001}, "max_tau: got 0.001 s, need more than 0.01 s"),
        ({"bootstrap": 100}, "rng: got None, need a generator for the bootstrap"),
        (
            {"bootstrap": 20, "rng": np.random.default_rng(0), "level": 1.5},
            "level: got 1.5, need a share between 0 and 1",
        ),
    ],
)
def test_refusals(settings, text):
    series = Series(values=np.random.default_rng(0).poisson(1, (20, 9, 2)), bin_width=W)
    with pytest.raises(ValueError, match=re.escape(text)):
        exponential(series, **settings)


def test_two_trials_are_too_few():
    series = Series(values=np.ones((20, 2, 2)), bin_width=W)
    with pytest.raises(ValueError, match="trials: got 2, need at least 3"):
        exponential(series)
