"""`Responses`: smoothed rates of one network in trials of two conditions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.signal.windows import gaussian
from scipy.sparse import coo_matrix, csr_matrix

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.spikes import Spikes, unpack

WIDTH, ALPHA, EVERY = 0.05, 2.5, 0.005
MOST_CELLS = 1 << 25
"""Steps × trials × neurons that are unpacked at a time."""


class Contrast(NamedTuple):
    """Labels of the trials of two conditions that are to be told apart."""

    first: tuple[int, ...]
    second: tuple[int, ...]


MATCHES = Contrast((0,), (3,))
"""The sign of the first stimulus in trials of `isotau.sim.tasks.dms` that match."""
FIRST_STIMULUS = Contrast((0, 1), (2, 3))
"""The same in all trials, where the second stimulus tells nothing of the first."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Responses:
    """What the units of one network did in trials of two conditions.

    Attributes:
        rates: samples × batch × unit, in Hz for spikes; any unit will do.
        condition: of each trial, 0 or 1; at least two trials of each.
        labels: of each trial, finer than the condition; where trials are split, each
            part gets as many of every label as can be. Left out, it is the condition.
        dt: time between samples, in seconds.
        start: time of the first sample, from the start of the trial, in seconds.
    """

    rates: Float32[np.ndarray, "samples batch n"]
    condition: Int64[np.ndarray, " batch"]
    dt: float
    labels: Int64[np.ndarray, " batch"] | None = None
    start: float = 0.0

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        for axis in range(3):
            validation.length("rates", self.rates, axis=axis, ndim=3)
        # float32: rates of hundreds of units at hundreds of samples are the largest
        # array of the analysis, and a Hz has no seven digits.
        rates = np.array(self.rates, dtype=np.float32)
        if not np.isfinite(rates).all():
            where = list(validation.first(~np.isfinite(rates)))
            raise ValueError(f"rates: got no finite number at {where}, need one")
        rates.setflags(write=False)
        batch = (rates.shape[1],)
        condition = validation.integers(
            "condition", self.condition, batch, "trial", dtype=np.int64, low=0, high=1
        )
        # Each half of the trials needs one of each condition.
        few = int(np.bincount(condition, minlength=2).min())
        if few < 2:
            raise ValueError(
                f"condition: got {few} trials of one of the two, need at least 2; show "
                "more trials"
            )
        labels = condition if self.labels is None else self.labels
        fields = {
            "rates": rates,
            "condition": condition,
            "dt": validation.number("dt", self.dt, positive=True),
            "labels": validation.integers(
                "labels",
                labels,
                batch,
                "trial",
                dtype=np.int64,
                low=-(2**31),
                high=2**31 - 1,
            ),
            "start": validation.number("start", self.start),
        }
        validation.freeze(self, fields)

    @property
    def n(self) -> int:
        """Number of units."""
        return self.rates.shape[2]

    @property
    def times(self) -> Float64[np.ndarray, " samples"]:
        """Time of each sample, from the start of the trial, in seconds."""
        return self.start + self.dt * np.arange(self.rates.shape[0])


