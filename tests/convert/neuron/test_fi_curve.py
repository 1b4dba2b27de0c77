"""The f–I curve against the neuron itself, stepped here, and against known rates."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron import fi_curve
from isotau.convert.neuron.fi_curve import (
    FICurve,
    curve,
    evaluate,
    firing_rate,
    lif_activation,
    lif_slope,
    lif_table,
    siegert_rate,
)
from isotau.convert.neuron.lif_constants import PUBLISHED, LIFConstants

FINE = LIFConstants(dt=5e-5)
FITTED = LIFConstants(tau_mem=5e-3, refractory=5e-3, noise_std=3e-3)
DRIVES = 1e-3 * np.array([-4, -2, -1, 0, 1, 3, 5, 10, 20])


def simulated(drives, c, *, neurons, seconds, seed=0):
    """Spikes per neuron and second after 0.2 s of settling, and their error."""
    rng = np.random.default_rng(seed)
    a = 1 - np.exp(-c.dt / c.tau_mem)
    noise = c.noise_std * np.sqrt(1 - np.exp(-2 * c.dt / c.tau_mem))
    leak = c.v_th + np.asarray(drives)[:, None]
    v = np.full((len(drives), neurons), c.v_reset)
    held = np.zeros(v.shape, dtype=int)
    counts = np.zeros(v.shape)
    settle = round(0.2 / c.dt)
    for t in range(settle + round(seconds / c.dt)):
        v = v + a * (leak - v) + noise * rng.standard_normal(v.shape)
        resting = held > 0
        spiked = (v > c.v_th) & ~resting
        v[resting | spiked] = c.v_reset
        held = np.where(spiked, round(c.refractory / c.dt), np.maximum(held - 1, 0))
        counts += spiked * (t >= settle)
    return counts.mean(1) / seconds, counts.std(1) / np.sqrt(neurons) / seconds


@pytest.mark.parametrize("constants", [PUBLISHED, FITTED], ids=["published", "fitted"])
def test_rates_are_the_stepped_neurons(constants):
    rates, error = simulated(DRIVES, constants, neurons=600, seconds=2.0)
    expected = firing_rate(DRIVES, constants)
    np.testing.assert_array_less(np.abs(expected - rates), 4 * error + 1e-3 * rates)
    assert (error[1:] < 0.02 * rates[1:]).all()
    np.testing.assert_allclose(evaluate(curve(constants), DRIVES), expected, rtol=1e-3)


@pytest.mark.slow
def test_rates_are_the_stepped_neurons_at_small_steps():
    """A drive of -4 mV fires too rarely to be counted in so few trials."""
    drives = DRIVES[1:]
    rates, error = simulated(drives, FINE, neurons=300, seconds=1.0)
    expected = firing_rate(drives, FINE)
    np.testing.assert_array_less(np.abs(expected - rates), 4 * error + 2e-3 * rates)
    assert (error < 0.03 * rates).all()


def test_published_rates_return_as_the_step_shrinks():
    """Rates in Hz of the neuron in continuous time, computed by other code."""
    drives = 1e-3 * np.array([-3, -2, -1, 0, 1, 2, 3, 5, 7, 10, 20])
    known = [1.1, 7.0, 16.4, 24.7, 31.3, 37.0, 41.9, 50.7, 58.5, 69.1, 99.0]
    tiny = LIFConstants(dt=1e-8)
    np.testing.assert_allclose(firing_rate(drives, tiny), known, atol=0.08)


def test_formula_and_equation_agree_where_both_serve(monkeypatch):
    """At 0.1 ms the shifted formula is good to half a percent, with a walk's 0.5826."""
    c = LIFConstants(dt=1e-4, refractory=2e-3)
    exact = firing_rate(DRIVES, c)
    np.testing.assert_allclose(siegert_rate(DRIVES, c), exact, rtol=5e-3)
    monkeypatch.setattr(fi_curve, "MOST_POINTS", 0)
    np.testing.assert_array_equal(firing_rate(DRIVES, c), siegert_rate(DRIVES, c))
    monkeypatch.setattr(fi_curve, "OVERSHOOT", 0.0)
    assert (siegert_rate(DRIVES[:4], c) > 1.02 * exact[:4]).all()


def test_formula_at_the_published_step():
    exact = firing_rate(DRIVES, PUBLISHED)
    np.testing.assert_allclose(siegert_rate(DRIVES, PUBLISHED), exact, rtol=0.035)
    np.testing.assert_allclose(
        siegert_rate(DRIVES, FITTED), firing_rate(DRIVES, FITTED), rtol=0.04
    )


def test_formula_survives_extreme_arguments():
    c = dataclasses.replace(PUBLISHED, noise_std=1e-5)
    far = np.array([-0.5, -0.1, 0.1, 1e3])
    rates = siegert_rate(far, c)
    assert np.isfinite(rates).all() and (rates[:2] == 0).all()
    # nearly no noise: 1/(refractory + τ ln((μ − v_reset)/(μ − v_th)) + half a step)
    expected = 1 / (2e-3 + 10e-3 * np.log(0.125 / 0.1) + 0.5e-3)
    assert rates[2] == pytest.approx(expected, rel=0.01)


