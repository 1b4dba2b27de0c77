"""Stability of a code: how much discriminability is left away from the diagonal."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from scipy.stats import t as student

from isotau.convert import validation
from isotau.sim.coding.discriminability import Moments, add, correlate

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
    block = matrix[np.ix_(inside, inside)]
    off, diagonal = _mean(block[far]), _mean(np.diagonal(block))
    ratio = off / diagonal if diagonal > 0 else np.nan
    return Stability(float(ratio), off, diagonal)


def correct(matrix: Matrix) -> Matrix:
    """Return C(t₁, t₂)/√(C(t₁, t₁) C(t₂, t₂)): what there would be without noise.

    The diagonal is the reliability of the halves (Spearman's correction for
    attenuation, doi:10.2307/1412159). NaN where it is not above 0; noise takes the
    result beyond 1.
    """
    own = np.diagonal(matrix)
    scale = np.sqrt(np.where(own > 0, own, np.nan))
    return matrix / (scale[:, None] * scale)


def over_networks(
    groups: Sequence[Sequence[Sequence[Moments]]],
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
    found = np.array(statistic(*(mean_matrix(draws) for draws in groups)))
    if count < 2:
        return [Interval(float(value), np.nan, np.nan) for value in found]
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
        for value, h in zip(found, half, strict=True)
    ]


def mean_matrix(
    draws: Sequence[Sequence[Moments]], weights: np.ndarray | None = None
) -> Matrix:
    """Return the mean over draws of the correlation of all networks together."""
    return np.mean([correlate(add(networks, weights)) for networks in draws], axis=0)


def _mean(values: np.ndarray) -> float:
    found = values[np.isfinite(values)]
    return float(found.mean()) if found.size else np.nan
