"""Vectors of LLVM against numpy's operators."""

import numpy as np
import pytest
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from isotau.convert.chip.lanes import Lanes, memory_of, parts_of_like_size, spread

COUNT = 8
INTEGERS = ir.VectorType(ir.IntType(32), COUNT)
EDGES = [0, 1, -1, 7, -8, 2**31 - 1, -(2**31), 12345]


def compute(formula, *arrays):
    """Return what a formula of `Lanes` gives for arrays of 8 int32."""

    @intrinsic
    def write(typing, out, inputs):
        def code(context, builder, signature, args):
            target = memory_of(context, builder, signature.args[0], args[0])
            rows = [
                memory_of(context, builder, kind, builder.extract_value(args[1], k))
                for k, kind in enumerate(signature.args[1])
            ]
            zero = ir.Constant(ir.IntType(64), 0)
            lanes = [row.lanes(zero, INTEGERS) for row in rows]
            target.store(zero, formula(*lanes))
            return context.get_dummy_value()

        return types.void(out, inputs), code

    @njit
    def run(out, inputs):
        write(out, inputs)

    out = np.zeros(COUNT, np.int32)
    run(out, tuple(np.asarray(x, np.int32) for x in arrays))
    return out


FORMULAS = {
    "sum": lambda a, b: a + b - 3,
    "product": lambda a, b: a * b,
    "bits": lambda a, b: (a & b) | (a ^ 5),
    "shifts": lambda a, b: ((a << 3) >> 5) + (b >> 1),
    "clip": lambda a, b: (
        a.at_least(-9) + b.at_most(9)
        if isinstance(a, Lanes)
        else (np.maximum(a, -9) + np.minimum(b, 9))
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_operators_are_those_of_numpy(name):
    a, b = np.array(EDGES, np.int32), np.array(EDGES[::-1], np.int32)
    expected = FORMULAS[name](a, b)
    np.testing.assert_array_equal(compute(FORMULAS[name], a, b), expected)


def test_bits_pick_lanes():
    a, b = np.array(EDGES, np.int32), np.arange(COUNT)
    for relation, formula in {
        np.greater: lambda a, b: (a > b).pick(a, 4),
        np.less: lambda a, b: (a < b).pick(a, 4),
        np.less_equal: lambda a, b: (a <= b).pick(a, 4),
        np.not_equal: lambda a, b: a.differs(b).pick(a, 4),
    }.items():
        expected = np.where(relation(a, b), a, 4)
        np.testing.assert_array_equal(compute(formula, a, b), expected)


def test_zeros_move_in_where_there_is_no_sign():
    expected = (np.array(EDGES, np.int32).view(np.uint32) >> 4).view(np.int32)
    formula = lambda a: a.unsigned_shift(4)  # noqa: E731
    np.testing.assert_array_equal(compute(formula, EDGES), expected)


def test_numbers_are_converted_as_told():
    a = np.array(EDGES, np.int32)
    int16, int32, double = ir.IntType(16), ir.IntType(32), ir.DoubleType()
    cut = a.astype(np.int16).astype(np.int32)
    np.testing.assert_array_equal(
        compute(lambda a: a.signed(int16).signed(int32), a), cut
    )
    np.testing.assert_array_equal(
        compute(lambda a: a.signed(int16).unsigned(int32), a), cut & 0xFFFF
    )
    half = [0.5] * COUNT
    constant = ir.Constant(ir.VectorType(double, COUNT), half)
    halved = compute(
        lambda a: (a.signed(double) * Lanes(a.builder, constant)).signed(int32), a
    )
    np.testing.assert_array_equal(halved, np.trunc(a / 2).astype(np.int32))


def test_lanes_change_places_and_spread():
    a, b = np.arange(COUNT), 100 + np.arange(COUNT)
    places = [0, 8, 1, 9, 2, 10, 3, 11]
    shuffled = compute(lambda a, b: a.shuffled(b, places), a, b)
    assert shuffled.tolist() == [0, 100, 1, 101, 2, 102, 3, 103]
    number = ir.Constant(ir.IntType(32), 7)
    spread_out = compute(lambda a: a + spread(a.builder, number, COUNT), a)
    np.testing.assert_array_equal(spread_out, a + 7)


def test_one_lane_stands_for_many():
    def formula(a, b):
        alone = Lanes(a.builder, ir.Constant(ir.VectorType(ir.IntType(32), 1), [3]))
        return (alone - a) * (b + alone * alone)

    a, b = np.array(EDGES, np.int32), np.array(EDGES[::-1], np.int32)
    np.testing.assert_array_equal(compute(formula, a, b), (3 - a) * (b + 9))


def compute_floats(formula, *arrays):
    """Return what a formula gives for arrays of `COUNT` floats of one width."""
    kind = ir.FloatType() if arrays[0].dtype == np.float32 else ir.DoubleType()
    vector = ir.VectorType(kind, COUNT)

    @intrinsic
    def write(typing, out, inputs):
        def code(context, builder, signature, args):
            target = memory_of(context, builder, signature.args[0], args[0])
            zero = ir.Constant(ir.IntType(64), 0)
            lanes = [
                memory_of(
                    context, builder, each, builder.extract_value(args[1], k)
                ).lanes(zero, vector)
                for k, each in enumerate(signature.args[1])
            ]
            target.store(zero, formula(*lanes))
            return context.get_dummy_value()

        return types.void(out, inputs), code

    @njit
    def run(out, inputs):
        write(out, inputs)

    out = np.zeros(COUNT, arrays[0].dtype)
    run(out, arrays)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_computed_as_numpys(dtype):
    a = np.array([0, -0.0, 1, 3, np.nan, np.inf, 1e-40, 0.1], dtype)
    b = np.array([1, 5, -2, 3, 1, -2, 3, 0.7], dtype)
    formulas = {
        "quotient": (lambda x, y: x / y, a / b),
        "root of the size": (lambda x, _: x.size().root(), np.sqrt(abs(a))),
        "reversed": (lambda x, y: 2.0 - x * y, 2 - a * b),
        "above": (
            lambda x, y: (x > y).pick(1.0, x - y),
            np.where(a > b, dtype(1), a - b),
        ),
        "other": (lambda x, y: x.differs(y).pick(x, y), np.where(a != b, a, b)),
        "larger": (lambda x, y: x.at_least(y), np.where(a < b, b, a)),
    }
    for name, (formula, expected) in formulas.items():
        got = compute_floats(formula, a, b)
        np.testing.assert_array_equal(got, expected, err_msg=name)


def test_the_width_of_floats_changes():
    a = np.array([0.1, 1 / 3, 2, 3, 4, 5, 6, 7])
    thin = ir.FloatType()
    got = compute_floats(lambda x: x.signed(thin).signed(ir.DoubleType()), a)
    np.testing.assert_array_equal(got, a.astype(np.float32).astype(float))


def test_vectors_are_joined_and_cut():
    a, b = np.arange(8.0), np.arange(8.0, 16.0)
    got = compute_floats(lambda x, y: x.followed_by(y).part(5, COUNT), a, b)
    np.testing.assert_array_equal(got, np.arange(5.0, 13.0))


@intrinsic
def cut(typing, parts, total):
    """Write where each part of at most five begins, and how large it is."""

    def code(context, builder, signature, args):
        pointer = memory_of(context, builder, signature.args[0], args[0]).pointer
        with parts_of_like_size(builder, args[1], 5) as (start, size):
            builder.store(size, builder.gep(pointer, [start]))
        return context.get_dummy_value()

    return types.void(parts, total), code


@njit
def cut_up(parts, total):
    cut(parts, total)


@pytest.mark.parametrize("total", [1, 4, 5, 6, 9, 10, 11, 37])
def test_parts_are_of_like_size(total):
    sizes = np.zeros(total, np.int64)
    cut_up(sizes, total)
    parts = sizes[sizes > 0]
    assert parts.sum() == total and parts.max() <= 5
    # Each begins where the one before ends, and there are no more than it takes.
    assert np.flatnonzero(sizes).tolist() == [0, *np.cumsum(parts)[:-1].tolist()]
    assert len(parts) == -(-total // 5)