def smooth(
    spikes: Spikes,
    *,
    width: float = WIDTH,
    alpha: float = ALPHA,
    every: float = EVERY,
) -> Float32[np.ndarray, "samples batch n"]:
    """Return spike trains seen through a Gaussian window of the past, in Hz.

    Sample j sums the spikes of the `width` seconds that end with step j · every/dt,
    weighted by exp(−½ (α x)²), x from −1 to 1 along the window: spikes at its centre
    count most, so rates are late by half of it. By default the window of Kim &
    Sejnowski 2021, doi:10.1038/s41593-020-00753-w, and their analysis script: 50 ms,
    α = 2.5 (a standard deviation of 10 ms), a sample every 5 ms from the first step on.

    Args:
        spikes: of any trials.
        width: of the window, in seconds.
        alpha: half of it in standard deviations.
        every: between samples, in seconds; a whole number of steps.

    Raises:
        ValueError: `every` is no whole number of steps.
    """
    length = max(1, round(validation.number("width", width, positive=True) / spikes.dt))
    stride = round(validation.number("every", every, positive=True) / spikes.dt)
    alpha = validation.number("alpha", alpha, positive=True)
    if stride < 1 or abs(stride * spikes.dt - every) > 1e-9 * every:
        raise ValueError(
            f"every: got {every} s, need a whole multiple of the spikes' {spikes.dt} s"
        )
    # (M1): the window of the past, of a sum that turns counts into Hz.
    window = gaussian(length, max(length - 1, 1) / (2 * alpha))
    past = _past(window / (window.sum() * spikes.dt), spikes.steps, stride)
    rates = np.empty((past.shape[0], spikes.batch, spikes.n), dtype=np.float32)
    # A few trials at a time: unpacked spikes take eight times their bytes and more.
    size = max(1, MOST_CELLS // (spikes.steps * spikes.n))
    for k in range(0, spikes.batch, size):
        raster = unpack(spikes.bits[:, k : k + size], spikes.n)
        windowed = past @ raster.reshape(spikes.steps, -1).astype(np.float32)
        rates[:, k : k + size] = windowed.reshape(past.shape[0], -1, spikes.n)
    return rates


def respond(
    spikes: Spikes,
    labels: Int64[np.ndarray, " batch"],
    contrast: Contrast = MATCHES,
    *,
    width: float = WIDTH,
    alpha: float = ALPHA,
    every: float = EVERY,
) -> Responses:
    """Return the smoothed rates in the trials whose label is in the contrast.

    Args:
        spikes: of trials.
        labels: of those trials, as in `Trials.labels`.
        contrast: which labels make the two conditions; other trials are left out.
        width: see `smooth`.
        alpha: see `smooth`.
        every: see `smooth`.

    Raises:
        ValueError: not one label per trial; a condition of fewer than two trials; a
            label in both conditions.
    """
    labels = np.asarray(labels)
    if labels.shape != (spikes.batch,):
        raise ValueError(
            f"labels: got shape {labels.shape}, need {(spikes.batch,)}, one per trial"
        )
    shared = sorted(set(contrast.first) & set(contrast.second))
    # A trial in both conditions would be told apart from itself.
    if shared:
        raise ValueError(
            f"contrast: got label {shared[0]} in both conditions, need one"
        )
    contrasted = np.isin(labels, contrast.first + contrast.second)
    # Other trials are left out before smoothing, which takes the time here.
    trials = Spikes(
        bits=spikes.bits[:, contrasted], n=spikes.n, dt=spikes.dt, engine=spikes.engine
    )
    if not contrasted.any():
        raise ValueError(
            f"labels: got none of {contrast.first + contrast.second}, need trials of "
            "both conditions"
        )
    return Responses(
        rates=smooth(trials, width=width, alpha=alpha, every=every),
        condition=np.isin(labels[contrasted], contrast.second).astype(np.int64),
        labels=labels[contrasted],
        dt=every,
    )


def between(
    responses: Responses, start: float, stop: float, *, every: float | None = None
) -> Responses:
    """Return the samples with start ≤ t < stop alone, one every so many seconds.

    Raises:
        ValueError: no sample lies there; `every` is no whole number of samples.
    """
    # Sample times are sums of steps: an edge meets them up to rounding.
    times, rounding = responses.times, 1e-6 * responses.dt
    inside = np.flatnonzero((times >= start - rounding) & (times < stop - rounding))
    if not inside.size:
        raise ValueError(
            f"start, stop: got {start} to {stop} s, need some of the samples' "
            f"{times[0]:g} to {times[-1]:g} s"
        )
    stride = 1 if every is None else round(every / responses.dt)
    if every is not None and (
        stride < 1 or abs(stride * responses.dt - every) > 1e-9 * every
    ):
        raise ValueError(
            f"every: got {every} s, need a whole multiple of the samples' "
            f"{responses.dt} s"
        )
    samples = inside[::stride]
    return replace(
        responses,
        rates=responses.rates[samples],
        dt=stride * responses.dt,
        start=float(times[samples[0]]),
    )


def balance(responses: Responses, rng: np.random.Generator) -> Responses:
    """Return as many trials of every label, chosen at random, in their old order.

    With the labels of all four pairs of stimuli, the second stimulus and the answer
    then tell nothing of the first.
    """
    assert responses.labels is not None
    labels, counts = np.unique(responses.labels, return_counts=True)
    trials = [
        rng.choice(np.flatnonzero(responses.labels == label), counts.min(), False)
        for label in labels
    ]
    # In their old order: odd and even trials stay what they were.
    return take(responses, np.sort(np.concatenate(trials)))


def take(
    responses: Responses, trials: Int64[np.ndarray, " some"] | Sequence[int]
) -> Responses:
    """Return some of the trials, in the order given."""
    assert responses.labels is not None
    index = np.asarray(trials)
    return replace(
        responses,
        rates=responses.rates[:, index],
        condition=responses.condition[index],
        labels=responses.labels[index],
    )


def mean_rates(responses: Responses) -> Float64[np.ndarray, " n"]:
    """Return each unit's mean over samples and trials."""
    return responses.rates.mean(axis=(0, 1), dtype=np.float64)


def choose(n: int, chosen: Bool[np.ndarray, " n"] | None) -> Bool[np.ndarray, " n"]:
    """Return which of n units are chosen: all of them where `chosen` is None.

    Raises:
        ValueError: not one true or false per unit.
    """
    if chosen is None:
        return np.ones(n, dtype=bool)
    mask = np.asarray(chosen)
    if mask.shape != (n,) or mask.dtype != bool:
        raise ValueError(
            f"chosen: got {mask.dtype} of shape {mask.shape}, need bool of shape "
            f"{(n,)}, one per unit"
        )
    return mask


def _past(weights: np.ndarray, steps: int, stride: int) -> csr_matrix:
    """Return the matrix that sums each sample's window, samples × steps."""
    last = np.arange(0, steps, stride)
    back = np.arange(weights.size)
    # What lies before the first step counts as silence.
    step = last[:, None] - back
    row, column = np.nonzero(step >= 0)
    values = weights[column].astype(np.float32)
    return coo_matrix(
        (values, (row, step[row, column])), shape=(last.size, steps)
    ).tocsr()
