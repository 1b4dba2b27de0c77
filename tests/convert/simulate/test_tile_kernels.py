"""The tiled product against exact sums of whole numbers."""

import numpy as np
import pytest
from numba import njit

from isotau.convert.chip.compiled_step import bare
from isotau.convert.simulate.tile_kernels import (
    TRIALS,
    in_panels,
    lanes,
    multiply,
    padded,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 31, 32, 33, 70])
def test_product(dtype, n):
    rng = np.random.default_rng(n)
    weights = rng.integers(-9, 9, (n, n))
    panels = in_panels(weights.astype(dtype))
    trials = 2 * TRIALS
    g = np.zeros((trials, panels.shape[0] * lanes(dtype)), dtype)
    g[:, :n] = rng.integers(-9, 9, (trials, n))
    out = np.full_like(g, np.nan)
    multiply(g, panels, out)
    np.testing.assert_array_equal(out[:, :n], g[:, :n] @ weights)


def test_rows_of_a_bare_array_are_those_of_the_array():
    @njit
    def write(array):
        rows = bare(array)
        for k in range(len(rows)):
            rows[k][:] = k

    array = np.zeros((4, 3))
    write(array)
    np.testing.assert_array_equal(array, np.arange(4)[:, None] * np.ones(3))


def test_panels_hold_a_matrix_columns_in_order():
    matrix = np.arange(35.0).reshape(5, 7)
    panels = in_panels(matrix)
    assert panels.shape[1] == 5
    rows = np.concatenate(list(panels), axis=1)
    np.testing.assert_array_equal(rows[:, :7], matrix)
    assert not rows[:, 7:].any()
    np.testing.assert_array_equal(padded(matrix), rows)
