"""A uniform table read between its points, compiled by numba.

    x        places, any number of them
    start    place of the first value; the next is 1/density further, and so on
    values   of the table, at least 2
    out      the values at x: linear between the points, constant beyond the ends (I13)

A pass in numpy for each of these operations would read and write all of x anew.
"""

import numpy as np

from isotau.convert.ground.compilation import njit


@njit(nogil=True, cache=True, error_model="numpy")
def interpolate(x, start, density, values, out):
    """Fill out with the table's values at x; NaN where x is."""
    last = values.shape[0] - 1
    for k in range(x.shape[0]):
        # Choices of numbers, no branches: places in turn lie on either side of any.
        place = (x[k] - start) * density
        place = 0.0 if place < 0.0 else place
        place = float(last) if place > last else place
        # NaN stays in the sum below, and the index within the table.
        within = place if place == place else 0.0
        below = np.int64(within)
        below = below if below < last - 1 else last - 1
        low = values[below]
        out[k] = low + (place - below) * (values[below + 1] - low)


def read_table(
    x: np.ndarray, start: float, step: float, values: np.ndarray
) -> np.ndarray:
    """Return a uniform table's values at any x, in its shape."""
    places = np.asarray(x, dtype=np.float64, order="C")
    out = np.empty_like(places)
    interpolate(places.reshape(-1), start, 1 / step, values, out.reshape(-1))
    return out
