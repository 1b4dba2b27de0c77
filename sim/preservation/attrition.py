"""Neurons that have a timescale at one stage only, and what they say nevertheless.

A neuron that was not identified may still have an interval, and one at a bound has one
that is open above: its log ratio is known to lie in an interval. For the mean log ratio
of all, a normal distribution is fitted to numbers and intervals alike, by maximum
likelihood. Source: Turnbull 1976, doi:10.1111/j.2517-6161.1976.tb01597.x, for
what such data are; Tobin 1958, doi:10.2307/1907382, for the normal likelihood.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy import optimize, special, stats

from isotau.convert.ground import validation
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.pair import Pair
from isotau.sim.preservation.verdict import Estimate, jackknife_error, t_interval
from isotau.sim.timescales.records.record import Status, Timescales

_COUNTS = ("both", "only_first", "only_second", "neither")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Attrition:
    """How many neurons have a timescale in two runs, in one of them, or in none.

    Attributes:
        both: neurons with a timescale in both runs.
        only_first: in the first only: they were lost.
        only_second: in the second only.
        neither: in none.
        lost: what the second run says of those lost, neurons by status.
        gained: what the first run says of those found in the second only.
        rate_effect: probability that of two neurons with a timescale in the first run,
            one lost and one kept, the lost one had the higher rate in it; 0.5 if the
            rate does not matter, NaN where there are no two such.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    lost: Mapping[str, int]
    gained: Mapping[str, int]
    rate_effect: float

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields: dict[str, Any] = {
            name: validation.whole(name, getattr(self, name), 0, 2**53)
            for name in _COUNTS
        }
        statuses = [status.value for status in Status]
        for name, whole in (("lost", "only_first"), ("gained", "only_second")):
            counts = {
                validation.choice(name, status, statuses): validation.whole(
                    f"{name}[{status!r}]", count, 1, 2**53
                )
                for status, count in getattr(self, name).items()
            }
            if sum(counts.values()) != fields[whole]:
                raise ValueError(
                    f"{name}: got {sum(counts.values())} neurons, need "
                    f"{fields[whole]} as in {whole}"
                )
            fields[name] = counts
        effect = float(self.rate_effect)
        if not (np.isnan(effect) or 0 <= effect <= 1):
            raise ValueError(f"rate_effect: got {effect}, need 0 to 1 or NaN")
        fields["rate_effect"] = effect
        validation.freeze(self, fields)


def attrition(runs: Iterable[tuple[Timescales, Timescales]]) -> Attrition:
    """Return the table of all neurons of several networks, each with its two runs."""
    counts: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    gained: Counter[str] = Counter()
    lost_rates: list[float] = []
    kept_rates: list[float] = []
    for first, second in runs:
        for before, after, rate in zip(
            first.status, second.status, first.rate, strict=True
        ):
            in_first, in_second = before is Status.OK, after is Status.OK
            counts[_COUNTS[2 * (not in_first) + (not in_second)]] += 1
            # The rate of the run that found τ: of the other one there may be none.
            if in_first:
                (kept_rates if in_second else lost_rates).append(rate)
            if in_first and not in_second:
                lost[after.value] += 1
            if in_second and not in_first:
                gained[before.value] += 1
    return Attrition(
        both=counts["both"],
        only_first=counts["only_first"],
        only_second=counts["only_second"],
        neither=counts["neither"],
        lost=dict(lost),
        gained=dict(gained),
        rate_effect=_higher(lost_rates, kept_rates),
    )


def _higher(lost: list[float], kept: list[float]) -> float:
    """Return the probability that one of `lost` is greater than one of `kept`."""
    x, y = (np.array(group)[np.isfinite(group)] for group in (lost, kept))
    if not x.size or not y.size:
        return float("nan")
    ranks = stats.rankdata(np.concatenate([x, y]))[: x.size]
    # (S28), Mann and Whitney's U over the number of pairs; ties count half.
    return float((ranks.sum() - x.size * (x.size + 1) / 2) / (x.size * y.size))


GROUPS = 20
"""Parts of fixed networks' neurons that the jackknife leaves out in turn."""
SMALLEST_SD = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Censored:
    """The mean log ratio of all neurons that tell something of it, and of some.

    Neurons count alike, whatever their network.

    Attributes:
        mean: of all, by maximum likelihood.
        intersection: of those with a timescale in both runs.
        identified: how many neurons those are.
        censored: how many others have an interval that ends on one side at least.
        uninformative: how many have none.
    """

    mean: Estimate
    intersection: Estimate
    identified: int
    censored: int
    uninformative: int

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields: dict[str, Any] = {
            name: validation.whole(name, getattr(self, name), 0, 2**53)
            for name in ("identified", "censored", "uninformative")
        }
        validation.freeze(self, fields)


def censored(pairs: Sequence[Pair], config: PreservationConfig) -> Censored:
    """Return the mean log ratio of b to a with censored neurons, and without.

    Intervals are Student's over networks left out in turn; of fixed networks, over 20
    parts of their neurons, as if these were independent.
    """
    bounds = [ratio_bounds(pair) for pair in pairs]
    low, high = np.concatenate(bounds, axis=1)
    group = np.repeat(np.arange(len(pairs)), [pair.n for pair in pairs])
    exact = low == high
    informative = np.isfinite(low) | np.isfinite(high)
    if len(pairs) < config.min_networks:
        # Each part has its share of either kind, so that none decides the SD alone.
        group = np.zeros(low.size, dtype=np.int64)
        for kind in (exact, informative & ~exact):
            group[kind] = np.arange(int(kind.sum())) % GROUPS
    return Censored(
        mean=_estimate(
            low[informative], high[informative], group[informative], config.level
        ),
        intersection=_estimate(low[exact], high[exact], group[exact], config.level),
        identified=int(exact.sum()),
        censored=int((informative & ~exact).sum()),
        uninformative=int((~informative).sum()),
    )


