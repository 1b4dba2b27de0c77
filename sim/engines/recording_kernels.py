"""What a run keeps of u and v: some neurons of a row, and rows moved to their place.

A trial's rows lie a batch apart. Short ones, written there step by step, would each
fetch a line of memory from far away for a part of it, and the next trial's again; so
they are gathered on a page, which stays in the cache, and moved when it is full.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.chip.lanes import memory_of


@intrinsic
def record(typing, page, step, trial, values, neurons):
    """Keep some neurons of a row.

    Args:
        typing: numba's.
        page: step × trial × neuron that is kept, int32; nothing is kept if it is empty.
        step: of the page.
        trial: of the page.
        values: row, int32.
        neurons: places in the row, uint64.
    """

    def code(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        values, neurons = (
            memory_of(context, builder, signature.args[k], args[k]) for k in (3, 4)
        )
        start = _row(builder, array, args[1], args[2])
        _, _, count = cgutils.unpack_tuple(builder, array.shape)
        with (
            # An empty page has no memory that might be written to.
            builder.if_then(_holds(builder, array)),
            cgutils.for_range(builder, count) as loop,
        ):
            # One by one: places lie anywhere, and they are few.
            place = builder.load(builder.gep(neurons.pointer, [loop.index]))
            value = builder.load(builder.gep(values.pointer, [place]))
            builder.store(value, builder.gep(start, [loop.index]))
        return context.get_dummy_value()

    return types.void(page, step, trial, values, neurons), code


@intrinsic
def move_rows(typing, target, step, trial, page, page_step):
    """Copy a step's rows of a page, to follow one another from a trial on.

    Args:
        typing: numba's.
        target: step × trial × neuron; nothing is copied if it is empty.
        step: of the target.
        trial: of the target, the first.
        page: step × trial × neuron, of the same type.
        page_step: of the page.
    """

    def code(context, builder, signature, args):
        to, page = (
            context.make_array(signature.args[k])(context, builder, args[k])
            for k in (0, 3)
        )
        _, rows, width = cgutils.unpack_tuple(builder, page.shape)
        size = builder.mul(builder.mul(rows, width), page.itemsize)
        first = ir.Constant(rows.type, 0)
        with builder.if_then(_holds(builder, to)):
            begin = _row(builder, page, args[4], first)
            end = _row(builder, to, args[1], args[2])
            cgutils.raw_memcpy(builder, end, begin, size, 1)
        return context.get_dummy_value()

    return types.void(target, step, trial, page, page_step), code


def _holds(builder, array):
    """Return whether an array has elements."""
    return builder.icmp_signed(">", array.nitems, ir.Constant(array.nitems.type, 0))


def _row(builder, array, step, trial):
    """Return where a row of a contiguous array begins."""
    _, rows, width = cgutils.unpack_tuple(builder, array.shape)
    place = builder.add(builder.mul(step, rows), trial)
    return builder.gep(array.data, [builder.mul(place, width)])
