"""The activations' polynomials against the library's functions."""

import numpy as np
import pytest

from isotau.convert.neuron.activation import ACTIVATIONS, activate
from isotau.convert.simulate.rate_kernels import fill_rates
from isotau.convert.simulate.vectors.rows import filled_up

TABLE = (0.0, 1.0, np.zeros(2))


def rates_of(x, activation, ceiling=np.inf):
    """Rates of any number of states, filled up to whole vectors."""
    states = filled_up(x, -(-len(x) // 16) * 16)
    row = np.empty_like(states)
    fill_rates(states, ACTIVATIONS.index(activation), ceiling, TABLE, row)
    return row[: len(x)]


def values():
    near = np.geomspace(1e-300, 1, 4000)
    far = np.linspace(0, 800, 20001)
    return np.concatenate([-far, -near, [0.0], near, far])


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softplus"])
@pytest.mark.parametrize("ceiling", [np.inf, 0.7])
def test_rates_are_right_to_a_few_roundings(activation, ceiling):
    x = values()
    row = rates_of(x, activation, ceiling)
    expected = activate(x, activation, None if ceiling == np.inf else ceiling)
    np.testing.assert_allclose(row, expected, rtol=1e-15, atol=3e-16)


def test_a_small_tanh_keeps_its_digits():
    x = np.geomspace(1e-300, 0.1, 5000)
    np.testing.assert_allclose(rates_of(x, "tanh"), np.tanh(x), rtol=5e-16)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus"])
def test_what_is_no_number_stays_none(activation):
    assert np.isnan(rates_of(np.array([np.nan]), activation)).all()
