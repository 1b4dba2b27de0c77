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

from isotau.convert.chip import vector_noise
from isotau.convert.chip.arithmetic import INPUT_SHIFT, STATE_LIMIT
from isotau.convert.chip.lanes import Lanes, Memory, memory_of, spread

LANES = 16
"""Neurons of a vector: 64 bytes, which LLVM halves or quarters where it must."""
PARTS = 64 // LANES
"""Vectors whose spikes are a word."""
M = STATE_LIMIT
INT16, INT32, INT64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
ROW, BYTES = ir.VectorType(INT32, LANES), ir.VectorType(ir.IntType(8), LANES)
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
    bias,
    drawn,
    to_v,
    to_u,
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
        bias: row.
        drawn: which of the steps this is whose samples of noise were drawn.
        to_v: samples from `vector_noise.draw_samples`, and by how many places they are
            shifted left, and then right; or rows of what each neuron's are multiplied
            with, 0 for no noise, and then shifted right; None for no noise.
        to_u: the same for u.
        keep_u: float32 or float64: see above.
        keep_v: of the same type.
        threshold: of every neuron.
        refractory_left: None where nobody ever rests.
        refractory: not looked at then.
        fired: a bit per neuron, set; uint64.
        counts: kind of overflow × neuron, int64, added to; None to count nothing.
    """
    rows = (u, v, arriving, bias, drawn, to_v, to_u, keep_u, keep_v, threshold)
    rest = (refractory_left, refractory, fired, counts)
    return types.void(vectors, *rows, *rest), _advance_code


def _advance_code(context, builder, signature, args):
    """Write the code of `advance`."""
    rows = [
        memory_of(context, builder, kind, arg)
        if isinstance(kind, types.Array)
        else None
        for kind, arg in zip(signature.args[1:], args[1:], strict=True)
    ]
    u, v, arriving, bias, _, _, _, keep_u, keep_v, threshold = rows[:10]
    left, refractory, fired, counts = rows[10:]
    wide = signature.args[8].dtype == types.float64
    noise, current_noise = (
        _noise_of(context, builder, signature.args[k], args[k], args[5]) for k in (6, 7)
    )
    real = ir.VectorType(ir.DoubleType() if wide else ir.FloatType(), LANES)
    word = cgutils.alloca_once_value(builder, ir.Constant(INT64, 0))
    with cgutils.for_range(builder, args[0]) as loop:
        j = builder.mul(loop.index, ir.Constant(loop.index.type, LANES))
        a = arriving.lanes(j, ROW)
        shifted_input = a << INPUT_SHIFT
        unwrapped = decayed(u.lanes(j, ROW), keep_u.lanes(j, real)) + shifted_input
        if current_noise is not None:
            unwrapped += current_noise(j)  # (H3)
        new_u = wrap_u(unwrapped)
        decayed_v = decayed(v.lanes(j, ROW), keep_v.lanes(j, real))
        unclipped = decayed_v + new_u + bias.lanes(j, ROW)
        if noise is not None:
            unclipped += noise(j)  # (H6)
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
        pack(builder, fired, word, spike, loop.index)
        if counts is not None:
            array = context.make_array(signature.args[-1])(context, builder, args[-1])
            _, width = cgutils.unpack_tuple(builder, array.shape)
            outside = {1: unwrapped.differs(new_u), 2: low, 3: high}
            if wide:
                outside[0] = (shifted_input >> INPUT_SHIFT).differs(a)
            _count(builder, counts, outside, j, width)
    return context.get_dummy_value()


def _noise_of(context: Any, builder: Any, kind: Any, noise: Any, drawn: Any) -> Any:
    """Return what gives the noise of a vector from some neuron on (P6), or None."""
    if isinstance(kind, types.NoneType):
        return None
    parts = cgutils.unpack_tuple(builder, noise)
    here = builder.mul(drawn, ir.Constant(drawn.type, LANES))
    samples, *rows = (
        memory_of(context, builder, part, value)
        for part, value in zip(kind.types, parts, strict=True)
        if isinstance(part, types.Array)
    )
    up, down = (
        (None, None)
        if rows
        else (spread(builder, builder.trunc(x, INT32), LANES) for x in parts[1:])
    )

    def of_lanes(j: Any) -> Lanes:
        before = builder.mul(j, ir.Constant(j.type, vector_noise.STEPS))
        sample = samples.lanes(builder.add(before, here), BYTES).signed(INT32)
        if not rows:
            return (sample << up) >> down
        return (sample * rows[0].lanes(j, ROW)) >> rows[1].lanes(j, ROW)

    return of_lanes


def pack(builder: Any, fired: Memory, word: Any, spike: Lanes, vector: Any) -> None:
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
