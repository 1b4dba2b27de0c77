"""The neurons' part of the chip's step in one pass over vectors.

A neuron's numbers stay in registers from the decay of u to the packed spike. Rows are
those of `isotau.convert.chip.compiled_step`, padded to whole vectors of `LANES`
neurons. What a network does not have is not compiled: numba types each call anew, and
an array that is None stands for what is left out.

Decays are products of floats, cut to integers. Where |u| and |v| stay within 2^24,
which float32 holds, `keep_u` and `keep_v` may be float32: the product has more bits
than that, but rounded toward zero, and then cut toward zero, it is the exact one cut
(H4). So `round_toward_zero` comes before the first step, and `round_to_nearest` after
the last. Else they are float64, whose products are exact.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.chip.arithmetic import INPUT_SHIFT, NOISE_MAX, STATE_LIMIT
from isotau.convert.chip.lanes import Lanes, Memory, memory_of, spread
from isotau.convert.chip.philox import MASK, MULTIPLIERS, ROUNDS, WEYL

LANES = 16
"""Neurons of a vector: 64 bytes, which LLVM halves or quarters where it must."""
PARTS = 64 // LANES
"""Vectors whose spikes are a word."""
M = STATE_LIMIT
INT16, INT32, INT64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
ROW = ir.VectorType(INT32, LANES)
BLOCKS = 8
"""Counters of the noise in a vector."""
DRAWN = 8 * BLOCKS
"""Neurons that they serve."""
TOWARD_ZERO, TO_NEAREST = 0, 1
"""As `llvm.set.rounding` numbers them."""


def _rounding(mode: int) -> Any:
    def code(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [INT32])
        module = builder.module
        setter = cgutils.get_or_insert_function(module, kind, "llvm.set.rounding")
        builder.call(setter, [ir.Constant(INT32, mode)])
        return context.get_dummy_value()

    return code


@intrinsic
def round_toward_zero(typing):
    """Let this thread's products of floats be rounded toward zero."""
    return types.void(), _rounding(TOWARD_ZERO)


@intrinsic
def round_to_nearest(typing):
    """Let this thread round as every other program expects it."""
    return types.void(), _rounding(TO_NEAREST)


@intrinsic
def advance(
    typing,
    vectors,
    u,
    v,
    arriving,
    drive,
    keep_u,
    keep_v,
    threshold,
    refractory_left,
    refractory,
    fired,
    counts,
):
    """Update a trial's neurons by one step: (H3) to (H11); empty what arrived.

    Args:
        typing: numba's.
        vectors: of `LANES` neurons.
        u: and the other rows: see `isotau.convert.chip.compiled_step`.
        v: changed.
        arriving: set to 0.
        drive: bias and noise.
        keep_u: float32 or float64: see above.
        keep_v: of the same type.
        threshold: of every neuron.
        refractory_left: None where nobody ever rests.
        refractory: not looked at then.
        fired: a bit per neuron, set; uint64.
        counts: kind of overflow × neuron, int64, added to; None to count nothing.
    """
    rows = (u, v, arriving, drive, keep_u, keep_v, threshold)
    rest = (refractory_left, refractory, fired, counts)
    return types.void(vectors, *rows, *rest), _advance_code


