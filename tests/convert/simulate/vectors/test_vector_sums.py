"""Sums of rows of floats: any number of them, in order, any width."""

import numpy as np
import pytest
from numba import njit

from isotau.convert.simulate.vectors import vector_sums
from isotau.convert.simulate.vectors.vector_sums import LANES, ROOM

MOST = ROOM // (4 * LANES)
WIDTHS = [*range(1, MOST + 2), 2 * MOST + 1]


@njit
def jump(i, rows, row_list, count, arriving, gain):
    vector_sums.jump(len(i) // LANES, i, rows, row_list, count, arriving, gain)


@njit
def weigh(total, rows, row_list, count, factors):
    vector_sums.weigh(len(total) // LANES, total, rows, row_list, count, factors)


@njit
def project(x, rows, out):
    vector_sums.project(len(x) // LANES, x, rows, out)


def in_turn(rows):
    total = np.zeros_like(rows[0])
    for row in rows:
        total = total + row
    return total


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vectors", WIDTHS)
def test_a_jump_adds_inputs_and_then_the_sum_of_rows_in_order(vectors, dtype):
    rng = np.random.default_rng(vectors)
    rows = rng.standard_normal((12, vectors * LANES)).astype(dtype)
    start, arriving = rng.standard_normal((2, vectors * LANES)).astype(dtype)
    for count in range(12):
        chosen, i = rng.permutation(12), start.copy()
        jump(i, rows, chosen, count, arriving, dtype(0.7))
        returning = in_turn([np.zeros_like(i), *rows[chosen[:count]]])
        expected = (start + arriving) + dtype(0.7) * returning
        np.testing.assert_array_equal(i, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weighed_rows_are_added_in_order(dtype):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5, 3 * LANES)).astype(dtype)
    factors, total = rng.standard_normal(5).astype(dtype), np.ones(3 * LANES, dtype)
    chosen = np.array([4, 0, 2])
    for count in range(4):
        weigh(total, rows, chosen, count, factors)
        terms = [factors[k] * rows[k] for k in chosen[:count]]
        np.testing.assert_array_equal(total, in_turn([np.zeros_like(total), *terms]))


@pytest.mark.parametrize("vectors", [1, 2, 13])
def test_products_with_rows_are_added_lane_by_lane(vectors):
    rng = np.random.default_rng(vectors)
    rows, x = (
        rng.standard_normal((3, vectors * LANES)),
        rng.standard_normal(vectors * LANES),
    )
    out = np.empty(3)
    project(x, rows, out)
    for row, number in zip(rows, out, strict=True):
        sums = in_turn([np.zeros(LANES), *(row * x).reshape(vectors, LANES)])
        while len(sums) > 1:
            sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
        assert number == sums[0]
