"""The loops of the LIF step: who is listed, sums of rows, and roundings one by one."""

from fractions import Fraction

import numpy as np

from isotau.convert.simulate import lif_kernels as kernels
from isotau.convert.simulate.lif_kernels import RESTED, SPIKED


def row(*numbers, dtype=np.float32):
    return np.array(numbers, dtype)


def test_lists_are_those_that_spiked():
    z, flags = row(0, 1, 0, 1, 1), row(1, 0, RESTED, SPIKED, 1, dtype=np.uint8)
    chosen = np.empty(6, np.int64)
    assert kernels.list_spikes(z, chosen, 5) == 3
    assert chosen[:3].tolist() == [1, 3, 4]
    assert kernels.list_flagged(flags, chosen, 4) == 2
    assert chosen[:2].tolist() == [0, 3]


def test_sum_of_any_number_of_rows():
    rng = np.random.default_rng(0)
    rows = rng.integers(-9, 9, (12, 16)).astype(np.float32)
    for many in range(12):
        chosen = rng.permutation(12)
        total = np.full(16, 5, np.float32)
        kernels.add_rows(total, rows, chosen, many)
        np.testing.assert_array_equal(total, rows[chosen[:many]].sum(axis=0))


def test_products_and_sums_round_each_by_itself():
    """v + a·((leak − v) + i) with exact fractions, rounded after every operation."""
    rng = np.random.default_rng(1)
    v, i, leak, a = (rng.uniform(0.5, 1, 200).astype(np.float32) for _ in range(4))

    def rounded(x):
        return Fraction(float(np.float32(float(x))))

    expected, fused = [], []
    for numbers in zip(v, i, leak, a, strict=True):
        p, q, r, s = (Fraction(float(x)) for x in numbers)
        product = s * rounded(rounded(r - p) + q)
        expected.append(float(rounded(p + rounded(product))))
        fused.append(float(rounded(p + product)))
    assert expected != fused
    got = v.copy()
    kernels.rise(got, i, leak, a)
    np.testing.assert_array_equal(got, np.array(expected, np.float32))


def test_at_threshold_there_is_no_spike_and_rest_comes_first():
    v, v_th = row(1, 1, 2, 2), row(1, 0.5, 1, 1)
    rest = row(0, 0, 0, 1, dtype=np.int32)
    x, flags = np.empty(4, np.float32), np.empty(4, np.uint8)
    kernels.compare(v, v_th, x, rest, flags)
    assert flags.tolist() == [0, SPIKED, SPIKED, RESTED]
    assert x.tolist() == [0, 0.5, 1, 1]
    kernels.reset(v, row(-1, -2, -3, -4), rest, row(5, 6, 0, 8, dtype=np.int32), flags)
    assert v.tolist() == [1, -2, -3, -4]
    assert rest.tolist() == [0, 6, 0, 0]
