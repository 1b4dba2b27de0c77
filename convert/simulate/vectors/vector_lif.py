"""The neurons' part of the LIF step in one pass over vectors of LLVM.

A neuron's numbers stay in registers from J to the packed spike. Rows are those of
`isotau.convert.simulate.lif_kernels`, whole vectors of `LANES` neurons, float32 or
float64. Every operation rounds, in Norse's order: products and sums are not made one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.chip.lanes import Lanes, Memory, memory_of
from isotau.convert.chip.vector_step import LANES, pack

SPIKED, RESTED = 1, 2
"""Bits of a neuron's flags."""
INT8, INT16, INT32, INT64 = (ir.IntType(width) for width in (8, 16, 32, 64))
WIDE = ir.DoubleType()


def vector_of(context, kind):
    """Return the vector of LLVM that holds some numbers of an array."""
    return ir.VectorType(context.get_value_type(kind.dtype), LANES)


def memories_of(context, builder, kind, group):
    """Return the arrays of a tuple, None where there is none at all."""
    if kind == types.none:
        return None
    parts = cgutils.unpack_tuple(builder, group)
    return [
        memory_of(context, builder, *each) for each in zip(kind, parts, strict=True)
    ]


@intrinsic
def advance(typing, vectors, state, net, leak, noise, fired, ranges, tape):
    """Update a trial's neurons by one step, once i is J: (L2) to (L6).

    Args:
        typing: numba's.
        vectors: of `LANES` neurons, int64.
        state: v, i, and steps left at reset, int32; changed.
        net: a_mem, a_syn, v_reset, v_th; steps of rest, int32.
        leak: the resting potential.
        noise: SD of what it adds to v in a step; standard normal numbers, float32.
            None for no noise.
        fired: a bit per neuron, set; uint64.
        ranges: of |J| and v_reset − v, widened, and sums of J², float64, added to:
            (L16); None where nobody asks.
        tape: v′ − v_th and flags, uint8, set; None where nobody asks.
    """
    parts = (state, net, leak, noise, fired, ranges, tape)
    return types.void(types.int64, *parts), _advance_code


def _advance_code(context, builder, signature, args):
    """Write the code of `advance`."""
    kinds, leak_kind = signature.args, signature.args[3]
    state, net, noise, ranges, tape = (
        memories_of(context, builder, kinds[k], args[k]) for k in (1, 2, 4, 6, 7)
    )
    v_row, i_row, left_row = state
    a_row, a_syn, v_reset, v_th, rest_steps = net
    leak_row, fired = (memory_of(context, builder, kinds[k], args[k]) for k in (3, 5))
    real, whole = vector_of(context, leak_kind), ir.VectorType(INT32, LANES)
    word = cgutils.alloca_once_value(builder, ir.Constant(INT64, 0))
    with cgutils.for_range(builder, args[0]) as loop:
        j = builder.mul(loop.index, ir.Constant(loop.index.type, LANES))
        v, current, start = (row.lanes(j, real) for row in (v_row, i_row, v_reset))
        leak, a_mem = leak_row.lanes(j, real), a_row.lanes(j, real)
        if noise is not None:
            leak = _lifted(noise, j, leak, a_mem)
        risen = v + a_mem * ((leak - v) + current)  # (L2)
        # (L3), not (1 − a_syn) i: other bits
        i_row.store(j, current - a_syn.lanes(j, real) * current)
        x = risen - v_th.lanes(j, real)
        left = left_row.lanes(j, whole)
        above, resting = x > 0, left > 0
        spike = resting.pick(above ^ above, above)  # (L4)
        after = (spike | resting).pick(start, risen)  # (L5)
        v_row.store(j, after)
        rest = spike.pick(rest_steps.lanes(j, whole), (left - 1).at_least(0))
        left_row.store(j, rest)  # (L6)
        pack(builder, fired, word, spike, loop.index)
        if ranges is not None:
            _widen(ranges, j, current, start - after)
        if tape is not None:
            tape[0].store(j, x)
            tape[1].store(j, resting.pick(RESTED, spike.unsigned(INT8)))
    return context.get_dummy_value()


def _widen(ranges: list[Memory], j: Any, current: Lanes, depth: Lanes) -> None:
    """Widen the ranges of J and v, and add J²: (L16)."""
    kind = current.value.type
    peak, low, power = ranges
    peak.store(j, peak.lanes(j, kind).at_least(current.size()))
    low.store(j, low.lanes(j, kind).at_least(depth))
    wide = current.signed(WIDE)
    total = power.lanes(j, ir.VectorType(WIDE, LANES))
    power.store(j, total + wide * wide)


def _lifted(noise: list[Memory], j: Any, leak: Lanes, a_mem: Lanes) -> Lanes:
    """Return the resting potential that brings the noise along, as `LIFModule` does."""
    per_step, normal = noise
    samples = normal.lanes(j, ir.VectorType(ir.FloatType(), LANES))
    # (L8), (L9); the module's noise is a tensor, and so it is rounded here as well.
    added = per_step.lanes(j, leak.value.type) * samples.signed(leak.value.type.element)
    return leak + added / a_mem


@intrinsic
def stir(typing, vectors, i, per_step, normal):
    """Add a step's noise to every i, before its jump: (L1), (L19).

    Args:
        typing: numba's.
        vectors: of `LANES` neurons, int64.
        i: row, changed.
        per_step: SD of what noise adds in a step.
        normal: standard normal numbers, float32.
    """

    def code(context, builder, signature, args):
        i, per_step, normal = (
            memory_of(context, builder, *each)
            for each in zip(signature.args[1:], args[1:], strict=True)
        )
        real = vector_of(context, signature.args[1])
        drawn = ir.VectorType(ir.FloatType(), LANES)
        with cgutils.for_range(builder, args[0]) as loop:
            j = builder.mul(loop.index, ir.Constant(loop.index.type, LANES))
            samples = normal.lanes(j, drawn).signed(real.element)
            # The product is rounded by itself, as a tensor of noise is in the module.
            i.store(j, i.lanes(j, real) + per_step.lanes(j, real) * samples)
        return context.get_dummy_value()

    return types.void(types.int64, i, per_step, normal), code


@intrinsic
def filter_spikes(typing, vectors, f, keep, gain, fired):
    """Update the filtered spikes: (L12).

    Args:
        typing: numba's.
        vectors: of `LANES` neurons, int64.
        f: row, changed.
        keep: what is kept of it.
        gain: what a spike adds.
        fired: a bit per neuron, uint64.
    """

    def code(context, builder, signature, args):
        f, keep, gain, fired = (
            memory_of(context, builder, *each)
            for each in zip(signature.args[1:], args[1:], strict=True)
        )
        real = vector_of(context, signature.args[1])
        bits = ir.VectorType(ir.IntType(1), LANES)
        parts = builder.bitcast(fired.pointer, INT16.as_pointer())
        with cgutils.for_range(builder, args[0]) as loop:
            j = builder.mul(loop.index, ir.Constant(loop.index.type, LANES))
            part = builder.load(builder.gep(parts, [loop.index]))
            spiked = Lanes(builder, builder.bitcast(part, bits))
            added = spiked.pick(gain.lanes(j, real), 0)
            f.store(j, keep.lanes(j, real) * f.lanes(j, real) + added)
        return context.get_dummy_value()

    return types.void(types.int64, f, keep, gain, fired), code
