"""Cross-temporal discriminability: is what a population holds held in the same way?

Differences between two conditions, in one half of the trials at t₁ and in the other
half at t₂, correlated over units: near 1 where the code stays, near 0 where it has
moved on or never was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert import validation
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


class Moments(NamedTuple):
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
    found, counts = np.unique(responses.labels, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"labels: got one trial of label {found[counts.argmin()]}, need at least 2 "
            "of each; show more trials"
        )
    halves: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for _ in range(splits):
        drawn = [
            rng.permutation(np.flatnonzero(responses.labels == label))
            for label in found
        ]
        for k, half in enumerate(halves):
            some = [trial[k : 2 * (trial.size // 2) : 2] for trial in drawn]
            half.append(_difference(responses, np.concatenate(some)))
    a, b = np.stack(halves[0]), np.stack(halves[1])
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


def sums(patterns: Patterns, chosen: Bool[np.ndarray, " n"]) -> Moments:
    """Return the moments of the chosen units of one network."""
    a, b = patterns.a[:, :, chosen], patterns.b[:, :, chosen]
    flat = [np.moveaxis(half, 1, 0).reshape(half.shape[1], -1) for half in (a, b)]
    return Moments(
        units=float(chosen.sum()),
        a=a.sum(axis=2),
        b=b.sum(axis=2),
        aa=(flat[0] ** 2).sum(axis=1),
        bb=(flat[1] ** 2).sum(axis=1),
        ab=flat[0] @ flat[1].T,
    )


def add(
    moments: Sequence[Moments], weights: Sequence[float] | np.ndarray | None = None
) -> Moments:
    """Return the moments of several networks together, each taken so many times."""
    if weights is None:
        weights = np.ones(len(moments))
    return Moments(
        *(
            sum(w * part for w, part in zip(weights, parts, strict=True))
            for parts in zip(*moments, strict=True)
        )
    )


def correlate(moments: Moments) -> Float64[np.ndarray, "samples samples"]:
    """Return Pearson's correlation over units of a at t₁ with b at t₂.

    Covariances and variances are averaged over splits before they are divided. NaN
    where all units are alike, and for fewer than three units.
    """
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
) -> list[Moments]:
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
    return first - second
