"""The counter-based normal numbers of `normals` in vectors of LLVM, bit for bit.

What a group of 64 neurons needs stays in registers, from the counters of its 16 blocks
to four vectors of samples. Each operation rounds, as in numpy. One result waits for
another nearly everywhere here, so that a processor is busy only with several groups at
a time, whose operations alternate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.chip.lanes import Lanes, memory_of, spread
from isotau.convert.chip.philox import MASK
from isotau.convert.chip.vector_philox import BLOCKS, philox4x32
from isotau.convert.simulate.vectors import normals
from isotau.convert.simulate.vectors.normals import GROUP, LANES

INT32, INT64, FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
HALF = ir.VectorType(INT64, BLOCKS)
VECTORS = GROUP // LANES
"""Of samples in a group, two from each pair of words."""
LIFT = int(normals.ONE_BITS - normals.SQRT_HALF_BITS)
TOGETHER = 2
"""Groups whose operations alternate; with four it is no faster."""
OCTAVES = 127 + 32
SIGN, SWAP = -(1 << 31), 1 << 30
"""The bits of a word that reflect its angle: (P11)."""


@intrinsic
def fill_normals(typing, vectors, row, key, step, trial, stream):
    """Set a row to the standard normal numbers of a step and trial: (P8) to (P11).

    Args:
        typing: numba's.
        vectors: of `LANES` neurons, int64.
        row: float32, whole groups, of which those with such neurons are set.
        key: the halves of the seed, a pair of uint64.
        step: of the trial, int64; below 0 before it.
        trial: its number, int64.
        stream: of `normals`, int64.
    """
    numbers = (types.int64, types.int64, types.int64)
    return types.void(types.int64, row, key, *numbers), _fill_normals_code


def _fill_normals_code(context, builder, signature, args):
    """Write the code of `fill_normals`: `TOGETHER` groups at a time, then the rest."""
    vectors, (step, trial, stream) = args[0], args[3:]
    row = memory_of(context, builder, signature.args[1], args[1])
    halves = cgutils.unpack_tuple(builder, args[2])
    key = [spread(builder, half, BLOCKS) for half in halves]
    step = builder.and_(step, ir.Constant(INT64, MASK))
    counter = [spread(builder, word, BLOCKS) for word in (step, trial, stream)]
    zero, more = ir.Constant(INT64, 0), ir.Constant(INT64, VECTORS - 1)
    groups = builder.udiv(builder.add(vectors, more), ir.Constant(INT64, VECTORS))
    rest = builder.urem(groups, ir.Constant(INT64, TOGETHER))
    whole = builder.sub(groups, rest)
    for start, stop, count in ((zero, whole, TOGETHER), (whole, groups, 1)):
        size = ir.Constant(INT64, count)
        with cgutils.for_range_slice(builder, start, stop, size) as (group, _):
            first = builder.mul(group, ir.Constant(INT64, LANES))
            blocks = [
                Lanes(builder, ir.Constant(HALF, [*range(k, k + BLOCKS)]))
                + spread(builder, first, BLOCKS)
                for k in range(0, count * LANES, BLOCKS)
            ]  # (P8)
            words = philox4x32([[block, *counter] for block in blocks], key)
            place = builder.mul(group, ir.Constant(INT64, GROUP))
            for k, samples in enumerate(_samples(words)):
                at = builder.add(place, ir.Constant(INT64, k * LANES))
                row.store(at, samples)
    return context.get_dummy_value()


def _samples(words: list[list[Lanes]]) -> Iterator[Lanes]:
    """Yield the samples of some groups in the order of their neurons: (P9).

    Args:
        words: four of each half group's blocks, in the lower halves of lanes.
    """
    radii, angles = [], []
    for low, high in zip(words[::2], words[1::2], strict=True):
        w0, w1, w2, w3 = (_joined(*pair) for pair in zip(low, high, strict=True))
        radii += [w0, w2]
        angles += [w1, w3]
    # As one long vector, whose parts LLVM takes in turn.
    first, second = _pair(_in_a_row(radii), _in_a_row(angles))
    for k in range(0, len(radii) * LANES, LANES):
        yield first.part(k, LANES)
        yield second.part(k, LANES)


def _joined(low: Lanes, high: Lanes) -> Lanes:
    """Return the lower 32 bits of the lanes of two vectors, one after the other."""
    thin = ir.VectorType(INT32, 2 * BLOCKS)
    one, other = (Lanes(half.builder, half.bits(thin)) for half in (low, high))
    return one.shuffled(other, [*range(0, 4 * BLOCKS, 2)])


def _in_a_row(vectors: list[Lanes]) -> Lanes:
    """Return 2, 4 … vectors as one."""
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [one.followed_by(other) for one, other in pairs]
    return vectors[0]


def _pair(radius: Lanes, angle: Lanes) -> tuple[Lanes, Lanes]:
    """Return the samples that two words of each block give."""
    length, (sine, cosine) = _radius(radius), _circle(angle)
    # (P11): a length is not below 0, so that a bit of the word is its sign.
    length = _read(_read(length, INT32) ^ (angle & SIGN), FLOAT)
    # A choice of numbers, no branch.
    swapped = (angle & SWAP).differs(0)
    first, second = swapped.pick(sine, cosine), swapped.pick(cosine, sine)
    return length * first, length * second


def _radius(word: Lanes) -> Lanes:
    """Return √(−2 ln((w + 1)/2³²)): (P10)."""
    bits = _read(word.unsigned(FLOAT) + 1.0, INT32) + LIFT
    left = (OCTAVES - (bits >> 23)).signed(FLOAT)
    mantissa = (bits & int(normals.MANTISSA)) + int(normals.SQRT_HALF_BITS)
    x = _read(mantissa, FLOAT) - 1.0
    # x itself is added last: near 1 its digits are the logarithm's.
    log = x + (x * x) * _polynomial(normals.LOG, x)
    return ((left * normals.LN2 - log) * 2.0).root()


def _circle(word: Lanes) -> tuple[Lanes, Lanes]:
    """Return sine and cosine of the lower 30 bits, from −1/8 to 1/8 of a circle."""
    y = (word << 2).signed(FLOAT) * normals.PER_WORD
    square = y * y
    sine = y * _polynomial(normals.SINE, square)
    return sine, square * _polynomial(normals.COSINE, square) + 1.0


def _polynomial(coefficients: tuple[np.float32, ...], x: Lanes) -> Lanes:
    value = x * coefficients[-1] + coefficients[-2]
    for c in coefficients[-3::-1]:
        value = value * x + c
    return value


def _read(lanes: Lanes, number: Any) -> Lanes:
    """Return lanes of 32 bits read as integers or floats."""
    return Lanes(
        lanes.builder, lanes.bits(ir.VectorType(number, lanes.value.type.count))
    )
