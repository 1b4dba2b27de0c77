"""Endpoints with their intervals, what each says, and the verdict of all of them."""

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
Ends = tuple[float, float]
"""Lower and upper end of an interval."""
UNKNOWN: Ends = (math.nan, math.nan)


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
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(
                number, int | float | np.number
            ):
                raise TypeError(f"{name}: got {number!r}, need a number or NaN")
            fields[name] = float(number)
        if fields["low"] > fields["high"]:
            raise ValueError(
                f"low: got {fields['low']}, need at most high, {fields['high']}"
            )
        validation.freeze(self, fields)


def containing(value: float, ends: Ends) -> Estimate:
    """Return an estimate whose interval, if there is one, holds it."""
    low, high = ends
    if math.isnan(low) or math.isnan(value):
        return Estimate(value=value)
    # The bootstrap of a biased statistic may leave out the value itself.
    return Estimate(value=value, low=min(low, value), high=max(high, value))


def percentile(
    draws: Float64[np.ndarray, "*lead draws"], level: float
) -> tuple[Float64[np.ndarray, "*lead"], Float64[np.ndarray, "*lead"]]:
    """Return the percentile interval of bootstrap draws, the last axis.

    NaN where more than a twentieth of the draws are undefined.
    """
    tails = [50 * (1 - level), 50 * (1 + level)]
    undefined = np.isnan(draws)
    enough = undefined.mean(axis=-1) <= 1 - DEFINED
    # (S8); a row of NaN alone would make numpy warn.
    filled = np.where(enough[..., None], draws, 0.0)
    low, high = np.nanpercentile(filled, tails, axis=-1)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def percentile_ends(draws: Float64[np.ndarray, " draws"], level: float) -> Ends:
    """Return the percentile interval of the draws of one number."""
    low, high = percentile(draws, level)
    return float(low), float(high)


def jackknife_error(
    without: Sequence[Float64[np.ndarray, "..."]],
) -> tuple[float, int]:
    """Return the standard error, and its degrees of freedom, from leaving units out.

    For a mean this is the textbook's: s/√n, with n − 1 degrees of freedom. Undefined
    (NaN) for fewer than two units or if leaving one out leaves nothing.
    Source: Efron & Stein 1981, doi:10.1214/aos/1176345462.

    Args:
        without: the estimate without each unit in turn, by independent groups.
    """
    square, freedom = 0.0, 0
    for estimates in without:
        units = estimates.size
        if units < 2:
            return math.nan, 0
        apart = float(np.sum((estimates - estimates.mean()) ** 2))
        square += (units - 1) / units * apart  # (S6)
        freedom += units - 1
    return math.sqrt(square), freedom


def t_interval(value: float, error: float, freedom: int, level: float) -> Ends:
    """Return value ± t · error; NaN without a degree of freedom."""
    if freedom < 1 or not math.isfinite(error):
        return UNKNOWN
    reach = float(stats.t.ppf(0.5 + level / 2, freedom)) * error
    return value - reach, value + reach  # (S7)


def hull(*intervals: Ends) -> Ends:
    """Return the shortest interval that holds all of several; NaN if one is unknown.

    It lies inside a margin if and only if each of them does, so deciding by it is at
    most as often wrong as deciding by any one.
    """
    # One that is not known might reach anywhere.
    lows, highs = zip(*intervals, strict=True)
    if any(math.isnan(end) for end in (*lows, *highs)):
        return UNKNOWN
    return min(lows), max(highs)  # (S10)


def two_ways(
    value: float,
    without: Sequence[Float64[np.ndarray, "..."]],
    draws: Float64[np.ndarray, " draws"],
    level: float,
) -> tuple[Ends, Ends]:
    """Return Student's interval by leaving units out, and the bootstrap's.

    Args:
        value: the estimate.
        without: the estimate without each unit in turn, by independent groups.
        draws: of the estimate, by the bootstrap.
        level: confidence of both.
    """
    student = t_interval(value, *jackknife_error(without), level)
    return student, percentile_ends(draws, level)


def difference_of_positives(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> Ends:
    """Return the interval of a difference from those of two independent numbers.

    The intervals of variances are lopsided, and so must be that of their difference.
    Source: Zou & Donner 2008 (MOVER), doi:10.1002/sim.3095.

    Args:
        first: value, low and high of the number x.
        second: value, low and high of the number y that is taken from it.
    """
    x, x_low, x_high = first
    y, y_low, y_high = second
    # (S9)
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
    # (S11)
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
    verdicts = {endpoint.name: judge(endpoint) for endpoint in endpoints}
    # One test that fails is enough, and one that cannot tell outweighs all that pass.
    for verdict in (Verdict.NOT_PRESERVED, Verdict.NOT_IDENTIFIABLE):
        voices = [e for e in endpoints if verdicts[e.name] is verdict]
        if voices:
            weigh = _beyond if verdict is Verdict.NOT_PRESERVED else _width
            return verdict, sentence(max(voices, key=weigh))
    return Verdict.PRESERVED, sentence(max(endpoints, key=_nearness))


def sentence(endpoint: Endpoint) -> str:
    """Return an endpoint, its estimate, interval and margin in words."""
    estimate, margin = endpoint.estimate, endpoint.margin
    where = {
        Verdict.PRESERVED: "inside",
        Verdict.NOT_PRESERVED: "outside",
        Verdict.NOT_IDENTIFIABLE: "neither inside nor outside",
    }[judge(endpoint)]
    numbers = estimate.value, estimate.low, estimate.high
    if math.isnan(estimate.value):
        return f"{endpoint.name}: nothing to measure it by"
    if endpoint.name == "shift":
        value, low, high = map(_ratio, numbers)
        what = f"τ_b/τ_a is {value}"
        limit = f"{_ratio(-margin)} to {_ratio(margin)}"
    else:
        value, low, high = (f"{x:.3f}" for x in numbers)
        what = {
            "scatter": f"beyond the noise floor, log τ_b/τ_a has an SD of {value}",
            "loss": f"beyond a repeat's, {value} of the identified neurons are lost",
            "curve": f"beyond the noise floor, autocorrelations differ by {value}",
        }[endpoint.name]
        limit = f"the margin of {margin:.3f}"
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return f"{endpoint.name}: {what}, with no interval"
    interval = f"{endpoint.level:.0%} interval {low} to {high}"
    return f"{endpoint.name}: {what} ({interval}), {where} {limit}"


def _ratio(log: float) -> str:
    # Beyond 709 exp overflows; such an interval has no upper end to speak of.
    return f"{math.inf if log > 700 else math.exp(log):.3f}"


def _beyond(endpoint: Endpoint) -> float:
    estimate = endpoint.estimate
    return max(estimate.low, -estimate.high) / endpoint.margin


def _width(endpoint: Endpoint) -> float:
    width = (endpoint.estimate.high - endpoint.estimate.low) / endpoint.margin
    return math.inf if math.isnan(width) else width


def _nearness(endpoint: Endpoint) -> float:
    estimate = endpoint.estimate
    low = -estimate.low if endpoint.name == "shift" else -math.inf
    return max(estimate.high, low) / endpoint.margin
