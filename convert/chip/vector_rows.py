"""Sums of rows of bytes, out of vector registers, and their delivery.

The sums of up to `PANELS` × `COLUMNS` columns stay in registers while the rows of all
sources that spiked pass by. Bytes add up in lanes of 16 bits without being widened:
one sum takes both bytes of a lane as they are, one the upper byte alone, and what the
first has too much is taken off at the end, all modulo 2^16. So that nothing is
shuffled, the upper bytes of a panel are its later columns: `in_lanes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.chip.lanes import (
    Lanes,
    Memory,
    memory_of,
    parts_of_like_size,
    spread,
)

COLUMNS = 64
"""Of a panel: bytes of a cache line."""
HALF = COLUMNS // 2
CHUNK = 128
"""Rows whose bytes add up to less than 2^15."""
WIDE = bool(binding.get_host_cpu_features().get("avx512bw"))
PANELS = 8 if WIDE else 3
"""Two sums each have to fit 32 registers of 64 bytes, 16 of 32 or 32 of 16."""
INT16, INT32, INT64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
PAIRS, SUMS = ir.VectorType(INT16, HALF), ir.VectorType(INT32, HALF)


def in_lanes(rows: np.ndarray) -> np.ndarray:
    """Return rows of bytes, a multiple of `COLUMNS` wide, as `add_rows` takes them."""
    shape = (*rows.shape[:-1], rows.shape[-1] // COLUMNS, 2, HALF)
    return np.ascontiguousarray(rows.reshape(shape).swapaxes(-1, -2)).reshape(
        rows.shape
    )


@intrinsic
def add_rows(typing, panels, target, rows, places, span, line, less, shifts):
    """Add the sums of some rows, shifted as a whole, to a row: (H12).

    Args:
        typing: numba's.
        panels: of `COLUMNS` columns that the row has.
        target: the row, int32.
        rows: bytes, from `in_lanes`, one row after the other.
        places: list of rows.
        span: first in the list, and one beyond the last, at most `CHUNK` from it.
        line: where the row of place 0 begins, and how far it is to the next.
        less: what is taken off each sum: (H16).
        shifts: places by which the difference is shifted right, below 16, then left.
    """
    arrays = (target, rows, places)
    return types.void(panels, *arrays, span, line, less, shifts), _add_rows_code


def _add_rows_code(context, builder, signature, args):
    """Write the code of `add_rows`: a loop for every number of panels."""
    target, rows, places = (
        memory_of(context, builder, signature.args[k], args[k]) for k in (1, 2, 3)
    )
    panels, less = args[0], spread(builder, builder.trunc(args[6], INT16), HALF)
    span, line, (down, up) = (cgutils.unpack_tuple(builder, args[k]) for k in (4, 5, 7))
    down = spread(builder, builder.trunc(down, INT16), HALF)
    up = spread(builder, builder.trunc(up, INT32), HALF)
    word = panels.type
    with parts_of_like_size(builder, panels, PANELS) as (panel, count):
        column = builder.mul(panel, ir.Constant(word, COLUMNS))
        done = builder.append_basic_block("done")
        switch = builder.switch(count, done)
        for number in range(1, PANELS + 1):
            block = builder.append_basic_block(f"panels_{number}")
            switch.add_case(ir.Constant(word, number), block)
            builder.position_at_end(block)
            sums = _sum(builder, rows, places, span, line, column, number)
            _deliver(builder, target, sums, column, less, down, up)
            builder.branch(done)
        builder.position_at_end(done)
    return context.get_dummy_value()


def _sum(
    builder: Any,
    rows: Memory,
    places: Memory,
    span: Any,
    line: Any,
    column: Any,
    panels: int,
) -> list[tuple[Lanes, Lanes]]:
    """Return the sums of both bytes and of the upper byte of some panels' lanes."""
    # LLVM turns these places in memory into registers: nothing else points to them.
    totals = [cgutils.alloca_once(builder, PAIRS) for _ in range(2 * panels)]
    for total in totals:
        builder.store(ir.Constant(PAIRS, [0] * HALF), total)
    first, last = span
    start, step = line
    here = builder.gep(rows.pointer, [builder.add(start, column)])
    one = ir.Constant(first.type, 1)
    with cgutils.for_range_slice(builder, first, last, one) as (k, _):
        place = builder.load(builder.gep(places.pointer, [k]))
        start = builder.mul(place, step)
        row = Memory(builder, builder.gep(here, [start]))
        for q in range(panels):
            pairs = row.lanes(ir.Constant(start.type, q * COLUMNS), PAIRS)
            terms = (pairs, pairs.unsigned_shift(8))
            for total, term in zip(totals[2 * q :], terms, strict=False):
                builder.store((Lanes(builder, builder.load(total)) + term).value, total)
    loaded = [Lanes(builder, builder.load(total)) for total in totals]
    return list(zip(loaded[::2], loaded[1::2], strict=True))


