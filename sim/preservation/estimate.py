"""`Estimate`: a number with its interval, and three ways to an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from isotau.convert import validation

DEFINED = 0.95
"""Share of bootstrap draws that must be defined for an interval."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Estimate:
    """A number and its interval; NaN for what is not known, infinite for no limit.

    Attributes:
        value: the estimate.
        low: lower end of its interval.
        high: upper end.
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields = {}
        for name in ("value", "low", "high"):
            got = getattr(self, name)
            if isinstance(got, bool) or not isinstance(got, int | float | np.number):
                raise TypeError(f"{name}: got {got!r}, need a number or NaN")
            fields[name] = float(got)
        if fields["low"] > fields["high"]:
            raise ValueError(
                f"low: got {fields['low']}, need at most high, {fields['high']}"
            )
        validation.freeze(self, fields)


def percentile(
    draws: Float64[np.ndarray, "*lead draws"], level: float
) -> tuple[Float64[np.ndarray, "*lead"], Float64[np.ndarray, "*lead"]]:
    """Return the percentile interval of bootstrap draws, the last axis.

    NaN where more than a twentieth of the draws are undefined.
    """
    tails = [50 * (1 - level), 50 * (1 + level)]
    undefined = np.isnan(draws)
    enough = undefined.mean(axis=-1) <= 1 - DEFINED
    kept = np.where(enough[..., None], draws, 0.0)
    low, high = np.nanpercentile(kept, tails, axis=-1)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def jackknife_error(
    left_out: Sequence[Float64[np.ndarray, "..."]],
) -> tuple[float, int]:
    """Return the standard error, and its degrees of freedom, from leaving units out.

    For a mean this is the textbook's: s/√n, with n − 1 degrees of freedom. Undefined
    (NaN) for fewer than two units or if leaving one out leaves nothing.
    Source: Efron & Stein 1981, doi:10.1214/aos/1176345462.

    Args:
        left_out: the estimate without each unit in turn, by independent groups.
    """
    square, freedom = 0.0, 0
    for left in left_out:
        if left.size < 2:
            return math.nan, 0
        apart = float(np.sum((left - left.mean()) ** 2))
        square += (left.size - 1) / left.size * apart
        freedom += left.size - 1
    return math.sqrt(square), freedom


def t_interval(
    value: float, error: float, freedom: int, level: float
) -> tuple[float, float]:
    """Return value ± t · error; NaN without a degree of freedom."""
    if freedom < 1 or not math.isfinite(error):
        return math.nan, math.nan
    reach = float(stats.t.ppf(0.5 + level / 2, freedom)) * error
    return value - reach, value + reach


def hull(*intervals: tuple[float, float]) -> tuple[float, float]:
    """Return the shortest interval that holds all the given; NaN if one is not known.

    It lies inside a margin if and only if each of them does, so deciding by it is at
    most as often wrong as deciding by any one.
    """
    lows, highs = zip(*intervals, strict=True)
    if any(math.isnan(end) for end in (*lows, *highs)):
        return math.nan, math.nan
    return min(lows), max(highs)


def difference_of_positives(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float]:
    """Return the interval of a difference from those of two independent numbers.

    low = x − y − √((x − l_x)² + (u_y − y)²), high likewise: the intervals of variances
    are lopsided, and so must be that of their difference.
    Source: Zou & Donner 2008 (MOVER), doi:10.1002/sim.3095.

    Args:
        first: value, low and high of the number x.
        second: the same of the number y that is taken from it.
    """
    x, x_low, x_high = first
    y, y_low, y_high = second
    low = x - y - math.hypot(x - x_low, y_high - y)
    high = x - y + math.hypot(x_high - x, y - y_low)
    return low, high


def signed_root(square: float) -> float:
    """Return √square, or −√−square of a negative one."""
    return math.copysign(math.sqrt(abs(square)), square)
