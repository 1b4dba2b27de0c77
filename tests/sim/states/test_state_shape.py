"""Shapes of states: closed forms, known processes, and how often noise oscillates."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit
from scipy.signal import lfilter

from isotau.sim.states.autocovariance import (
    autocovariance_blocks,
    together,
    without_each,
)
from isotau.sim.states.state_shape import integral_to_zero, state_shape
from isotau.sim.states.state_tau import jackknife_error, state_tau

INTERVAL = 0.01
COVERS = stats.t.ppf(0.975, 19)


def shape_of(x, lags):
    return state_shape(autocovariance_blocks(x, INTERVAL, lags))


def damped_cosine(period, damping, samples, trials, n, seed):
    """Real part of a complex Ornstein–Uhlenbeck process: exp(−t / T) cos(ω t)."""
    rng = np.random.default_rng(seed)
    keep = np.exp(-1 / damping + 2j * np.pi / period)
    noise = rng.standard_normal((2, samples + 1, trials, n))
    noise = noise[0] + 1j * noise[1]
    noise[1:] *= np.sqrt(1 - abs(keep) ** 2)
    return lfilter([1], [1, -keep], noise, axis=0)[1:].real


def damped_oscillator(period, damping, samples, trials, n, seed):
    """AR(2): exp(−t / T) (cos(ω t) + sin(ω t) / (ω T)) but for its samples."""
    rng = np.random.default_rng(seed)
    keep, omega = np.exp(-1 / damping), 2 * np.pi / period
    before = int(10 * damping)
    noise = rng.standard_normal((before + samples, trials, n))
    poles = [1, -2 * keep * np.cos(omega), keep**2]
    return lfilter([1], poles, noise, axis=0)[before:]


def spiking(period, jitter, samples, trials, n, seed):
    """Spikes at nearly equal intervals, filtered with a fifth of the period."""
    rng = np.random.default_rng(seed)
    before = 5 * period
    most = 2 * (before + samples) // period
    apart = period * (1 + jitter * rng.standard_normal((most, trials, n)))
    at = np.cumsum(apart, axis=0) - period * (1 + rng.random((1, trials, n)))
    counts = np.zeros((before + samples, trials, n))
    step = np.clip(at, 0, before + samples - 1).astype(int)
    np.add.at(counts, (step, *np.indices(step.shape)[1:]), 1.0)
    keep = np.exp(-5 / period)
    return lfilter([1], [1, -keep], counts, axis=0)[before:-1]


def test_the_integral_of_exponentials_is_exact():
    """Up to a zero that is set by hand, also where a sample is longer than τ."""
    tau = np.array([0.3, 1.0, 7.5, 20.0])
    curve = np.exp(-np.arange(30)[:, None] / tau)
    curve[20:] = -1e-12
    integral, reached = integral_to_zero(curve)
    assert reached.all()
    last = curve[19]
    expected = tau * (1 - last) + last**2 / (2 * (last + 1e-12))
    np.testing.assert_allclose(integral, expected, rtol=1e-12)


def test_the_integral_ends_where_a_line_falls_through_zero():
    curve = np.array([[1.0, 0.5, -0.5, 3.0], [1.0, 1.0, 0.5, 0.5]]).T
    integral, reached = integral_to_zero(curve)
    falling = 0.5 / np.log(2)
    np.testing.assert_allclose(integral, [falling + 0.125, 1 + falling + 0.5])
    np.testing.assert_array_equal(reached, [True, False])
    assert integral_to_zero(curve[:1])[1].tolist() == [False, False]
    steep, _ = integral_to_zero(np.array([[1.0], [1e-30], [-1.0]]))
    assert 0 < steep[0] < 0.05


@pytest.mark.parametrize(
    ("tau", "bias", "cover"), [(0.005, 0.04, 0.88), (0.05, 0.06, 0.85)]
)
def test_processes_have_their_tau(states, tau, bias, cover):
    """200 units; coverage less four standard errors of it."""
    x = states(np.full(200, tau), 400, 60, INTERVAL, 7)
    found = shape_of(x, 200)
    numbers = (found.tau_integral, found.integral_error, bias, cover)
    exponential = (found.tau_exponential, found.exponential_error, 0.02, 0.89)
    for value, error, most, least in (numbers, exponential):
        assert np.mean(value) == pytest.approx(tau, rel=most)
        inside = np.abs(np.log(value / tau)) < COVERS * error
        assert inside.mean() > least
    assert np.mean(found.offset) == pytest.approx(0, abs=0.01)
    assert found.n == 200 and "tau_exponential=[200]" in repr(found)


def test_what_stays_is_the_offset_and_what_decays_has_its_tau(states):
    """Constants of trials, that are three tenths of the variance."""
    rng = np.random.default_rng(8)
    x = states(np.full(100, 0.1), 400, 100, INTERVAL, 4) * np.sqrt(0.7)
    found = shape_of(x + np.sqrt(0.3) * rng.standard_normal((1, 100, 100)), 300)
    assert np.median(found.tau_exponential) == pytest.approx(0.1, rel=0.04)
    assert np.mean(found.offset) == pytest.approx(0.3, abs=0.02)
    assert np.isnan(found.tau_integral).all() and np.isnan(found.integral_error).all()


def fit_by_scipy(curve):
    """Return τ and b of a column, in samples."""

    def decay(t, a, tau, b):
        return a * np.exp(-t / tau) + b

    start = (1, len(curve) / 5, 0)
    return curve_fit(decay, np.arange(len(curve)), curve / curve[0], p0=start)[0][1:]


@pytest.mark.parametrize("k", [0, 1, 2])
def test_the_fit_is_that_of_scipy_and_its_error_that_of_fits_to_all_parts(states, k):
    x = states([0.03, 0.1, 0.001], 300, 40, INTERVAL, 9)
    x[..., 0] += states([0.2], 300, 40, INTERVAL, 3)[..., 0]
    x[..., 2] += states([0.04], 300, 40, INTERVAL, 3)[..., 0]
    blocked = autocovariance_blocks(x, INTERVAL, 200)
    found, falls = state_shape(blocked), state_tau(blocked).tau[k] / INTERVAL
    count = next(m for m in (8, 12, 16, 24, 32, 48, 64, 96) if m >= 5 * falls + 1)
    tau, offset = fit_by_scipy(together(blocked)[:count, k])
    assert found.tau_exponential[k] == pytest.approx(tau * INTERVAL, rel=1e-5)
    assert found.offset[k] == pytest.approx(offset, abs=1e-5)
    parts = without_each(blocked)[:, :count, k]
    fits = np.array([fit_by_scipy(part)[0] for part in parts])
    error = jackknife_error(np.log(fits)[:, None])[0]
    assert found.exponential_error[k] == pytest.approx(error, rel=0.05)


@pytest.mark.parametrize("process", [damped_cosine, damped_oscillator])
@pytest.mark.parametrize(("period", "periods"), [(40, 0.5), (40, 1), (40, 3), (10, 1)])
def test_oscillations_have_their_frequency_and_damping(process, period, periods):
    damping = period * periods
    found = shape_of(process(period, damping, 500, 200, 20, 1), 200)
    assert found.oscillating.all()
    # An edge at lag 0 brings the peak forward.
    edge = np.arctan(1 / (2 * np.pi * periods)) if process is damped_cosine else 0.0
    expected = 1 / (period * INTERVAL) / (1 - edge / (2 * np.pi))
    assert np.median(found.frequency) == pytest.approx(expected, rel=0.01)
    assert np.median(found.damping_time) == pytest.approx(damping * INTERVAL, rel=0.06)
    assert np.median(found.quality) == pytest.approx(np.pi * periods, rel=0.1)
    assert (found.lobe < 0).all() and (found.peak > 0).all()


@pytest.mark.parametrize("jitter", [0.02, 0.1])
def test_regular_spikes_oscillate_at_their_rate(jitter):
    """Their lobes are shallow: the damping of a cosine cannot be told from them."""
    found = shape_of(spiking(40, jitter, 500, 20, 20, 2), 200)
    assert found.oscillating.all()
    np.testing.assert_allclose(found.frequency, 2.5, rtol=0.05)
    assert np.mean(found.frequency) == pytest.approx(2.5, rel=0.01)
    assert np.isnan(found.damping_time).all()
    assert (found.peak > np.abs(found.lobe)).all()


def test_white_noise_beside_it_does_not_hide_an_oscillation():
    """It touches zero within lobes, and halves what is left at lag 1."""
    rng = np.random.default_rng(3)
    x = damped_cosine(150, 400, 600, 40, 20, 5)
    found = shape_of(x + rng.standard_normal(x.shape), 400)
    assert found.oscillating.all()
    assert np.median(found.frequency) == pytest.approx(1 / 1.5, rel=0.04)
    assert np.median(found.damping_time) == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("tau", [0.003, 0.02, 0.05, 0.2, 1.0])
def test_what_only_decays_oscillates_in_one_case_of_a_hundred_at_most(states, tau):
    """1 to 3 of 1000 by other measurements; 12 of 800 is hardly ever met at 8."""
    count = sum(
        shape_of(
            states(np.full(200, tau), 500, 20, INTERVAL, seed), 400
        ).oscillating.sum()
        for seed in range(4)
    )
    assert count <= 8


def test_two_timescales_do_not_oscillate(states):
    x = states(np.full(200, 0.03), 500, 20, INTERVAL, 1)
    x = x + states(np.full(200, 0.6), 500, 20, INTERVAL, 2)
    assert shape_of(x, 400).oscillating.sum() <= 2


def test_a_period_longer_than_the_window_is_none():
    found = shape_of(damped_oscillator(150, 300, 400, 40, 10, 6), 140)
    assert not found.oscillating.any()
    for numbers in (found.frequency, found.damping_time, found.lobe, found.peak):
        assert np.isnan(numbers).all()


def test_of_what_does_not_move_or_fall_nothing_is_told(states):
    rng = np.random.default_rng(2)
    x = states([0.05, 0.05], 100, 40, INTERVAL, 2)
    x[..., 1] = 0.0
    constant = np.broadcast_to(rng.standard_normal((1, 40, 1)), (100, 40, 1))
    found = shape_of(np.concatenate([x, constant], axis=2), 60)
    for name in ("tau_exponential", "exponential_error", "offset"):
        np.testing.assert_array_equal(
            np.isfinite(getattr(found, name)), [True, False, False], name
        )
    assert np.isnan(found.tau_integral[1:]).all() and not found.oscillating.any()


@pytest.mark.parametrize("lags", [1, 2, 7])
def test_few_lags_tell_the_integral_alone(states, lags):
    found = shape_of(states([0.001, 0.05], 100, 40, INTERVAL, 2), lags)
    assert np.isnan(found.tau_exponential).all() and not found.oscillating.any()
    assert np.isnan(found.quality).all() and found.oscillating.shape == (2,)


def test_arrays_are_read_only(states):
    found = shape_of(states([0.05], 100, 20, INTERVAL, 2), 30)
    for name in ("tau_integral", "oscillating", "peak"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = 0
