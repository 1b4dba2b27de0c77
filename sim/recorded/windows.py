"""Windows of equal length: spikes on a session's clock, cut into trials."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.convert.records.spikes import SpikeTimes

MAX_WINDOWS = 1 << 22
"""Of `consecutive`."""
SLACK = 1e-6
"""By how much clocks may disagree where one window ends and another begins, in s."""


class Windows(NamedTuple):
    """The windows of those trials that can be usable."""

    usable: Bool[np.ndarray, " trial"]
    """Which trials these are."""
    starts: Float64[np.ndarray, " used"]
    """On the session's clock, in seconds."""
    duration: float
    """Of every window, in seconds."""


def span(window: Sequence[float]) -> tuple[float, float]:
    """Return where a window starts and stops, in seconds.

    Raises:
        ValueError: not two finite numbers that ascend.
    """
    start, stop = validation.floats("window", window, (2,), "start, stop").tolist()
    if stop <= start:
        raise ValueError(f"window: got {start} to {stop} s, need a start before a stop")
    return start, stop


def place(
    align: npt.ArrayLike,
    *,
    window: Sequence[float] | None = None,
    stops: npt.ArrayLike | None = None,
) -> Windows:
    """Return the window of every trial that has one.

    Args:
        align: start of every trial, or the event that it is aligned to, in seconds;
            NaN where the event did not happen, such trials are left out.
        window: start and stop from there, in seconds; None for 0 to the length of the
            shortest trial, which needs `stops`.
        stops: end of every trial; trials that end before their window are left out.

    Raises:
        ValueError: neither `window` nor `stops`, or no trial that can be usable.
    """
    array = np.asarray(align)
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise ValueError(
            f"align: got {array.dtype} of shape {array.shape}, need a time in seconds "
            "per trial"
        )
    align = array.astype(np.float64)
    usable = ~np.isnan(align)  # trials in which the event happened
    align[usable] = validation.floats("align", align[usable], (usable.sum(),), "trial")
    # Without stops a trial never ends too early.
    ends = np.full(align.shape, np.inf) if stops is None else np.asarray(stops)
    if ends.shape != align.shape or ends.dtype.kind not in "fiu":
        raise ValueError(
            f"stops: got {ends.dtype} of shape {ends.shape}, need numbers of shape "
            f"{align.shape} (trial)"
        )
    if window is None:
        lengths = (ends - align)[usable & np.isfinite(ends)]
        if not lengths.size:
            raise ValueError(
                "window: got none, need start and stop, or stops of trials"
            )
        window = (0.0, float(lengths.min()))
    start, stop = span(window)
    usable &= align + stop <= ends + SLACK  # and that last until the window's end
    if not usable.any():
        raise ValueError(
            f"window: got {start} to {stop} s, need it within a trial at least; got "
            f"{usable.size} trials that end before or lack the event"
        )
    return Windows(usable, align[usable] + start, stop - start)


