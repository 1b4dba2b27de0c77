"""Kim & Sejnowski's estimator: neurons of known τ, its rules one by one, its fit."""

import importlib
import math
import re
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.synthetic.gaussian import standard_paths
from isotau.convert.records.spikes import Spikes, SpikeTimes, from_spikes, pack
from isotau.sim.timescales import Status, kim
from isotau.sim.timescales.estimators.estimator_kernels import levenberg_marquardt
from isotau.sim.timescales.estimators.judge import judge
from isotau.sim.timescales.estimators.kim import (
    decay_times,
    explained,
    first_falls,
    fit_published,
    hide_slow,
    settled_rates,
)
from isotau.sim.timescales.records.autocorrelation import autocorrelation, binned
from isotau.sim.timescales.records.series import Series, from_signal

# The package has a function of the same name.
MODULE = importlib.import_module("isotau.sim.timescales.estimators.kim")
DT = 0.001
STEPS = 1050


def poisson(rng, rate, sd=0.0, tau=None, *, n=150, trials=50):
    """Poisson neurons whose rate is an Ornstein-Uhlenbeck process, cut at zero.

    rate and sd in Hz, tau in seconds; without tau the rate is constant.
    """
    raster = np.empty((STEPS, trials, n), dtype=bool)
    x = rng.standard_normal((trials, n))
    keep = math.exp(-DT / tau) if tau else 1.0
    for t in range(STEPS):
        x = keep * x + math.sqrt(1 - keep**2) * rng.standard_normal(x.shape)
        now = np.maximum(rate + sd * x, 0)
        raster[t] = rng.random(x.shape) < -np.expm1(-now * DT)
    return Spikes(bits=pack(raster), n=n, dt=DT, engine="poisson")


def test_the_rate_leaves_out_the_first_5_ms_of_spikes_but_not_of_time():
    raster = np.zeros((1000, 4, 1), dtype=bool)
    raster[:5] = True
    raster[[5, 999]] = True
    spikes = Spikes(bits=pack(raster), n=1, dt=DT, engine="recorded")
    assert settled_rates(spikes).tolist() == [2.0]
    assert settled_rates(from_spikes(spikes)).tolist() == [2.0]
    coarse = Spikes(bits=pack(raster), n=1, dt=0.02, engine="recorded")
    assert settled_rates(coarse) == pytest.approx([7 / 20])


def test_the_rate_of_a_series_is_that_of_all_bins():
    counts = Series(values=np.ones((10, 4, 2)), bin_width=0.05)
    assert settled_rates(counts) == pytest.approx([20, 20])
    assert np.isnan(settled_rates(from_signal(np.ones((10, 4, 2)), 0.05))).all()


def test_a_neuron_without_trials_has_too_few_spikes():
    rng = np.random.default_rng(0)
    times = SpikeTimes(
        times=rng.uniform(0, 1, 2000),
        trial=rng.integers(50, size=2000),
        neuron=np.zeros(2000, dtype=int),
        trials=np.array([50, 0]),
        duration=1.0,
    )
    found = kim(times)
    assert found.status[1] is Status.TOO_FEW_SPIKES
    assert found.rate[1] == 0


def test_statuses_say_why():
    """Neurons made to fail each rule; silent ones make no noise."""
    rng = np.random.default_rng(4)
    raster = np.zeros((STEPS, 50, 4), dtype=bool)
    raster[:, :, 1] = rng.random((STEPS, 50)) < 0.002  # 2 Hz
    raster[::10, :, 2] = True  # 100 Hz, the same in every trial
    drift = np.linspace(0, 1, STEPS)[:, None] * rng.standard_normal(50)
    raster[:, :, 3] = rng.random((STEPS, 50)) < 0.05 * (1 + drift.clip(-1, 1))
    found = kim(Spikes(bits=pack(raster), n=4, dt=DT, engine="recorded"))
    assert found.status[:3] == (
        Status.TOO_FEW_SPIKES,
        Status.TOO_FEW_SPIKES,
        Status.UNDEFINED,
    )
    assert found.status[3] is not Status.OK
    assert np.isnan(found.tau).all()
    assert found.rate[[0, 2]] == pytest.approx([0, 100], rel=0.01)


def by_the_rules(spikes):
    """Return the rule that each neuron fails first, worked out neuron by neuron."""
    rho = autocorrelation(binned(spikes, 0.05)[1:], 14)
    for neuron in range(spikes.n):
        y = rho[:, neuron]
        falls = [m for m in range(1, 14) if y[m] < y[m - 1]]
        if np.isnan(y).any():
            yield Status.UNDEFINED, None
        elif not falls or falls[0] > 3:
            yield Status.LATE_PEAK, None
        else:
            yield None, fit_decay(y[falls[0] - 1 :])


