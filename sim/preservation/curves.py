"""Mean autocorrelations of stages, and how far their shapes are apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import optimize

from isotau.convert import validation
from isotau.sim.preservation.bootstrap import Level, without_trials
from isotau.sim.preservation.moments import Sums, ratio
from isotau.sim.preservation.pair import PAIRINGS, RUNS
from isotau.sim.preservation.pairings import CROSS, REPEATS

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
            value = np.asarray(getattr(self, name))
            missing = np.isnan(value)
            filled = validation.floats(
                name, np.where(missing, 0.0, value), shape, "lag × neuron"
            )
            array = np.where(missing, np.nan, filled)
            array.setflags(write=False)
            fields[name] = array
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
    found = []
    for curve in curves:
        if curve.lags != lags:
            raise ValueError(
                f"{curve.name}: got {curve.lags} lags, need {lags} as in "
                f"{curves[0].name}"
            )
        runs = np.stack([getattr(curve, name).reshape(lags, -1) for name in RUNS])
        there = np.isfinite(runs).all(axis=0)
        values = np.where(there, runs, 0.0).reshape(len(RUNS) * lags, -1)
        found.append(without_trials(np.concatenate([values, there]).T))
    return found


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
        size = (x * x).sum(axis=-1) * (y * y).sum(axis=-1)
        pairs.append(1 - ratio((x * y).sum(axis=-1) ** 2, size))
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
    total = means.sum(axis=-1)
    area = [
        ratio(
            total[..., i] + total[..., i + 1], means[..., i, 0] + means[..., i + 1, 0]
        )
        for i in (0, 2)
    ]
    quotient = ratio(area[1], area[0])
    return np.log(np.where(quotient > 0, quotient, np.nan))


def margin(curve: Float64[np.ndarray, " lags"], shift_margin: float) -> float:
    """Return the distance of shapes that a shift of τ by the margin would make.

    Between an exponential with the curve's centre of mass, and exponentials with a τ
    that is f = exp(shift_margin) times shorter or longer, whichever is nearer. Over all
    times it would be (f − 1)/(f + 1); few lags show less of the difference. NaN for a
    curve that has no centre of mass between its lags.
    """
    lags = np.arange(float(curve.size))
    centre = float(curve @ lags / curve.sum()) if curve.sum() > 0 else math.nan

    def gap(log_tau: float) -> float:
        shape = np.exp(-lags / math.exp(log_tau))
        return float(shape @ lags / shape.sum()) - centre

    shortest, longest = math.log(0.05), math.log(LONGEST * curve.size)
    if not gap(shortest) < 0 < gap(longest):
        return math.nan
    log_tau = float(optimize.brentq(gap, shortest, longest))
    shape = np.exp(-lags / math.exp(log_tau))
    apart = []
    for side in (-1, 1):
        other = np.exp(-lags / math.exp(log_tau + side * shift_margin))
        sizes = float((shape @ shape) * (other @ other))
        apart.append(math.sqrt(max(1 - float(shape @ other) ** 2 / sizes, 0.0)))
    return min(apart)


def _averages(pairs: Float64[np.ndarray, "*lead pairings"]) -> tuple[Sums, Sums]:
    return pairs[..., CROSS].mean(axis=-1), pairs[..., REPEATS].mean(axis=-1)
