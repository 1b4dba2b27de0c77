"""Memory states: found where there are some, and only there; how long they are kept."""

import numpy as np
import pytest

from isotau.sim.states.memory_states import (
    Switching,
    find_memory_states,
    in_windows,
    switching,
)

INTERVAL = 0.01


def switching_states(states, dwell, *, count=2, samples=800, trials=60, seed=0):
    """Fast states around means that are switched at random; and which mean it is."""
    rng = np.random.default_rng(seed)
    means = 6 * np.random.default_rng(99).standard_normal((count, 20))
    label = np.empty((samples, trials), dtype=int)
    label[0] = rng.integers(count, size=trials)
    for t in range(1, samples):
        leaves = rng.random(trials) < INTERVAL / dwell
        other = (label[t - 1] + rng.integers(1, count, size=trials)) % count
        label[t] = np.where(leaves, other, label[t - 1])
    fast = states(np.linspace(0.02, 0.06, 20), samples, trials, INTERVAL, seed + 1)
    return means[label] + fast, label


@pytest.mark.parametrize("count", [2, 3])
def test_as_many_states_are_found_as_there_are(states, count):
    x, label = switching_states(states, 3.0, count=count)
    model = find_memory_states(x, INTERVAL)
    assert model.count == count
    labels = model.labels(x, INTERVAL)
    inner = model.within(x, labels)
    found = switching(x, inner, labels, INTERVAL)
    assert found.states == count and found.between > 0.8
    low, high = found.interval()
    kept = found.seconds / (label[1:] != label[:-1]).sum()
    assert low < kept < high and kept == pytest.approx(3.0, rel=0.25)
    assert found.switches == pytest.approx((label[1:] != label[:-1]).sum(), rel=0.1)
    # Within a state what is left is the fast process.
    assert inner.x[inner.seen].var() == pytest.approx(1, abs=0.1)
    # Seen again in other trials, they are told apart by the same model.
    other, truth = switching_states(states, 3.0, count=count, seed=5)
    windows = in_windows(truth[..., None].astype(float), INTERVAL)[..., 0]
    clear = windows == np.round(windows)
    again = model.labels(other, INTERVAL)
    for k in range(count):
        values = windows[clear & (again == k)]
        assert np.mean(values == np.median(values)) > 0.97


@pytest.mark.parametrize("tau", [0.05, 2.0], ids=["fast", "slow"])
def test_a_network_that_settles_has_one(states, tau):
    """However slow: a slow process has no clusters."""
    x = states(np.full(20, tau), 400, 100, INTERVAL, 3)
    x = x + 2 * x[..., :1]  # something in common
    model = find_memory_states(x, INTERVAL)
    assert model.count == 1
    labels = model.labels(x, INTERVAL)
    inner = model.within(x, labels)
    assert inner.x is x and inner.seen.all()
    assert switching(x, inner, labels, INTERVAL) == Switching(seconds=400.0)


def test_nothing_that_moves_has_no_states():
    x = np.ones((100, 40, 5))
    model = find_memory_states(x, INTERVAL)
    assert model.count == 1 and not model.labels(x, INTERVAL).any()


@pytest.mark.filterwarnings("error")
def test_trials_that_are_all_alike_have_one_state(states):
    """A network without noise moves in time alone, and two values are no clusters."""
    x = np.repeat(states(np.full(5, 0.5), 200, 1, INTERVAL, 3), 40, axis=1)
    assert find_memory_states(x, INTERVAL).count == 1
    x = np.repeat((np.arange(200) // 100)[:, None, None] * np.ones(5), 40, axis=1)
    assert find_memory_states(x, INTERVAL).count == 1


def test_around_a_change_there_is_no_state(states):
    x, label = switching_states(states, 2.0)
    model = find_memory_states(x, INTERVAL)
    labels = model.labels(x, INTERVAL)
    inner = model.within(x, labels)
    changes = np.argwhere(label[1:] != label[:-1])
    quiet = [
        not inner.seen[t + 1, trial] for t, trial in changes if 20 < t < len(x) - 20
    ]
    assert not inner.x[~inner.seen].any() and inner.x[inner.seen].all()
    assert np.mean(quiet) > 0.9


def test_dwell_times_are_of_poisson_counts():
    found = Switching(states=2, switches=20, seconds=100.0)
    assert found.dwell == 5.0
    low, high = found.interval()
    # The exact interval of a count of 20: 12.2 to 30.9.
    assert (100 / high, 100 / low) == pytest.approx((12.217, 30.888), abs=0.01)
    never = Switching(states=2, seconds=100.0)
    assert never.dwell == np.inf and never.interval()[1] == np.inf
    assert never.interval()[0] == pytest.approx(100 / 3.689, rel=1e-3)


def test_runs_add_up():
    both = Switching(states=2, switches=3, seconds=10.0, between=0.8).plus(
        Switching(states=1, switches=0, seconds=30.0)
    )
    assert both == Switching(states=2, switches=3, seconds=40.0, between=0.2)
    assert Switching().plus(Switching()).seconds == 0


def test_windows_are_means():
    x = np.arange(25.0)[:, None, None]
    np.testing.assert_allclose(in_windows(x, INTERVAL)[:, 0, 0], [4.5, 14.5])
    assert len(in_windows(x[:3], INTERVAL)) == 1
