"""Reading a uniform table, against numpy's search of one."""

import numpy as np
import pytest

from isotau.convert.neuron.interpolation_kernels import read_table

VALUES = np.array([1.0, 4.0, 2.0, 2.5])


@pytest.mark.parametrize("shape", [(), (1,), (40, 3), (2, 5, 7)])
def test_any_shape_is_read_between_the_points_and_constant_beyond(shape):
    x = np.random.default_rng(0).uniform(-3, 4, shape)
    expected = np.interp(x, -1 + 0.5 * np.arange(4), VALUES)
    out = read_table(x, -1.0, 0.5, VALUES)
    np.testing.assert_allclose(out, expected, atol=1e-14)
    assert out.shape == shape and out.dtype == np.float64


def test_points_are_their_values():
    np.testing.assert_array_equal(
        read_table(np.arange(4) / 4, 0.0, 0.25, VALUES), VALUES
    )


def test_strided_places_and_single_precision_are_taken():
    x = np.linspace(0, 3, 12, dtype=np.float32).reshape(3, 4).T
    expected = np.interp(x.astype(float), np.arange(4), VALUES)
    np.testing.assert_allclose(read_table(x, 0.0, 1.0, VALUES), expected, rtol=1e-14)


def test_what_is_no_number_stays_none_and_infinities_are_beyond():
    x = np.array([np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(read_table(x, 0.0, 1.0, VALUES), [np.nan, 2.5, 1.0])
