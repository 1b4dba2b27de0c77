"""A comparison without fits: the mean autocorrelations of two stages.

Whatever an estimator does to τ, equal timescales make autocorrelations of equal shape.
The reverse does not hold: neurons that exchange their τ leave the mean as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from isotau.sim.preservation.bootstrap import Level, means_left, resample, totals
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.curves import (
    Curves,
    curve_levels,
    log_areas,
    margin,
    mean_curves,
    plain_squares,
    shape_squares,
)
from isotau.sim.preservation.estimate import (
    Estimate,
    hull,
    jackknife_error,
    percentile,
    signed_root,
    t_interval,
)
from isotau.sim.preservation.moments import Sums
from isotau.sim.preservation.scores import mean_of_defined
from isotau.sim.preservation.verdict import Endpoint, Verdict, decide

Ends = tuple[float, float]
UNKNOWN = math.nan, math.nan


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CurveComparison:
    """How far the mean autocorrelations of two stages are apart.

    Squares are averaged over networks before their root is taken.

    Attributes:
        endpoint: the distance of the shapes beyond the floor, which decides; None if a
            shift of τ could not be seen in stage a's autocorrelation.
        distance: of the shapes of a and b: what is left of one, relative to it, when
            the other is scaled to fit it best.
        distance_floor: the same of the stages and their repeats.
        rmse: root mean square difference of a and b, in units of correlation.
        rmse_floor: the same of the repeats.
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
    alone = fixed and any(len(level.features) == 1 for level in levels)
    found = mean_curves(totals(levels), lags)
    drawn = mean_curves(resample(levels, config.draws, rng, fixed=fixed), lags)
    limit = margin(
        mean_of_defined(found[:, :2].mean(axis=1), axis=0), config.shift_margin
    )
    endpoint = None
    verdict, reason = Verdict.NOT_IDENTIFIABLE, _weak_stage(drawn[..., 0], level)
    if not math.isnan(limit):
        endpoint = Endpoint(
            name="curve",
            estimate=_excess(levels, found, drawn, level, fixed),
            margin=limit,
            level=level,
        )
        if alone or not reason:
            verdict, reason = decide([endpoint])
    elif not reason:
        reason = "curve: stage a's autocorrelation does not decay within its lags"
    shapes, plains = (
        [
            _rooted(mean_of_defined(value), mean_of_defined(draws), config.level, alone)
            for value, draws in zip(measure(found), measure(drawn), strict=True)
        ]
        for measure in (shape_squares, plain_squares)
    )
    areas = mean_of_defined(log_areas(found)), mean_of_defined(log_areas(drawn))
    return CurveComparison(
        endpoint=endpoint,
        distance=shapes[0],
        distance_floor=shapes[1],
        rmse=plains[0],
        rmse_floor=plains[1],
        area_ratio=_estimate(
            float(np.exp(areas[0])),
            UNKNOWN if alone else _ends(np.exp(areas[1]), config.level),
        ),
        verdict=verdict,
        reason=reason,
    )


def _excess(
    levels: Sequence[Level], found: Sums, drawn: Sums, level: float, fixed: bool
) -> Estimate:
    """Return the distance of shapes beyond the floor, with its sign.

    Neurons of a network share what makes its mean curve err. So fixed networks have a
    third interval, from what repeats differ by beyond what independent neurons would,
    as if all that were in one direction: then the distance is a normal number.
    """
    lags = found.shape[-1]
    value = float(mean_of_defined(_beyond(found)))

    def beyond(sums: Sums) -> Sums:
        return _beyond(mean_curves(sums, lags))

    left = means_left(levels, beyond, _there, fixed=fixed)
    ends = [
        t_interval(value, *jackknife_error(left), level),
        _ends(mean_of_defined(_beyond(drawn)), level),
    ]
    if fixed:
        ends.append(_repeats_interval(found, drawn, level))
    low, high = hull(*ends)
    return _estimate(signed_root(value), (signed_root(low), signed_root(high)))


def _repeats_interval(found: Sums, drawn: Sums, level: float) -> Ends:
    """Return the interval of the squared distance by the noise that neurons share."""
    apart, floor = (float(mean_of_defined(part)) for part in shape_squares(found))
    own = float(mean_of_defined(shape_squares(drawn)[1].mean(axis=1))) - floor
    if math.isnan(apart) or math.isnan(own):
        return UNKNOWN
    shared = max(floor - own, 0.0) / 2
    middle = math.sqrt(max(apart - floor + shared, 0.0))
    low, high = t_interval(middle, math.sqrt(shared), 2 * len(found), level)
    return math.copysign(low**2, low), high**2


def _there(features: Sums) -> Bool[np.ndarray, " n"]:
    return np.asarray(features.any(axis=-1))


def _beyond(means: Sums) -> Sums:
    apart, floor = shape_squares(means)
    return apart - floor


def _weak_stage(
    starts: Float64[np.ndarray, "draws networks runs"], level: float
) -> str:
    """Return which stage has no autocorrelation to compare, in words; "" if both do."""
    for stage, runs in (("a", slice(0, 2)), ("b", slice(2, 4))):
        lowest, _ = _ends(mean_of_defined(starts[..., runs].mean(axis=-1)), level)
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
    ends = UNKNOWN
    if not alone and not np.isnan(draws).any():
        low, high = _ends(draws - draws.mean() + value, level)
        ends = math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0))
    return _estimate(float(np.sqrt(np.maximum(value, 0.0))), ends)


def _ends(draws: Sums, level: float) -> Ends:
    low, high = percentile(draws, level)
    return float(low), float(high)


def _estimate(value: float, ends: Ends) -> Estimate:
    """Return an estimate whose interval, if there is one, holds it."""
    low, high = ends
    if math.isnan(low) or math.isnan(value):
        return Estimate(value=value)
    return Estimate(value=value, low=min(low, value), high=max(high, value))
