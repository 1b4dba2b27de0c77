"""The rate step and its activations in vectors of LLVM, float64.

Exponentials and logarithms are polynomials that are right to some 1e-16: a call for
every number would take longer than all else. Rows are those of
`isotau.convert.simulate.rate_kernels`, whole vectors of `LANES` units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.chip.lanes import Lanes, memory_of, spread
from isotau.convert.chip.vector_step import LANES
from isotau.convert.neuron.activation import ACTIVATIONS

INT64 = ir.IntType(64)
THIN, WIDE = (ir.VectorType(kind, LANES) for kind in (ir.FloatType(), ir.DoubleType()))
ROUNDER = 1.5 * 2.0**52
"""A float64 plus this number has its nearest whole number in its last bits."""
ONE_BITS = 1023 << 52
PER_OCTAVE, OCTAVE_HIGH, OCTAVE_LOW = (
    *(1 / np.log(2), 0.693147180369123816490),
    1.90821492927058770002e-10,
)
"""1/ln 2, and ln 2 in two parts, of which whole multiples of the first are exact."""
FACTORIALS = [1 / float(np.prod(np.arange(1.0, k + 1))) for k in range(2, 14)]
"""Of e^z beyond 1 + z; least powers first."""
ODD = [1 / float(k) for k in range(1, 32, 2)] + [1 / 33]
"""Of artanh(z)/z in z²."""


def exponential(y: Lanes) -> tuple[Lanes, Lanes]:
    """Return e^y − 1 and e^y for y ≤ 0, right to a few roundings.

    y is a whole number of octaves and a rest of half of one at most, for which the
    series is short.
    """
    # e^−50 is nothing beside 1; NaN stays.
    y = (y < -50.0).pick(-50.0, y)
    shifted = y * PER_OCTAVE + ROUNDER
    octaves = shifted - ROUNDER
    z = (y - octaves * OCTAVE_HIGH) - octaves * OCTAVE_LOW
    p = _polynomial(FACTORIALS, z) * (z * z) + z
    whole = Lanes(y.builder, shifted.bits(ir.VectorType(INT64, LANES)))
    scale = Lanes(y.builder, ((whole << 52) + ONE_BITS).bits(WIDE))
    return p * scale + (scale - 1.0), p * scale + scale


def hyperbolic_tangent(x: Lanes) -> Lanes:
    """Return tanh x."""
    less, _ = exponential(x.size() * -2.0)
    size = (0.0 - less) / (less + 2.0)
    return (x < 0.0).pick(0.0 - size, size)


def sigmoid(x: Lanes) -> Lanes:
    """Return 1/(1 + e^−x), by e^−|x|, which does not overflow."""
    _, w = exponential(0.0 - x.size())
    return (x < 0.0).pick(w, 1.0) / (w + 1.0)


def rectified(x: Lanes) -> Lanes:
    """Return max(x, 0)."""
    return x.at_least(0.0)


def softplus(x: Lanes) -> Lanes:
    """Return ln(1 + e^x): max(x, 0) + 2 artanh(w/(2 + w)) with w = e^−|x|."""
    _, w = exponential(0.0 - x.size())
    z = w / (w + 2.0)
    return x.at_least(0.0) + (z * 2.0) * _polynomial(ODD, z * z)


def _polynomial(coefficients: Sequence[float], x: Lanes) -> Lanes:
    """Return a polynomial; even and odd powers do not wait for each other."""
    square = x * x
    even, odd = (_horner(coefficients[k::2], square) for k in range(2))
    return even + odd * x


def _horner(coefficients: Sequence[float], x: Lanes) -> Lanes:
    value = x * coefficients[-1] + coefficients[-2]
    for c in coefficients[-3::-1]:
        value = value * x + c
    return value


FORMULAS: dict[str, Callable[[Lanes], Lanes]] = {
    "sigmoid": sigmoid,
    "tanh": hyperbolic_tangent,
    "relu": rectified,
    "softplus": softplus,
}
"""By the names of `ACTIVATIONS`; what is left out there is a table."""


@intrinsic
def fill_activations(typing, vectors, x, kind, row):
    """Set a row to an activation of another: (R3), (R6), (R8).

    Args:
        typing: numba's.
        vectors: of `LANES` units, int64.
        x: the row that is activated.
        kind: place in `ACTIVATIONS`, int64; nothing is set for one that is a table.
        row: the row that is set.
    """

    def code(context, builder, signature, args):
        x, row = (
            memory_of(context, builder, signature.args[k], args[k]) for k in (1, 3)
        )
        done = builder.append_basic_block("done")
        switch = builder.switch(args[2], done)
        for name, formula in FORMULAS.items():
            block = builder.append_basic_block(name)
            switch.add_case(ir.Constant(INT64, ACTIVATIONS.index(name)), block)
            builder.position_at_end(block)
            with cgutils.for_range(builder, args[0]) as loop:
                j = builder.mul(loop.index, ir.Constant(INT64, LANES))
                row.store(j, formula(x.lanes(j, WIDE)))
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(types.int64, x, types.int64, row), code


@intrinsic
def move(typing, vectors, x, keep, total, drive, amplitude, normal):
    """Set the states to those one step later: (R2).

    Args:
        typing: numba's.
        vectors: of `LANES` units, int64.
        x: states, changed.
        keep: 1 − dt/τ.
        total: what recurrence sends.
        drive: what inputs and bias add.
        amplitude: SD of the noise of a step.
        normal: standard normal numbers, float32.
    """

    def code(context, builder, signature, args):
        x, keep, total, drive, normal = (
            memory_of(context, builder, signature.args[k], args[k])
            for k in (1, 2, 3, 4, 6)
        )
        factor = spread(builder, args[5], LANES)
        with cgutils.for_range(builder, args[0]) as loop:
            j = builder.mul(loop.index, ir.Constant(INT64, LANES))
            kept, sent, added = (row.lanes(j, WIDE) for row in (keep, total, drive))
            # in this order, which decides the last bit
            moved = (kept * x.lanes(j, WIDE) + sent) + added
            noise = normal.lanes(j, THIN).signed(WIDE.element)
            x.store(j, moved + factor * noise)
        return context.get_dummy_value()

    rows = (x, keep, total, drive)
    return types.void(types.int64, *rows, types.float64, normal), code
