"""Decoding: trained at one time, tested at every time in trials that were held out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Float64
from sklearn import config_context
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from isotau.convert import validation
from isotau.sim.coding.responses import Responses, choose

CHANCE = 0.5
FOLDS = 5


@runtime_checkable
class Classifier(Protocol):
    """What scikit-learn's classifiers of two classes can do."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Any:
        """Learn to tell y from x, trial × unit."""

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        """Return a number per row of x, above 0 for class 1."""


def shrinkage_lda() -> Classifier:
    """Return linear discriminant analysis with Ledoit and Wolf's covariance.

    doi:10.1016/S0047-259X(03)00096-4; it needs no choice of a penalty and does with
    fewer trials than units.
    """
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def logistic() -> Classifier:
    """Return logistic regression with scikit-learn's penalty (C = 1)."""
    return LogisticRegression(max_iter=2000)


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
    classifier: Callable[[], Classifier] = shrinkage_lda,
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
        classifier: makes a fresh one.

    Raises:
        ValueError: fewer trials of a condition than folds; no unit; no sample in
            `train`.
    """
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
            held = fold == k
            truth = 2 * responses.condition[held] - 1
            tests = rates[:, held].reshape(-1, rates.shape[2])
            for row, t in enumerate(trained):
                one = classifier()
                # Its checks would take longer than the fit.
                with config_context(assume_finite=True, skip_parameter_validation=True):
                    one.fit(rates[t, ~held], responses.condition[~held])
                    said = one.decision_function(tests).reshape(samples, -1)
                # A decoder that cannot tell is right in half of the cases.
                right[row, :, held] += (0.5 + 0.5 * np.sign(said * truth)).T
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
    rows = _between(decoding.trained, (train[0], min(train[1], stop)))
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
        ours = np.flatnonzero(responses.condition == condition)
        order = rng.permutation(ours)
        order = order[np.argsort(responses.labels[order], kind="stable")]
        fold[order] = np.arange(order.size) % folds
    return fold
