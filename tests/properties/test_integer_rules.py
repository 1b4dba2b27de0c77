"""The integer rules against Python's own integers, which have no width.

Every expected value is derived again here from the description of Lava 0.10.0's
fixed-point models: exhaustively up to 2^16 cases or so, by hypothesis beyond.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode

M = 1 << 23
INT32 = st.integers(-(2**31), 2**31 - 1)
EDGES = [
    s * x + d for x in (M, 2 * M, 3 * M, 2**31) for s in (-1, 1) for d in (-1, 0, 1)
]
STATE = st.one_of(INT32, st.sampled_from([x for x in EDGES if -(2**31) <= x < 2**31]))
FRACTION = st.integers(0, 4096)


def truncated(x, fraction):
    return math.trunc(Fraction(x * (4096 - fraction), 4096))


def as_int32(x):
    return int.from_bytes((x % 2**32).to_bytes(4, "little"), "little", signed=True)


def wrapped_once(u):
    if u > M:
        return u - 2 * M
    if u <= -M:
        return u + 2 * M
    return u


def shifted(x, exponent):
    return as_int32(math.floor(Fraction(x) * Fraction(2) ** exponent))


def kept_weight(w, bits, mode):
    """Weight memory: clip, then clear the low bits by a floor."""
    if mode is SignMode.INHIBITORY:
        return -kept_weight(-w, bits, SignMode.EXCITATORY)
    lost = 8 - bits
    if mode is SignMode.MIXED:
        w, lost = max(-256, min(255, w)), lost + 1
    else:
        w = max(0, min(255, w))
    return math.floor(Fraction(w, 2**lost)) * 2**lost


def updated_v(v, u, dv, drive):
    return arithmetic.clip_v(arithmetic.update_v_unclipped(v, u, dv, drive))


def one(x):
    return np.array([x], dtype=np.int64)


def test_decay_of_every_16_bit_number():
    x = np.arange(-(1 << 15), 1 << 15)
    for fraction in (0, 1, 2, 37, 2047, 2048, 4095, 4096):
        # int() of a quotient of small integers truncates, and is exact in float64
        expected = [int(v * (4096 - fraction) / 4096) for v in x.tolist()]
        assert arithmetic.decay(x, fraction).tolist() == expected


def test_decay_by_every_fraction():
    fractions = np.arange(4097)
    for x in (1, -1, 4095, -4096, M - 1, 1 - M, 2**31 - 1, -(2**31)):
        got = arithmetic.decay(np.full(4097, x), fractions)
        assert got.tolist() == [truncated(x, f) for f in range(4097)]


@given(x=STATE, fraction=FRACTION)
@settings(deadline=None)
def test_decay_anywhere(x, fraction):
    assert arithmetic.decay(one(x), fraction) == truncated(x, fraction)


@given(x=STATE, fraction=FRACTION)
@settings(deadline=None)
def test_decay_shrinks_and_is_odd(x, fraction):
    once = int(arithmetic.decay(one(x), fraction)[0])
    assert abs(once) <= abs(x)
    assert once * x >= 0
    assert arithmetic.decay(one(-x), fraction) == -once
    if fraction and x:
        assert abs(once) < abs(x)  # so every state dies out in finite time


@given(x=st.integers(-(2**62), 2**62))
@settings(deadline=None)
def test_wrap_int32_anywhere(x):
    assert arithmetic.wrap_int32(one(x)) == as_int32(x)


@given(x=STATE)
@settings(deadline=None)
def test_wrap_u_anywhere(x):
    assert arithmetic.wrap_u(one(x)) == wrapped_once(x)


def test_wrap_u_at_every_edge():
    near = np.array([e + d for e in EDGES for d in range(-300, 301)])
    assert arithmetic.wrap_u(near).tolist() == [wrapped_once(x) for x in near.tolist()]


@given(x=STATE)
@settings(deadline=None)
def test_clip_v_anywhere(x):
    assert arithmetic.clip_v(one(x)) == sorted((1 - M, x, M - 1))[1]


@given(x=INT32, exponent=st.integers(-16, 16))
@settings(deadline=None)
def test_shift_anywhere(x, exponent):
    assert arithmetic.shift(one(x), exponent) == shifted(x, exponent)


def test_every_bias():
    """All 8192 mantissas with all 24 exponents."""
    mantissas = np.arange(-4096, 4096)
    for exponent in range(-16, 8):
        got = arithmetic.effective_bias(mantissas, np.full(8192, exponent))
        if exponent >= 0:
            assert got.tolist() == [m * 2**exponent for m in range(-4096, 4096)]
        else:
            assert got.tolist() == [m // 2**-exponent for m in range(-4096, 4096)]


@pytest.mark.parametrize("mode", SignMode)
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_weight(mode, bits):
    weights = np.arange(-300, 301)
    kept = arithmetic.on_grid(weights, bits, mode)
    assert kept.tolist() == [kept_weight(w, bits, mode) for w in weights.tolist()]
    np.testing.assert_array_equal(arithmetic.on_grid(kept, bits, mode), kept)


def test_every_noise_sample():
    samples = np.arange(-127, 128)
    for exponent in range(1, 24):
        got = arithmetic.scale_noise(samples, exponent).tolist()
        assert got == [shifted(s, exponent - 7) for s in range(-127, 128)]


@given(u=STATE, a=INT32, du=st.integers(0, 4095))
@settings(deadline=None)
def test_update_u_anywhere(u, a, du):
    expected = wrapped_once(as_int32(truncated(u, du + 1) + as_int32(64 * a)))
    assert arithmetic.update_u(one(u), one(a), one(du)) == expected


@given(
    v=st.integers(1 - M, M - 1),
    u=STATE,
    dv=st.integers(0, 4095),
    drive=st.integers(-(2**24), 2**24),
)
@settings(deadline=None)
def test_update_v_anywhere(v, u, dv, drive):
    total = as_int32(truncated(v, dv) + u + drive)
    expected = sorted((1 - M, total, M - 1))[1]
    assert updated_v(one(v), one(u), one(dv), one(drive)) == expected


@given(
    weights=st.lists(st.integers(-256, 255), max_size=40),
    exponent=st.integers(-8, 7),
)
@settings(deadline=None)
def test_delivered_anywhere(weights, exponent):
    assert arithmetic.delivered(one(sum(weights)), exponent) == shifted(
        sum(weights), exponent
    )
