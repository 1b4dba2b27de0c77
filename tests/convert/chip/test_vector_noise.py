"""Samples drawn in vectors against those of numpy's Philox."""

import numpy as np
import pytest
from numba import njit

from isotau.convert.chip.philox import MASK, MEMBRANE, SYNAPSE, noise_samples
from isotau.convert.chip.vector_noise import PAIR, STEPS, draw_samples


@njit
def draw(samples, pairs, key, step, trial, stream):
    draw_samples(samples, pairs, key, step, trial, stream)


@pytest.mark.parametrize("step", [0, 7, 2**31 - 3, 2**32 - STEPS])
@pytest.mark.parametrize("seed", [0, 12345, 2**64 - 1])
@pytest.mark.parametrize("stream", [MEMBRANE, SYNAPSE])
def test_every_sample_is_that_of_philox(seed, step, stream):
    key = np.array([seed & MASK, seed >> 32], dtype=np.uint64)
    pairs = 5
    for trial in (0, 3, 2**32 - 1):
        samples = np.zeros((pairs, STEPS, PAIR), np.int8)
        draw(samples, pairs, key, step, trial, stream)
        for k in range(STEPS):
            expected = noise_samples(
                seed, step + k, np.array([trial]), pairs * PAIR, stream
            )
            np.testing.assert_array_equal(samples[:, k].ravel(), expected[0])


def test_nothing_is_drawn_beyond_the_blocks():
    samples = np.full((3, STEPS, PAIR), 127, np.int8)
    draw(samples, 2, np.zeros(2, np.uint64), 1, 1, MEMBRANE)
    assert (samples[2] == 127).all() and (samples[:2] != 127).any(axis=(0, 2)).all()
