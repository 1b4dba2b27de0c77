"""The chip's noise, compiled: `isotau.convert.chip.philox` for engines and tuning."""

import numpy as np
from numba import njit

from isotau.convert.chip.arithmetic import NOISE_MAX
from isotau.convert.chip.philox import MASK, MULTIPLIERS, ROUNDS, WEYL

M0, M1 = MULTIPLIERS
W0, W1 = WEYL


@njit(nogil=True, cache=True, error_model="numpy", boundscheck=False)
def draw_noise(noise, key, step, trial, blocks, exponent):
    """Fill the noise of one step, that of `philox`, shifted by exponent − 7.

    Args:
        noise: int32, as long as `blocks` blocks of eight neurons or longer; filled.
        key: the two halves of the seed, uint64.
        step: number of the step since the trial began.
        trial: number of the trial.
        blocks: of eight neurons that get noise.
        exponent: noise_exp.
    """
    up, down = max(exponent - 7, 0), max(7 - exponent, 0)
    low, half = np.uint64(MASK), np.uint64(0xFFFF)
    bits, middle = np.uint64(32), np.uint64(16)
    for block in range(blocks):
        c0, c1 = np.uint64(block), np.uint64(step)
        c2, c3 = np.uint64(trial), np.uint64(0)
        k0, k1 = key[0], key[1]
        for _ in range(ROUNDS):
            p0, p1 = c0 * np.uint64(M0), c2 * np.uint64(M1)
            c0, c1 = (p1 >> bits) ^ c1 ^ k0, p1 & low
            c2, c3 = (p0 >> bits) ^ c3 ^ k1, p0 & low
            k0, k1 = (k0 + np.uint64(W0)) & low, (k1 + np.uint64(W1)) & low
        at = 8 * block
        for word in (c0, c1, c2, c3):
            for h in (word & half, word >> middle):
                sample = np.int32((np.int32(h) * 255) >> 16) - NOISE_MAX
                noise[at] = np.int32((sample << up) >> down)
                at += 1