def _deliver(
    builder: Any,
    target: Memory,
    sums: list[tuple[Lanes, Lanes]],
    column: Any,
    less: Lanes,
    down: Lanes,
    up: Lanes,
) -> None:
    """Add panels' sums, shifted, to a row."""
    for q, (both, upper) in enumerate(sums):
        for half, total in enumerate((both - (upper << 8), upper)):
            start = ir.Constant(column.type, q * COLUMNS + half * HALF)
            place = builder.add(column, start)
            moved = ((total - less) >> down).signed(INT32) << up
            target.store(place, target.lanes(place, SUMS) + moved)


@intrinsic
def add_messages(typing, panels, target, rows, row_list, numbers, count, shifts):
    """Add the sum of rows times numbers, shifted as a whole, to a row: (H12).

    Args:
        typing: numba's.
        panels: of `COLUMNS` columns that the row has.
        target: the row, int32; sums wrap as it does.
        rows: int16, one row after the other; None adds nothing, and is not compiled.
        row_list: where each row begins in them.
        numbers: what each row is multiplied by, int32.
        count: of rows.
        shifts: by how many places a sum is shifted left, and then right.
    """
    arrays = (target, rows, row_list, numbers)
    return types.void(panels, *arrays, count, shifts), _add_messages_code


def _add_messages_code(context, builder, signature, args):
    """Write the code of `add_messages`."""
    if signature.args[2] == types.none:
        return context.get_dummy_value()
    target, rows, row_list, numbers = (
        memory_of(context, builder, signature.args[k], args[k]) for k in (1, 2, 3, 4)
    )
    panels, count = args[0], args[5]
    word = panels.type
    shifted = _shifter(builder, args[6])
    kind = ir.VectorType(INT32, COLUMNS)
    # Allocated outside of the loop, in which it would take more room each time.
    place = cgutils.alloca_once(builder, kind)
    with cgutils.for_range(builder, panels) as panel:
        column = builder.mul(panel.index, ir.Constant(word, COLUMNS))
        builder.store(ir.Constant(kind, [0] * COLUMNS), place)
        with cgutils.for_range(builder, count) as loop:
            start = builder.load(builder.gep(row_list.pointer, [loop.index]))
            number = builder.load(builder.gep(numbers.pointer, [loop.index]))
            at = builder.add(start, column)
            weights = rows.lanes(at, ir.VectorType(INT16, COLUMNS)).signed(INT32)
            product = weights * spread(builder, number, COLUMNS)
            total = Lanes(builder, builder.load(place)) + product
            builder.store(total.value, place)
        total = Lanes(builder, builder.load(place))
        target.store(column, target.lanes(column, kind) + shifted(total))
    return context.get_dummy_value()


@intrinsic
def add_total(typing, panels, target, total, shifts):
    """Add a row, shifted, to a row: (H12).

    Args:
        typing: numba's.
        panels: of `COLUMNS` columns that the rows have.
        target: the row that is added to, int32.
        total: the row that is shifted.
        shifts: by how many places, left, and then right.
    """

    def code(context, builder, signature, args):
        kind = ir.VectorType(INT32, COLUMNS)
        target, total = (
            memory_of(context, builder, signature.args[k], args[k]) for k in (1, 2)
        )
        shifted = _shifter(builder, args[3])
        with cgutils.for_range(builder, args[0]) as loop:
            column = builder.mul(loop.index, ir.Constant(args[0].type, COLUMNS))
            moved = shifted(total.lanes(column, kind))
            target.store(column, target.lanes(column, kind) + moved)
        return context.get_dummy_value()

    return types.void(panels, target, total, shifts), code


def _shifter(builder: Any, shifts: Any) -> Any:
    """Return what shifts a panel left, and then right."""
    up, down = (
        spread(builder, builder.trunc(x, INT32), COLUMNS)
        for x in cgutils.unpack_tuple(builder, shifts)
    )
    return lambda total: (total << up) >> down