def test_every_neuron_follows_the_rules():
    spikes = poisson(np.random.default_rng(11), 6.0, n=100)
    found = kim(spikes)
    seen = set()
    for neuron, (early, fit) in enumerate(by_the_rules(spikes)):
        status, tau = found.status[neuron], found.tau[neuron]
        seen.add(status)
        if early:
            assert (status, np.isnan(tau)) == (early, True)
        elif status is Status.OK:
            assert fit.amplitude >= 0
            assert 0 < tau <= 0.5
            assert tau == pytest.approx(-0.05 / fit.rate)
        else:
            assert {
                Status.NO_DECAY: fit.rate >= 0,
                Status.NEGATIVE_AMPLITUDE: fit.amplitude < 0,
                Status.TOO_LONG: -0.05 / fit.rate > 0.5,
                Status.FIT_FAILED: not np.isfinite(fit[:3]).all(),
            }[status]
        if fit:
            assert found.amplitude[neuron] == fit.amplitude
            assert found.offset[neuron] == fit.offset
    assert len(seen) >= 4


def test_all_sources_of_the_same_spikes_agree():
    spikes = poisson(np.random.default_rng(3), 20.0, 20.0, 0.1, n=20)
    found = kim(spikes)
    for other in (
        from_spikes(spikes),
        Series(values=binned(spikes, 0.05), bin_width=0.05),
    ):
        again = kim(other)
        assert again.status == found.status
        np.testing.assert_array_equal(again.tau, found.tau)


def test_a_signal_has_a_timescale_and_no_rate():
    rng = np.random.default_rng(0)
    x = standard_paths(np.full(30, 0.1), 200, 1.05, 0.05, rng)
    found = kim(from_signal(x, 0.05))
    assert np.isnan(found.rate).all()
    assert found.status.count(Status.OK) >= 28
    assert np.nanmedian(found.tau) == pytest.approx(0.1, rel=0.1)


def test_two_runs_agree_bit_for_bit():
    spikes = poisson(np.random.default_rng(5), 10.0, n=60)
    assert kim(spikes).estimate.tobytes() == kim(spikes).estimate.tobytes()


@pytest.mark.parametrize("rate", [5, 10, 20])
def test_pure_poisson_neurons_pass_in_8_to_10_percent(rate):
    """They have no timescale: this is the method's false alarm rate."""
    counts = np.random.default_rng(rate).poisson(0.05 * rate, (21, 50, 2000))
    found = kim(Series(values=counts, bin_width=0.05))
    assert 0.08 < np.isfinite(found.tau).mean() < 0.12
    assert 0.04 < np.nanmedian(found.tau) < 0.09


@pytest.mark.parametrize(
    ("rate", "sd", "tau", "kept", "median"),
    [
        (20, 10, 0.1, (0.62, 0.88), (0.065, 0.110)),
        (20, 20, 0.05, (0.75, 0.95), (0.036, 0.060)),
        (20, 20, 0.1, (0.92, 1.0), (0.080, 0.118)),
        (20, 20, 0.2, (0.85, 1.0), (0.150, 0.225)),
        (20, 20, 0.4, (0.50, 0.78), (0.220, 0.320)),
    ],
)
def test_known_timescales(rate, sd, tau, kept, median):
    """Another program kept .76 .87 .98 .96 .67, medians 86 45 99 183 270 ms.

    The medians are those of the neurons that the rules keep; the 500 ms limit cuts
    many of those with τ = 400 ms.
    """
    found = kim(poisson(np.random.default_rng(7), rate, sd, tau))
    assert kept[0] < np.isfinite(found.tau).mean() <= kept[1]
    assert median[0] < np.nanmedian(found.tau) < median[1]
    assert found.rate.mean() == pytest.approx(rate, rel=0.12)


def test_intervals_of_resampled_trials():
    spikes = poisson(np.random.default_rng(3), 20.0, 20.0, 0.1, n=60)
    assert np.isnan(kim(spikes).low).all()
    found = kim(spikes, bootstrap=60, rng=np.random.default_rng(0), level=0.9)
    assert found.level == 0.9
    inside = (found.low <= 0.1) & (found.high >= 0.1)
    assert 0.7 < inside.mean() <= 1
    assert (found.low <= found.high).all()
    noise = poisson(np.random.default_rng(3), 10.0, n=20)
    unsure = kim(noise, bootstrap=60, rng=np.random.default_rng(0))
    assert np.median(unsure.low) == 0
    assert np.isinf(np.median(unsure.high))


