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
from isotau.sim.recorded.read_arrays import from_counts
from isotau.sim.recorded.windows import SLACK, span
from isotau.sim.timescales.records.series import Series


class Train(NamedTuple):
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
    zeros = [min((train.start for train in trial), default=0.0) for trial in trials]
    start, stop = span(_whole(trials) if window is None else window)
    times, where = [np.zeros(0)], [np.zeros((0, 2), dtype=np.int64)]
    number = np.zeros(len(names), dtype=np.int64)
    index = {name: k for k, name in enumerate(names)} if any(names) else {}
    for zero, trial in zip(zeros, trials, strict=True):
        for place, train in enumerate(trial):
            k = index.get(train.name, place)
            begin = zero + start
            if train.start > begin + SLACK or train.stop < zero + stop - SLACK:
                continue
            since = train.times - begin
            since = since[(since >= 0) & (since < stop - start)]
            times.append(since)
            where.append(np.broadcast_to((number[k], k), (since.size, 2)))
            number[k] += 1
    trial_of, neuron = np.concatenate(where).T
    return SpikeTimes(
        times=np.concatenate(times),
        trial=trial_of,
        neuron=neuron,
        trials=number,
        duration=stop - start,
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
    for j, one in enumerate(binned):
        if not hasattr(one, "to_array") or not hasattr(one, "bin_size"):
            raise TypeError(
                f"binned[{j}]: got {type(one).__name__}, need to_array() and bin_size"
            )
        arrays.append(np.asarray(one.to_array()))
        widths.append(_seconds(one.bin_size, f"binned[{j}].bin_size"))
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or np.ptp(widths) > SLACK:
        raise ValueError(
            f"binned: got shapes {sorted(shapes)} and bins of {sorted(set(widths))} s, "
            "need one and the same in every trial"
        )
    return from_counts(np.stack(arrays), widths[0])


def _segments(given: Any) -> Sequence[Any]:
    """Return the segments of a block, or of a list, or the one given."""
    if hasattr(given, "spiketrains"):
        return [given]
    return list(getattr(given, "segments", given))


def _train(train: Any, j: int) -> Train:
    """Return a spike train of segment j in seconds."""
    label = f"segments[{j}]"
    for need in ("t_start", "t_stop", "rescale"):
        if not hasattr(train, need):
            raise TypeError(
                f"{label}: got {type(train).__name__} without {need}, need Neo's "
                "SpikeTrain"
            )
    times = np.asarray(train.rescale("s").magnitude)
    return Train(
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


def _names(trials: Sequence[Sequence[Train]]) -> tuple[str, ...]:
    """Return the neurons' names in order; empty ones where places count."""
    each = [[train.name for train in trial] for trial in trials]
    if all(all(names) and len(set(names)) == len(names) for names in each):
        named = tuple(dict.fromkeys(name for names in each for name in names))
        if named:
            return named
    lengths = {len(names) for names in each}
    if len(lengths) != 1 or not any(lengths):
        raise ValueError(
            f"segments: got {len(each)} with {sorted(lengths)} spike trains, need "
            "segments with equally many, or trains with names of their own"
        )
    return ("",) * lengths.pop()


def _whole(trials: Sequence[Sequence[Train]]) -> tuple[float, float]:
    """Return the window that is every segment's whole length."""
    lengths = [
        max(train.stop for train in trial) - min(train.start for train in trial)
        for trial in trials
        if trial
    ]
    if np.ptp(lengths) > SLACK:
        raise ValueError(
            f"segments: got lengths from {min(lengths)} to {max(lengths)} s, need one; "
            "give a window that all of them hold"
        )
    return 0.0, min(lengths)
