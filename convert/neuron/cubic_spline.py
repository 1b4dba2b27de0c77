"""Cubic splines through points, as scipy's `CubicSpline` has them by default.

scipy.interpolate takes longer to import than all that is interpolated here.
"""

import numpy as np
from jaxtyping import Float64
from scipy.linalg import solve_banded


def spline_through(
    x: Float64[np.ndarray, " points"],
    y: Float64[np.ndarray, "*many points"],
    at: Float64[np.ndarray, " places"],
) -> Float64[np.ndarray, "*many places"]:
    """Return values of the splines through points, at other places.

    The third derivative does not jump at the second and the last but one point ("not a
    knot"); beyond the ends the outermost pieces go on. (I16)

    Args:
        x: of the points, ascending, at least 4.
        y: of the points, for any number of splines.
        at: where the splines are read.
    """
    step = np.diff(x)
    rise = np.diff(y) / step
    # Rows of the tridiagonal system of the slopes at the points: above, on, below.
    bands = np.zeros((3, x.size))
    bands[0, 2:], bands[2, :-2] = step[:-1], step[1:]
    bands[1, 1:-1] = 2 * (step[:-1] + step[1:])
    right = np.empty(np.shape(y))
    right[..., 1:-1] = 3 * (step[1:] * rise[..., :-1] + step[:-1] * rise[..., 1:])
    # Not a knot, at both ends.
    first, last = x[2] - x[0], x[-1] - x[-3]
    bands[1, 0], bands[0, 1] = step[1], first
    bands[1, -1], bands[2, -2] = step[-2], last
    right[..., 0] = (
        (step[0] + 2 * first) * step[1] * rise[..., 0] + step[0] ** 2 * rise[..., 1]
    ) / first
    right[..., -1] = (
        step[-1] ** 2 * rise[..., -2] + (2 * last + step[-1]) * step[-2] * rise[..., -1]
    ) / last
    slope = solve_banded((1, 1), bands, right.reshape(-1, x.size).T).T
    slope = slope.reshape(right.shape)
    # Every piece from its own left end, in powers of the distance from there.
    curve = (slope[..., :-1] + slope[..., 1:] - 2 * rise) / step
    square = (rise - slope[..., :-1]) / step - curve
    piece = np.clip(np.searchsorted(x, at, side="right") - 1, 0, x.size - 2)
    d = at - x[piece]
    value = curve[..., piece] / step[piece] * d + square[..., piece]
    return (value * d + slope[..., piece]) * d + np.asarray(y)[..., piece]
