"""The direct fit: published numbers, its bias in closed form, and the mended one."""

import math
import re

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.signal import lfilter

from isotau.sim.timescales.estimators.direct_fit import direct
from isotau.sim.timescales.records.record import Status
from isotau.sim.timescales.records.series import Series, from_signal


def process(rng, keep, n, steps=1000, trials=500):
    """Return stationary x(t + 1) = keep · x(t) + noise, of variance 1."""
    noise = rng.standard_normal((steps, trials, n))
    noise[1:] *= math.sqrt(1 - keep**2)
    return lfilter([1.0], [1.0, -keep], noise, axis=0)


def share_of_mean(tau, duration):
    """Return Var(x̄)/Var(x) of a process with correlation exp(−t/τ).

    To first order taking away a trial's mean makes C(k) fall by so much at every lag.
    """
    x = tau / duration
    return 2 * x * (1 + x * np.expm1(-1 / x))


def test_the_published_bias_of_one_timescale():
    """16.92 ± 0.30 ms for τ = 20 ms, T = 1 s and 500 trials (abcTau, figure 1).

    Their process is made by Euler's rule: each step of 1 ms keeps 1 − 1/20.
    """
    rng = np.random.default_rng(0)
    found = direct(from_signal(process(rng, 1 - 1 / 20, 10), 1e-3), max_lag=0.15)
    assert found.tau.mean() == pytest.approx(16.92e-3, abs=0.3e-3)
    assert 0.15e-3 < found.tau.std() < 0.5e-3
    assert set(found.status) == {Status.OK}
    assert found.method == "direct"


def test_the_published_bias_beside_an_oscillation():
    """40.1 ms for τ = 60 ms with an oscillation of 2 Hz, which the fit knows."""
    rng = np.random.default_rng(1)
    t = np.arange(1000)[:, None, None] * 1e-3
    phase = rng.uniform(0, 2 * np.pi, (500, 10))
    x = math.sqrt(0.5) * process(rng, 1 - 1 / 60, 10)
    series = from_signal(x + np.sin(2 * np.pi * 2 * t + phase), 1e-3)
    found = direct(series, oscillation=2.0)
    assert found.tau.mean() == pytest.approx(40.1e-3, abs=1e-3)
    mended = direct(series, oscillation=2.0, corrected=True)
    assert mended.tau.mean() == pytest.approx(60e-3, rel=0.03)


def test_without_noise_the_bias_is_that_of_the_shifted_curve():
    """For T much longer than τ the correlation only moves down by Var(x̄)."""
    rng = np.random.default_rng(2)
    shift = share_of_mean(0.02, 2.0)
    t = np.arange(201) * 1e-3
    (_, tau), _ = curve_fit(
        lambda t, a, tau: a * np.exp(-t / tau), t, np.exp(-t / 0.02) - shift, (1, 0.02)
    )
    x = process(rng, math.exp(-1 / 20), 4, steps=2000)
    found = direct(from_signal(x, 1e-3), max_lag=0.2)
    assert found.tau.mean() == pytest.approx(tau, rel=0.01)


@pytest.mark.parametrize("tau", [0.02, 0.06, 0.2])
def test_mended_it_is_right_where_it_was_wrong(tau):
    rng = np.random.default_rng(3)
    series = from_signal(process(rng, math.exp(-0.005 / tau), 16, steps=200), 5e-3)
    plain, mended = direct(series), direct(series, corrected=True)
    assert plain.tau.mean() < 0.9 * tau
    assert mended.tau.mean() == pytest.approx(tau, rel=0.04)
    lost = share_of_mean(tau, 1.0)
    assert mended.amplitude.mean() == pytest.approx(1 / (1 - lost), rel=0.05)
    assert np.isnan(mended.offset).all()
    assert mended.method == "direct corrected"


@pytest.mark.parametrize("tau", [0.1, 0.2])
def test_mended_counts(tau):
    """Bins of a process are sums of it; spikes add noise of their own."""
    rng = np.random.default_rng(4)
    x = process(rng, math.exp(-0.005 / tau), 100, steps=200, trials=50)
    rates = np.maximum(20 + 10 * x, 0).reshape(20, 10, 50, 100).mean(axis=1)
    series = Series(values=rng.poisson(rates * 0.05), bin_width=0.05)
    plain = direct(series)
    mended = direct(series, corrected=True, bootstrap=100, rng=rng)
    assert np.nanmedian(plain.estimate) < 0.5 * tau
    assert np.nanmedian(mended.estimate) == pytest.approx(tau, rel=0.2)
    assert np.mean((mended.low <= tau) & (tau <= mended.high)) > 0.85


def test_neurons_that_cannot_be_measured_say_why():
    rng = np.random.default_rng(5)
    values = np.zeros((20, 8, 3))
    values[:, :, 1] = np.arange(8)  # never varies within a trial
    values[:, :, 2] = rng.poisson(1, (20, 8))
    found = direct(Series(values=values, bin_width=0.05), bootstrap=20, rng=rng)
    assert found.status[:2] == (Status.TOO_FEW_SPIKES, Status.UNDEFINED)
    assert np.isnan(found.tau[:2]).all()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_lag": 0.1}, "max_lag: got 0.1 s with bins of 0.05 s"),
        ({"oscillation": 0.0}, "oscillation: got 0.0, need numbers greater than 0"),
        ({"bootstrap": 3}, "bootstrap: got 3, need 0 or at least 20"),
    ],
)
def test_refusals(settings, text):
    series = Series(values=np.ones((20, 9, 2)), bin_width=0.05)
    with pytest.raises(ValueError, match=re.escape(text)):
        direct(series, **settings)