def test_without_noise_intervals_are_whole_steps():
    c = dataclasses.replace(PUBLISHED, noise_std=0.0)
    drives = 1e-3 * np.array([-5.0, 0.0, 0.1, 1.0, 3.3, 20.0, 75.0])
    counts = []
    for drive in drives:
        v, steps = c.v_reset, 0
        while v <= c.v_th and steps < 1000:
            v, steps = v + (1 - np.exp(-0.1)) * (c.v_th + drive - v), steps + 1
        counts.append(1e3 / (2 + steps) if steps < 1000 else 0.0)
    np.testing.assert_allclose(firing_rate(drives, c), counts)
    np.testing.assert_allclose(evaluate(curve(c), drives), counts, rtol=0.02)


def test_nearly_without_noise_it_is_the_noiseless_curve():
    c = LIFConstants(noise_std=1e-4)
    drives = 1e-3 * np.array([3.0, 8.0, 15.0])
    none = dataclasses.replace(c, noise_std=0.0)
    interval = 1 / firing_rate(drives, none)
    assert (np.abs(1 / firing_rate(drives, c) - interval) < 0.6 * c.dt).all()


def test_any_shape_goes_in_and_comes_out():
    grid = DRIVES[:8].reshape(2, 4)
    rates = firing_rate(grid, PUBLISHED)
    assert rates.shape == (2, 4)
    np.testing.assert_allclose(rates.ravel(), firing_rate(grid.ravel(), PUBLISHED))
    assert firing_rate(0.0, PUBLISHED).shape == ()
    assert firing_rate([], PUBLISHED).shape == (0,)


def test_curve_is_made_once_and_never_falls():
    fi = curve(PUBLISHED)
    assert curve(LIFConstants()) is fi
    assert (np.diff(fi.rates) >= 0).all() and not fi.rates.flags.writeable
    assert fi.drives[0] == pytest.approx(-20e-3) and fi.drives[-1] == pytest.approx(
        0.08
    )
    drives = 1e-3 * np.array([-2.013, 0.777, 13.37, 41.9])
    np.testing.assert_allclose(
        evaluate(fi, drives), firing_rate(drives, PUBLISHED), rtol=2e-3
    )


def test_beyond_the_ends_rates_go_on_to_the_refractory_ceiling():
    fi = curve(FITTED)
    np.testing.assert_array_equal(evaluate(fi, -1.0), fi.rates[0])
    far = np.array([0.08, 0.1, 0.15, 0.25, 10.0])
    rates = evaluate(fi, far)
    # whole steps make the true rate a staircase: within one step of each interval
    off = 1 / rates - 1 / firing_rate(far, FITTED)
    assert (np.abs(off) <= FITTED.dt).all() and (np.diff(rates) >= 0).all()
    assert rates[-1] == pytest.approx(1 / 6e-3)


def test_activation_is_the_rate_in_units_of_50_hz():
    x = np.array([[-3.0, -1.0, 0.0], [2.0, 7.25, 33.0]])
    expected = firing_rate(1e-3 * x, PUBLISHED) / 50
    np.testing.assert_allclose(lif_activation(x), expected, rtol=2e-3)
    assert lif_activation(x).dtype == np.float64
    assert float(lif_activation(0)) == pytest.approx(0.45, abs=0.01)
    rise = (lif_activation(x + 0.2) - lif_activation(x - 0.2)) / 0.4
    np.testing.assert_allclose(lif_slope(x), rise, rtol=0.02, atol=1e-3)


def test_table_is_the_activation():
    """What a trainer in another framework interpolates gives the same numbers."""
    table = lif_table()
    x = np.linspace(-30, 90, 4001)
    at = table.start + table.step * np.arange(table.values.size)
    np.testing.assert_allclose(np.interp(x, at, table.values), lif_activation(x))
    np.testing.assert_allclose(np.interp(x, at, table.slopes), lif_slope(x), atol=1e-12)
    assert not table.values.flags.writeable


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"drive: got nan at \[1\], need finite"):
        firing_rate([0.0, np.nan], PUBLISHED)
    quiet = LIFConstants(noise_std=0.0)
    with pytest.raises(ValueError, match="noise_std: got 0 V, need more"):
        siegert_rate(0.0, quiet)
    for rates in ([1.0], [1.0, 0.5]):
        with pytest.raises(ValueError, match="rates: got values that fall or a single"):
            FICurve(constants=quiet, start=0.0, step=1e-3, rates=np.array(rates))


def test_neurons_that_differ_by_their_drive_alone_share_their_rates():
    other = dataclasses.replace(PUBLISHED, unit=3e-3, v_leak=-0.035, burn_in=0.0)
    lower = dataclasses.replace(PUBLISHED, v_th=-0.05, v_reset=-0.075)
    for constants in (other, lower):
        fi = curve(constants)
        assert fi.constants == constants
        np.testing.assert_array_equal(fi.rates, curve(PUBLISHED).rates)
    slower = curve(dataclasses.replace(PUBLISHED, tau_mem=0.02))
    assert (slower.rates < curve(PUBLISHED).rates)[-1]