def test_settings():
    spikes = poisson(np.random.default_rng(3), 20.0, 20.0, 0.1, n=20)
    usual = kim(spikes)
    assert (usual.method, usual.bin_width, usual.lags) == ("kim", 0.05, 14)
    assert np.nanmedian(usual.goodness) > 0.8
    strict = kim(spikes, min_rate=1e3)
    assert set(strict.status) == {Status.TOO_FEW_SPIKES}
    short = kim(spikes, max_tau=0.08)
    assert np.nanmax(short.tau) <= 0.08
    assert Status.TOO_LONG in short.status
    np.testing.assert_array_equal(short.estimate, usual.estimate)
    fine = kim(spikes, bin_width=0.025, lags=20)
    assert (fine.bin_width, fine.lags) == (0.025, 20)
    assert np.nanmedian(fine.tau) == pytest.approx(0.1, rel=0.4)


@pytest.mark.parametrize(
    ("trials", "settings", "text"),
    [
        (1, {}, "trials: got 1, need at least 3; run more trials"),
        (2, {}, "trials: got 2, need at least 3; run more trials"),
        (3, {"lags": 20}, "bins: got 20, need more than 20 (the lags); run longer"),
        (3, {"lags": 4}, "lags: got 4, need at least 5"),
        (3, {"bin_width": 0.0123456}, "bin_width: got 0.0123456 s, need a whole"),
        (3, {"bootstrap": 20}, "rng: got None, need a generator for the bootstrap"),
    ],
)
def test_refusals(trials, settings, text):
    spikes = poisson(np.random.default_rng(0), 10.0, n=2, trials=trials)
    with pytest.raises(ValueError, match=re.escape(text)):
        kim(spikes, **settings)


def test_three_trials_will_do():
    assert kim(poisson(np.random.default_rng(0), 10.0, n=3, trials=3)).n == 3


class Decay(NamedTuple):
    """A fitted A (exp(k x) + B)."""

    amplitude: float
    rate: float
    offset: float


def fit_decay(y):
    return Decay(*levenberg_marquardt(y))


@pytest.mark.parametrize("tau", [0.03, 0.1, 0.4])
@pytest.mark.parametrize(
    ("amplitude", "offset"), [(0.4, 0.0), (0.1, 0.5), (2.0, -0.01)]
)
def test_an_exact_exponential_is_found_from_zero(tau, amplitude, offset):
    k = -0.05 / tau
    y = amplitude * (np.exp(k * np.arange(1, 15)) + offset)
    fit = fit_decay(y)
    assert fit.rate == pytest.approx(k, rel=1e-5)
    assert fit.amplitude == pytest.approx(amplitude, rel=1e-5)
    assert fit.offset == pytest.approx(offset, abs=1e-5)
    assert explained(y, *fit) == pytest.approx(1)


@pytest.mark.parametrize("offset", [-0.3, -0.25])
def test_the_published_start_misses_a_decay_around_a_negative_mean(offset):
    """A starts at 0 and takes the sign of the mean; the decay is plain to see."""
    y = np.exp(-0.5 * np.arange(1, 15)) + offset
    assert y.mean() < 0
    assert fit_decay(y).rate >= 0


def test_the_fit_is_a_least_squares_minimum():
    """The best A and B for any k follow from linear regression; scan k for the best."""
    rng = np.random.default_rng(0)
    x = np.arange(1, 15)
    y = 0.3 * np.exp(-0.5 * x) + 0.1 + 0.01 * rng.standard_normal(14)
    fit = fit_decay(y)

    def loss(k):
        terms = np.stack((np.exp(k * x), np.ones(14)), axis=1)
        return np.linalg.lstsq(terms, y, rcond=None)[1][0]

    grid = np.linspace(-2, -0.05, 3901)
    best = grid[np.argmin([loss(k) for k in grid])]
    assert fit.rate == pytest.approx(best, abs=1e-3)
    found = np.sum((fit.amplitude * (np.exp(fit.rate * x) + fit.offset) - y) ** 2)
    assert found == pytest.approx(loss(fit.rate), rel=1e-6)
    assert explained(y, *fit) == pytest.approx(1 - found / np.sum((y - y.mean()) ** 2))


@pytest.mark.parametrize("y", [np.zeros(14), np.arange(14.0), np.eye(1, 14)[0]])
def test_curves_without_a_decay_end_quietly(y):
    fit = fit_decay(y)
    assert np.isnan(explained(y, *fit)) or explained(y, *fit) <= 1


def test_a_fit_at_infinity_explains_nothing():
    assert np.isnan(explained(np.arange(5.0), 1.0, 1e3, np.nan))
    assert np.isnan(explained(np.arange(5.0), 1.0, 1e3, 0.0))


