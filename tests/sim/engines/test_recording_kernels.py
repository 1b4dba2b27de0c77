"""Rows that are kept, and pages of them, against numpy's indices."""

import numpy as np
from numba import njit

from isotau.sim.engines import recording_kernels as kernels


@njit
def record(page, step, trial, values, neurons):
    kernels.record(page, step, trial, values, neurons)


@njit
def move_rows(target, step, trial, page, page_step):
    kernels.move_rows(target, step, trial, page, page_step)


def test_neurons_of_a_row_are_kept_in_their_order():
    page = np.full((4, 3, 5), -1, np.int32)
    values = np.arange(100, 164, dtype=np.int32)
    neurons = np.array([63, 0, 7, 7, 20], np.uint64)
    record(page, 2, 1, values, neurons)
    assert page[2, 1].tolist() == [163, 100, 107, 107, 120]
    page[2, 1] = -1
    assert (page == -1).all()


def test_rows_of_a_page_follow_one_another():
    page = np.arange(24, dtype=np.int32).reshape(4, 3, 2)
    target = np.full((6, 7, 2), -1, np.int32)
    move_rows(target, 5, 3, page, 2)
    np.testing.assert_array_equal(target[5, 3:6], page[2])
    target[5, 3:6] = -1
    assert (target == -1).all()


def test_what_is_not_recorded_has_no_steps():
    empty, row = np.zeros((0, 3, 2), np.int32), np.zeros(64, np.int32)
    record(empty, 0, 0, row, np.zeros(2, np.uint64))
    move_rows(empty, 0, 0, np.zeros((4, 3, 2), np.int32), 1)
