"""One timescale for a population: the published fit and the bounded one."""

import math
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from benchmarks.synthetic.gaussian import standard_paths
from isotau.sim.timescales.estimators.population import (
    population_exponential,
    population_kim,
)
from isotau.sim.timescales.records.autocorrelation import autocorrelation
from isotau.sim.timescales.records.record import Status
from isotau.sim.timescales.records.series import Series, from_signal

W = 0.05


def counts(rng, tau, rate=20.0, sd=10.0, n=60, trials=50, bins=21):
    values = np.zeros((bins, trials, n))
    keep = math.exp(-0.005 / tau)
    x = rng.standard_normal((trials, n))
    for step in range(10 * bins):
        x = keep * x + math.sqrt(1 - keep**2) * rng.standard_normal(x.shape)
        values[step // 10] += rng.poisson(0.005 * np.maximum(rate + sd * x, 0))
    return values


@pytest.mark.parametrize("tau", [0.06, 0.2])
def test_a_population_of_one_timescale(tau):
    rng = np.random.default_rng(0)
    series = Series(values=counts(rng, tau), bin_width=W)
    published = population_kim(series)
    assert published.status is Status.OK
    assert published.tau == pytest.approx(tau, rel=0.3)
    assert published.neurons == 60
    assert np.isnan(published.low)
    found = population_exponential(series, bootstrap=100, rng=rng)
    assert found.tau == pytest.approx(tau, rel=0.25)
    assert found.low < tau < found.high
    assert found.low > 0.5 * tau
    assert found.goodness > 0.97
    assert (found.method, found.bin_width, found.level) == ("exponential", W, 0.95)


def test_the_mean_is_over_neurons_that_have_a_correlation():
    rng = np.random.default_rng(1)
    values = counts(rng, 0.1, n=30)
    values[:, :, 3] = 0
    values[:, :, 4] = rng.poisson(0.05, values.shape[:2])  # 1 Hz
    found = population_kim(Series(values=values, bin_width=W))
    rho = autocorrelation(values[1:], 14)
    others = [k for k in range(30) if k not in (3, 4)]
    assert found.neurons == 28
    np.testing.assert_allclose(found.rho, rho[:, others].mean(axis=1))
    both = population_exponential(Series(values=values, bin_width=W))
    assert both.neurons == 29
    assert not both.rho.flags.writeable
    with pytest.raises(FrozenInstanceError):
        both.tau = 1.0


def test_a_mixture_is_slower_than_its_parts_in_the_mean():
    rng = np.random.default_rng(2)
    values = np.concatenate([counts(rng, tau, n=60) for tau in (0.05, 0.25)], axis=2)
    found = population_exponential(Series(values=values, bin_width=W))
    assert 0.08 < found.tau < 0.25


def test_without_a_timescale_there_is_none():
    rng = np.random.default_rng(3)
    series = Series(values=rng.poisson(1, (21, 50, 100)), bin_width=W)
    found = population_exponential(series, bootstrap=60, rng=rng)
    assert found.status is not Status.OK
    assert np.isnan(found.tau)
    assert (found.low, found.high) == (0, math.inf)


def test_silent_populations():
    series = Series(values=np.zeros((21, 50, 4)), bin_width=W)
    rng = np.random.default_rng(0)
    for found in (
        population_kim(series),
        population_exponential(series, bootstrap=20, rng=rng),
    ):
        assert found.status is Status.TOO_FEW_SPIKES
        assert found.neurons == 0
        assert np.isnan(found.estimate)


def test_signals():
    rng = np.random.default_rng(4)
    x = standard_paths(np.full(20, 0.1), 100, 1.05, W, rng)
    series = from_signal(x, W)
    assert population_kim(series).tau == pytest.approx(0.1, rel=0.1)
    assert population_exponential(series).tau == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_lag": 0.1}, "max_lag: got 0.1 s with bins of 0.05 s"),
        ({"offset": "any"}, "offset: got 'any', need one of free"),
        ({"bootstrap": 30}, "rng: got None"),
    ],
)
def test_refusals(settings, text):
    series = Series(values=np.ones((20, 9, 2)), bin_width=W)
    with pytest.raises(ValueError, match=re.escape(text)):
        population_exponential(series, **settings)
