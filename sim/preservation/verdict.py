"""Endpoints, what each says, and the verdict of all of them.

`Estimate`: a number with its interval, and three ways to an interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import stats

from isotau.convert.ground import validation

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


ENDPOINTS = ("shift", "scatter", "loss", "curve")


class Verdict(str, Enum):
    """Whether timescales were preserved, or why that cannot be said."""

    PRESERVED = "preserved"
    NOT_PRESERVED = "not preserved"
    NOT_IDENTIFIABLE = "not identifiable"
    """The data tell neither."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Endpoint:
    """A number that must lie inside its margin, and does so if its interval does.

    Attributes:
        name: "shift" (mean log ratio, two-sided), "scatter" (SD of log ratios beyond
            the noise floor), "loss" (share of identified neurons lost beyond a
            repeat's) or "curve" (distance of the shapes of autocorrelations
            beyond the floor).
        estimate: its value, and its interval at confidence `level`.
        margin: largest value that counts as preserved.
        level: confidence of the interval: 1 − 2α for tests of size α.
    """

    name: str
    estimate: Estimate
    margin: float
    level: float

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        level = validation.number("level", self.level, positive=True)
        if level >= 1:
            raise ValueError(f"level: got {level}, need less than 1")
        fields: dict[str, Any] = {
            "name": validation.choice("name", self.name, ENDPOINTS),
            "margin": validation.number("margin", self.margin, positive=True),
            "level": level,
        }
        validation.freeze(self, fields)


def judge(endpoint: Endpoint) -> Verdict:
    """Return what an endpoint says by itself.

    Preserved if its interval lies inside the margin, which are two one-sided tests
    (Schuirmann 1987, doi:10.1007/BF01068419); not preserved if it lies wholly outside.
    Scatter, loss and curve have no lower margin: less than the floor is no change.
    """
    low, high = endpoint.estimate.low, endpoint.estimate.high
    if math.isnan(low) or math.isnan(high):
        return Verdict.NOT_IDENTIFIABLE
    two_sided = endpoint.name == "shift"
    if high < endpoint.margin and (low > -endpoint.margin or not two_sided):
        return Verdict.PRESERVED
    if low > endpoint.margin or (two_sided and high < -endpoint.margin):
        return Verdict.NOT_PRESERVED
    return Verdict.NOT_IDENTIFIABLE


def decide(endpoints: Sequence[Endpoint]) -> tuple[Verdict, str]:
    """Return the verdict of several endpoints, and the sentence that decided it.

    Preserved if all say so, not preserved if one does. The sentence is on the endpoint
    that is nearest to its margin, farthest beyond it, or most uncertain.
    """
    said = {endpoint.name: judge(endpoint) for endpoint in endpoints}
    for verdict in (Verdict.NOT_PRESERVED, Verdict.NOT_IDENTIFIABLE):
        voices = [e for e in endpoints if said[e.name] is verdict]
        if voices:
            weigh = _beyond if verdict is Verdict.NOT_PRESERVED else _width
            return verdict, sentence(max(voices, key=weigh))
    return Verdict.PRESERVED, sentence(max(endpoints, key=_nearness))


def sentence(endpoint: Endpoint) -> str:
    """Return an endpoint, its estimate, interval and margin in words."""
    found, margin = endpoint.estimate, endpoint.margin
    ends = {
        Verdict.PRESERVED: "inside",
        Verdict.NOT_PRESERVED: "outside",
        Verdict.NOT_IDENTIFIABLE: "neither inside nor outside",
    }[judge(endpoint)]
    if math.isnan(found.value):
        return f"{endpoint.name}: nothing to measure it by"
    if endpoint.name == "shift":
        value, low, high = (_ratio(x) for x in (found.value, found.low, found.high))
        what = f"τ_b/τ_a is {value}"
        limit = f"{_ratio(-margin)} to {_ratio(margin)}"
    else:
        value, low, high = (f"{x:.3f}" for x in (found.value, found.low, found.high))
        what = {
            "scatter": f"beyond the noise floor, log τ_b/τ_a has an SD of {value}",
            "loss": f"beyond a repeat's, {value} of the identified neurons are lost",
            "curve": f"beyond the noise floor, autocorrelations differ by {value}",
        }[endpoint.name]
        limit = f"the margin of {margin:.3f}"
    if math.isnan(found.low) or math.isnan(found.high):
        return f"{endpoint.name}: {what}, with no interval"
    interval = f"{endpoint.level:.0%} interval {low} to {high}"
    return f"{endpoint.name}: {what} ({interval}), {ends} {limit}"


def _ratio(log: float) -> str:
    with_care = math.inf if log > 700 else math.exp(log)
    return f"{with_care:.3f}"


def _beyond(endpoint: Endpoint) -> float:
    found = endpoint.estimate
    return max(found.low, -found.high) / endpoint.margin


def _width(endpoint: Endpoint) -> float:
    width = (endpoint.estimate.high - endpoint.estimate.low) / endpoint.margin
    return math.inf if math.isnan(width) else width


def _nearness(endpoint: Endpoint) -> float:
    found = endpoint.estimate
    low = -found.low if endpoint.name == "shift" else -math.inf
    return max(found.high, low) / endpoint.margin