def _advance_code(context, builder, signature, args):
    """Write the code of `advance`."""
    rows = [
        None if kind == types.none else memory_of(context, builder, kind, arg)
        for kind, arg in zip(signature.args[1:], args[1:], strict=True)
    ]
    u, v, arriving, drive, keep_u, keep_v, threshold, left, refractory = rows[:9]
    fired, counts = rows[9:]
    wide = signature.args[5].dtype == types.float64
    real = ir.VectorType(ir.DoubleType() if wide else ir.FloatType(), LANES)
    word = cgutils.alloca_once_value(builder, ir.Constant(INT64, 0))
    with cgutils.for_range(builder, args[0]) as loop:
        j = builder.mul(loop.index, ir.Constant(loop.index.type, LANES))
        a = arriving.lanes(j, ROW)
        shifted_input = a << INPUT_SHIFT
        unwrapped = decayed(u.lanes(j, ROW), keep_u.lanes(j, real)) + shifted_input
        new_u = wrap_u(unwrapped)
        decayed_v = decayed(v.lanes(j, ROW), keep_v.lanes(j, real))
        unclipped = decayed_v + new_u + drive.lanes(j, ROW)
        peak = unclipped.at_least(1 - M).at_most(M - 1)  # (H7)
        spike = peak > threshold.lanes(j, ROW)  # (H9)
        after = spike.pick(0, peak)  # (H11)
        low, high = unclipped < 1 - M, unclipped > M - 1
        if refractory is not None:
            before = left.lanes(j, ROW)
            resting = before > 0
            none = spike ^ spike
            spike, low, high = (resting.pick(none, x) for x in (spike, low, high))
            after = resting.pick(0, after)  # (H8)
            rest = spike.pick(refractory.lanes(j, ROW), (before - 1).at_least(0))
            left.store(j, rest)  # (H10)
        u.store(j, new_u)
        v.store(j, after)
        arriving.store(j, a ^ a)
        _pack(builder, fired, word, spike, loop.index)
        if counts is not None:
            array = context.make_array(signature.args[-1])(context, builder, args[-1])
            _, width = cgutils.unpack_tuple(builder, array.shape)
            outside = {1: unwrapped.differs(new_u), 2: low, 3: high}
            if wide:
                outside[0] = (shifted_input >> INPUT_SHIFT).differs(a)
            _count(builder, counts, outside, j, width)
    return context.get_dummy_value()


def _pack(builder: Any, fired: Memory, word: Any, spike: Lanes, vector: Any) -> None:
    """Write a vector's bits, with those of the vectors before in the same word.

    Words are written whole: to read one that is still under way to memory in parts, as
    the list of spikes does at once, takes as long as twenty additions.
    """
    index = vector.type
    part = builder.and_(vector, ir.Constant(index, PARTS - 1))
    first = builder.icmp_unsigned("==", part, ir.Constant(index, 0))
    before = builder.select(first, ir.Constant(INT64, 0), builder.load(word))
    places = builder.mul(part, ir.Constant(index, LANES))
    bits = builder.shl(builder.zext(spike.bits(INT16), INT64), places)
    builder.store(builder.or_(before, bits), word)
    at = builder.udiv(vector, ir.Constant(index, PARTS))
    builder.store(builder.load(word), builder.gep(fired.pointer, [at]))


def decayed(x: Lanes, keep: Lanes) -> Lanes:
    """Return what a decay leaves, cut toward zero: (H4)."""
    return (x.signed(keep.value.type.element) * keep).signed(INT32)


def wrap_u(u: Lanes) -> Lanes:
    """Return u after one wrap into 24 bits: (H5)."""
    lowered = (u > M).pick(u - 2 * M, u)
    return (lowered <= -M).pick(lowered + 2 * M, lowered)


def _count(
    builder: Any, counts: Memory, outside: dict[int, Lanes], j: Any, width: Any
) -> None:
    """Add bits to the counts, in `run.Overflow`'s order of kinds."""
    some = outside[1] | outside[2] | outside[3]
    if 0 in outside:
        some = some | outside[0]
    # Nearly always there are none, and nothing is read or written.
    found = builder.icmp_unsigned("!=", some.bits(INT16), ir.Constant(INT16, 0))
    with builder.if_then(found, likely=False):
        for kind, bits in outside.items():
            place = builder.add(builder.mul(width, ir.Constant(width.type, kind)), j)
            total = counts.lanes(place, ir.VectorType(INT64, LANES))
            counts.store(place, total + bits.unsigned(INT64))


@intrinsic
def draw_drive(typing, groups, drive, bias, key, step, trial, exponent):
    """Set the drive of a step, bias and noise: (H6), (P1) to (P6).

    Args:
        typing: numba's.
        groups: of `DRAWN` neurons.
        drive: row.
        bias: row.
        key: the two halves of the seed, uint64.
        step: number of the step since power-up.
        trial: number of the trial.
        exponent: E, the network's noise_exp.
    """
    rows = (drive, bias, key)
    return types.void(groups, *rows, step, trial, exponent), _draw_drive_code


