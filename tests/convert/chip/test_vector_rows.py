"""Sums of rows out of registers, whatever their number and width."""

import numpy as np
import pytest
from numba import njit

from isotau.convert.chip import vector_rows
from isotau.convert.chip.vector_rows import CHUNK, COLUMNS, PANELS, in_lanes

WIDTHS = [*range(1, PANELS + 2), 2 * PANELS + 1]


@njit
def add(target, rows, places, span, line, less, shifts):
    panels = target.shape[0] // COLUMNS
    vector_rows.add_rows(panels, target, rows, places, span, line, less, shifts)


@njit
def add_total(target, total, shifts):
    vector_rows.add_total(target.shape[0] // COLUMNS, target, total, shifts)


@njit
def add_numbers(target, rows, row_list, numbers, count, exponents):
    vector_rows.add_messages(
        target.shape[0] // COLUMNS, target, rows, row_list, numbers, count, exponents
    )


@pytest.mark.parametrize("panels", WIDTHS)
def test_rows_add_up_and_are_shifted_as_a_whole(panels):
    rng = np.random.default_rng(panels)
    width = panels * COLUMNS
    rows = rng.integers(0, 256, (200, width)).astype(np.uint8)
    rows[0], rows[1] = 255, 0
    flat = in_lanes(rows).ravel()
    for count in (0, 1, 2, 7, CHUNK):
        places = rng.integers(0, 200, count + 3)
        places[3:5] = 0
        total = rows[places[3:]].sum(axis=0, dtype=int)
        for less, down, up in ((0, 0, 0), (255 * count, 5, 0), (128 * count, 0, 7)):
            target = rng.integers(-1000, 1000, width).astype(np.int32)
            expected = target + (((total - less) >> down) << up)
            by_row = target.copy()
            add(by_row, flat, places, (3, count + 3), (0, width), less, (down, up))
            np.testing.assert_array_equal(by_row, expected)
            # the same rows by where they begin, counted from the second
            starts = (places - 1) * width
            add(target, flat, starts, (3, count + 3), (width, 1), less, (down, up))
            np.testing.assert_array_equal(target, expected)


def test_the_largest_bytes_fit_a_chunk():
    target = np.zeros(COLUMNS, np.int32)
    row = in_lanes(np.full((1, COLUMNS), 255, np.uint8)).ravel()
    add(target, row, np.zeros(CHUNK, int), (0, CHUNK), (0, COLUMNS), 0, (0, 0))
    assert (target == 255 * CHUNK).all()


def test_a_row_wraps_as_int32():
    target = np.full(COLUMNS, 2**31 - 1, np.int32)
    row = in_lanes(np.ones((1, COLUMNS), np.uint8)).ravel()
    add(target, row, np.zeros(1, int), (0, 1), (0, COLUMNS), 0, (0, 3))
    assert (target == -(2**31) + 7).all()


@pytest.mark.parametrize("panels", [1, 3])
def test_messages_are_multiplied_shifted_and_wrap_as_int32(panels):
    rng = np.random.default_rng(panels)
    width = panels * COLUMNS
    rows = rng.integers(-256, 256, (5, width)).astype(np.int16)
    numbers = np.array([2**31 - 1, -(2**31), 3, -7], np.int32)
    places = np.array([4, 0, 2, 4])

    def int32(x):
        return (x + 2**31) % 2**32 - 2**31

    for count in range(5):
        products = rows[places[:count]].astype(int) * numbers[:count, None]
        total = int32(products.sum(axis=0))
        for up, down in ((0, 0), (7, 0), (0, 8)):
            target = rng.integers(-(2**31), 2**31, width).astype(np.int32)
            expected = int32(target.astype(int) + (int32(total << up) >> down))
            add_numbers(
                target, rows.ravel(), places * width, numbers, count, (up, down)
            )
            np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("shifts", [(0, 0), (7, 0), (0, 8)])
def test_totals_are_shifted_as_a_whole_and_wrap_as_int32(shifts):
    rng = np.random.default_rng(shifts)
    target, total = rng.integers(-(2**31), 2**31, (2, 2 * COLUMNS)).astype(np.int32)
    up, down = shifts
    moved = (total.astype(int) << up).astype(np.int32).astype(int) >> down
    expected = (target + moved).astype(np.int32)
    add_total(target, total, shifts)
    np.testing.assert_array_equal(target, expected)
