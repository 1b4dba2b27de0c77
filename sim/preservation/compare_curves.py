"""A comparison without fits: the mean autocorrelations of two stages.

Whatever an estimator does to τ, equal timescales make autocorrelations of equal shape.
The reverse does not hold: neurons that exchange their τ leave the mean as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy import optimize

from isotau.convert.ground import validation
from isotau.sim.preservation.bootstrap import (
    Level,
    Sums,
    jackknife_means,
    ratio,
    resample,
    totals,
    without_trials,
)
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.pair import PAIRINGS, RUNS, with_gaps
from isotau.sim.preservation.pairings import CROSS, REPEATS, mean_of_defined
from isotau.sim.preservation.verdict import (
    UNKNOWN,
    Endpoint,
    Ends,
    Estimate,
    Verdict,
    containing,
    decide,
    hull,
    percentile_ends,
    signed_root,
    t_interval,
    two_ways,
)

Values = Float64[np.ndarray, "lags n"] | Float64[np.ndarray, " lags"]
LONGEST = 100.0
"""Longest τ that a mean curve is said to have, in numbers of its lags."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Curves:
    """One network's autocorrelations at lags of 1, 2, … bins, in the runs of `Pair`.

    Attributes:
        name: of the network.
        a: lag × neuron, or per lag a mean over neurons; NaN where a neuron has none.
        b: at stage b, neuron by neuron.
        a_again: of the repeat of a.
        b_again: of the repeat of b.
    """

    name: str
    a: Values
    b: Values
    a_again: Values
    b_again: Values

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields: dict[str, Any] = {"name": str(self.name)}
        shape = np.shape(self.a)
        if len(shape) not in (1, 2) or shape[0] < 3 or 0 in shape:
            raise ValueError(
                f"a: got shape {shape}, need lag × neuron, or lag, of 3 lags or more"
            )
        for name in RUNS:
            fields[name] = with_gaps(name, getattr(self, name), shape, "lag × neuron")
        validation.freeze(self, fields)

    @property
    def lags(self) -> int:
        """Number of lags."""
        return self.a.shape[0]


def curve_levels(curves: Sequence[Curves]) -> list[Level]:
    """Return what to resample: each neuron's values, run × lag, and if they are there.

    A neuron that has no value at a lag in one of the runs counts in none there.

    Raises:
        ValueError: no network, or networks of different lags.
    """
    if not curves:
        raise ValueError("curves: got no network, need at least one")
    lags = curves[0].lags
    levels = []
    for curve in curves:
        if curve.lags != lags:
            raise ValueError(
                f"{curve.name}: got {curve.lags} lags, need {lags} as in "
                f"{curves[0].name}"
            )
        runs = np.stack([getattr(curve, name).reshape(lags, -1) for name in RUNS])
        complete = np.isfinite(runs).all(axis=0)
        values = np.where(complete, runs, 0.0).reshape(len(RUNS) * lags, -1)
        # The counts come last: sums over neurons are then divided into means.
        levels.append(without_trials(np.concatenate([values, complete]).T))
    return levels


def mean_curves(sums: Float64[np.ndarray, "*lead sums"], lags: int) -> Sums:
    """Return each network's mean curves, run × lag."""
    values = sums[..., : len(RUNS) * lags].reshape(*sums.shape[:-1], len(RUNS), lags)
    count = sums[..., None, len(RUNS) * lags : (len(RUNS) + 1) * lags]
    return ratio(values, count)


def shape_squares(means: Float64[np.ndarray, "*lead 4 lags"]) -> tuple[Sums, Sums]:
    """Return the squared distances of the shapes of b and a, and of the repeats.

    The distance of two curves is what is left of one, relative to it, when the other is
    scaled to fit it best: sin θ, with cos θ = x·y / (|x| |y|). Amplitudes, which depend
    on rates and noise, do not matter.
    """
    pairs = []
    for i, j in PAIRINGS:
        x, y = means[..., i, :], means[..., j, :]
        # sin² from cos², which no scaling of x or y changes.
        size = (x * x).sum(axis=-1) * (y * y).sum(axis=-1)
        pairs.append(1 - ratio((x * y).sum(axis=-1) ** 2, size))  # (S29)
    return _averages(np.stack(pairs, axis=-1))


def plain_squares(means: Float64[np.ndarray, "*lead 4 lags"]) -> tuple[Sums, Sums]:
    """Return the mean squared differences of b and a, and of the repeats."""
    pairs = [
        ((means[..., j, :] - means[..., i, :]) ** 2).mean(axis=-1) for i, j in PAIRINGS
    ]
    return _averages(np.stack(pairs, axis=-1))