@pytest.mark.parametrize(
    ("rho", "row"),
    [([3, 2, 1], 0), ([1, 2, 1], 1), ([1, 1, 0], 1), ([1, 2, 3], -1), ([2, 1, 5], 0)],
)
def test_first_fall(rho, row):
    assert first_falls(np.array(rho, dtype=float)[:, None]).tolist() == [row]


def test_each_curve_is_fitted_from_its_first_fall():
    fall = 0.3 * np.exp(-0.4 * np.arange(14))
    late = fall.copy()
    late[1], late[2] = 0.35, 0.36  # the third lag is the highest
    later = late.copy()
    later[3] = 0.37
    gap = np.where(np.arange(14) == 9, np.nan, fall)
    rho = np.stack((fall, late, later, np.arange(14.0), gap), axis=1)
    found = fit_published(rho, 0.05, 0.5)
    assert tuple(found.status) == (
        Status.OK,
        Status.OK,
        Status.LATE_PEAK,
        Status.LATE_PEAK,
        Status.UNDEFINED,
    )
    for name in ("tau", "amplitude", "offset", "goodness", "least", "most"):
        assert np.isnan(getattr(found, name)[2:]).all()
    expected = fit_decay(late[2:])
    assert (found.amplitude[1], found.offset[1]) == (expected[0], expected[2])
    assert found.tau[1] == -0.05 / expected.rate
    assert found.tau[0] == pytest.approx(0.05 / 0.4)
    with pytest.raises(ValueError, match="lags: got 4, need at least 5"):
        fit_published(np.ones((4, 2)), 0.05, 0.5)


DECAYS = {
    (0.1, -0.5, 0.0): Status.OK,
    (0.1, -0.09, 0.0): Status.TOO_LONG,
    (0.1, 0.0, 0.0): Status.NO_DECAY,
    (0.1, 0.5, 0.0): Status.NO_DECAY,
    (-0.1, -0.5, 0.0): Status.NEGATIVE_AMPLITUDE,
    (np.inf, -0.5, 0.0): Status.FIT_FAILED,
    (0.1, -1e-320, 0.0): Status.TOO_LONG,
}


@pytest.mark.parametrize("signed", [False, True])
def test_the_last_rules(signed, monkeypatch):
    """Whatever decays the fits end at: what they are taken for."""
    n = len(DECAYS)

    def end_there(rho, start, decays):
        decays[:] = np.array(list(DECAYS)).T

    monkeypatch.setattr(MODULE.kernels, "fit_columns", end_there)
    falling = np.repeat(np.linspace(1, 0, 14)[:, None], n, axis=1)
    fits = fit_published(falling, 0.05, 0.5, signed=signed)
    np.testing.assert_allclose(fits.least, [0.1, 0.05 / 0.09, 0, 0, 0, 0.1, np.inf])
    np.testing.assert_allclose(fits.most[2:5], np.inf)
    np.testing.assert_array_equal(fits.most[[0, 1, 5]], fits.least[[0, 1, 5]])

    def judged(slow):
        few = np.full(n, slow)
        return judge(
            hide_slow(fits, few), None, few=few, rate=np.full(n, 9.0),
            method="kim", bin_width=0.05, lags=14, decisive=False,
        )  # fmt: skip

    found = judged(False)
    for status, expected in zip(found.status, DECAYS.values(), strict=True):
        if signed and expected is Status.NEGATIVE_AMPLITUDE:
            expected = Status.OK
        assert status is expected
    np.testing.assert_allclose(
        found.estimate, [0.1, 0.05 / 0.09, np.nan, np.nan, 0.1, 0.1, np.nan]
    )
    assert found.tau[0] == pytest.approx(0.1)
    assert np.isnan(found.amplitude[5])
    silent = judged(True)
    assert set(silent.status) == {Status.TOO_FEW_SPIKES}
    for name in ("estimate", "goodness", "amplitude", "offset"):
        assert np.isnan(getattr(silent, name)).all()


def test_times_of_decays():
    rates = np.array([-0.5, 0.0, 0.5, np.nan, -1e-320])
    np.testing.assert_allclose(
        decay_times(rates, 0.05), [0.1, np.inf, np.inf, np.nan, np.inf]
    )


def test_an_interval_that_reaches_down_to_0_refuses_nobody():
    spikes = poisson(np.random.default_rng(3), 10.0, n=40)
    found = kim(spikes, bootstrap=20, rng=np.random.default_rng(0))
    identified = np.array([status is Status.OK for status in found.status])
    assert (found.low[identified] == 0).any()
    assert Status.NOT_IDENTIFIABLE not in found.status
