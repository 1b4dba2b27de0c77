"""Resting states: moments against known processes, and what is made of two of them."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.to_lif.state_match import (
    COMMON,
    LONGEST,
    RestingState,
    StateMatch,
    _crossing,
    match,
    mean_over_copies,
    rest_of_lif,
    rest_of_rate,
    resting_state,
    task_lags,
    unit_states,
)

TAUS = np.array([0.02, 0.05, 0.1])
TWO_MV = LIFConstants(unit=2e-3, v_leak=-0.065)


def test_units_alone_have_the_moments_of_their_noise(uncoupled):
    state, keep = rest_of_rate(uncoupled(TAUS), seed=1), 1 - 0.005 / TAUS
    np.testing.assert_allclose(state.sd, 0.1 / np.sqrt(1 - keep**2), rtol=0.06)
    assert len(state.autocorrelation) == round(LONGEST / 0.005)
    lags = np.arange(5)[:, None]
    np.testing.assert_allclose(state.autocorrelation[:5], keep**lags, atol=0.05)
    np.testing.assert_allclose(state.tau, -1 / np.log(keep), rtol=0.15)


def test_means_over_copies_are_of_those_side_by_side():
    values = np.arange(12, dtype=np.float32).reshape(1, 2, 6)
    found = mean_over_copies(values, 3)
    np.testing.assert_array_equal(found, [[[1, 4], [7, 10]]])
    assert found.dtype == np.float64
    np.testing.assert_array_equal(mean_over_copies(values, 1), values)


@pytest.mark.parametrize("copies", [1, 4])
def test_currents_have_the_moments_of_their_noise(silent_neurons, copies):
    """In units of 2 mV; the mean over copies has as much noise as one by √copies."""
    net = silent_neurons(np.repeat(TAUS, copies))
    state = rest_of_lif(net, constants=TWO_MV, dt=0.005, copies=copies, seed=1)
    np.testing.assert_allclose(state.sd, 0.5 / np.sqrt(copies), rtol=0.06)
    np.testing.assert_allclose(state.tau, TAUS / 0.005, rtol=0.15)


def test_what_is_alike_in_all_trials_is_no_memory():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((400, 30, 2))
    wave = 10 * np.sin(np.arange(400) / 20)[:, None, None]
    state = resting_state(noise + wave, 20)
    np.testing.assert_allclose(state.sd, 1, rtol=0.03)
    assert np.abs(state.autocorrelation[1:]).max() < 0.05
    # The mean of few trials takes its share of the variance: it is given back.
    few = resting_state(rng.standard_normal((20000, 2, 1)), 2)
    np.testing.assert_allclose(few.sd, 1, rtol=0.02)


def test_a_crossing_lies_between_two_lags():
    rho = np.array([[1.0, 1.0, 0.0], [0.5, 0.9, 0.0], [0.2, 0.8, 0.0]])
    made = resting_state(np.zeros((5, 2, 3)), 3)
    assert np.isnan(made.tau).all() and not made.sd.any()
    # 0.5 → 0.2 passes 1/e at 1 + (0.5 − 0.368)/0.3; 0.9 → 0.8 never does.
    tau = _crossing(rho)
    assert tau[0] == pytest.approx(1 + (0.5 - np.exp(-1)) / 0.3)
    assert np.isnan(tau[1:]).all()


def some_state(tau=10.0, sd=1.0):
    rho = np.exp(-np.arange(50)[:, None] / np.full(4, tau))
    return RestingState(
        np.full(4, sd),
        rho,
        np.full(4, tau),
        covariance=sd**2 * np.eye(4),
        mean=np.zeros(4),
    )


def test_the_same_state_is_no_distance_away():
    assert match(some_state(), some_state()) == StateMatch(1.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    assert match(some_state(), some_state()).distance == 0


def test_ratios_are_of_the_second_over_the_first():
    found = match(some_state(10.0, 1.0), some_state(5.0, 0.5))
    assert (found.tau_ratio, found.sd_ratio) == (0.5, 0.5)
    assert found.tau_error == pytest.approx(np.log(2))
    apart = found.autocorrelation_error
    # a quarter of the variance is left
    assert found.covariance_error == pytest.approx(0.75)
    assert found.distance == pytest.approx(2 * np.log(2) + apart + COMMON * 0.75)
    assert 0.05 < apart < 0.3


def test_a_unit_that_is_lost_counts_as_one_factor_of_e():
    lost = some_state()
    lost.tau[0], lost.sd[:] = 1e-3, 1e-9
    found = match(some_state(), lost)
    assert found.tau_error == pytest.approx(0.5)
    assert found.distance == pytest.approx(1.5)  # its covariance is what it was


def test_without_any_tau_the_rest_decides():
    frozen = some_state()._replace(tau=np.full(4, np.nan))
    found = match(some_state(), frozen)
    # Its τ is 50 lags or more where it was 10; where both have none both are kept.
    assert np.isnan(found.tau_ratio) and found.tau_error == 1
    assert match(frozen, frozen).distance == 0
    still = match(some_state(), some_state()._replace(sd=np.zeros(4)))
    assert still.sd_ratio == 0 and still.distance == pytest.approx(1.0)


def test_units_have_in_common_what_they_have():
    """Two units with one noise between them, and a third for itself."""
    rng = np.random.default_rng(1)
    one, other = 2.0 * rng.standard_normal((2, 3000, 20))
    state = resting_state(np.stack([one, -0.5 * one, other + 7.0], axis=2), 3)
    wanted = [[4.0, -2.0, 0.0], [-2.0, 1.0, 0.0], [0.0, 0.0, 4.0]]
    np.testing.assert_allclose(state.covariance, wanted, atol=0.1)
    np.testing.assert_allclose(np.diagonal(state.covariance), state.sd**2)
    np.testing.assert_allclose(state.mean, [0, 0, 7], atol=0.05)


def test_a_state_far_away_or_of_another_size_is_another():
    here = some_state()
    assert not match(here, some_state(sd=0.6)).elsewhere
    assert match(here, some_state(sd=0.4)).elsewhere
    assert match(here, some_state(sd=2.5)).elsewhere
    near, far = (here._replace(mean=np.full(4, shift)) for shift in (1.5, -2.5))
    assert match(here, near).shift == 1.5 and not match(here, near).elsewhere
    assert match(here, far).elsewhere


def test_states_of_units_are_means_of_their_copies(silent_neurons):
    v_leak = np.repeat([-0.065, -0.061, -0.067], 2)
    net = silent_neurons(np.repeat(TAUS, 2), v_leak=v_leak)
    i = np.zeros((5, 3, 6))
    i[..., 0], i[..., 1] = 2e-3, 4e-3
    states = unit_states(i, net, TWO_MV, 2)
    np.testing.assert_allclose(states[0, 0], [1.5, 2.0, -1.0])
    assert states.shape == (5, 3, 3)


def test_short_trials_have_fewer_lags():
    assert task_lags(10_000, 0.005) == 100
    assert task_lags(30, 0.005) == 10
    assert task_lags(3, 0.005) == 2


def test_noise_that_is_carried_carries_the_timescales(uncoupled, silent_neurons):
    rate, neurons = uncoupled(TAUS), silent_neurons(TAUS)
    at_rest = 0.1 / np.sqrt(1 - (1 - 0.005 / TAUS) ** 2)
    carrying = dataclasses.replace(neurons, current_noise_std=2e-3 * at_rest)
    reference = rest_of_rate(rate, seed=1)
    seen = rest_of_lif(carrying, constants=TWO_MV, dt=0.005, copies=1, seed=2)
    found = match(reference, seen)
    assert found.tau_ratio == pytest.approx(1, abs=0.2)
    assert found.sd_ratio == pytest.approx(1, abs=0.06)
    assert found.covariance_error < 0.25
    assert found.distance < 0.35