def ratio_bounds(pair: Pair) -> Float64[np.ndarray, "2 n"]:
    """Return between which log ratios of b to a each neuron's lies.

    Equal where both have a timescale; infinite where nothing is known on that side.
    """
    (a_low, a_high), (b_low, b_high) = _bounds(pair.a), _bounds(pair.b)
    # The difference of two intervals: as far apart as their far ends allow.
    return np.stack([b_low - a_high, b_high - a_low])


def fit_normal(
    low: Float64[np.ndarray, " n"], high: Float64[np.ndarray, " n"]
) -> tuple[float, float]:
    """Return mean and SD of a normal distribution of numbers that lie in [low, high].

    NaN if fewer than two of them are known exactly (low equal to high), without which
    censored ones may be anything, or if the fit fails.
    """
    exact = low == high
    if exact.sum() < 2:
        return np.nan, np.nan
    # Neurons that agree to the last digit would leave no scale to divide by.
    start = low[exact].mean(), max(low[exact].std(), SMALLEST_SD)
    if exact.all():
        return float(start[0]), float(start[1])
    # In units of the exact ones' SD the optimizer's steps are about right.
    centre, scale = start
    standardized = (low[exact] - centre) / scale
    ends = (low[~exact] - centre) / scale, (high[~exact] - centre) / scale
    fit = optimize.minimize(
        _surprise, np.zeros(2), args=(standardized, *ends), jac=True, method="BFGS"
    )
    mean, log_sd = fit.x
    # BFGS may say that it failed where rounding ends it at the optimum all the same.
    if not np.isfinite(fit.fun) or np.abs(fit.jac).max() > 1e-3 * low.size:
        return np.nan, np.nan
    return float(centre + scale * mean), float(scale * np.exp(log_sd))


def _surprise(
    at: Float64[np.ndarray, "2"],
    known: Float64[np.ndarray, " exact"],
    low: Float64[np.ndarray, " censored"],
    high: Float64[np.ndarray, " censored"],
) -> tuple[float, Float64[np.ndarray, "2"]]:
    """Return −log likelihood at (mean, log SD), up to a constant, and its gradient."""
    # (S26); clipped so that a wild step of the optimizer does not overflow.
    mean, log_sd = at[0], np.clip(at[1], -20, 20)
    sd = np.exp(log_sd)
    z, lower, upper = ((x - mean) / sd for x in (known, low, high))
    # Where both ends lie above the mean, the mirror image is the precise one.
    mirrored = lower > 0
    lower, upper = np.where(mirrored, -upper, lower), np.where(mirrored, -lower, upper)
    # Φ(u) − Φ(l) in logs: far out both are 0 in double precision, their ratio is not.
    log_upper, log_lower = special.log_ndtr(upper), special.log_ndtr(lower)
    within = log_upper + np.log1p(-np.exp(log_lower - log_upper))
    ends = []
    for end in (lower, upper):
        # An end at infinity has no density, and no product of 0 and ∞ either.
        finite = np.where(np.isfinite(end), end, 0.0)
        power = np.where(np.isfinite(end), -(finite**2) / 2 - within, -np.inf)
        ends.append((np.exp(power) / np.sqrt(2 * np.pi), finite))
    (at_low, z_low), (at_high, z_high) = ends
    sign = np.where(mirrored, -1.0, 1.0)
    value = known.size * log_sd + 0.5 * (z @ z) - within.sum()
    by_mean = -z.sum() / sd + (sign * (at_high - at_low)).sum() / sd
    by_sd = known.size - z @ z + (z_high * at_high - z_low * at_low).sum()
    return float(value), np.array([by_mean, by_sd])


def _estimate(
    low: Float64[np.ndarray, " n"],
    high: Float64[np.ndarray, " n"],
    group: Int64[np.ndarray, " n"],
    level: float,
) -> Estimate:
    value, _ = fit_normal(low, high)
    parts = np.unique(group)
    if np.isnan(value) or parts.size < 2:
        return Estimate(value=value)
    without = [fit_normal(low[group != k], high[group != k])[0] for k in parts]
    ends = t_interval(value, *jackknife_error([np.array(without)]), level)
    return Estimate(value=value, low=ends[0], high=ends[1])


def _bounds(
    timescales: Timescales,
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return between which numbers log τ of every neuron lies."""
    assert timescales.low is not None
    assert timescales.high is not None
    ok = np.array([status is Status.OK for status in timescales.status])
    # No interval is one that anything lies in: log τ from −∞ to ∞.
    low = np.where(np.isnan(timescales.low), 0.0, timescales.low)
    high = np.where(np.isnan(timescales.high), np.inf, timescales.high)
    with np.errstate(divide="ignore"):
        low = np.log(np.where(ok, timescales.tau, low))
        high = np.log(np.where(ok, timescales.tau, high))
    return low, high