def log_areas(means: Float64[np.ndarray, "*lead 4 lags"]) -> Sums:
    """Return the log ratio of b to a of the area over the first value.

    Of exponentials it is that of their τ, as far as the lags reach.
    """
    # The runs of a stage are added first, so that one weak first value does no harm.
    total = means.sum(axis=-1)
    area = [
        ratio(
            total[..., i] + total[..., i + 1], means[..., i, 0] + means[..., i + 1, 0]
        )
        for i in (0, 2)
    ]
    quotient = ratio(area[1], area[0])  # (S31)
    return np.log(np.where(quotient > 0, quotient, np.nan))


def margin(curve: Float64[np.ndarray, " lags"], shift_margin: float) -> float:
    """Return the distance of shapes that a shift of τ by the margin would make.

    Between an exponential with the curve's centre of mass, and exponentials with a τ
    that is f = exp(shift_margin) times shorter or longer, whichever is nearer. Over all
    times it would be (f − 1)/(f + 1); few lags show less of the difference. NaN for a
    curve that has no centre of mass between its lags.
    """
    # Lags count from the first bin: the peak at 0 holds the noise of single bins.
    lags = np.arange(float(curve.size))
    centre = float(curve @ lags / curve.sum()) if curve.sum() > 0 else math.nan

    def gap(log_tau: float) -> float:
        shape = np.exp(-lags / math.exp(log_tau))
        return float(shape @ lags / shape.sum()) - centre

    # (S30): the exponential that has the curve's centre of mass.
    shortest, longest = math.log(0.05), math.log(LONGEST * curve.size)
    if not gap(shortest) < 0 < gap(longest):
        return math.nan
    log_tau = float(optimize.brentq(gap, shortest, longest))
    shape = np.exp(-lags / math.exp(log_tau))
    apart = []
    for side in (-1, 1):
        moved = np.exp(-lags / math.exp(log_tau + side * shift_margin))
        sizes = float((shape @ shape) * (moved @ moved))
        apart.append(math.sqrt(max(1 - float(shape @ moved) ** 2 / sizes, 0.0)))
    return min(apart)


def _averages(pairs: Float64[np.ndarray, "*lead pairings"]) -> tuple[Sums, Sums]:
    return pairs[..., CROSS].mean(axis=-1), pairs[..., REPEATS].mean(axis=-1)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CurveComparison:
    """How far the mean autocorrelations of two stages are apart.

    Squares are averaged over networks before their root is taken.

    Attributes:
        endpoint: the distance of the shapes beyond the floor, which decides; None if a
            shift of τ could not be seen in stage a's autocorrelation.
        distance: of the shapes of a and b: what is left of one, relative to it, when
            the other is scaled to fit it best.
        distance_floor: of the shapes of the stages and their repeats.
        rmse: root mean square difference of a and b, in units of correlation.
        rmse_floor: root mean square difference of the stages and their repeats.
        area_ratio: of b to a, of the area under the curve over its first value.
        verdict: whether the shapes are the same.
        reason: the sentence that decided.
    """

    endpoint: Endpoint | None
    distance: Estimate
    distance_floor: Estimate
    rmse: Estimate
    rmse_floor: Estimate
    area_ratio: Estimate
    verdict: Verdict
    reason: str


