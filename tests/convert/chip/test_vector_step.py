"""The step in vectors against the integer rules."""

import numpy as np
import pytest
from numba import njit

from isotau.convert.chip import arithmetic, vector_step
from isotau.convert.chip.vector_noise import STEPS
from isotau.convert.chip.vector_step import LANES

N = 64 * 200
LIMIT = arithmetic.STATE_LIMIT
EDGES = [0, 1, -1, 4095, 4096, -4097, LIMIT, -LIMIT, LIMIT - 1, 1 - LIMIT, 2 * LIMIT]
EDGES += [-2 * LIMIT, 2 * LIMIT - 1, 12345, -12345]
WIDE_EDGES = [*EDGES, 3 * LIMIT, 2**31 - 1, -(2**31), 2**30 + 12345, -(2**30) - 1]


@njit
def step(u, v, arriving, noise, keep_u, keep_v, threshold, left, refractory, counts):
    fired = np.zeros(u.shape[0] // 64, np.uint64)
    vector_step.round_toward_zero()
    vector_step.advance(
        u.shape[0] // 16,
        *(u, v, arriving, *noise, keep_u, keep_v, threshold, left, refractory),
        fired,
        counts,
    )
    vector_step.round_to_nearest()
    return fired


def states(rng, edges, most):
    """Return numbers of which half are edges."""
    anywhere = rng.integers(-most, most + 1, N)
    return np.where(rng.random(N) < 0.5, rng.choice(edges, N), anywhere)


def samples_of(rng):
    """Return samples of eight steps, and those of step 5."""
    samples = rng.integers(-127, 128, (N // LANES, STEPS, LANES)).astype(np.int8)
    return samples, samples[:, 5].ravel().astype(int)


def scale_of(exponent):
    """Return the scale of noise, in numbers for all or in rows, and the exponents."""
    if exponent == "mixed":
        exponents = np.arange(N) % 24
        rows = arithmetic.noise_scale(exponents)
        return tuple(row.astype(np.int32) for row in rows), exponents
    return (max(exponent - 7, 0), max(7 - exponent, 0)), np.full(N, exponent)


@pytest.mark.parametrize("exponent", [None, 1, 6, 7, 12, 23, "mixed"])
def test_noise_is_added_to_the_bias(exponent):
    rng = np.random.default_rng(9)
    zeros, one = np.zeros((5, N), np.int32), np.ones(N, np.float32)
    bias = rng.integers(-1000, 1000, N).astype(np.int32)
    to_v, noise = None, 0
    if exponent is not None:
        samples, drawn = samples_of(rng)
        scale, exponents = scale_of(exponent)
        to_v, noise = (samples, *scale), arithmetic.scale_noise(drawn, exponents)
    v, (u, arriving, left, *_) = zeros[0], zeros[1:]
    high = np.full(N, 2**30, np.int32)
    step(u, v, arriving, (bias, 5, to_v, None), one, one, high, left, None, None)
    np.testing.assert_array_equal(v, arithmetic.clip_v(bias + noise))


@pytest.mark.parametrize("exponent", [1, 7, 23, "mixed"])
def test_noise_joins_the_current_before_it_wraps(exponent):
    rng = np.random.default_rng(10)
    zeros, one = np.zeros((4, N), np.int32), np.ones(N, np.float32)
    samples, drawn = samples_of(rng)
    scale, exponents = scale_of(exponent)
    before = rng.integers(-LIMIT, LIMIT + 1, N).astype(np.int32)
    u, (v, arriving, left, bias) = before.copy(), zeros
    high, to_u = np.full(N, 2**30, np.int32), (samples, *scale)
    step(u, v, arriving, (bias, 5, None, to_u), one, one, high, left, None, None)
    noise = arithmetic.scale_noise(drawn, exponents)
    np.testing.assert_array_equal(u, arithmetic.wrap_u(before + noise))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("resting", [False, True])
@pytest.mark.parametrize("counting", [False, True])
def test_a_step_is_exact_at_every_edge(wide, resting, counting):
    rng = np.random.default_rng([wide, resting, counting])
    most = 2**31 - 1 if wide else 2 * LIMIT
    u = states(rng, WIDE_EDGES if wide else EDGES, most)
    v = states(rng, EDGES, LIMIT)
    a = states(rng, WIDE_EDGES, 2**31 - 1) if wide else rng.integers(-(2**18), 2**18, N)
    drive = rng.integers(-(2**24), 2**24, N)
    du, dv = rng.integers(0, 4096, (2, N))
    du[:50], dv[:50] = rng.choice([0, 4095], (2, 50))
    threshold = rng.integers(0, 131072, N) << 6
    left, refractory = rng.integers(0, 3, N), rng.integers(0, 64, N)
    awake = (left <= 0) | (not resting)

    unwrapped = arithmetic.update_u_unwrapped(u, a, du)
    new_u = arithmetic.wrap_u(unwrapped)
    unclipped = arithmetic.update_v_unclipped(v, new_u, dv, drive)
    peak = np.where(awake, arithmetic.clip_v(unclipped), 0)
    spike = awake & (peak > threshold)
    new_left = np.where(spike, refractory, np.maximum(left - 1, 0))
    shifted = a << arithmetic.INPUT_SHIFT
    outside = np.array(
        [
            shifted != arithmetic.wrap_int32(shifted),
            unwrapped != new_u,
            awake & (unclipped < 1 - LIMIT),
            awake & (unclipped > LIMIT - 1),
        ]
    )

    real = np.float64 if wide else np.float32
    ours = [x.astype(np.int32) for x in (u, v, a, drive)]
    keeps = [((4095 - du) / 4096).astype(real), ((4096 - dv) / 4096).astype(real)]
    rest = left.astype(np.int32)
    counts = np.full((4, N), 5)
    fired = step(
        *ours[:3],
        (ours[3], 0, None, None),
        *keeps,
        threshold.astype(np.int32),
        rest,
        refractory.astype(np.int32) if resting else None,
        counts if counting else None,
    )
    np.testing.assert_array_equal(ours[0], new_u)
    np.testing.assert_array_equal(ours[1], np.where(spike, 0, peak))
    assert not ours[2].any()
    np.testing.assert_array_equal(rest, new_left if resting else left)
    bits = np.unpackbits(fired.view(np.uint8), bitorder="little")
    np.testing.assert_array_equal(bits, spike)
    assert 0.05 < spike.mean() < 0.95
    np.testing.assert_array_equal(counts, 5 + outside * counting)
    assert outside.any(axis=1).tolist() == [wide, True, True, True]


def test_products_are_rounded_as_before_afterwards():
    tenth = np.full(LANES, 0.1)
    before = float((tenth * 3)[0])
    test_a_step_is_exact_at_every_edge(False, False, False)
    assert float((tenth * 3)[0]) == before
