"""τ of states: exact on exponentials, right on processes, sure as it says."""

import numpy as np
import pytest
from scipy import stats

from isotau.sim.states.autocovariance import BLOCKS, autocovariance_blocks
from isotau.sim.states.state_tau import crossing, jackknife_error, state_tau


def test_an_exponential_falls_at_its_time_constant():
    """Exact between samples, down to half of one."""
    tau = np.array([0.5, 1.0, 3.3, 20.0])
    curve = 2 * np.exp(-np.arange(100)[:, None] / tau)
    np.testing.assert_allclose(crossing(curve), tau, rtol=1e-12)


def test_what_does_not_fall_has_no_tau():
    slow = np.exp(-np.arange(10) / 50.0)
    curves = np.stack([slow, np.zeros(10), np.ones(10)], axis=1)
    assert np.isnan(crossing(curves)).all()


def test_a_fall_through_zero_is_a_straight_line():
    curve = np.array([1.0, 0.8, -0.2])[:, None]
    expected = 1 + (0.8 - np.exp(-1)) / 1.0
    np.testing.assert_allclose(crossing(curve), [expected])


def test_leading_axes_are_kept():
    curve = np.exp(-np.arange(50)[:, None] / np.array([2.0, 5.0]))
    found = crossing(np.stack([curve, curve**2]))
    np.testing.assert_allclose(found, [[2, 5], [1, 2.5]])


def test_the_jackknife_of_a_mean_is_its_standard_error(rng):
    values = rng.standard_normal((BLOCKS, 3))
    without = (values.sum(axis=0) - values) / (BLOCKS - 1)
    np.testing.assert_allclose(
        jackknife_error(without), stats.sem(values, axis=0), rtol=1e-12
    )


@pytest.fixture
def found(states):
    tau = np.repeat([0.01, 0.05, 0.2], 100)
    x = states(tau, 400, 60, 0.01, 7)
    return tau, state_tau(autocovariance_blocks(x, 0.01, 200))


def test_processes_have_their_tau(found):
    tau, measured = found
    for value in np.unique(tau):
        those = measured.tau[tau == value]
        assert np.mean(those) == pytest.approx(value, rel=0.02)
    np.testing.assert_allclose(measured.sd, 1, atol=0.1)
    assert measured.known.all() and not measured.beyond.any()
    assert measured.trials == 60 and measured.window == pytest.approx(1.99)


def test_intervals_cover_the_truth_as_often_as_they_say(found):
    tau, measured = found
    low, high = measured.interval()
    inside = (low < tau) & (tau < high)
    # 300 of them, 95 %: four standard errors of that share.
    assert 0.90 < inside.mean() < 0.995
    narrow = np.mean([(a < tau) & (tau < b) for a, b in [measured.interval(0.5)]])
    assert 0.38 < narrow < 0.62


def test_still_and_slow_units_are_told_apart(states):
    x = states([0.05, 30.0], 100, 40, 0.01, 2)
    x = np.concatenate([x, np.zeros((100, 40, 1))], axis=2)
    measured = state_tau(autocovariance_blocks(x, 0.01, 50))
    np.testing.assert_array_equal(measured.known, [True, False, False])
    np.testing.assert_array_equal(measured.beyond, [False, True, False])
    np.testing.assert_array_equal(measured.moving, [True, True, False])
    assert np.isnan(measured.error[1:]).all() and np.isfinite(measured.error[0])


def test_what_rounding_leaves_of_equal_trials_is_no_movement():
    x = np.full((50, 30, 2), 0.1) + np.linspace(0, 1, 50)[:, None, None]
    measured = state_tau(autocovariance_blocks(x, 0.01, 20))
    assert not measured.moving.any() and not measured.beyond.any()


@pytest.fixture
def rng():
    return np.random.default_rng(5)
