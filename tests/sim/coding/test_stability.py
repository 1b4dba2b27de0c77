"""Stability of a code, its correction for noise, and intervals over networks."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from isotau.sim.coding.discriminability import (
    correct,
    each,
    mean_matrix,
    off_diagonal,
    over_networks,
    random_patterns,
    stability,
)

TIMES = np.arange(6) * 0.1


def test_off_and_on_the_diagonal():
    far = off_diagonal(TIMES, 0.3)
    # Exactly 0.3 s apart is not more.
    assert [tuple(pair) for pair in np.argwhere(far)] == [
        *((0, 4), (0, 5), (1, 5)),
        *((4, 0), (5, 0), (5, 1)),
    ]
    matrix = np.where(far, 0.2, 0.8)
    matrix[1, 5] = np.nan
    found = stability(matrix, TIMES, (0, 1), lag=0.3)
    assert found == pytest.approx((0.25, 0.2, 0.8))


def test_only_the_window_counts():
    matrix = np.full((6, 6), 9.0)
    matrix[1:4, 1:4] = [[1, 0, 0.5], [0, 1, 0], [0.5, 0, 1]]
    found = stability(matrix, TIMES, (0.1, 0.4), lag=0.15)
    assert found == pytest.approx((0.5, 0.5, 1))
    with pytest.raises(
        ValueError, match=r"window: got 3 samples in 0.1 to 0.4 s, need"
    ):
        stability(matrix, TIMES, (0.1, 0.4), lag=0.25)


def test_there_is_no_ratio_without_a_code():
    assert np.isnan(stability(np.zeros((6, 6)), TIMES, (0, 1), lag=0.3).ratio)
    nothing = stability(np.full((6, 6), np.nan), TIMES, (0, 1), lag=0.3)
    assert np.isnan(nothing).all()


def test_noise_is_taken_out():
    truth = np.exp(-np.abs(TIMES[:, None] - TIMES))
    noisy = np.array([0.5, 0.9, 0.8, 0.7, 0.6, 0.5])
    np.testing.assert_allclose(correct(truth * np.sqrt(np.outer(noisy, noisy))), truth)
    without = correct(np.array([[0.5, 0.2], [0.2, -0.1]]))
    assert np.isnan(without[0, 1]) and without[0, 0] == pytest.approx(1)


def moments(make, rng, networks, n=20):
    return each(
        [
            random_patterns(
                make(rng, persistence=np.full(n, 0.3), samples=6, trials=8),
                rng,
                splits=2,
            )
            for _ in range(networks)
        ]
    )


def trace(matrix):
    return [float(np.trace(matrix))]


def test_jackknife_of_a_mean_is_the_t_interval(monkeypatch, make):
    """For a mean over networks, the interval that scipy has in closed form."""
    values = np.array([0.3, 0.1, 0.4, 0.2, 0.9])
    monkeypatch.setattr(
        "isotau.sim.coding.discriminability.mean_matrix",
        lambda draws, w=None: np.average(values, weights=w),
    )
    (found,) = over_networks([[[None] * 5]], lambda m: [m], level=0.9)
    want = ttest_1samp(values, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((want.low, want.high))
    assert found.value == pytest.approx(values.mean())


@pytest.mark.parametrize("networks", [4, 16])
def test_groups_that_hold_alike_rarely_seem_to_differ(make, networks):
    """5 % of intervals of the difference leave out 0; 3 SE of 100 more."""
    rng = np.random.default_rng(0)
    half = np.arange(20) < 10

    def difference(a, b):
        return [float(a[0, -1] / a[0, 0] - b[0, -1] / b[0, 0])]

    wrong = 0
    for _ in range(100):
        patterns = [
            random_patterns(
                make(rng, persistence=np.full(20, 0.3), samples=6, trials=8),
                rng,
                splits=2,
            )
            for _ in range(networks)
        ]
        pair = [[each(patterns, [mask] * networks)] for mask in (half, ~half)]
        (found,) = over_networks(pair, difference)
        wrong += not found.low < 0 < found.high
    assert wrong <= 5 + 3 * 2.2


def test_intervals_hold_the_value(make):
    rng = np.random.default_rng(0)
    group = moments(make, rng, 5)
    (found,) = over_networks([[group]], trace)
    assert found.value == pytest.approx(trace(mean_matrix([group]))[0])
    assert found.low < found.value < found.high


def test_groups_go_through_networks_together(make):
    """The difference of a group to itself is exactly 0 without any network."""
    group = moments(make, np.random.default_rng(0), 4)

    def difference(a, b):
        return [float((a - b).sum()), float(a.sum() / b.sum())]

    found = over_networks([[group], [group, group]], difference)
    np.testing.assert_allclose(found[0], 0, atol=1e-12)
    np.testing.assert_allclose(found[1], 1)


def test_a_single_network_has_no_interval(make):
    group = moments(make, np.random.default_rng(0), 1)
    (found,) = over_networks([[group]], trace)
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).all()


def test_intervals_want_every_network(make):
    """Two units of one network have no correlation; four of two networks have one."""
    rng = np.random.default_rng(0)
    (found,) = over_networks([[moments(make, rng, 2, n=2)]], trace)
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).all()


def test_the_level_is_checked(make):
    group = moments(make, np.random.default_rng(0), 2)
    with pytest.raises(
        ValueError, match="level: got 95, need a number between 0 and 1"
    ):
        over_networks([[group]], trace, level=95)
