"""A small matrix product, a few trials at a time, out of vector registers.

Numba's loops keep their sums in memory, which costs more than the products. Here the
sums of `TRIALS` trials × `VECTORS` vectors stay in registers while the weights pass by
once, so that a row of weights serves all of these trials: three quarters of what a core
can do at N = 200, in plain LLVM vectors that any machine has.

g is trials × pre, `panels` a matrix pre × post cut into panels of `lanes` columns
(panel × pre × lane), `out` trials × post; all contiguous and of the module's type.
"""

from itertools import chain
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.ground.compilation import njit

# The tile must fit the registers: one more sum, and all are kept in memory.
WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
"""Whether there are 32 registers of 64 bytes; else 16 of 32 are counted on."""
TRIALS, VECTORS, VECTOR_BYTES = (8, 2, 64) if WIDE else (4, 2, 32)


def lanes(dtype: Any) -> int:
    """Return how many columns a panel has."""
    return VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize


def padded(array: np.ndarray) -> np.ndarray:
    """Return an array with its last axis filled up with zeros to whole panels."""
    width = lanes(array.dtype)
    missing = -array.shape[-1] % width
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])


def in_panels(weights: np.ndarray) -> np.ndarray:
    """Return a matrix cut into panels of a few columns, as `multiply` wants it."""
    whole = padded(weights)
    cut = whole.reshape(len(weights), -1, lanes(weights.dtype))
    return np.ascontiguousarray(cut.transpose(1, 0, 2))


@intrinsic
def tile(typing, g, row, panels, at, out, column, n):
    """Set TRIALS × lanes of a product; all arrays are contiguous.

    Args:
        typing: numba's.
        g: trials × padded.
        row: first of the trials.
        panels: from `in_panels`.
        at: where a panel begins in them.
        out: trials × padded.
        column: of `out` where the panel goes.
        n: rows of the panel.
    """
    signature = types.void(g, row, panels, at, out, column, n)
    return signature, _tile_code


def _tile_code(context, builder, signature, args):
    """Write the code of `tile`."""
    _, row, _, at, _, column, n = args
    g, panels, out = (
        context.make_array(signature.args[k])(context, builder, args[k])
        for k in (0, 2, 4)
    )
    number = signature.args[0].dtype
    width = VECTOR_BYTES * 8 // number.bitwidth
    vector = ir.VectorType(context.get_value_type(number), width)
    word = context.get_value_type(types.intp)

    def vector_at(pointer, k):
        place = builder.gep(pointer, [ir.Constant(word, k * width)])
        return builder.bitcast(place, vector.as_pointer())

    # LLVM turns these places in memory into registers: nothing else points to them.
    sums = [
        [cgutils.alloca_once(builder, vector) for _ in range(VECTORS)]
        for _ in range(TRIALS)
    ]
    for place in chain.from_iterable(sums):
        builder.store(ir.Constant(vector, [0.0] * width), place)
    # Rows of a panel follow each other: one pointer walks through all of it.
    weights = builder.gep(panels.data, [at])
    sources = _starts(builder, g, row, ir.Constant(word, 0))
    with cgutils.for_range(builder, n) as loop:
        step = builder.mul(loop.index, ir.Constant(word, VECTORS * width))
        here = builder.gep(weights, [step])
        columns = []
        for q in range(VECTORS):
            load = builder.load(vector_at(here, q))
            # numpy aligns to a number, not to a vector
            load.align = number.bitwidth // 8
            columns.append(load)
        # One row of weights serves all trials of the tile before the next is read.
        for source, places in zip(sources, sums, strict=True):
            value = builder.load(builder.gep(source, [loop.index]))
            spread = _spread(builder, value, vector)
            for weight, place in zip(columns, places, strict=True):
                # "contract": product and sum may round once, as one instruction does
                product = builder.fmul(spread, weight, flags=("contract",))
                total = builder.load(place)
                total = builder.fadd(total, product, flags=("contract",))
                builder.store(total, place)
    targets = _starts(builder, out, row, column)
    for target, places in zip(targets, sums, strict=True):
        for q, place in enumerate(places):
            store = builder.store(builder.load(place), vector_at(target, q))
            store.align = number.bitwidth // 8
    return context.get_dummy_value()


def _starts(builder, array, row, column):
    """Return where `TRIALS` rows of an array begin, from a column on."""
    width = cgutils.unpack_tuple(builder, array.shape)[1]
    starts = []
    for r in range(TRIALS):
        start = builder.mul(builder.add(row, ir.Constant(width.type, r)), width)
        starts.append(builder.gep(array.data, [builder.add(start, column)]))
    return starts


def _spread(builder, value, vector):
    """Return a vector of which every number is the same."""
    # The number is put first and that place then taken for all.
    nothing = ir.Constant(vector, ir.Undefined)
    first = ir.Constant(ir.IntType(32), 0)
    single = builder.insert_element(nothing, value, first)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(single, nothing, zeros)


@njit(nogil=True, cache=True, error_model="numpy")
def multiply(g, panels, out):
    """Set g @ w, with w in panels; rows are a multiple of `TRIALS`."""
    count, n, width = panels.shape
    # Panels outside: one of them stays in the cache while all trials pass.
    for p in range(count):
        for row in range(0, g.shape[0], TRIALS):
            tile(g, row, panels, p * n * width, out, p * width, n)
