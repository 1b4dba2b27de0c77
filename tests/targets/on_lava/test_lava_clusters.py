from itertools import combinations_with_replacement

import numpy as np
import pytest

from isotau.targets.on_lava.lava_clusters import (
    cluster,
    decay_axis,
    log_tau,
    share,
    threshold_axis,
)


def test_time_constants_of_decays():
    """A loss of 1/4096 a step is 4095.5 steps, one of a half 1/ln 2; all is dt/50."""
    tau = np.exp(log_tau(np.array([1, 2048, 4096])))
    np.testing.assert_allclose(tau, [4095.5, 1 / np.log(2), 0.02], rtol=1e-7)


def test_logarithms_ascend_along_the_axes():
    for axis in (decay_axis(4096), threshold_axis()):
        assert (np.diff(axis.log(axis.registers)) > 0).all()


@pytest.mark.parametrize("seed", range(30))
def test_one_axis_is_as_good_as_every_choice_of_registers(seed):
    """Brute force over centres: whichever k registers of the range."""
    rng = np.random.default_rng(seed)
    low = int(rng.choice([1, 40, 4080]))
    registers = np.arange(low, low + 16)
    values = rng.choice(registers, int(rng.integers(4, 9)), replace=False)
    counts = rng.integers(1, 6, len(values))
    k = int(rng.integers(1, 4))
    rows = np.stack([values, np.full(len(values), 7)], axis=1)
    found = cluster(rows, counts, (decay_axis(4096), decay_axis(4095)), k)
    best = min(
        counts @ ((log_tau(values)[:, None] - log_tau(np.array(chosen))) ** 2).min(1)
        for chosen in combinations_with_replacement(registers.tolist(), k)
    )
    assert found.cost == pytest.approx(best, abs=1e-12)
    apart = log_tau(values) - log_tau(found.centres[found.labels, 0])
    assert counts @ apart**2 == pytest.approx(best, abs=1e-12)
    assert len(found.centres) <= k
    assert (found.centres[:, 1] == 7).all()


def test_thresholds_are_grouped_by_ratio():
    values = np.array([10, 11, 1000, 1100, 100000])[:, None]
    found = cluster(values, np.ones(5, dtype=np.int64), (threshold_axis(),), 3)
    assert found.labels.tolist() == [0, 0, 1, 1, 2]
    assert found.centres.ravel().tolist() == [10, 1049, 100000]


def test_two_axes_find_clusters_that_are_there():
    rng = np.random.default_rng(3)
    centres = np.array([[100, 100], [100, 1000], [1000, 100], [1000, 1000], [10, 3000]])
    truth = rng.integers(0, 5, 60)
    values = np.unique(centres[truth] + rng.integers(-1, 2, (60, 2)), axis=0)
    nearest = np.abs(np.log(values[:, None] / centres)).sum(axis=2).argmin(axis=1)
    axes = (decay_axis(4096), decay_axis(4095))
    found = cluster(values, np.ones(len(values), dtype=np.int64), axes, 5)
    assert len(found.centres) == 5
    assert len(np.unique(nearest * 5 + found.labels)) == 5
    again = cluster(values, np.ones(len(values), dtype=np.int64), axes, 5)
    np.testing.assert_array_equal(again.labels, found.labels)


def test_enough_clusters_change_nothing():
    values = np.array([[3, 4], [5, 6]])
    found = cluster(values, np.array([1, 9]), (decay_axis(4096), decay_axis(4095)), 2)
    assert found.centres[found.labels].tolist() == values.tolist()
    assert found.cost == 0


def test_clusters_go_where_they_help_most():
    costs = [[9.0, 1.0, 0.5], [5.0, 4.9], [100.0, 50.0, 0.0, 0.0]]
    assert share(costs, 6) == [2, 1, 3]
    assert share(costs, 3) == [1, 1, 1]
    assert share(costs, 99) == [3, 2, 3]
