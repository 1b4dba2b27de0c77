"""Decoding: trained at one time, tested at every time in trials that were held out.

How long a decoder that was trained once goes on decoding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy.optimize import isotonic_regression
from scipy.stats import norm
from scipy.stats import t as student
from sklearn import config_context
from sklearn.linear_model import LogisticRegression

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.coding.responses import Responses, choose
from isotau.sim.coding.shrinkage_lda import ShrinkageLDA

CHANCE = 0.5
FOLDS = 5


@runtime_checkable
class Classifier(Protocol):
    """What a classifier of two classes can do, scikit-learn's for one."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Any:
        """Learn to tell y from x, trial × unit."""

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        """Return a number per row of x, above 0 for class 1."""


def logistic() -> Classifier:
    """Return logistic regression with scikit-learn's penalty (C = 1)."""
    return LogisticRegression(max_iter=2000)


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Decoding:
    """How often decoders were right, by when they were trained and tested.

    Attributes:
        right: training time × test time × trial: the share of repeats in which the
            trial, held out, was decoded rightly.
        trained: times of training, some of `times`.
        times: of the tests, in seconds.
        units: that were decoded from.
    """

    right: Float32[np.ndarray, "trained samples batch"]
    trained: Float64[np.ndarray, " trained"]
    times: Float64[np.ndarray, " samples"]
    units: int

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        samples = validation.length("times", self.times, ndim=1)
        rows = validation.length("trained", self.trained, ndim=1)
        right = np.array(self.right, dtype=np.float32)
        if right.ndim != 3 or right.shape[:2] != (rows, samples):
            raise ValueError(
                f"right: got shape {right.shape}, need {(rows, samples)} × trial"
            )
        right.setflags(write=False)
        fields = {
            "right": right,
            "trained": validation.floats("trained", self.trained, (rows,), "sample"),
            "times": validation.floats("times", self.times, (samples,), "sample"),
            "units": validation.whole("units", self.units, 1, 2**31 - 1),
        }
        validation.freeze(self, fields)


def decode(
    responses: Responses,
    chosen: Bool[np.ndarray, " n"] | None = None,
    *,
    rng: np.random.Generator,
    folds: int = FOLDS,
    repeats: int = 1,
    train: tuple[float, float] = (-np.inf, np.inf),
    classifier: Callable[[], Classifier] = ShrinkageLDA,
) -> Decoding:
    """Return how rightly the condition of held-out trials is decoded.

    Trials are dealt to folds label by label. For each fold and time a classifier is
    trained on the other folds at that time and tested on this fold at all times.
    Chance is 0.5 where there are as many trials of both conditions (`balance`).

    Args:
        responses: of one network.
        chosen: which units to decode from; None for all.
        rng: deals the trials.
        folds: at least 2.
        repeats: with other folds each.
        train: first and last time of training (not included), in seconds.
        classifier: makes a fresh one; by default linear discriminant analysis with
            Ledoit and Wolf's covariance, which needs no choice of a penalty and does
            with fewer trials than units.

    Raises:
        ValueError: fewer trials of a condition than folds; no unit; no sample in
            `train`.
    """
    # (M7)
    mask = choose(responses.n, chosen)
    few = int(np.bincount(responses.condition).min())
    folds = validation.whole("folds", folds, 2, 1 << 20)
    if few < folds:
        raise ValueError(
            f"folds: got {folds} for {few} trials of a condition, need at most as many"
        )
    if not mask.any():
        raise ValueError("chosen: got no unit, need at least one")
    repeats = validation.whole("repeats", repeats, 1, 1 << 20)
    rates = responses.rates[:, :, mask].astype(np.float64)
    samples, batch, _ = rates.shape
    trained = _between(responses.times, train)
    right = np.zeros((trained.size, samples, batch), dtype=np.float32)
    for _ in range(repeats):
        fold = _deal(responses, folds, rng)
        for k in range(folds):
            # Held out is the trial with all its times: neighbouring samples of one
            # trial share their spikes.
            held = fold == k
            truth = 2 * responses.condition[held] - 1
            tests = rates[:, held].reshape(-1, rates.shape[2])
            for row, t in enumerate(trained):
                decoder = classifier()
                # Its checks would take longer than the fit.
                with config_context(assume_finite=True, skip_parameter_validation=True):
                    decoder.fit(rates[t, ~held], responses.condition[~held])
                    side = decoder.decision_function(tests).reshape(samples, -1)
                # A decoder that cannot tell is right in half of the cases.
                right[row, :, held] += (0.5 + 0.5 * np.sign(side * truth)).T
    return Decoding(
        right=right / repeats,
        trained=responses.times[trained],
        times=responses.times,
        units=int(mask.sum()),
    )


def accuracy(decoding: Decoding) -> Float64[np.ndarray, "trained samples"]:
    """Return the share of trials decoded rightly, training time × test time."""
    return decoding.right.mean(axis=2, dtype=np.float64)


