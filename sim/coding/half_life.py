"""How long a decoder that was trained once goes on decoding."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.isotonic import isotonic_regression

from isotau.convert import validation
from isotau.sim.coding.decoding import CHANCE


class Fall(str, Enum):
    """Whether a decoding curve has a half-life, or why it has none."""

    OK = "ok"
    NEVER = "never falls to half"
    """Not until the longest lag; the half-life is longer."""
    NO_CODE = "not above chance"
    """The decoder is not even right when it is trained."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HalfLife:
    """The lag at which accuracy above chance has fallen to half.

    Attributes:
        value: in seconds; NaN unless the status is "ok".
        low: lower end of the interval; NaN where nothing can be resampled.
        high: upper end; infinite where the longest lag does not bound it.
        status: whether there is one.
        lags: of the curves, in seconds.
        accuracy: mean over rows at each lag.
        fitted: the falling curve nearest to it, from which the half-life is read.
        accuracy_low: lower end of the accuracy's interval at each lag.
        accuracy_high: upper end.
        chance: accuracy where there is no code.
        rows: how many were resampled: networks, or trials.
        level: of the intervals.
    """

    value: float
    low: float
    high: float
    status: Fall
    lags: Float64[np.ndarray, " lags"]
    accuracy: Float64[np.ndarray, " lags"]
    fitted: Float64[np.ndarray, " lags"]
    accuracy_low: Float64[np.ndarray, " lags"]
    accuracy_high: Float64[np.ndarray, " lags"]
    chance: float
    rows: int
    level: float

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        lags = validation.length("lags", self.lags, ndim=1)
        if (self.status is Fall.OK) != np.isfinite(self.value):
            raise ValueError(
                f"value: got {self.value} with status {self.status.value!r}, need a "
                "number where the status is 'ok' and NaN elsewhere"
            )
        fields: dict[str, Any] = {
            name: validation.floats(name, getattr(self, name), (lags,), "lag")
            for name in ("lags", "accuracy", "fitted", "accuracy_low", "accuracy_high")
        }
        validation.freeze(self, fields)


def half_life(
    curves: Float64[np.ndarray, "rows lags"],
    lags: Float64[np.ndarray, " lags"],
    *,
    rng: np.random.Generator,
    chance: float = CHANCE,
    resamples: int = 1000,
    level: float = 0.95,
) -> HalfLife:
    """Return when the mean curve, less chance, has fallen to half of what it starts at.

    The curve is first replaced by the nearest one that never rises (isotonic
    regression), so that noise makes no early crossing; between lags it is a line.
    Intervals are percentiles over resampled rows, expanded for few rows (T. Hesterberg
    2015, doi:10.1080/00031305.2015.1089789). There is a code if the interval of
    the accuracy at lag 0 lies above chance; resamples without one tell nothing of its
    half-life, and those that never fall count as infinite.

    Accuracy ends at 1, so more units that hold alike have a longer half-life: compare
    groups of one size.

    Args:
        curves: accuracy of each network, or of each trial of one network, by lag.
        lags: from 0 up, in seconds.
        rng: draws the rows.
        chance: accuracy without a code.
        resamples: how many.
        level: of the intervals.

    Raises:
        ValueError: fewer than two lags, or lags that do not start at 0 and rise; a
            level outside 0 to 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: got {level}, need a number between 0 and 1")
    count = validation.length("lags", lags, ndim=1)
    if count < 2 or lags[0] != 0 or (np.diff(lags) <= 0).any():
        raise ValueError(
            f"lags: got {np.asarray(lags)}, need two or more, rising from 0"
        )
    rows = validation.length("curves", curves)
    curves = validation.floats("curves", curves, (rows, count), "row × lag")
    resamples = validation.whole("resamples", resamples, 1, 1 << 20)
    mean = curves.mean(axis=0)
    fitted = _falling(mean)
    ends = _ends(level, rows)
    if rows > 1:
        drawn = curves[rng.integers(rows, size=(resamples, rows))].mean(axis=1)
    else:
        drawn = mean[None]
    bounds = np.quantile(drawn, ends, axis=0)
    found = _crossing(fitted, lags, chance)
    status = Fall.NEVER if np.isinf(found) else Fall.OK
    if not bounds[0, 0] > chance or np.isnan(found):
        status = Fall.NO_CODE
    low, high = np.nan, np.nan
    if status is not Fall.NO_CODE and rows > 1:
        lives = np.array([_crossing(_falling(one), lags, chance) for one in drawn])
        lives = lives[~np.isnan(lives)]
        # Interpolation between infinities would be NaN.
        low, high = (float(np.quantile(lives, q, method="inverted_cdf")) for q in ends)
    return HalfLife(
        value=found if status is Fall.OK else np.nan,
        low=low,
        high=high,
        status=status,
        lags=np.asarray(lags),
        accuracy=mean,
        fitted=fitted,
        accuracy_low=bounds[0],
        accuracy_high=bounds[1],
        chance=chance,
        rows=rows,
        level=level,
    )


def _ends(level: float, rows: int) -> np.ndarray:
    """Return which quantiles of the resamples make an interval of this level."""
    if rows < 2:
        return np.array([0.5, 0.5])
    reach = np.sqrt(rows / (rows - 1)) * student.isf((1 - level) / 2, rows - 1)
    return norm.cdf([-reach, reach])


def _falling(curve: np.ndarray) -> np.ndarray:
    """Return the curve nearest to this one (least squares) that never rises."""
    return np.asarray(isotonic_regression(curve, increasing=False), dtype=np.float64)


def _crossing(fitted: np.ndarray, lags: np.ndarray, chance: float) -> float:
    """Return the lag of half the start; inf if never, NaN if it starts at chance."""
    if fitted[0] <= chance:
        return np.nan
    half = chance + (fitted[0] - chance) / 2
    below = np.flatnonzero(fitted <= half)
    if not below.size:
        return np.inf
    k = int(below[0])
    share = (fitted[k - 1] - half) / (fitted[k - 1] - fitted[k])
    return float(lags[k - 1] + share * (lags[k] - lags[k - 1]))
