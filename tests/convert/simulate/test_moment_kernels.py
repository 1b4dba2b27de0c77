"""Sums over samples and products at lags, one sample after another."""

import numpy as np

from isotau.convert.simulate.moment_kernels import add_samples


def test_a_second_chunk_pairs_with_the_end_of_the_first():
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (9, 3, 2)).astype(np.float32)
    lags = np.array([0, 1, 4])
    total, shape = np.zeros((3, 2)), (3, 3, 2)
    products, heads = np.zeros(shape), np.zeros(shape)
    arrays = (lags, total, products, heads)
    add_samples(0, 3, x[:2].copy(), np.zeros((4, 3, 2), np.float32), 0, *arrays)
    before = np.concatenate([np.zeros((2, 3, 2), np.float32), x[:2]])
    # trial 2 alone goes on
    add_samples(2, 3, x[2:].copy(), before, 2, *arrays)
    np.testing.assert_array_equal(total[2], x[:, 2].sum(axis=0))
    np.testing.assert_array_equal(total[:2], x[:2, :2].sum(axis=0))
    for k, lag in enumerate(lags):
        expected = (x[lag:, 2] * x[: 9 - lag, 2]).sum(axis=0)
        np.testing.assert_array_equal(products[2, k], expected)
        np.testing.assert_array_equal(heads[2, k], x[:lag, 2].sum(axis=0))
