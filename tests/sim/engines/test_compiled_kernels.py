"""The pieces of the compiled engine against exact Python integers."""

import numpy as np
import pytest

from isotau.convert.chip.philox import membrane_samples
from isotau.sim.engines import compiled_kernels as kernels

EDGES = [0, 1, -1, 4095, 4096, -4097, 2**23, -(2**23), 2**23 - 1, 3 * 2**23]
EDGES += [2**31 - 1, -(2**31), 2**30 + 12345, -(2**30) - 1]


def exact_step(u, v, rest, a, drive, du, dv, vth, refractory):
    """One step of one neuron in Python's integers."""

    def int32(x):
        return (x + 2**31) % 2**32 - 2**31

    def decay(x, kept):
        return abs(x) * kept // 4096 * (1 if x >= 0 else -1)

    x = int32(decay(u, 4095 - du) + int32(a * 64))
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
    rest = rng.integers(0, 3, n).astype(np.int32)
    du, dv = rng.integers(0, 4096, n), rng.integers(0, 4096, n)
    du[:50], dv[:50] = rng.choice([0, 4095], 50), rng.choice([0, 4095], 50)
    vth, refractory = rng.integers(0, 131072, n), rng.integers(0, 64, n)
    expected = [
        exact_step(*map(int, row))
        for row in zip(u, v, rest, a, drive, du, dv, vth, refractory, strict=True)
    ]
    fired = np.zeros(n, np.uint8)
    threshold = (vth * 64).astype(np.int32)
    kernels.integrate(
        u,
        v,
        rest,
        a,
        drive,
        (4095 - du) / 4096,
        (4096 - dv) / 4096,
        threshold,
        refractory.astype(np.int32),
        fired,
    )
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
    kernels.add_rows(acc, rows, chosen, 0, many)
    np.testing.assert_array_equal(acc, rows[chosen[:many]].sum(axis=0, dtype=int))


@pytest.mark.parametrize("exponent", range(-8, 8))
def test_delivered_sums_are_shifted_as_a_whole(exponent):
    total = np.array([5, -5, 2**30, -(2**31), 255, -1] + [0] * 58, dtype=np.int32)
    ring = np.full(64, 2**31 - 10, np.int32)
    kernels.deliver(ring, total, exponent)
    for k, value in enumerate(total.tolist()):
        moved = value << exponent if exponent >= 0 else value >> -exponent
        moved = (moved + 2**31) % 2**32 - 2**31
        assert ring[k] == (2**31 - 10 + moved + 2**31) % 2**32 - 2**31


def test_packing_lists_who_fired():
    rng = np.random.default_rng(3)
    for density in (0.0, 0.05, 0.5, 1.0):
        fired = (rng.random(128) < density).astype(np.uint8)
        bits, spiking = np.full(16, 77, np.uint8), np.zeros(128, np.int64)
        many = kernels.pack_and_list(fired.view(np.uint64), bits, spiking)
        np.testing.assert_array_equal(bits, np.packbits(fired, bitorder="little"))
        np.testing.assert_array_equal(spiking[:many], np.flatnonzero(fired))


@pytest.mark.parametrize("exponent", [1, 6, 7, 17, 23])
def test_noise_is_that_of_the_counter(exponent):
    seed, step, trial = 2**63 + 11, 2**31 + 7, 2**32 - 1
    key = np.array([seed % 2**32, seed >> 32], dtype=np.uint64)
    noise = np.zeros(48, np.int32)
    kernels.draw_noise(noise, key, step, trial, 6, exponent)
    sample = membrane_samples(seed, step, np.array([trial]), 48)[0]
    expected = [s * 2**exponent // 2**7 for s in sample.tolist()]
    np.testing.assert_array_equal(noise, expected)
