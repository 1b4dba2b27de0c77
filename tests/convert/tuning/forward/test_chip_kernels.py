"""The compiled forward pass's parts against numpy."""

import numpy as np

from isotau.convert.simulate.vectors.vector_lif import RESTED
from isotau.convert.tuning.forward import chip_kernels


def test_spikes_are_added_and_floored_as_a_whole():
    rng = np.random.default_rng(0)
    rows = rng.integers(-300, 300, (19, 5)).astype(np.int32)
    rows[-1] = 0
    row_of = np.arange(18).reshape(2, 9)
    row_of[1, 4] = -1
    down = np.array([[0] * 5, [3, 1, 0, 8, 2]], dtype=np.int32)
    for count in (1, 3, 4, 7, 9):
        sources = rng.permutation(9)[:count]
        arriving, total = np.full(5, 10, np.int32), np.zeros(5, np.int32)
        row_list = np.zeros(12, np.int64)
        chip_kernels.send_spikes(
            arriving, rows, down, row_of, sources, count, row_list, total
        )
        exact = np.full(5, 10)
        for layer in range(2):
            summed = rows[row_of[layer][sources]].sum(axis=0)
            exact += np.floor(summed / 2.0 ** down[layer]).astype(int)
        np.testing.assert_array_equal(arriving, exact)


def test_numbers_wrap_as_int32():
    rows = np.array([[255, -255], [0, 0]], dtype=np.int32)
    row_of, down = np.zeros((1, 1), np.int64), np.zeros((1, 2), np.int32)
    sent = np.array([2**31 - 1], dtype=np.int32)
    arriving, total = np.zeros(2, np.int32), np.zeros(2, np.int32)
    chip_kernels.send_messages(arriving, rows, down, row_of, sent, total)
    exact = np.array([255, -255]) * (2**31 - 1)
    np.testing.assert_array_equal(arriving, exact.astype(np.int32))


def test_the_tape_keeps_who_rested_and_how_far_v_was_above_threshold():
    flags, x = np.full((2, 3, 4), 99, np.uint8), np.zeros((2, 3, 4))
    refractory_left = np.array([0, 0, 2, 1], np.int32)
    peak, threshold = np.array([[5, -7, 9, 1], [3, 3, 3, 3]], np.int32)
    per_v = np.array([1, 0.5, 1, 2])
    chip_kernels.tape_step(flags, x, 1, 2, refractory_left, peak, threshold, per_v)
    assert flags[1, 2].tolist() == [0, 0, RESTED, RESTED]
    assert x[1, 2].tolist() == [2, -5, 6, -4]
    assert (flags == 99).sum() == 20
