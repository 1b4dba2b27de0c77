"""Spike trains of Neo and binned ones of Elephant, one segment per trial.

S. Garcia et al., doi:10.3389/fninf.2014.00010. Neither library is imported: whoever has
their objects has them. Units are converted by the objects themselves.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.recorded.read_arrays import from_counts, from_trials
from isotau.sim.recorded.windows import SLACK, span
from isotau.sim.timescales.records.series import Series


class NeoTrain(NamedTuple):
    """A spike train in seconds."""

    times: Float64[np.ndarray, " spikes"]
    start: float
    stop: float
    name: str


def from_neo(
    segments: Any, *, window: Sequence[float] | None = None, source: str = "neo"
) -> SpikeTimes:
    """Return the spikes of Neo segments, one segment per trial.

    If every train of every segment has a name that is its own there, neurons are the
    names, and a neuron without a train in a segment was not recorded in it. Otherwise
    neurons are the places in the segments' lists, which must be equally long. A neuron
    was recorded in a trial if its train's t_start and t_stop hold the window; trials
    are numbered anew for every neuron.

    Args:
        segments: a block, segments, or a list of spike trains for each trial.
        window: start and stop from the earliest t_start of each segment, in seconds;
            None for all of it, where all segments are equally long.
        source: what recorded them.

    Raises:
        TypeError: no spike trains.
        ValueError: no segment, segments of different lengths, or with different numbers
            of trains that have no names.
    """
    trials = [
        [_train(train, j) for train in getattr(segment, "spiketrains", segment)]
        for j, segment in enumerate(_segments(segments))
    ]
    names = _names(trials)
    # A segment's clock starts with its earliest train, wherever in the session it is.
    zeros = [min((train.start for train in trial), default=0.0) for trial in trials]
    start, stop = span(_whole(trials) if window is None else window)
    neurons: list[list[np.ndarray]] = [[] for _ in names]
    # Without names of their own trains belong together by their place in the segment.
    index = {name: k for k, name in enumerate(names)} if any(names) else {}
    for zero, trial in zip(zeros, trials, strict=True):
        begin = zero + start
        for place, train in enumerate(trial):
            # A train that does not cover the window says nothing of silence in it.
            if train.start <= begin + SLACK and train.stop >= zero + stop - SLACK:
                neurons[index.get(train.name, place)].append(train.times - begin)
    return from_trials(
        neurons,
        window=(0.0, stop - start),
        names=names if any(names) else (),
        source=source,
    )


def from_binned(binned: Iterable[Any]) -> Series:
    """Return the counts of Elephant's `BinnedSpikeTrain`s, one per trial.

    Args:
        binned: objects with `to_array()`, neuron × bin, and `bin_size`.

    Raises:
        TypeError: no such objects.
        ValueError: none, or bins or neurons that differ between trials.
    """
    arrays, widths = [], []
    for j, trial in enumerate(binned):
        if not hasattr(trial, "to_array") or not hasattr(trial, "bin_size"):
            raise TypeError(
                f"binned[{j}]: got {type(trial).__name__}, need to_array() and bin_size"
            )
        arrays.append(np.asarray(trial.to_array()))
        widths.append(_seconds(trial.bin_size, f"binned[{j}].bin_size"))
    shapes = {array.shape for array in arrays}
    # Widths were converted from units of their own, with rounding.
    if len(shapes) != 1 or np.ptp(widths) > SLACK:
        raise ValueError(
            f"binned: got shapes {sorted(shapes)} and bins of {sorted(set(widths))} s, "
            "need one and the same in every trial"
        )
    return from_counts(np.stack(arrays), widths[0])


def _segments(data: Any) -> Sequence[Any]:
    """Return the segments of a block or of a list, or a segment alone."""
    if hasattr(data, "spiketrains"):
        return [data]
    return list(getattr(data, "segments", data))


def _train(train: Any, j: int) -> NeoTrain:
    """Return a spike train of segment j in seconds."""
    label = f"segments[{j}]"
    # Known by what it can do: isotau imports neither Neo nor quantities.
    for need in ("t_start", "t_stop", "rescale"):
        if not hasattr(train, need):
            raise TypeError(
                f"{label}: got {type(train).__name__} without {need}, need Neo's "
                "SpikeTrain"
            )
    times = np.asarray(train.rescale("s").magnitude)
    return NeoTrain(
        validation.floats(label, times, (times.size,), "spike"),
        _seconds(train.t_start, label),
        _seconds(train.t_stop, label),
        str(getattr(train, "name", None) or ""),
    )


def _seconds(quantity: Any, label: str) -> float:
    """Return a quantity of the library `quantities` in seconds."""
    if not hasattr(quantity, "rescale"):
        raise TypeError(
            f"{label}: got {type(quantity).__name__}, need a time with unit"
        )
    return validation.number(label, float(quantity.rescale("s").magnitude))


def _names(trials: Sequence[Sequence[NeoTrain]]) -> tuple[str, ...]:
    """Return the neurons' names in order; empty ones where places count."""
    names_of = [[train.name for train in trial] for trial in trials]
    # One train without a name, or two of one, and no name tells a neuron.
    if all(all(names) and len(set(names)) == len(names) for names in names_of):
        unique = tuple(dict.fromkeys(name for names in names_of for name in names))
        if unique:
            return unique
    lengths = {len(names) for names in names_of}
    if len(lengths) != 1 or not any(lengths):
        raise ValueError(
            f"segments: got {len(names_of)} with {sorted(lengths)} spike trains, need "
            "segments with equally many, or trains with names of their own"
        )
    return ("",) * lengths.pop()


def _whole(trials: Sequence[Sequence[NeoTrain]]) -> tuple[float, float]:
    """Return the window that is every segment's whole length."""
    lengths = [
        max(train.stop for train in trial) - min(train.start for train in trial)
        for trial in trials
        if trial
    ]
    if np.ptp(lengths) > SLACK:  # a spike may lie where another segment has ended
        raise ValueError(
            f"segments: got lengths from {min(lengths)} to {max(lengths)} s, need one; "
            "give a window that all of them hold"
        )
    return 0.0, min(lengths)
