"""The rate step and the exponential in vectors against numpy."""

import numpy as np
import pytest
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from isotau.convert.chip.lanes import memory_of
from isotau.convert.neuron.activation import ACTIVATIONS, activate
from isotau.convert.simulate.vectors import vector_rates
from isotau.convert.simulate.vectors.vector_rates import FORMULAS, LANES, WIDE


@intrinsic
def exponentials(typing, y, less, size):
    def code(context, builder, signature, args):
        y, *rows = (
            memory_of(context, builder, *each)
            for each in zip(signature.args, args, strict=True)
        )
        zero = ir.Constant(ir.IntType(64), 0)
        results = vector_rates.exponential(y.lanes(zero, WIDE))
        for row, lanes in zip(rows, results, strict=True):
            row.store(zero, lanes)
        return context.get_dummy_value()

    return types.void(y, less, size), code


@njit
def write_exponentials(y, less, size):
    exponentials(y, less, size)


@njit
def move(x, keep, total, drive, amplitude, normal):
    vectors = len(x) // LANES
    vector_rates.move(vectors, x, keep, total, drive, amplitude, normal)


@njit
def fill_activations(x, kind, row):
    vector_rates.fill_activations(len(x) // LANES, x, kind, row)


def test_the_exponential_is_right_where_octaves_meet():
    edges = -np.log(2) * (np.arange(62) + 0.5)
    for y in np.concatenate([edges, [-0.0, -700.0]]).reshape(-1, LANES):
        less, size = np.empty((2, LANES))
        write_exponentials(y, less, size)
        np.testing.assert_allclose(size, np.exp(y), rtol=5e-16, atol=2e-22)
        np.testing.assert_allclose(less, np.expm1(y), rtol=5e-16)


def test_a_step_is_that_of_the_equation_in_its_order():
    rng = np.random.default_rng(0)
    x, keep, total, drive = rng.standard_normal((4, 3 * LANES))
    normal = rng.standard_normal(3 * LANES).astype(np.float32)
    expected = ((keep * x + total) + drive) + 0.3 * normal.astype(float)
    move(x, keep, total, drive, 0.3, normal)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_is_found_by_its_place(name):
    x, row = np.linspace(-3, 3, 2 * LANES), np.full(2 * LANES, 9.0)
    fill_activations(x, ACTIVATIONS.index(name), row)
    np.testing.assert_allclose(row, activate(x, name), rtol=1e-15, atol=3e-16)


def test_a_table_is_left_to_others():
    row = np.full(LANES, 9.0)
    fill_activations(np.zeros(LANES), ACTIVATIONS.index("lif"), row)
    assert (row == 9).all()
