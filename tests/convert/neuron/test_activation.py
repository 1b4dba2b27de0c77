"""Activations and their slopes: formulas, finite differences, a simulated neuron."""

import math

import numpy as np
import pytest

from isotau.convert.neuron.activation import ACTIVATIONS, activate, slope
from isotau.convert.neuron.lif_constants import PUBLISHED

FORMULAS = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": lambda x: 1 - 2 / (math.exp(2 * x) + 1),
    "relu": lambda x: max(x, 0.0),
    "softplus": lambda x: math.log1p(math.exp(x)),
}


def test_every_activation_but_the_neurons_has_a_formula():
    assert {*FORMULAS, "lif"} == set(ACTIVATIONS)


@pytest.mark.parametrize("activation", FORMULAS)
@pytest.mark.parametrize("ceiling", [None, 20.0, 0.25])
def test_activations_at_their_formulas(activation, ceiling):
    x = np.linspace(-30, 30, 121)
    top = math.inf if ceiling is None else ceiling
    expected = [min(FORMULAS[activation](float(value)), top) for value in x]
    np.testing.assert_allclose(activate(x, activation, ceiling), expected, atol=1e-15)


def test_activations_do_not_overflow():
    ends = np.array([-1e9, 1e9])
    assert activate(ends, "sigmoid").tolist() == [0, 1]
    assert activate(ends, "tanh").tolist() == [-1, 1]
    assert activate(ends, "softplus").tolist() == [0, 1e9]
    assert activate(ends, "softplus", 20.0).tolist() == [0, 20]
    assert slope(ends, "softplus").tolist() == [0, 1]
    assert slope(ends, "sigmoid").tolist() == [0, 0]


def test_the_lif_activation_is_the_published_neurons_rate_in_50_hz():
    """Against neurons stepped one by one; x is in mV above threshold."""
    rng, c, count = np.random.default_rng(0), PUBLISHED, 1000
    x = np.array([0.0, 5.0, 20.0])
    a = 1 - math.exp(-c.dt / c.tau_mem)
    noise = c.noise_std * math.sqrt(1 - math.exp(-2 * c.dt / c.tau_mem))
    v = rng.uniform(c.v_reset, c.v_th, (count, 3))
    rest, fired = np.zeros((2, count, 3))
    for t in range(700):
        v += a * (c.v_th + 1e-3 * x - v) + noise * rng.standard_normal(v.shape)
        v = np.where(rest > 0, c.v_reset, v)
        z = v > c.v_th
        v = np.where(z, c.v_reset, v)
        rest = np.where(z, round(c.refractory / c.dt), rest - 1)
        fired += z * (t >= 200)
    hz = fired.mean(axis=0) / 0.5
    # 1000 neurons for half a second: at most 1 % of chance at the lowest rate
    np.testing.assert_allclose(50 * activate(x, "lif"), hz, rtol=0.02)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("ceiling", [None, 0.6])
def test_slopes_are_those_of_finite_differences(activation, ceiling):
    x, h = np.linspace(-6, 6, 48), 1e-5
    r = activate(x, activation)
    smooth = np.abs(x) > 0.01
    if ceiling is not None:
        smooth &= np.abs(r - ceiling) > 1e-3
    rise = activate(x + h, activation, ceiling) - activate(x - h, activation, ceiling)
    # The neuron's curve is a table, whose slope changes between its points.
    tolerance = 3e-3 if activation == "lif" else 1e-8
    np.testing.assert_allclose(
        slope(x, activation, ceiling)[smooth], (rise / (2 * h))[smooth], atol=tolerance
    )


def test_the_corner_of_relu_has_no_slope():
    assert slope(np.array([-1.0, 0.0, 1.0]), "relu").tolist() == [0, 0, 1]


@pytest.mark.parametrize("function", [activate, slope])
def test_unknown_activation(function):
    with pytest.raises(ValueError, match="activation: got 'elu', need one of sigmoid"):
        function(np.zeros(1), "elu")
