"""The loops, where the processes' own tests do not look: arrays that grow, windows."""

import numpy as np

from benchmarks.synthetic import generator_kernels as kernels


def test_an_array_grows_only_when_it_must():
    array = np.arange(4.0)
    assert kernels.grown(array, 4) is array or np.shares_memory(
        kernels.grown(array, 4), array
    )
    longer = kernels.grown(array, 5)
    assert longer.size == 10
    np.testing.assert_array_equal(longer[:4], array)


def test_windows_show_the_train_they_are_cut_from():
    ones = np.ones(1)
    arguments = (40 * ones, 5 * ones, 10 * ones, ones)
    whole = kernels.hawkes_windows(
        *arguments, 10.0, np.zeros((1, 1)), 10.0, np.random.default_rng(0)
    )
    starts = np.array([[0.5, 3.0, 3.2]])
    times, trial, unit = kernels.hawkes_windows(
        *arguments, 10.0, starts, 1.0, np.random.default_rng(0)
    )
    assert whole[0].size > 64 and (unit == 0).all()
    for k, start in enumerate(starts[0]):
        inside = (whole[0] >= start) & (whole[0] < start + 1.0)
        np.testing.assert_allclose(times[trial == k], whole[0][inside] - start)


def test_a_train_is_ascending_and_within_its_length():
    train, many = kernels.hawkes_train(
        200.0, 5.0, 10.0, 1.0, 2.0, np.random.default_rng(1), np.empty(1)
    )
    train = train[:many]
    assert np.all(np.diff(train) > 0) and train[0] >= 0 and train[-1] < 2.0
    # Rate 200/(1 − 0.5) Hz
    assert abs(many / 800 - 1) < 0.3