def by_lag(
    decoding: Decoding, train: tuple[float, float], stop: float
) -> tuple[Float64[np.ndarray, "batch lags"], Float64[np.ndarray, " lags"]]:
    """Return each trial's share of right decodings after every lag, and the lags.

    Averaged over the training times in a window; tests after `stop` do not count, so
    the longest lags come from the earliest training times alone.

    Args:
        decoding: of one network.
        train: first and last training time (not included), in seconds.
        stop: end of the tests (not included), such as the end of the delay.

    Raises:
        ValueError: no training time, or none before `stop`.
    """
    times = decoding.times
    # Training times after `stop` could be tested at none.
    rows = _between(decoding.trained, (train[0], min(train[1], stop)))
    # From training times to their places among the tests.
    at = np.searchsorted(times, decoding.trained[rows] - 1e-9)
    last = int(np.searchsorted(times, stop - 1e-9)) - 1
    pairs = list(zip(rows, at, strict=True))
    curves = [
        np.mean(
            [decoding.right[k, t + lag] for k, t in pairs if t + lag <= last], axis=0
        )
        for lag in range(last - int(at[0]) + 1)
    ]
    step = times[1] - times[0] if times.size > 1 else 0.0
    return np.array(curves, dtype=np.float64).T, step * np.arange(len(curves))


def _between(times: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Return the indices of the times in a window, its end not included."""
    inside = (times >= window[0] - 1e-9) & (times < window[1] - 1e-9)
    if not inside.any():
        raise ValueError(
            f"train: got no sample in {window[0]:g} to {window[1]:g} s, need some of "
            f"{times[0]:g} to {times[-1]:g} s"
        )
    return np.flatnonzero(inside)


def _deal(responses: Responses, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return each trial's fold; label by label, in random order, going round.

    Where one condition ends the next goes on, so that folds are about equally large.
    """
    assert responses.labels is not None
    fold = np.empty(responses.labels.size, dtype=np.int64)
    for condition in (0, 1):
        order = rng.permutation(np.flatnonzero(responses.condition == condition))
        # Stable: within a label the random order stays.
        order = order[np.argsort(responses.labels[order], kind="stable")]
        fold[order] = np.arange(order.size) % folds
    return fold


class Fall(str, Enum):
    """Whether a decoding curve has a half-life, or why it has none."""

    OK = "ok"
    NEVER = "never falls to half"
    """Not until the longest lag; the half-life is longer."""
    NO_CODE = "not above chance"
    """The decoder is not even right when it is trained."""


@short_repr
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
    # (M8)
    mean = curves.mean(axis=0)
    fitted = _falling(mean)
    ends = _ends(level, rows)
    # (M9): a single row has no spread to resample.
    if rows > 1:
        resampled = curves[rng.integers(rows, size=(resamples, rows))].mean(axis=1)
    else:
        resampled = mean[None]
    bounds = np.quantile(resampled, ends, axis=0)
    value = _crossing(fitted, lags, chance)
    status = Fall.NEVER if np.isinf(value) else Fall.OK
    # A curve that starts at chance falls to half of nothing.
    if not bounds[0, 0] > chance or np.isnan(value):
        status = Fall.NO_CODE
    low, high = np.nan, np.nan
    if status is not Fall.NO_CODE and rows > 1:
        lives = np.array(
            [_crossing(_falling(curve), lags, chance) for curve in resampled]
        )
        lives = lives[~np.isnan(lives)]
        # Interpolation between infinities would be NaN.
        low, high = (float(np.quantile(lives, q, method="inverted_cdf")) for q in ends)
    return HalfLife(
        value=value if status is Fall.OK else np.nan,
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
    # The bootstrap is too narrow by √((n − 1)/n), and normal where it should be t.
    reach = np.sqrt(rows / (rows - 1)) * student.isf((1 - level) / 2, rows - 1)
    return norm.cdf([-reach, reach])


def _falling(curve: np.ndarray) -> np.ndarray:
    """Return the curve nearest to this one (least squares) that never rises."""
    return np.asarray(isotonic_regression(curve, increasing=False).x, dtype=np.float64)


def _crossing(fitted: np.ndarray, lags: np.ndarray, chance: float) -> float:
    """Return the lag of half the start; inf if never, NaN if it starts at chance."""
    if fitted[0] <= chance:
        return np.nan
    half = chance + (fitted[0] - chance) / 2
    below = np.flatnonzero(fitted <= half)
    if not below.size:
        return np.inf
    # The curve falls from above half to below it between k − 1 and k.
    k = int(below[0])
    share = (fitted[k - 1] - half) / (fitted[k - 1] - fitted[k])
    return float(lags[k - 1] + share * (lags[k] - lags[k - 1]))
