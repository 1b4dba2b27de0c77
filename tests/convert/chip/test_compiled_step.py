"""The compiled step's parts against exact Python integers and numpy."""

import numpy as np
import pytest
from numba import njit

from isotau.convert.chip import compiled_step
from isotau.convert.chip.arithmetic import noise_scale, scale_noise
from isotau.convert.chip.vector_noise import PAIR, STEPS

EDGES = [0, 1, -1, 4095, 4096, -4097, 2**23, -(2**23), 2**23 - 1, 3 * 2**23]
EDGES += [2**31 - 1, -(2**31), 2**30 + 12345, -(2**30) - 1]


def exact_step(u, v, rest, a, noise, drive, du, dv, vth, refractory):
    """One step of one neuron in Python's integers."""

    def int32(x):
        return (x + 2**31) % 2**32 - 2**31

    def decay(x, kept):
        return abs(x) * kept // 4096 * (1 if x >= 0 else -1)

    x = int32(decay(u, 4095 - du) + int32(a * 64) + noise)
    x = x - 2**24 if x > 2**23 else x + 2**24 if x <= -(2**23) else x
    y = int32(decay(v, 4096 - dv) + x + drive)
    y = min(max(y, 1 - 2**23), 2**23 - 1)
    y = 0 if rest > 0 else y
    spike = y > vth * 64
    return x, 0 if spike else y, refractory if spike else max(rest - 1, 0), spike


def test_integrate_is_exact_at_every_edge():
    rng = np.random.default_rng(0)
    n = 64 * 400
    wide = rng.integers(-(2**31), 2**31, n)
    u = np.where(rng.random(n) < 0.5, rng.choice(EDGES, n), wide).astype(np.int32)
    v = rng.integers(1 - 2**23, 2**23, n).astype(np.int32)
    a = np.where(rng.random(n) < 0.5, rng.choice(EDGES, n), 0).astype(np.int32)
    drive = rng.integers(-(2**24), 2**24, n).astype(np.int32)
    noise = rng.integers(-(2**23), 2**23, n).astype(np.int32)
    rest = rng.integers(0, 3, n).astype(np.int32)
    du, dv = rng.integers(0, 4096, n), rng.integers(0, 4096, n)
    du[:50], dv[:50] = rng.choice([0, 4095], 50), rng.choice([0, 4095], 50)
    vth, refractory = rng.integers(0, 131072, n), rng.integers(0, 64, n)
    expected = [
        exact_step(*map(int, row))
        for row in zip(
            u, v, rest, a, noise, drive, du, dv, vth, refractory, strict=True
        )
    ]
    fired = np.zeros(n, np.uint8)
    threshold = (vth * 64).astype(np.int32)
    peak = np.zeros(n, np.int32)
    keep_u, keep_v = (4095 - du) / 4096, (4096 - dv) / 4096
    compiled_step.integrate(u, v, peak, a, noise, drive, keep_u, keep_v)
    compiled_step.fire(v, rest, peak, fired, threshold, refractory.astype(np.int32))
    np.testing.assert_array_equal(
        np.stack([u, v, rest, fired], axis=1), np.array(expected)
    )
    assert 0.05 < fired.mean() < 0.95


@pytest.mark.parametrize("many", [1, 2, 3, 4, 5, 127, 128])
def test_rows_of_bytes_add_up(many):
    rng = np.random.default_rng(many)
    rows = rng.integers(0, 256, (200, 64)).astype(np.uint8)
    rows[7], rows[-1] = 255, 0
    chosen = np.full(many + 3, 199)
    chosen[:many] = rng.integers(0, 199, many)
    chosen[0] = 7
    acc = np.full(64, -99, np.int16)
    compiled_step.add_rows(acc, rows, chosen, 0, many)
    np.testing.assert_array_equal(acc, rows[chosen[:many]].sum(axis=0, dtype=int))


@pytest.mark.parametrize("exponent", range(-8, 8))
def test_delivered_sums_are_shifted_as_a_whole(exponent):
    total = np.array([5, -5, 2**30, -(2**31), 255, -1] + [0] * 58, dtype=np.int32)
    ring = np.full(64, 2**31 - 10, np.int32)
    compiled_step.deliver(ring, total, exponent)
    for k, value in enumerate(total.tolist()):
        moved = value << exponent if exponent >= 0 else value >> -exponent
        moved = (moved + 2**31) % 2**32 - 2**31
        assert ring[k] == (2**31 - 10 + moved + 2**31) % 2**32 - 2**31


