"""Widths and areas of autocorrelations: exponentials give τ back."""

import importlib
import math
import re

import numpy as np
import pytest

from isotau.sim.timescales.estimators.acw import THRESHOLD, acw, integral
from isotau.sim.timescales.records.record import Status
from isotau.sim.timescales.records.series import Series, from_signal

# The package has a function of the same name.
MODULE = importlib.import_module("isotau.sim.timescales.estimators.acw")
W = 0.05
TIMES = np.arange(1, 15) * W


@pytest.fixture
def given(monkeypatch):
    """Make the estimators see given correlations instead of measured ones."""

    def measure(estimator, rho, *, kind="counts", **settings):
        rho = np.asarray(rho, dtype=float).reshape(14, -1)
        monkeypatch.setattr(MODULE, "autocorrelation", lambda *_: rho)
        values = np.ones((20, 5, rho.shape[1]))
        return estimator(Series(values=values, bin_width=W, kind=kind), **settings)

    return measure


@pytest.mark.parametrize("amplitude", [1.0, 0.03])
def test_an_exponential_gives_its_timescale_back(given, amplitude):
    tau = np.array([0.02, 0.05, 0.1, 0.3, 0.6])
    rho = amplitude * np.exp(-TIMES[:, None] / tau)
    for threshold in (THRESHOLD, 0.5, 0.35):
        found = given(acw, rho, threshold=threshold)
        np.testing.assert_allclose(found.tau, tau, rtol=1e-12)
    np.testing.assert_allclose(given(integral, rho).tau, tau, rtol=1e-12)
    np.testing.assert_allclose(found.amplitude, rho[0])


def test_a_signal_starts_at_one(given):
    """Without the spikes' own noise lag 0 is a point of the exponential."""
    tau = np.array([0.02, 0.1, 0.6])
    rho = np.exp(-TIMES[:, None] / tau)
    for estimator in (acw, integral):
        found = given(estimator, rho, kind="signal")
        np.testing.assert_allclose(found.tau, tau, rtol=1e-12)
        np.testing.assert_array_equal(found.amplitude, 1)


def test_a_triangle_is_measured_with_a_ruler(given):
    """ρ = 1 − t/0.4 s, of counts from lag 1 on: half of 0.875 is reached at 0.225 s."""
    rho = 1 - TIMES / 0.4
    assert given(acw, rho, threshold=0.0).tau[0] == pytest.approx(0.4)
    half = given(acw, rho, threshold=0.5)
    assert half.tau[0] == pytest.approx(0.175 / math.log(2), rel=0.02)
    # Half of base times height, over the height; and a little less, by the curve.
    assert given(integral, rho).tau[0] == pytest.approx(0.35 / 2, rel=0.02)


def test_lags_without_a_correlation_are_bridged(given):
    rho = np.exp(-TIMES / 0.1)
    rho[[1, 4]] = np.nan
    for estimator in (acw, integral):
        assert given(estimator, rho).tau[0] == pytest.approx(0.1)


def test_statuses(given):
    high = np.exp(-TIMES / 5)
    low = -np.exp(-TIMES / 0.1)
    rising = 0.1 + TIMES
    gap = np.where(np.arange(14) == 0, np.nan, high)
    rho = np.stack((high, low, rising, gap), axis=1)
    found = given(acw, rho)
    assert found.status == (
        Status.TOO_LONG,
        Status.NEGATIVE_AMPLITUDE,
        Status.TOO_LONG,
        Status.UNDEFINED,
    )
    assert np.isnan(found.tau).all()
    found = given(integral, rho)
    assert found.tau[0] == pytest.approx(5)
    assert found.status[1:] == (
        Status.NEGATIVE_AMPLITUDE,
        Status.NO_DECAY,
        Status.UNDEFINED,
    )
    level = given(integral, np.full(14, 0.2))
    assert level.status == (Status.NO_DECAY,)


def test_the_first_zero_of_an_exponential_never_comes(given):
    found = given(acw, np.exp(-TIMES / 0.02), threshold=0.0)
    assert found.status == (Status.TOO_LONG,)
    assert found.method == "acw-0"


@pytest.mark.parametrize("tau", [0.05, 0.2])
@pytest.mark.parametrize(
    ("estimator", "settings", "name"),
    [
        (acw, {}, "acw"),
        (acw, {"threshold": 0.5}, "acw-50"),
        (acw, {"threshold": 0.4}, "acw-0.4"),
        (integral, {}, "integral"),
    ],
)
def test_neurons_of_known_timescale(estimator, settings, name, tau):
    rng = np.random.default_rng(0)
    keep = math.exp(-0.005 / tau)
    x = rng.standard_normal((50, 200))
    values = np.zeros((20, 50, 200))
    for step in range(200):
        x = keep * x + math.sqrt(1 - keep**2) * rng.standard_normal(x.shape)
        values[step // 10] += rng.poisson(0.005 * np.maximum(20 + 20 * x, 0))
    series = Series(values=values, bin_width=W)
    found = estimator(series, bootstrap=60, rng=rng, **settings)
    assert found.method == name
    assert np.isfinite(found.tau).mean() > 0.95
    assert np.nanmedian(found.tau) == pytest.approx(tau, rel=0.15)
    assert np.mean((found.low <= tau) & (tau <= found.high)) > 0.85
    assert np.isfinite(found.low).all()


def test_poisson_neurons_are_hardly_identified():
    rng = np.random.default_rng(1)
    series = Series(values=rng.poisson(1, (20, 50, 300)), bin_width=W)
    for estimator in (acw, integral):
        found = estimator(series, bootstrap=60, rng=rng)
        assert np.isfinite(found.tau).mean() < 0.07
        assert np.isinf(found.high).mean() > 0.9


def test_silent_neurons():
    values = np.zeros((20, 9, 2))
    values[:, :, 1] = np.random.default_rng(0).poisson(0.01, (20, 9))
    found = acw(Series(values=values, bin_width=W), min_rate=1.0)
    assert set(found.status) == {Status.TOO_FEW_SPIKES}
    signal = acw(from_signal(values, W))
    assert signal.status[0] is Status.UNDEFINED


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"threshold": 1.0}, "threshold: got 1.0, need 0 to below 1"),
        ({"threshold": -0.1}, "threshold: got -0.1, need 0 to below 1"),
        ({"max_lag": 0.1}, "max_lag: got 0.1 s with bins of 0.05 s"),
        ({"bootstrap": 30}, "rng: got None"),
    ],
)
def test_refusals(settings, text):
    series = Series(values=np.ones((20, 9, 2)), bin_width=W)
    with pytest.raises(ValueError, match=re.escape(text)):
        acw(series, **settings)
