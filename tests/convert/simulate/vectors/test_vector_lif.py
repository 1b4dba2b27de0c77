"""The LIF step in vectors: roundings one by one, threshold and rest, ranges."""

from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from isotau.convert.simulate.vectors import vector_lif
from isotau.convert.simulate.vectors.rows import blank
from isotau.convert.simulate.vectors.vector_lif import LANES, RESTED, SPIKED

N = 5 * LANES


@njit
def advance(state, net, leak, noise, fired, ranges, tape):
    vectors = len(leak) // LANES
    vector_lif.advance(vectors, state, net, leak, noise, fired, ranges, tape)


@njit
def filter_spikes(f, keep, gain, fired):
    vector_lif.filter_spikes(len(f) // LANES, f, keep, gain, fired)


def rows(count, dtype, low=0.5, high=1.0):
    rng = np.random.default_rng(count)
    return [rng.uniform(low, high, N).astype(dtype) for _ in range(count)]


def rest_rows():
    rng = np.random.default_rng(0)
    left = rng.integers(0, 3, N).astype(np.int32)
    return left, rng.integers(0, 5, N).astype(np.int32)


def rounded(x, dtype):
    """The nearest number of the type; those of a float64 suffice to find it."""
    return Fraction(float(dtype(float(x))))


def run(dtype, *, ranges=False):
    """One step and what it left, beside what it began with."""
    v, i, a_mem, a_syn, v_reset, v_th, leak = rows(7, dtype)
    left, rest_steps = rest_rows()
    before = v.copy(), i.copy(), left.copy()
    fired, x, flags = np.zeros(2, np.uint64), np.empty(N, dtype), np.empty(N, np.uint8)
    extents = (np.full(N, 0.6, dtype), np.zeros(N, dtype), np.ones(N))
    net = (a_mem, a_syn, v_reset, v_th, rest_steps)
    wanted = extents if ranges else None
    advance((v, i, left), net, leak, None, fired, wanted, (x, flags))
    return before, (v, i, left), net, leak, fired, x, flags, extents


def test_products_and_sums_round_each_by_itself():
    """v + a·((leak − v) + i) with exact fractions, rounded after every operation."""
    before, _, net, leak, _, x, _, _ = run(np.float32)
    kind = np.float32
    expected, fused = [], []
    for numbers in zip(*before[:2], leak, net[0], net[3], strict=True):
        v, i, resting, a, threshold = (Fraction(float(n)) for n in numbers)
        product = a * rounded(rounded(resting - v, kind) + i, kind)
        for total, share in ((expected, rounded(product, kind)), (fused, product)):
            total.append(float(rounded(rounded(v + share, kind) - threshold, kind)))
    assert expected != fused
    np.testing.assert_array_equal(x, np.array(expected, kind))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_is_that_of_the_equations(dtype):
    before, after, net, leak, fired, x, flags, _ = run(dtype)
    (v, i, left), (a_mem, a_syn, v_reset, v_th, rest_steps) = before, net
    risen = v + a_mem * ((leak - v) + i)  # (L2)
    resting = left > 0
    spike = (risen > v_th) & ~resting  # (L4)
    assert 0.1 < spike.mean() < 0.9
    np.testing.assert_array_equal(x, risen - v_th)
    np.testing.assert_array_equal(flags, RESTED * resting + SPIKED * spike)
    np.testing.assert_array_equal(after[0], np.where(spike | resting, v_reset, risen))
    np.testing.assert_array_equal(after[1], i - a_syn * i)  # (L3)
    expected = np.where(spike, rest_steps, np.maximum(left - 1, 0))  # (L6)
    np.testing.assert_array_equal(after[2], expected)
    bits = np.unpackbits(fired.view(np.uint8), bitorder="little")
    np.testing.assert_array_equal(bits[:N], spike)
    assert not bits[N:].any()


def test_at_threshold_there_is_no_spike():
    v = blank((LANES,), np.float32)
    zeros, left = np.zeros(LANES, np.float32), np.zeros(LANES, np.int32)
    v_th = np.zeros(LANES, np.float32)
    v_th[1] = -(2.0**-149)
    fired = np.zeros(1, np.uint64)
    net = (zeros, zeros, zeros, v_th, left)
    advance((v, zeros, left), net, zeros, None, fired, None, None)
    assert fired[0] == 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranges_are_widened_and_squares_summed(dtype):
    before, after, net, _, _, _, _, extents = run(dtype, ranges=True)
    current = before[1].astype(np.float64)
    np.testing.assert_array_equal(extents[0], np.maximum(before[1], dtype(0.6)))
    np.testing.assert_array_equal(extents[1], np.maximum(net[2] - after[0], 0))
    np.testing.assert_array_equal(extents[2], 1 + current * current)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_divided_by_what_it_will_be_multiplied_with(dtype):
    v, i, a_mem, leak, per_step = rows(5, dtype)
    normal = rows(1, np.float32, -3, 3)[0]
    lifted = leak + (per_step * normal) / a_mem  # (L9)
    expected = v + a_mem * ((lifted - v) + i)
    never, left = np.full(N, np.inf, dtype), np.zeros(N, np.int32)
    net = (a_mem, a_mem, leak, never, left)
    fired = np.zeros(2, np.uint64)
    advance((v, i, left), net, leak, (per_step, normal), fired, None, None)
    np.testing.assert_array_equal(v, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spikes_are_filtered(dtype):
    f, keep, gain = rows(3, dtype)
    spike = np.random.default_rng(1).random(N) < 0.3
    bits = np.zeros(128, np.uint8)
    bits[:N] = spike
    expected = keep * f + gain * spike.astype(dtype)
    filter_spikes(f, keep, gain, np.packbits(bits, bitorder="little").view(np.uint64))
    np.testing.assert_array_equal(f, expected)
