"""Parameters of generators: one number for all units, or one each; and sizes."""

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from isotau.convert.ground import validation

MOST = 2**31 - 1


def count_units(units: int | None, *parameters: npt.ArrayLike) -> int:
    """Return the number of units: `units`, or the length of the longest parameter."""
    if units is not None:
        return validation.whole("units", units, 1, MOST)
    return max(np.size(parameter) for parameter in parameters)


def per_unit(
    name: str,
    value: npt.ArrayLike,
    n: int,
    *,
    positive: bool = False,
    minimum: float | None = None,
) -> Float64[np.ndarray, " n"]:
    """Return a parameter of n units, from one number or n of them."""
    if np.ndim(value) > 1 or np.size(value) not in (1, n):
        raise ValueError(
            f"{name}: got shape {np.shape(value)}, need one number or {n} (one per "
            "unit)"
        )
    full = np.broadcast_to(value, (n,))
    return validation.floats(
        name, full, (n,), "unit", positive=positive, minimum=minimum
    )


def fraction(name: str, value: npt.ArrayLike, n: int) -> Float64[np.ndarray, " n"]:
    """Return a parameter of n units that lies from 0 to 1."""
    array = per_unit(name, value, n, minimum=0)
    if (array > 1).any():
        (k,) = validation.first(array > 1)
        raise ValueError(f"{name}: got {array[k]} at [{k}], need at most 1")
    return array


def count_trials(trials: int) -> int:
    """Return the number of trials, at least 1."""
    return validation.whole("trials", trials, 1, MOST)


def whole_bins(duration: float, width: float, name: str = "bin_width") -> int:
    """Return how many whole bins of `width` seconds a trial has.

    Raises:
        ValueError: not one.
    """
    duration = validation.number("duration", duration, positive=True)
    width = validation.number(name, width, positive=True)
    # A window of 20 bins must not lose one to rounding.
    bins = int(duration / width * (1 + 1e-9))
    if bins < 1:
        raise ValueError(
            f"{name}: got {width} s, need at most {duration} s (the trial)"
        )
    return bins
