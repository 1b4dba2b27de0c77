"""The activations' polynomials against the library's functions."""

import numpy as np
import pytest

from isotau.convert.neuron.activation import ACTIVATIONS, activate
from isotau.convert.simulate.rate_kernels import exponential, fill_rates

TABLE = (0.0, 1.0, np.zeros(2))


def values():
    near = np.geomspace(1e-300, 1, 4000)
    far = np.linspace(0, 800, 20001)
    return np.concatenate([-far, -near, [0.0], near, far])


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softplus"])
@pytest.mark.parametrize("ceiling", [np.inf, 0.7])
def test_rates_are_right_to_a_few_roundings(activation, ceiling):
    x = values()
    row = np.empty_like(x)
    fill_rates(x, ACTIVATIONS.index(activation), ceiling, TABLE, row)
    expected = activate(x, activation, None if ceiling == np.inf else ceiling)
    np.testing.assert_allclose(row, expected, rtol=1e-15, atol=3e-16)


def test_a_small_tanh_keeps_its_digits():
    x = np.geomspace(1e-300, 0.1, 5000)
    row = np.empty_like(x)
    fill_rates(x, ACTIVATIONS.index("tanh"), np.inf, TABLE, row)
    np.testing.assert_allclose(row, np.tanh(x), rtol=5e-16)


def test_the_exponential_is_right_where_octaves_meet():
    for y in np.concatenate([-np.log(2) * (np.arange(60) + 0.5), [-0.0, -700.0]]):
        less, size = exponential(y)
        assert size == pytest.approx(np.exp(y), rel=5e-16, abs=2e-22)
        assert less == pytest.approx(np.expm1(y), rel=5e-16)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus"])
def test_what_is_no_number_stays_none(activation):
    row = np.zeros(1)
    x = np.array([np.nan])
    fill_rates(x, ACTIVATIONS.index(activation), np.inf, TABLE, row)
    assert np.isnan(row[0])
