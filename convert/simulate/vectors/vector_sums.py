"""Sums of rows of floats, out of vector registers.

The sums of as many vectors as there is room for stay in registers while the rows of all
that spiked pass by, one after another: in floats the order decides the bits. `rows` is
source × neuron, contiguous, each row whole vectors of `LANES` neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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
from isotau.convert.chip.vector_step import LANES

INT64 = ir.IntType(64)
ROOM = 1024 if binding.get_host_cpu_features().get("avx512f") else 384
"""Bytes of sums: half of 32 registers of 64 bytes, or more of 16 of 32."""


@intrinsic
def weigh(typing, vectors, total, rows, row_list, count, factors):
    """Set a row to the sum of some others, each times its factor.

    Args:
        typing: numba's.
        vectors: of `LANES` neurons, int64.
        total: the row.
        rows: see above.
        row_list: which of them, int64.
        count: how many, int64.
        factors: of all rows.
    """

    def code(context, builder, signature, args):
        kinds = signature.args
        total = memory_of(context, builder, kinds[1], args[1])
        factors = memory_of(context, builder, kinds[5], args[5])
        source = _Rows(context, builder, kinds, args)
        # Few rows, one per input: four vectors at a time will do, and then the rest.
        zero, four = ir.Constant(INT64, 0), ir.Constant(INT64, 4)
        whole = builder.sub(args[0], builder.urem(args[0], four))
        for start, stop, number in ((zero, whole, 4), (whole, args[0], 1)):
            size = ir.Constant(INT64, number)
            with cgutils.for_range_slice(builder, start, stop, size) as (vector, _):
                column = builder.mul(vector, ir.Constant(INT64, LANES))
                sums = _sums(builder, source, column, number, factors)
                for k, lanes in enumerate(sums):
                    total.store(_later(builder, column, k), lanes)
        return context.get_dummy_value()

    arrays = (total, rows, row_list)
    return types.void(types.int64, *arrays, types.int64, factors), code


@intrinsic
def jump(typing, vectors, i, rows, row_list, count, arriving, gain):
    """Set i to J: what the step before left, inputs, spikes, in Norse's order.

    Args:
        typing: numba's.
        vectors: of `LANES` neurons, int64.
        i: row, changed.
        rows: of weights, see above.
        row_list: of those that spiked, int64.
        count: how many did, int64.
        arriving: what inputs add.
        gain: factor on what spikes add.
    """

    def code(context, builder, signature, args):
        kinds = signature.args
        i, arriving = (memory_of(context, builder, kinds[k], args[k]) for k in (1, 5))
        source = _Rows(context, builder, kinds, args)
        factor = spread(builder, args[6], LANES).signed(source.vector.element)

        def finish(column, sums):
            for k, returning in enumerate(sums):
                j = _later(builder, column, k)
                kept = i.lanes(j, source.vector) + arriving.lanes(j, source.vector)
                i.store(j, kept + factor * returning)  # (L1)

        _in_registers(builder, args[0], source, finish)
        return context.get_dummy_value()

    arrays = (i, rows, row_list)
    return types.void(types.int64, *arrays, types.int64, arriving, gain), code


@intrinsic
def project(typing, vectors, x, rows, out):
    """Set numbers to the products of some rows with one: a few outputs, a low rank.

    Every lane adds up its own products, and then halves are added to halves: one order
    for all machines.

    Args:
        typing: numba's.
        vectors: of `LANES` columns, int64.
        x: the row.
        rows: see above, as many as there are numbers.
        out: the numbers.
    """

    def code(context, builder, signature, args):
        kinds = signature.args
        x, out = (memory_of(context, builder, kinds[k], args[k]) for k in (1, 3))
        array = context.make_array(kinds[2])(context, builder, args[2])
        count, width = cgutils.unpack_tuple(builder, array.shape)
        vector = ir.VectorType(context.get_value_type(kinds[2].dtype), LANES)
        place = cgutils.alloca_once(builder, vector)
        with cgutils.for_range(builder, count) as number:
            start = builder.mul(number.index, width)
            row = Memory(builder, builder.gep(array.data, [start]))
            builder.store(ir.Constant(vector, [0.0] * LANES), place)
            with cgutils.for_range(builder, args[0]) as loop:
                j = builder.mul(loop.index, ir.Constant(INT64, LANES))
                product = row.lanes(j, vector) * x.lanes(j, vector)
                total = Lanes(builder, builder.load(place)) + product
                builder.store(total.value, place)
            total, half = Lanes(builder, builder.load(place)), LANES // 2
            while half:
                total, half = total.part(0, half) + total.part(half, half), half // 2
            out.store(number.index, total)
        return context.get_dummy_value()

    return types.void(types.int64, x, rows, out), code


class _Rows:
    """Rows that are summed, while code is written."""

    def __init__(self, context: Any, builder: Any, kinds: Any, args: Any) -> None:
        """Take arguments 2 to 4 of an intrinsic."""
        array = context.make_array(kinds[2])(context, builder, args[2])
        self.pointer, self.count = array.data, args[4]
        self.width = cgutils.unpack_tuple(builder, array.shape)[1]
        self.list = memory_of(context, builder, kinds[3], args[3])
        number = context.get_value_type(kinds[2].dtype)
        self.vector = ir.VectorType(number, LANES)
        self.panels = ROOM // (kinds[2].dtype.bitwidth // 8 * LANES)
        self.builder = builder

    @contextmanager
    def each(self) -> Iterator[tuple[Any, Memory]]:
        """Write a loop over the rows: what is done with the number and the row."""
        builder = self.builder
        with cgutils.for_range(builder, self.count) as loop:
            number = builder.load(builder.gep(self.list.pointer, [loop.index]))
            start = builder.mul(number, self.width)
            yield number, Memory(builder, builder.gep(self.pointer, [start]))


def _later(builder: Any, column: Any, vectors: int) -> Any:
    return builder.add(column, ir.Constant(INT64, vectors * LANES))


def _in_registers(
    builder: Any,
    vectors: Any,
    source: _Rows,
    finish: Callable[[Any, list[Lanes]], None],
) -> None:
    """Write a pass over the rows for every few vectors, and what ends it.

    A loop for every number of vectors that a pass may have, so that all of the sums of
    200 neurons, say, are done in one.
    """
    with parts_of_like_size(builder, vectors, source.panels) as (vector, count):
        column = builder.mul(vector, ir.Constant(INT64, LANES))
        done = builder.append_basic_block("done")
        switch = builder.switch(count, done)
        for number in range(1, source.panels + 1):
            block = builder.append_basic_block(f"vectors_{number}")
            switch.add_case(ir.Constant(INT64, number), block)
            builder.position_at_end(block)
            finish(column, _sums(builder, source, column, number))
            builder.branch(done)
        builder.position_at_end(done)


def _sums(
    builder: Any,
    source: _Rows,
    column: Any,
    number: int,
    factors: Memory | None = None,
) -> list[Lanes]:
    """Return the sums of some vectors' columns, of each row times its factor."""
    # LLVM turns these places in memory into registers: nothing else points to them.
    totals = [cgutils.alloca_once(builder, source.vector) for _ in range(number)]
    for total in totals:
        builder.store(ir.Constant(source.vector, [0.0] * LANES), total)
    with source.each() as (place, row):
        if factors is not None:
            value = builder.load(builder.gep(factors.pointer, [place]))
            factor = spread(builder, value, LANES)
        for k, total in enumerate(totals):
            term = row.lanes(_later(builder, column, k), source.vector)
            if factors is not None:
                term = factor * term
            builder.store((Lanes(builder, builder.load(total)) + term).value, total)
    return [Lanes(builder, builder.load(total)) for total in totals]
