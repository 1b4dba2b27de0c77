"""The integer rules at the values where they turn, worked out by hand."""

import numpy as np
import pytest

from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode

M = 1 << 23


def array(*values):
    return np.array(values, dtype=np.int64)


def updated_v(v, u, dv, drive):
    return arithmetic.clip_v(arithmetic.update_v_unclipped(v, u, dv, drive))


def test_int32_wraps_around():
    given = array(2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32, 3 * 2**32 + 5)
    wrapped = arithmetic.wrap_int32(given)
    assert wrapped.tolist() == [2**31 - 1, -(2**31), -(2**31), 2**31 - 1, 0, 5]


def test_u_wraps_once_and_keeps_plus_m():
    given = array(M - 1, M, M + 1, -M + 1, -M, -M - 1, 3 * M, 3 * M + 1, -3 * M)
    expected = [M - 1, M, -M + 1, -M + 1, M, M - 1, M, M + 1, -M]
    assert arithmetic.wrap_u(given).tolist() == expected


def test_v_saturates_short_of_m():
    given = array(M - 1, M, 2**31 - 1, -M + 1, -M, -(2**31))
    expected = [M - 1, M - 1, M - 1, 1 - M, 1 - M, 1 - M]
    assert arithmetic.clip_v(given).tolist() == expected


def test_decay_truncates_toward_zero():
    assert arithmetic.decay(array(5, -5, 1, -1), 2048).tolist() == [2, -2, 0, 0]
    assert arithmetic.decay(array(7, -7), 0).tolist() == [7, -7]
    assert arithmetic.decay(array(7, -7), 4096).tolist() == [0, 0]
    assert arithmetic.decay(array(4096), 1).tolist() == [4095]


def test_shift_floors_and_wraps():
    assert arithmetic.shift(array(-5, 5, -1), -1).tolist() == [-3, 2, -1]
    assert arithmetic.shift(array(3, -3), 2).tolist() == [12, -12]
    assert arithmetic.shift(array(1 << 30, 1 << 31), 1).tolist() == [-(2**31), 0]
    assert arithmetic.shift(array(-5, 5), array(-1, 1)).tolist() == [-3, 10]


def test_effective_bias():
    assert arithmetic.effective_bias([3, -3, -5, 4095], [2, 2, -1, -16]).tolist() == [
        12,
        -12,
        -3,
        0,
    ]
    assert arithmetic.effective_bias(-1, -16) == -1  # a floor never reaches 0


def test_update_u():
    """du = 0 still loses 1/4096 (the chip's offset); input counts 64 times."""
    assert arithmetic.update_u(array(8192), array(2), array(0)).tolist() == [8318]
    assert arithmetic.update_u(array(8192), array(-2), array(4095)).tolist() == [-128]
    assert arithmetic.update_u(array(0), array(M >> 6), array(0)).tolist() == [M]
    assert arithmetic.update_u(array(0), array(-M >> 6), array(0)).tolist() == [M]
    assert arithmetic.update_u(array(0), array(1 << 26), array(0)).tolist() == [0]


def test_update_v():
    """dv = 0 loses nothing: it has no offset."""
    assert updated_v(array(100), array(7), array(0), array(-2)) == [105]
    assert updated_v(array(-9), array(0), array(2048), array(0)) == [-4]
    assert updated_v(array(M - 1), array(M), array(0), array(9)) == [M - 1]
    assert updated_v(array(1 - M), array(-M), array(0), array(0)) == [1 - M]


def test_delivered_shifts_the_sum_not_the_weights():
    weights = array(-3, -3)
    assert arithmetic.delivered(weights.sum(keepdims=True), -1).tolist() == [-3]
    assert arithmetic.shift(weights, -1).sum() == -4
    assert arithmetic.delivered(array(2**31 + 6), -1).tolist() == [-(2**30) + 3]


@pytest.mark.parametrize(
    ("weight", "bits", "mode", "kept"),
    [
        (3, 8, SignMode.MIXED, 2),
        (-3, 8, SignMode.MIXED, -4),
        (255, 8, SignMode.MIXED, 254),
        (300, 8, SignMode.MIXED, 254),
        (-300, 8, SignMode.MIXED, -256),
        (255, 8, SignMode.EXCITATORY, 255),
        (-1, 8, SignMode.EXCITATORY, 0),
        (255, 1, SignMode.EXCITATORY, 128),
        (-3, 8, SignMode.INHIBITORY, -3),
        (-7, 7, SignMode.INHIBITORY, -6),
        (-300, 8, SignMode.INHIBITORY, -255),
        (1, 8, SignMode.INHIBITORY, 0),
        (-1, 1, SignMode.MIXED, -256),
    ],
)
def test_on_grid(weight, bits, mode, kept):
    assert arithmetic.on_grid(weight, bits, mode) == kept


@pytest.mark.parametrize("mode", SignMode)
@pytest.mark.parametrize("bits", range(1, 9))
def test_grid_step_is_the_smallest_distance(mode, bits):
    kept = np.unique(arithmetic.on_grid(np.arange(-256, 256), bits, mode))
    assert np.diff(kept).min() == arithmetic.grid_step(bits, mode)


def test_scale_noise_floors():
    assert arithmetic.scale_noise(array(-127, 127), 7).tolist() == [-127, 127]
    assert arithmetic.scale_noise(array(-127, -1, 1, 127), 1).tolist() == [-2, -1, 0, 1]
    assert arithmetic.scale_noise(array(-127, 127), 23).tolist() == [-8323072, 8323072]


def test_arguments_are_left_alone():
    given = array(2**40, -(2**40), M + 5)
    before = given.copy()
    arithmetic.wrap_int32(given)
    arithmetic.wrap_u(given)
    arithmetic.clip_v(given)
    arithmetic.decay(given, 100)
    arithmetic.shift(given, 3)
    arithmetic.on_grid(given, 4, SignMode.INHIBITORY)
    np.testing.assert_array_equal(given, before)
