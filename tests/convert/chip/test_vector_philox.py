"""Words of the generator in vectors against those in numpy."""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.chip.lanes import memory_of, spread
from isotau.convert.chip.philox import noise_key, philox4x32
from isotau.convert.chip.vector_philox import BLOCKS
from isotau.convert.chip.vector_philox import philox4x32 as vector_philox4x32

COUNTERS = 3
"""Whose rounds alternate."""


@intrinsic
def fill_words(typing, words, counters, key):
    def code(context, builder, signature, args):
        target, source = (
            memory_of(context, builder, signature.args[k], args[k]) for k in range(2)
        )
        halves = cgutils.unpack_tuple(builder, args[2])
        vector = ir.VectorType(ir.IntType(64), BLOCKS)
        starts = [
            [ir.Constant(ir.IntType(64), (4 * k + w) * BLOCKS) for w in range(4)]
            for k in range(COUNTERS)
        ]
        drawn = vector_philox4x32(
            [[source.lanes(start, vector) for start in row] for row in starts],
            [spread(builder, half, BLOCKS) for half in halves],
        )
        for places, values in zip(starts, drawn, strict=True):
            for place, value in zip(places, values, strict=True):
                target.store(place, value)
        return context.get_dummy_value()

    return types.void(words, counters, key), code


@njit
def run(words, counters, key):
    fill_words(words, counters, key)


def test_lower_halves_of_lanes_are_the_words():
    seed, rng = (1 << 63) + 98765, np.random.default_rng(0)
    counters = rng.integers(0, 1 << 32, (COUNTERS, 4, BLOCKS), dtype=np.uint64)
    counters[0, :, 0], counters[0, :, 1] = 0, 0xFFFFFFFF
    words = np.zeros_like(counters)
    run(words, counters, tuple(np.uint64(half) for half in noise_key(seed)))
    for drawn, counter in zip(words, counters, strict=True):
        expected = np.array(philox4x32(tuple(counter), seed))
        np.testing.assert_array_equal(drawn & np.uint64(0xFFFFFFFF), expected)
