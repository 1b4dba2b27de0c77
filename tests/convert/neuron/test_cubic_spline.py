"""Splines, against scipy's."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from isotau.convert.neuron.cubic_spline import spline_through


@pytest.mark.parametrize("points", [4, 5, 30])
@pytest.mark.parametrize("many", [(), (3,), (2, 2)])
def test_splines_are_scipys(points, many):
    rng = np.random.default_rng(points)
    x = np.cumsum(rng.uniform(0.1, 1.0, points))
    y = rng.standard_normal((*many, points))
    at = np.concatenate([np.linspace(x[0] - 0.3, x[-1] + 0.3, 57), x])
    expected = CubicSpline(x, y, axis=-1)(at)
    np.testing.assert_allclose(spline_through(x, y, at), expected, atol=1e-11)


def test_a_cubic_goes_through_its_points_and_beyond():
    x = np.array([-1.0, 0.0, 0.5, 2.0, 3.0])
    at = np.linspace(-2, 4, 25)

    def cubic(t):
        return 1 - 2 * t + 0.5 * t**3

    np.testing.assert_allclose(spline_through(x, cubic(x), at), cubic(at), atol=1e-12)