def _draw_drive_code(context, builder, signature, args):
    """Write the code of `draw_drive`: `BLOCKS` counters at a time."""
    drive, bias, key = (
        memory_of(context, builder, signature.args[k], args[k]) for k in (1, 2, 3)
    )
    keys = []
    for k in range(2):
        half = builder.gep(key.pointer, [ir.Constant(INT64, k)])
        keys.append(spread(builder, builder.load(half), BLOCKS))
    step, trial = (spread(builder, args[k], BLOCKS) for k in (4, 5))
    # A sample is shifted left by 16 places first, by moving it up in its lane: (P6).
    down = builder.sub(ir.Constant(INT64, 16 + 7), args[6])
    down = spread(builder, builder.trunc(down, INT32), LANES)
    first = Lanes(builder, ir.Constant(ir.VectorType(INT64, BLOCKS), [*range(BLOCKS)]))
    with cgutils.for_range(builder, args[0]) as loop:
        start = builder.mul(loop.index, ir.Constant(INT64, BLOCKS))
        blocks = first + spread(builder, start, BLOCKS)  # (P1)
        words = philox4x32([blocks, step, trial, trial ^ trial], keys)
        place = builder.mul(loop.index, ir.Constant(INT64, DRAWN))
        for k, noise in enumerate(_noise(words, down)):
            at = builder.add(place, ir.Constant(INT64, k * LANES))
            drive.store(at, bias.lanes(at, ROW) + noise)
    return context.get_dummy_value()


def philox4x32(counter: list[Lanes], key: list[Lanes]) -> list[Lanes]:
    """Return the four output words of some counters, as `philox.philox4x32` does.

    Words are in lanes of 64 bits, which have room for the product of two. What is the
    same for all blocks of a step LLVM takes out of the loop: it is in two rounds.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = (c0 & MASK) * MULTIPLIERS[0], (c2 & MASK) * MULTIPLIERS[1]  # (P2)
        # Only the lower 32 bits of a word count: the key's sums may carry beyond.
        c0, c1 = p1.unsigned_shift(32) ^ c1 ^ k0, p1
        c2, c3 = p0.unsigned_shift(32) ^ c3 ^ k1, p0
        k0, k1 = k0 + WEYL[0], k1 + WEYL[1]  # (P3)
    return [c0, c1, c2, c3]


def _noise(words: list[Lanes], down: Lanes) -> list[Lanes]:
    """Return the noise of `BLOCKS` blocks in the order of their neurons, int32."""
    builder = words[0].builder
    thin, thick = ir.VectorType(INT32, 2 * BLOCKS), ir.VectorType(INT64, BLOCKS)
    halves = ir.VectorType(INT16, 4 * BLOCKS)
    # A word is the lower half of a lane: two words of a block become one lane.
    alternate = [p for k in range(0, 2 * BLOCKS, 2) for p in (k, k + 2 * BLOCKS)]
    low, high = (
        Lanes(builder, one.shuffled(other, alternate).bits(thick))
        for one, other in (
            [Lanes(builder, word.bits(thin)) for word in words[k : k + 2]]
            for k in (0, 2)
        )
    )
    rows = []
    for block in (0, BLOCKS // 2):
        # Such that neurons are in order once lower and upper halves alternate, which
        # is fast within four numbers alone.
        order = [block, block + 2, block + 8, block + 10]
        order += [place + 1 for place in order]
        samples = Lanes(builder, low.shuffled(high, order).bits(halves))
        scaled = (samples.unsigned(INT32) * 255).unsigned_shift(16).signed(INT16)
        numbers = Lanes(builder, (scaled - NOISE_MAX).bits(thin))  # (P4), (P5)
        even = (numbers << 16) >> down  # (P6)
        odd = (numbers & (MASK ^ 0xFFFF)) >> down
        for first in (0, 2):
            places = [
                first + k for quarter in range(0, 16, 4) for k in (quarter, quarter + 1)
            ]
            mixed = [p for place in places for p in (place, place + 2 * BLOCKS)]
            rows.append(even.shuffled(odd, mixed))
    return rows
