import numpy as np
import pytest
import torch

from isotau.convert.neuron.activation import ACTIVATIONS, activate
from isotau.convert.training.unroll import activate_into, slope_into


@pytest.mark.parametrize("ceiling", [None, 0.6])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rates_are_those_of_the_numpy_activation(
    activation: str, ceiling: float | None
) -> None:
    x = torch.linspace(-30, 90, 2001, dtype=torch.float64)
    r = activate_into(torch.empty_like(x), x, activation, ceiling)
    expected = activate(x.numpy(), activation, ceiling)
    assert r.numpy() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("ceiling", [None, 0.6])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_are_finite_differences(activation: str, ceiling: float | None) -> None:
    # off the corners of relu, of the ceiling and of the table's points
    x = torch.linspace(-4.013, 4.0171, 333, dtype=torch.float64)
    r = activate_into(torch.empty_like(x), x, activation, ceiling)
    grad = torch.full_like(x, 2.0)
    found = slope_into(torch.empty_like(x), grad, r, x, activation, ceiling).numpy()
    h = 1e-7
    high = activate(x.numpy() + h, activation, ceiling)
    low = activate(x.numpy() - h, activation, ceiling)
    assert found == pytest.approx(2 * (high - low) / (2 * h), abs=1e-6)


def test_the_lif_slope_is_zero_beyond_the_table() -> None:
    x = torch.tensor([-1000.0, 1000.0])
    r = activate_into(torch.empty_like(x), x, "lif", None)
    found = slope_into(torch.empty_like(x), torch.ones(2), r, x, "lif", None)
    assert found.tolist() == [0.0, 0.0]
    assert r[0] == pytest.approx(0, abs=1e-6) and np.isfinite(float(r[1]))