def test_packing_lists_who_fired():
    rng = np.random.default_rng(3)
    for density in (0.0, 0.05, 0.5, 1.0):
        fired = (rng.random(128) < density).astype(np.uint8)
        bits, places = np.full(15, 77, np.uint8), np.zeros(128, np.int64)
        for room in (bits, None):
            looked_at = 120 if room is not None else 128
            words = fired.view(np.uint64)
            count = compiled_step.list_spikes(words, fired, room, places)
            expected = np.flatnonzero(fired[:looked_at])
            np.testing.assert_array_equal(places[:count], expected)
        np.testing.assert_array_equal(bits, np.packbits(fired, bitorder="little")[:15])


def test_senders_are_those_whose_message_is_not_zero():
    messages, places = np.array([0, -3, 0, 7, 0], np.int32), np.zeros(5, np.int64)
    count = compiled_step.list_senders(messages, places)
    assert places[:count].tolist() == [1, 3]


def test_rows_that_a_block_has_are_listed_before_rows_of_zeros():
    row_of, places = np.array([4, -1, 5, -1]), np.full(7, 99)
    count = compiled_step.list_rows(np.array([0, 1, 2, 3]), 4, row_of, places, 8)
    assert count == 2
    assert places[:5].tolist() == [4, 5, 8, 8, 8]


def test_messages_are_multiplied_and_wrap_as_int32():
    rows = np.array([[255, -255], [3, 4]], np.int16)
    total = np.full(2, 99, np.int32)
    row_of, sent = np.array([0, -1, 1]), np.array([2**31 - 1, 5, 2], np.int32)
    assert compiled_step.sum_messages(total, rows, row_of, sent)
    exact = np.array([255, -255]) * (2**31 - 1) + [6, 8]
    np.testing.assert_array_equal(total, exact.astype(np.int32))
    assert not compiled_step.sum_messages(total, rows, row_of, 0 * sent)


def test_rows_of_32_bits_wrap():
    rows = np.array([[2**31 - 1], [1], [0]], np.int32)
    total = np.zeros(1, np.int32)
    compiled_step.add_rows(total, rows, np.array([0, 1, 2, 2, 2]), 0, 2)
    assert total[0] == -(2**31)


@pytest.mark.parametrize("n", [1, 16, 37])
@pytest.mark.parametrize("exponent", [1, 6, 7, 12, 23, "mixed"])
def test_noise_is_added_to_the_bias(exponent, n):
    rng = np.random.default_rng(n)
    samples = rng.integers(-127, 128, (3, STEPS, PAIR)).astype(np.int8)
    bias, drive = rng.integers(-1000, 1000, (2, n)).astype(np.int32)
    exponent = np.arange(n) % 24 if exponent == "mixed" else np.full(n, exponent)
    scale = tuple(part.astype(np.int32) for part in noise_scale(exponent))
    compiled_step.add_noise(drive, bias, samples, 6, scale)
    noise = scale_noise(samples[:, 6].ravel()[:n].astype(int), exponent)
    np.testing.assert_array_equal(drive, bias + noise)


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_bits_are_listed_and_counted_from_any_place(density):
    rng = np.random.default_rng(3)
    bits = rng.random(4 * 64) < density
    bits[3 * 64 :] = False  # the last word
    words = np.packbits(bits, bitorder="little").view(np.uint64)
    places = np.zeros(256 + compiled_step.SPARE_PLACES, np.uint64)
    before = np.zeros(4, np.int64)

    assert compiled_step.list_bits(words, places, before) == bits.sum()
    np.testing.assert_array_equal(places[: bits.sum()], np.flatnonzero(bits))
    for place in (0, 1, 63, 64, 100, 191, 192):
        assert compiled_step.listed_before(words, before, place) == bits[:place].sum()


def test_a_row_is_copied_as_far_as_there_is_room():
    @njit
    def copy_and_clear(target, source, row):
        compiled_step.copy_row(target, source)
        compiled_step.clear_row(row)

    target, row = np.zeros(3, np.uint8), np.arange(4, dtype=np.int32)
    copy_and_clear(target, np.arange(1, 6, dtype=np.uint8), row)
    assert target.tolist() == [1, 2, 3]
    assert not row.any()


def test_bare_tuples_hold_the_same_arrays():
    @njit
    def write(pair):
        bare = compiled_step.bare(pair)
        bare[0][:] = 7
        return bare[1]

    array = np.zeros(3)
    assert write((array, 5)) == 5
    assert (array == 7).all()
