"""Pairs: ratios, their errors, and what is left of scatter without those."""

import numpy as np
import pytest
from scipy import stats

from isotau.sim.states.autocovariance import autocovariance_blocks
from isotau.sim.states.paired import TRIMMED, paired
from isotau.sim.states.state_tau import state_tau


@pytest.fixture
def measured(states):
    def measure(tau, seed, *, trials=40, lags=100, samples=200):
        x = states(tau, samples, trials, 0.01, seed)
        return state_tau(autocovariance_blocks(x, 0.01, lags))

    return measure


TAU = np.geomspace(0.02, 0.1, 60)


def test_a_shift_is_the_networks_ratio(measured):
    pair = paired(measured(TAU, 1, trials=200), measured(1.3 * TAU, 2, trials=200))
    low, high = pair.network.ends(0.001)
    assert low < np.log(1.3) < high and high - low < 0.1
    assert pair.both.all() and pair.order > 0.97
    np.testing.assert_allclose(
        pair.log_ratio, np.log(pair.b.tau / pair.a.tau), rtol=1e-12
    )
    np.testing.assert_allclose(pair.error, np.hypot(pair.a.error, pair.b.error))


def test_a_few_lost_units_do_not_move_it(measured):
    tau = TAU.copy()
    tau[: int(TRIMMED * len(TAU))] *= 3
    pair = paired(measured(TAU, 1, trials=200), measured(tau, 2, trials=200))
    assert abs(pair.network.value) < 0.03


def test_of_equal_stages_no_scatter_is_left(measured):
    pair = paired(measured(TAU, 1), measured(TAU, 2))
    assert pair.scatter > 0.05
    assert pair.true_scatter < 0.6 * pair.scatter
    rng = np.random.default_rng(0)
    other = paired(
        measured(TAU, 1, trials=200),
        measured(TAU * np.exp(0.3 * rng.standard_normal(60)), 2, trials=200),
    )
    assert other.true_scatter == pytest.approx(0.3, abs=0.08)


def test_the_networks_error_is_what_repeats_differ_by(measured):
    """Units that share their noise are as one: the error knows."""
    values, errors = [], []
    for seed in range(40):
        pair = paired(
            measured([0.05] * 10, 2 * seed), measured([0.05] * 10, 2 * seed + 1)
        )
        values.append(pair.network.value)
        errors.append(pair.network.error)
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.35)


def test_copies_of_one_unit_tell_no_more_than_one(states):
    """Ten units that do the same have the error of one, not a tenth of its square."""

    def alike(seed):
        x = np.repeat(states([0.05], 200, 40, 0.01, seed), 10, axis=2)
        return state_tau(autocovariance_blocks(x, 0.01, 100))

    pair = paired(alike(1), alike(2))
    assert pair.network.error == pytest.approx(pair.error[0], rel=1e-9)


def test_shapes_of_equal_stages_are_as_near_as_noise_lets_them(measured):
    near = paired(measured(TAU, 1, trials=200), measured(TAU, 2, trials=200))
    far = paired(measured(TAU, 1, trials=200), measured(2 * TAU, 2, trials=200))
    assert 1.5 * near.shape < far.shape


def test_units_beyond_the_window_are_listed(measured):
    slow = np.array([0.05, 0.05, 20.0, 20.0])
    pair = paired(measured(slow, 1), measured([0.05, 0.05, 20.0, 0.05], 2))
    np.testing.assert_array_equal(pair.beyond, [False, False, True, False])
    np.testing.assert_array_equal(pair.both, [True, True, False, False])


def test_a_distribution_does_not_ask_which_unit_it_is(measured):
    tau = [0.03, 0.05, 0.08, 0.13]
    a = measured(tau, 1)
    pair = paired(a, measured(tau[::-1], 2))
    logs = [np.log(stage.tau) for stage in (pair.a, pair.b)]
    expected = stats.wasserstein_distance(*logs)
    assert pair.distribution == pytest.approx(expected) and pair.scatter > 0.5
    assert pair.distribution < 0.2 and paired(a, a).distribution == 0
    slow = paired(measured([400.0], 1), measured([400.0], 2))
    assert np.isnan(slow.distribution)


def test_one_unit_alone_is_its_own_network(measured):
    pair = paired(measured([0.05], 1), measured([0.05], 2))
    assert pair.network.value == pytest.approx(pair.log_ratio[0])
    assert pair.network.error == pytest.approx(pair.error[0])
    assert np.isnan(pair.scatter)
    assert np.isnan(pair.order) and np.isnan(pair.true_scatter)


def test_a_state_that_stands_still_has_no_error(measured):
    stage = measured([0.05, 0.06], 1)
    # The same run twice, its blocks left out: no more certain than it is.
    assert paired(stage, stage).network.error > 0


@pytest.mark.parametrize(
    ("tau", "lags", "message"),
    [([0.05], 100, "got 1 units, need 2"), ([0.05, 0.05], 90, "got 90 lags, need 100")],
)
def test_other_stages_are_refused(measured, tau, lags, message):
    with pytest.raises(ValueError, match=message):
        paired(measured([0.05, 0.05], 1), measured(tau, 2, lags=lags))
