"""Cross-temporal discriminability: is what a population holds held in the same way?

Differences between two conditions, in one half of the trials at t₁ and in the other
half at t₂, correlated over units: near 1 where the code stays, near 0 where it has
moved on or never was.

Stability of a code: how much discriminability is left away from the diagonal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from scipy.stats import t as student

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.coding.responses import Responses, choose

PUBLISHED_TRIALS = 12
"""Trials of each condition; half of them in each half."""
LEAST_UNITS = 3


class Patterns(NamedTuple):
    """Differences between the conditions in halves of the trials.

    `a` and `b` are splits × samples × unit, one half each.
    """

    a: Float64[np.ndarray, "splits samples n"]
    b: Float64[np.ndarray, "splits samples n"]
    times: Float64[np.ndarray, " samples"]
    trials: int
    """Of the rarer condition, both halves together."""


class PatternMoments(NamedTuple):
    """Sums over units, from which the correlation of any union of networks follows.

    `a` and `b` are splits × samples; `aa` and `bb` (per sample) and `ab` (sample ×
    sample) are sums over splits too.
    """

    units: float
    a: np.ndarray
    b: np.ndarray
    aa: np.ndarray
    bb: np.ndarray
    ab: np.ndarray


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Discriminability:
    """Correlation over units of the difference at t₁ with that at t₂.

    Attributes:
        matrix: t₁ × t₂; NaN where a difference is the same in all units.
        times: of rows and columns, in seconds.
        units: number of units; a mean where several sets of units were averaged.
        networks: from which they come.
        trials: of each condition, at least.
    """

    matrix: Float64[np.ndarray, "samples samples"]
    times: Float64[np.ndarray, " samples"]
    units: float
    networks: int
    trials: int

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        samples = validation.length("times", self.times, ndim=1)
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (samples, samples):
            raise ValueError(
                f"matrix: got shape {matrix.shape}, need {(samples, samples)}"
            )
        matrix.setflags(write=False)
        fields = {
            "matrix": matrix,
            "times": validation.floats("times", self.times, (samples,), "sample"),
            "units": validation.number("units", self.units, minimum=0),
            "networks": validation.whole("networks", self.networks, 0, 2**31 - 1),
            "trials": validation.whole("trials", self.trials, 0, 2**31 - 1),
        }
        validation.freeze(self, fields)


def published_patterns(
    responses: Responses, *, trials: int | None = PUBLISHED_TRIALS
) -> Patterns:
    """Return odd against even trials, as Kim & Sejnowski 2021 split them.

    doi:10.1038/s41593-020-00753-w: the first 12 trials of each condition, the first,
    third, … in one half and the others in the other.

    Args:
        responses: of one network.
        trials: of each condition; None for all.

    Raises:
        ValueError: fewer trials than that.
    """
    of_each = [np.flatnonzero(responses.condition == k) for k in (0, 1)]
    fewest = min(len(trial) for trial in of_each)
    if trials is not None:
        if fewest < trials or trials < 2:
            raise ValueError(
                f"trials: got {trials} for {fewest} of the rarer condition, need 2 to "
                f"{fewest}"
            )
        of_each = [trial[:trials] for trial in of_each]
    # Odd against even, not first against last: both halves see the same drift.
    odd = np.concatenate([trial[::2] for trial in of_each])
    even = np.concatenate([trial[1::2] for trial in of_each])
    a, b = _difference(responses, odd), _difference(responses, even)
    return Patterns(
        a[None], b[None], responses.times, fewest if trials is None else trials
    )


def random_patterns(
    responses: Responses, rng: np.random.Generator, *, splits: int = 10
) -> Patterns:
    """Return random halves, each split also the other way round.

    Every label is divided evenly; of an odd number of trials a random one is left out.

    Args:
        responses: of one network.
        rng: draws the halves.
        splits: how many.

    Raises:
        ValueError: a label with a single trial.
    """
    assert responses.labels is not None
    splits = validation.whole("splits", splits, 1, 1 << 20)
    labels, counts = np.unique(responses.labels, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"labels: got one trial of label {labels[counts.argmin()]}, need at least "
            "2 of each; show more trials"
        )
    halves: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for _ in range(splits):
        orders = [
            rng.permutation(np.flatnonzero(responses.labels == label))
            for label in labels
        ]
        for k, half in enumerate(halves):
            # Every second one of a random order; the last of an odd number is left.
            trials = [order[k : 2 * (order.size // 2) : 2] for order in orders]
            half.append(_difference(responses, np.concatenate(trials)))
    a, b = np.stack(halves[0]), np.stack(halves[1])
    # Either half may be the one at t₁: with both ways the matrix is symmetric.
    return Patterns(
        np.concatenate([a, b]),
        np.concatenate([b, a]),
        responses.times,
        int(np.bincount(responses.condition).min()),
    )


def crop(patterns: Patterns, window: tuple[float, float]) -> Patterns:
    """Return the samples of a window, its end not included."""
    times = patterns.times
    inside = (times >= window[0] - 1e-9) & (times < window[1] - 1e-9)
    return patterns._replace(
        a=patterns.a[:, inside], b=patterns.b[:, inside], times=times[inside]
    )


def sums(patterns: Patterns, chosen: Bool[np.ndarray, " n"]) -> PatternMoments:
    """Return the moments of the chosen units of one network."""
    a, b = patterns.a[:, :, chosen], patterns.b[:, :, chosen]
    # Splits and units side by side: one product then sums over both.
    flat = [np.moveaxis(half, 1, 0).reshape(half.shape[1], -1) for half in (a, b)]
    return PatternMoments(
        units=float(chosen.sum()),
        a=a.sum(axis=2),
        b=b.sum(axis=2),
        aa=(flat[0] ** 2).sum(axis=1),
        bb=(flat[1] ** 2).sum(axis=1),
        ab=flat[0] @ flat[1].T,
    )


def add(
    moments: Sequence[PatternMoments],
    weights: Sequence[float] | np.ndarray | None = None,
) -> PatternMoments:
    """Return the moments of several networks together, each taken so many times."""
    if weights is None:
        weights = np.ones(len(moments))
    return PatternMoments(
        *(
            sum(w * part for w, part in zip(weights, parts, strict=True))
            for parts in zip(*moments, strict=True)
        )
    )


def correlate(moments: PatternMoments) -> Float64[np.ndarray, "samples samples"]:
    """Return Pearson's correlation over units of a at t₁ with b at t₂.

    Covariances and variances are averaged over splits before they are divided. NaN
    where all units are alike, and for fewer than three units.
    """
    # (M3)
    n, samples = moments.units, len(moments.aa)
    if n < LEAST_UNITS:
        return np.full((samples, samples), np.nan)
    covariance = moments.ab - moments.a.T @ moments.b / n
    var_a = moments.aa - (moments.a**2).sum(axis=0) / n
    var_b = moments.bb - (moments.b**2).sum(axis=0) / n
    # What rounding leaves of a difference that is the same in all units.
    var_a[var_a <= 1e-12 * moments.aa] = np.nan
    var_b[var_b <= 1e-12 * moments.bb] = np.nan
    return covariance / np.sqrt(var_a[:, None] * var_b)


def discriminate(
    patterns: Sequence[Patterns], chosen: Sequence[np.ndarray | None] | None = None
) -> Discriminability:
    """Return the discriminability of all networks' chosen units taken together.

    Args:
        patterns: of each network, all at the same times.
        chosen: for each network, which units; None for all.

    Raises:
        ValueError: no network, other times, or not one choice per network.
    """
    moments = each(patterns, chosen)
    # As published: units of all networks are one population.
    pooled = add(moments)
    return Discriminability(
        matrix=correlate(pooled),
        times=patterns[0].times,
        units=pooled.units,
        networks=sum(m.units > 0 for m in moments),
        trials=min(p.trials for p in patterns),
    )


def each(
    patterns: Sequence[Patterns], chosen: Sequence[np.ndarray | None] | None = None
) -> list[PatternMoments]:
    """Return the moments of every network, checked to go together.

    Raises:
        ValueError: no network, other times, or not one choice per network.
    """
    if not patterns:
        raise ValueError("patterns: got no network, need at least one")
    if chosen is None:
        chosen = [None] * len(patterns)
    if len(chosen) != len(patterns):
        raise ValueError(f"chosen: got {len(chosen)} networks, need {len(patterns)}")
    # Moments of other times or splits would be added up without a complaint.
    first = patterns[0]
    for k, p in enumerate(patterns):
        if p.a.shape[:2] != first.a.shape[:2] or not np.allclose(p.times, first.times):
            raise ValueError(
                f"patterns[{k}]: got {p.a.shape[:2]} splits and samples, need "
                f"{first.a.shape[:2]} at the same times as the first network"
            )
    return [
        sums(p, choose(p.a.shape[2], mask))
        for p, mask in zip(patterns, chosen, strict=True)
    ]


def _difference(responses: Responses, trials: np.ndarray) -> np.ndarray:
    """Return the mean of condition 0 less that of condition 1, samples × unit."""
    condition = responses.condition[trials]
    first, second = (
        responses.rates[:, trials[condition == k]].mean(axis=1, dtype=np.float64)
        for k in (0, 1)
    )
    return first - second  # (M2)


LAG = 0.25
Matrix = Float64[np.ndarray, "samples samples"]


class Stability(NamedTuple):
    """Mean discriminability in a window, near and far from the diagonal."""

    ratio: float
    """`off` over `diagonal`; NaN where the latter is not above 0."""
    off: float
    """Mean at |t₁ − t₂| > lag."""
    diagonal: float
    """Mean at t₁ = t₂."""


class Interval(NamedTuple):
    """An estimate with its interval; NaN for none."""

    value: float
    low: float
    high: float


def off_diagonal(
    times: Float64[np.ndarray, " samples"], lag: float
) -> Bool[np.ndarray, "samples samples"]:
    """Return where t₁ and t₂ are more than `lag` seconds apart."""
    # The margin keeps pairs that are exactly `lag` apart on the diagonal's side.
    apart = np.abs(times[:, None] - times)
    return apart > validation.number("lag", lag, minimum=0) + 1e-9


def stability(
    matrix: Matrix,
    times: Float64[np.ndarray, " samples"],
    window: tuple[float, float],
    *,
    lag: float = LAG,
) -> Stability:
    """Return mean discriminability off the diagonal over that on it.

    1 for a code that stays; 0 for one that is gone after `lag`. Noise lowers both means
    alike, so the ratio needs no correction for it. Elements that are NaN do not count.

    Args:
        matrix: t₁ × t₂.
        times: of its rows and columns, in seconds.
        window: first and last time (not included) that count, such as the delay.
        lag: how far from the diagonal "off" begins, in seconds.

    Raises:
        ValueError: a window without two samples further apart than the lag.
    """
    inside = (times >= window[0] - 1e-9) & (times < window[1] - 1e-9)
    far = off_diagonal(times[inside], lag)
    if not far.any():
        raise ValueError(
            f"window: got {int(inside.sum())} samples in {window[0]:g} to "
            f"{window[1]:g} s, need two more than {lag} s apart; lower lag"
        )
    # (M4)
    block = matrix[np.ix_(inside, inside)]
    off, diagonal = _mean(block[far]), _mean(np.diagonal(block))
    # A negative or zero diagonal holds no code whose share could be off it.
    ratio = off / diagonal if diagonal > 0 else np.nan
    return Stability(float(ratio), off, diagonal)


def correct(matrix: Matrix) -> Matrix:
    """Return C(t₁, t₂)/√(C(t₁, t₁) C(t₂, t₂)): what there would be without noise.

    The diagonal is the reliability of the halves (Spearman's correction for
    attenuation, doi:10.2307/1412159). NaN where it is not above 0; noise takes the
    result beyond 1.
    """
    reliability = np.diagonal(matrix)
    scale = np.sqrt(np.where(reliability > 0, reliability, np.nan))
    return matrix / (scale[:, None] * scale)  # (M5)


def over_networks(
    groups: Sequence[Sequence[Sequence[PatternMoments]]],
    statistic: Callable[..., Sequence[float]],
    *,
    level: float = 0.95,
) -> list[Interval]:
    """Return statistics of matrices, with intervals by leaving out one network each.

    The jackknife's standard error times Student's t for one degree of freedom less than
    networks (J. W. Tukey; B. Efron & C. Stein 1981, doi:10.1214/aos/1176345462). Where
    two groups do not differ, 5 % of its intervals leave out 0 already with four
    networks; resampling with replacement does so in 18 %. Intervals are NaN for a
    single network, and where a statistic is undefined without one of them.

    Args:
        groups: for each group of units, its draws (sets of units whose matrices are
            averaged; often one), each the moments of every network.
        statistic: takes one matrix per group and returns some numbers.
        level: of the intervals.

    Raises:
        ValueError: a level outside 0 to 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: got {level}, need a number between 0 and 1")
    count = len(groups[0][0])
    values = np.array(statistic(*(mean_matrix(draws) for draws in groups)))
    if count < 2:
        return [Interval(float(value), np.nan, np.nan) for value in values]
    # (M6): a weight of 0 leaves a network's moments out of the sums.
    without = np.array(
        [
            statistic(*(mean_matrix(draws, weights) for draws in groups))
            for weights in 1.0 - np.eye(count)
        ]
    )
    half = student.isf((1 - level) / 2, count - 1) * np.sqrt(
        (count - 1) * without.var(axis=0)
    )
    return [
        Interval(float(value), float(value - h), float(value + h))
        for value, h in zip(values, half, strict=True)
    ]


def mean_matrix(
    draws: Sequence[Sequence[PatternMoments]], weights: np.ndarray | None = None
) -> Matrix:
    """Return the mean over draws of the correlation of all networks together."""
    return np.mean([correlate(add(networks, weights)) for networks in draws], axis=0)


def _mean(values: np.ndarray) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else np.nan
