"""Autocovariances: closed forms, brute force, and sums that lose nothing."""

import numpy as np
import pytest

from isotau.sim.states.autocovariance import (
    BLOCKS,
    BlockedAutocovariance,
    added,
    autocovariance_blocks,
    together,
    without_each,
)


def test_products_are_those_of_pairs_a_lag_apart(rng):
    """Brute force, block by block."""
    x = rng.standard_normal((12, 45, 3)) + np.arange(3)
    found = autocovariance_blocks(x, 0.01, 5)
    centred = (x - x.mean(axis=1, keepdims=True)) * np.sqrt(45 / 44)
    for block in range(BLOCKS):
        for lag in range(5):
            expected = sum(
                np.sum(centred[: 12 - lag, k] * centred[lag:, k], axis=0)
                for k in range(block, 45, BLOCKS)
            )
            np.testing.assert_allclose(found.sums[block, lag], expected, atol=1e-12)
            assert found.pairs[block, lag] == found.trials[block] * (12 - lag)
    np.testing.assert_array_equal(found.trials, [3] * 5 + [2] * 15)
    np.testing.assert_allclose(found.mean, x.mean(axis=(0, 1)))
    assert (found.samples, found.n, found.lags) == (12 * 45, 3, 5)


def test_what_the_mean_takes_is_put_back(states):
    """Of 20 trials the mean takes a twentieth of the variance."""
    runs = [states([0.05], 200, BLOCKS, 0.01, seed) for seed in range(40)]
    variances = [together(autocovariance_blocks(x, 0.01, 2))[0, 0] for x in runs]
    assert np.mean(variances) == pytest.approx(1, abs=0.02)


def test_what_is_alike_in_all_trials_is_no_memory(states):
    x = states([0.05, 0.1], 100, 40, 0.01, 3)
    moved = x + 5 * np.sin(np.arange(100) / 9)[:, None, None]
    a, b = (together(autocovariance_blocks(each, 0.01, 20)) for each in (x, moved))
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_samples_that_are_left_out_do_not_count(rng, states):
    """Brute force; and however much is left out, variance and memory stay."""
    x = rng.standard_normal((12, 40, 2))
    seen = rng.random((12, 40)) < 0.6
    found = autocovariance_blocks(x, 0.01, 5, seen=seen)
    products, pairs = np.zeros((5, 2)), np.zeros(5)
    count = seen.sum(axis=1)[:, None]
    centred = x - ((x * seen[..., None]).sum(axis=1) / count)[:, None]
    centred *= np.sqrt(count / (count - 1))[:, None]
    for lag in range(5):
        for t in range(12 - lag):
            both = seen[t] & seen[t + lag]
            products[lag] += (centred[t, both] * centred[t + lag, both]).sum(axis=0)
            pairs[lag] += both.sum()
    np.testing.assert_allclose(together(found), products / pairs[:, None], atol=1e-12)
    x = states([0.05], 400, 400, 0.01, 1)
    seen = np.repeat(rng.random((40, 400)) < 0.5, 10, axis=0)
    left = together(autocovariance_blocks(x * seen[..., None], 0.01, 12, seen=seen))
    np.testing.assert_allclose(left[:, 0], np.exp(-np.arange(12) / 5), atol=0.04)


def test_each_condition_has_a_mean_of_its_own(states):
    x = states([0.05, 0.1], 100, 60, 0.01, 3)
    conditions = np.arange(60) % 3
    courses = np.sin(np.outer(np.arange(100), [0.1, 0.2, 0.3]))[..., None]
    moved = x + 5 * courses[:, conditions]
    a, b = (
        autocovariance_blocks(each, 0.01, 20, conditions=conditions)
        for each in (x, moved)
    )
    np.testing.assert_allclose(together(a), together(b), atol=1e-12)
    # As many as one mean takes of 20 trials, of each of them.
    assert together(a)[0] == pytest.approx([1, 1], abs=0.15)
    # Nothing is left of a trial that is alone.
    conditions[:2] = [7, 8]
    alone = autocovariance_blocks(x, 0.01, 20, conditions=conditions)
    np.testing.assert_array_equal(alone.pairs[:2, 0], [200, 200])
    assert alone.pairs[2, 0] == 300


def test_runs_add_up(rng):
    parts = [rng.standard_normal((30, trials, 2)) for trials in (20, 60)]
    first, second = (autocovariance_blocks(x, 0.01, 6) for x in parts)
    both = added(first, second)
    np.testing.assert_allclose(
        together(both), (20 * together(first) + 60 * together(second)) / 80
    )
    np.testing.assert_allclose(
        both.mean, np.concatenate(parts, axis=1).mean(axis=(0, 1))
    )
    assert both.samples == 30 * 80 and both.trials.sum() == 80
    # As large as one run, however many there were.
    assert both.sums.shape == first.sums.shape


def test_each_block_is_left_out_in_turn(rng):
    found = autocovariance_blocks(rng.standard_normal((30, 50, 2)), 0.01, 6)
    parts = without_each(found)
    for k in range(BLOCKS):
        rest = np.delete(found.sums, k, axis=0).sum(axis=0)
        pairs = np.delete(found.pairs, k, axis=0).sum(axis=0)
        np.testing.assert_allclose(parts[k], rest / pairs[:, None], atol=1e-12)


@pytest.mark.parametrize(
    ("trials", "lags", "message"),
    [
        (19, 5, "x: got 19 trials, need at least 20"),
        (20, 30, "lags: got 30, need 1 to 29"),
        (20, 0, "lags: got 0"),
    ],
)
def test_too_little_is_refused(rng, trials, lags, message):
    with pytest.raises(ValueError, match=message):
        autocovariance_blocks(rng.standard_normal((30, trials, 2)), 0.01, lags)


@pytest.mark.parametrize(
    ("interval", "lags", "n", "name"),
    [(0.02, 5, 2, "interval"), (0.01, 6, 2, "lags"), (0.01, 5, 3, "n")],
)
def test_other_runs_do_not_add_up(rng, interval, lags, n, name):
    first = autocovariance_blocks(rng.standard_normal((30, 20, 2)), 0.01, 5)
    second = autocovariance_blocks(rng.standard_normal((30, 20, n)), interval, lags)
    with pytest.raises(ValueError, match=f"{name}: got"):
        added(first, second)


def test_records_are_checked():
    with pytest.raises(ValueError, match="trials"):
        BlockedAutocovariance(
            interval=0.01,
            sums=np.zeros((2, 3, 4)),
            pairs=np.ones((2, 3)),
            trials=[0, 1],
            samples=10,
            mean=np.zeros(4),
        )


@pytest.fixture
def rng():
    return np.random.default_rng(5)
