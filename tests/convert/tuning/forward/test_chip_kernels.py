"""The compiled step's parts against the rules and samples of other modules."""

import numpy as np

from isotau.convert.tuning.forward import chip_kernels


def test_rows_are_added_and_floored_as_a_whole():
    rng = np.random.default_rng(0)
    rows = rng.integers(-300, 300, (2, 9, 5)).astype(np.int32)
    down = np.array([[0] * 5, [3, 1, 0, 8, 2]], dtype=np.int32)
    for many in (1, 3, 4, 7, 9):
        chosen = rng.permutation(9)
        arriving = np.full(5, 10, np.int32)
        total = np.zeros(5, np.int32)
        chip_kernels.add_rows(arriving, rows, down, 1, chosen, many, total)
        summed = rows[1][chosen[:many]].sum(axis=0)
        np.testing.assert_array_equal(arriving, 10 + np.floor(summed / 2.0 ** down[1]))


def test_numbers_wrap_as_int32():
    rows = np.array([[[255, -255]]], dtype=np.int32)
    used, down = np.ones((1, 1), bool), np.zeros((1, 2), np.int32)
    sent = np.array([[[2**31 - 1]]], dtype=np.int32)
    arriving, total = np.zeros(2, np.int32), np.zeros(2, np.int32)
    chip_kernels.send_numbers(arriving, rows, down, used, sent, 0, 0, total)
    exact = np.array([255, -255]) * (2**31 - 1)
    np.testing.assert_array_equal(arriving, exact.astype(np.int32))


def test_who_fired_and_who_sent_is_listed():
    rng = np.random.default_rng(1)
    for share in (0.0, 0.1, 1.0):
        fired = (rng.random(48) < share).astype(np.uint8)
        marked = np.zeros(56, np.int64)
        many = chip_kernels.list_fired(fired.view(np.uint64), fired, marked)
        assert marked[:many].tolist() == np.flatnonzero(fired).tolist()
        sent = fired.astype(np.int32)[None, None]
        many = chip_kernels.list_sent(sent, 0, 0, marked)
        assert marked[:many].tolist() == np.flatnonzero(fired).tolist()
