"""The backward loops' mathematics: surrogates and the exponential."""

import math

import numpy as np
import pytest

from isotau.convert.simulate.trainable import SURROGATES
from isotau.convert.tuning.forward import adjoint_kernels as kernels_backward

SLOPES = {
    "super": lambda x: 1 / (1 + abs(x)) ** 2,
    "tanh": lambda x: 1 / math.cosh(x) ** 2,
    "triangle": lambda x: max(0.0, 1 - abs(x)),
    "heavi_erfc": lambda x: 2 / math.sqrt(math.pi) * math.exp(-(x**2)),
    "circ": lambda x: (1 + x**2) ** -1.5,
}


@pytest.mark.parametrize("dtype, digits", [(np.float64, 1e-14), (np.float32, 2e-6)])
def test_exponential(dtype, digits):
    y = np.concatenate([np.linspace(0, 90, 1001), [0, 1e-12, 1e6]]).astype(dtype)
    out = np.empty_like(y)
    kernels_backward.exponential(y, out)
    np.testing.assert_allclose(out, np.exp(-y.astype(float)), atol=digits)


@pytest.mark.parametrize("dtype, digits", [(np.float64, 1e-12), (np.float32, 5e-6)])
@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates_are_those_of_the_docstring(name, dtype, digits):
    x = np.concatenate([np.linspace(-12, 12, 301), [-1e5, 1e5]]).astype(dtype)
    room, out = np.empty_like(x), np.empty_like(x)
    kind = SURROGATES.index(name)
    kernels_backward.surrogate(kind, dtype(0.3), x, room, out)
    slope = SLOPES[name]
    inside = [0.3 * slope(float(value)) for value in x[:-2]]
    np.testing.assert_allclose(out[:-2], inside, atol=digits)
    np.testing.assert_allclose(out[-2:], 0, atol=1e-10)
