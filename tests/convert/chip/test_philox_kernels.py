"""The compiled noise against the numpy one."""

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import scale_noise
from isotau.convert.chip.philox import MASK, membrane_samples
from isotau.convert.chip.philox_kernels import draw_noise


@pytest.mark.parametrize("exponent", [1, 6, 7, 12, 23])
@pytest.mark.parametrize("seed", [0, 12345, 2**64 - 1])
def test_every_sample_is_that_of_philox(seed, exponent):
    key = np.array([seed & MASK, seed >> 32], dtype=np.uint64)
    noise = np.full(24, -1, np.int32)
    for step, trial in ((0, 0), (7, 3), (2**32 - 1, 2**32 - 1)):
        draw_noise(noise, key, step, trial, 3, exponent)
        samples = membrane_samples(seed, step, np.array([trial]), 24)[0]
        np.testing.assert_array_equal(noise, scale_noise(samples, exponent))


def test_nothing_is_drawn_beyond_the_blocks():
    noise = np.full(24, -1, np.int32)
    draw_noise(noise, np.zeros(2, np.uint64), 1, 1, 2, 7)
    assert (noise[16:] == -1).all() and (noise[:16] != -1).any()