def compare_curves(
    curves: Sequence[Curves],
    config: PreservationConfig | None = None,
    *,
    rng: np.random.Generator,
) -> CurveComparison:
    """Return the comparison of two stages' mean autocorrelations, over networks.

    The margin is the distance that a shift of τ by its margin would make. The interval
    is the hull of a hierarchical bootstrap's and of Student's, as that of the other
    endpoints. Nothing is identifiable if the first lag of a stage is not clearly above
    0, or for so few networks that their neurons are needed, but only means given.
    """
    config = config or PreservationConfig()
    levels = curve_levels(curves)
    lags = curves[0].lags
    level = 1 - 2 * config.alpha
    fixed = len(levels) < config.min_networks
    # Of a mean over neurons no interval over neurons can be made.
    alone = fixed and any(len(level.features) == 1 for level in levels)
    measured = mean_curves(totals(levels), lags)
    draws = mean_curves(resample(levels, config.draws, rng, fixed=fixed), lags)
    limit = margin(
        mean_of_defined(measured[:, :2].mean(axis=1), axis=0), config.shift_margin
    )
    endpoint = None
    # Noise around 0 has no shape: a weak stage is never said to be like another.
    verdict, reason = Verdict.NOT_IDENTIFIABLE, _weak_stage(draws[..., 0], level)
    if not math.isnan(limit):
        endpoint = Endpoint(
            name="curve",
            estimate=_excess(levels, measured, draws, level, fixed),
            margin=limit,
            level=level,
        )
        if alone or not reason:
            verdict, reason = decide([endpoint])
    elif not reason:
        reason = "curve: stage a's autocorrelation does not decay within its lags"
    shapes, plains = (
        [
            _rooted(mean_of_defined(value), mean_of_defined(drawn), config.level, alone)
            for value, drawn in zip(measure(measured), measure(draws), strict=True)
        ]
        for measure in (shape_squares, plain_squares)
    )
    areas = mean_of_defined(log_areas(measured)), mean_of_defined(log_areas(draws))
    return CurveComparison(
        endpoint=endpoint,
        distance=shapes[0],
        distance_floor=shapes[1],
        rmse=plains[0],
        rmse_floor=plains[1],
        area_ratio=containing(
            float(np.exp(areas[0])),
            UNKNOWN if alone else percentile_ends(np.exp(areas[1]), config.level),
        ),
        verdict=verdict,
        reason=reason,
    )


def _excess(
    levels: Sequence[Level], measured: Sums, draws: Sums, level: float, fixed: bool
) -> Estimate:
    """Return the distance of shapes beyond the floor, with its sign.

    Neurons of a network share what makes its mean curve err. So fixed networks have a
    third interval, from what repeats differ by beyond what independent neurons would,
    as if all that were in one direction: then the distance is a normal number.
    """
    lags = measured.shape[-1]
    value = float(mean_of_defined(_beyond(measured)))

    def beyond(sums: Sums) -> Sums:
        return _beyond(mean_curves(sums, lags))

    without = jackknife_means(levels, beyond, _counted, fixed=fixed)
    ends = list(two_ways(value, without, mean_of_defined(_beyond(draws)), level))
    if fixed:
        ends.append(_repeats_interval(measured, draws, level))
    low, high = hull(*ends)
    return containing(signed_root(value), (signed_root(low), signed_root(high)))


def _repeats_interval(measured: Sums, draws: Sums, level: float) -> Ends:
    """Return the interval of the squared distance by the noise that neurons share."""
    apart, floor = (float(mean_of_defined(part)) for part in shape_squares(measured))
    # What resampling independent neurons adds to the floor is their own part of it.
    independent = float(mean_of_defined(shape_squares(draws)[1].mean(axis=1))) - floor
    if math.isnan(apart) or math.isnan(independent):
        return UNKNOWN
    # Each of the two runs has half of what they differ by.
    shared = max(floor - independent, 0.0) / 2
    middle = math.sqrt(max(apart - floor + shared, 0.0))
    low, high = t_interval(middle, math.sqrt(shared), 2 * len(measured), level)
    # Back to squares, in which the other two intervals are.
    return math.copysign(low**2, low), high**2


def _counted(features: Sums) -> Bool[np.ndarray, " n"]:
    return np.asarray(features.any(axis=-1))


def _beyond(means: Sums) -> Sums:
    apart, floor = shape_squares(means)
    return apart - floor


def _weak_stage(
    starts: Float64[np.ndarray, "draws networks runs"], level: float
) -> str:
    """Return which stage has no autocorrelation to compare, in words; "" if both do."""
    for stage, runs in (("a", slice(0, 2)), ("b", slice(2, 4))):
        # Where noise may have made the first lag, the shape is noise too.
        lowest, _ = percentile_ends(
            mean_of_defined(starts[..., runs].mean(axis=-1)), level
        )
        if not lowest > 0:
            return (
                f"curve: stage {stage} has no autocorrelation to compare: at the first "
                f"lag it may be {lowest:.4f}"
            )
    return ""


def _rooted(value: Sums, draws: Sums, level: float, alone: bool) -> Estimate:
    """Return the root of a mean square, from the square and its draws.

    Resampling adds its own noise to a square; that is taken off again.
    """
    # Of means over neurons alone there is nothing to resample.
    ends = UNKNOWN
    if not alone and not np.isnan(draws).any():
        low, high = percentile_ends(draws - draws.mean() + value, level)
        ends = math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0))
    return containing(float(np.sqrt(np.maximum(value, 0.0))), ends)