def cut(
    neurons: Sequence[npt.ArrayLike],
    starts: npt.ArrayLike,
    duration: float,
    *,
    observed: Bool[np.ndarray, "trial neuron"] | None = None,
    names: Sequence[str] = (),
    source: str = "",
) -> SpikeTimes:
    """Return the spikes within windows of a session; window j is trial j.

    A neuron's trials are those in which it was observed, numbered anew from 0 in the
    same order. Spikes outside every window are left out.

    Args:
        neurons: each neuron's spike times on the session's clock, in seconds.
        starts: of the windows, on the same clock, in any order.
        duration: of every window, in seconds.
        observed: whether each neuron was recorded in each window; None for all in all.
        names: of the neurons.
        source: what recorded them.

    Raises:
        ValueError: no neuron, no window, times that are not finite, or windows that
            overlap, so that one spike would count in two trials.
    """
    starts = validation.floats("starts", starts, (np.size(starts),), "trial")
    duration = validation.number("duration", duration, positive=True)
    shape = starts.size, len(neurons)
    if not all(shape):
        raise ValueError(
            f"windows: got {shape[0]} of {shape[1]} neurons, need one of each at least"
        )
    mask = np.ones(shape, dtype=bool) if observed is None else np.array(observed)
    if mask.shape != shape or mask.dtype != bool:
        raise ValueError(
            f"observed: got {mask.dtype} of shape {mask.shape}, need bool of shape "
            f"{shape} (trial × neuron)"
        )
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    # Neighbours alone: windows are equally long.
    close = np.diff(ordered) < duration - SLACK
    if close.any():
        k = int(np.argmax(close))
        raise ValueError(
            f"starts: got windows of {duration} s at {ordered[k]} and "
            f"{ordered[k + 1]} s, which overlap, need them apart; shorten the window "
            "or choose other trials"
        )
    # Trial j is the neuron's trial number[j], where it was observed in it.
    number = np.cumsum(mask, axis=0) - 1
    parts = [
        _inside(k, train, ordered, order, duration) for k, train in enumerate(neurons)
    ]
    times, trial, neuron = map(np.concatenate, zip(*parts, strict=True))
    recorded = mask[trial, neuron]
    return SpikeTimes(
        times=times[recorded],
        trial=number[trial, neuron][recorded],
        neuron=neuron[recorded],
        trials=mask.sum(axis=0),
        duration=duration,
        names=tuple(names),
        source=source,
    )


def _inside(
    k: int,
    train: npt.ArrayLike,
    ordered: np.ndarray,
    order: np.ndarray,
    duration: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return neuron k's times within windows, their trials, and k as often."""
    train = validation.floats(f"neurons[{k}]", train, (np.size(train),), "spike")
    # Windows do not overlap: a spike can only be in the last that has begun.
    last = np.searchsorted(ordered, train, side="right") - 1
    train, last = train[last >= 0], last[last >= 0]
    since = train - ordered[last]
    inside = since < duration
    trial = order[last[inside]]
    return since[inside], trial, np.full(trial.size, k)


def covered(
    intervals: Float64[np.ndarray, "interval 2"],
    starts: Float64[np.ndarray, " trial"],
    duration: float,
) -> Bool[np.ndarray, " trial"]:
    """Return which windows lie wholly within intervals; those that touch are one."""
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    if not ordered.size:
        return np.zeros(starts.shape, dtype=bool)
    # Intervals may lie within others; what counts is how far all so far have reached.
    ends = np.maximum.accumulate(ordered[:, 1])
    apart = ordered[1:, 0] > ends[:-1] + SLACK
    begins = ordered[np.concatenate(([True], apart)), 0]
    ends = ends[np.concatenate((apart, [True]))]
    last = np.searchsorted(begins, starts + SLACK, side="right") - 1
    within = starts + duration <= ends[last] + SLACK
    return (last >= 0) & within


def consecutive(
    starts: npt.ArrayLike, stops: npt.ArrayLike, duration: float
) -> Float64[np.ndarray, " trial"]:
    """Return the starts of windows that fill each block from its start on.

    For long blocks without trials, such as rest. What is left at a block's end is left
    out; so are blocks that are shorter than a window.

    Raises:
        ValueError: a block that stops before it starts, or too many windows.
    """
    starts = validation.floats("starts", starts, (np.size(starts),), "block")
    stops = validation.floats("stops", stops, starts.shape, "block")
    duration = validation.number("duration", duration, positive=True)
    if (stops < starts).any():
        k = int(np.argmax(stops < starts))
        raise ValueError(
            f"stops: got {stops[k]} s at [{k}], need at least its start, {starts[k]} s"
        )
    # A last window that ends with its block must not be lost to rounding.
    number = np.floor((stops - starts + SLACK) / duration)
    if number.sum() > MAX_WINDOWS:
        raise ValueError(
            f"duration: got {number.sum():.3g} windows of {duration} s, need at most "
            f"{MAX_WINDOWS}; lengthen the window"
        )
    number = number.astype(np.int64)
    # 0, 1, 2, … anew in every block
    first = np.repeat(np.cumsum(number) - number, number)
    within = np.arange(number.sum()) - first
    return np.repeat(starts, number) + within * duration
