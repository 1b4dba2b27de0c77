"""Spike times and counts as plain NumPy arrays, in memory or in an `.npz`.

    np.savez("cells.npz", times=times, trial=trial, neuron=neuron,
             trials=trials, duration=1.0)

Keys of spike times are the fields of `SpikeTimes`: for every spike its `times` from the
start of the trial in seconds, `trial` and `neuron`, both from 0; for every neuron its
number of `trials`; `duration` of a trial in seconds; optional `names`, one per neuron,
and `source`. Keys of counts: `counts`, trials × units × bins; `bin_width` in seconds;
optional `observed`, trials × units, whether the unit was recorded in the trial.
`join` makes one recording of several sessions.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool

from isotau.convert.ground import validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import atomic
from isotau.convert.ground.npz import read_npz
from isotau.convert.records import spikes as spike_times
from isotau.convert.records.spikes import Spikes, SpikeTimes
from isotau.convert.records.storage import MAX_BYTES, kind_of, load
from isotau.sim.recorded.windows import cut, place, span
from isotau.sim.timescales.records.series import Series

NEEDED = ("times", "trial", "neuron", "trials", "duration")
OPTIONAL = ("names", "source")
COUNTS = ("counts", "bin_width")


def from_trials(
    neurons: Sequence[Sequence[npt.ArrayLike]],
    *,
    window: Sequence[float],
    names: Sequence[str] = (),
    source: str = "",
) -> SpikeTimes:
    """Return spikes that lie cut into trials already.

    Args:
        neurons: for each neuron its trials, for each trial the spike times on the
            trial's own clock, in seconds. Neurons may have different trials.
        window: start and stop on that clock, in seconds; spikes outside are left out.
        names: of the neurons.
        source: what recorded them.

    Raises:
        ValueError: no neuron, a window that does not ascend, times that are not finite.
    """
    start, stop = span(window)
    # An empty part each, so that neurons without trials can be joined too.
    times, places = [np.zeros(0)], [np.zeros((0, 2), dtype=np.int64)]
    for k, trials in enumerate(neurons):
        for j, train in enumerate(trials):
            name = f"neurons[{k}][{j}]"
            train = validation.floats(name, train, (np.size(train),), "spike") - start
            # Half open: a spike at the end belongs to the next window.
            train = train[(train >= 0) & (train < stop - start)]
            times.append(train)
            places.append(np.broadcast_to((j, k), (train.size, 2)))
    trial, neuron = np.concatenate(places).T
    return SpikeTimes(
        times=np.concatenate(times),
        trial=trial,
        neuron=neuron,
        trials=np.array([len(trials) for trials in neurons], dtype=np.int64),
        duration=stop - start,
        names=tuple(names),
        source=source,
    )


def from_session(
    neurons: Sequence[npt.ArrayLike],
    align: npt.ArrayLike,
    *,
    window: Sequence[float] | None = None,
    stops: npt.ArrayLike | None = None,
    observed: Bool[np.ndarray, "trial neuron"] | None = None,
    names: Sequence[str] = (),
    source: str = "",
) -> SpikeTimes:
    """Return the spikes of a whole session, cut into trials.

    A neuron's trials are those used in which it was observed, numbered anew from 0.

    Args:
        neurons: each neuron's spike times on the session's clock, in seconds.
        align: start of every trial, or the event that it is aligned to, on the same
            clock; NaN where the event did not happen, such trials are left out.
        window: start and stop from there, in seconds; None for 0 to the length of the
            shortest trial, which needs `stops`.
        stops: end of every trial; trials that end before their window are left out.
        observed: whether each neuron was recorded in each trial; None for all in all.
        names: of the neurons.
        source: what recorded them.

    Raises:
        ValueError: neither `window` nor `stops`, no trial that can be used, windows
            that overlap, or an array of another shape.
    """
    windows = place(align, window=window, stops=stops)
    if observed is not None:
        observed = np.array(observed)
        # By trials as the caller counts them; `cut` sees those that are used alone.
        if observed.shape != (windows.usable.size, len(neurons)):
            raise ValueError(
                f"observed: got shape {observed.shape}, need "
                f"{(windows.usable.size, len(neurons))} (trial × neuron)"
            )
        observed = observed[windows.usable]
    return cut(
        neurons,
        windows.starts,
        windows.duration,
        observed=observed,
        names=names,
        source=source,
    )


def from_counts(
    counts: npt.ArrayLike,
    bin_width: float,
    *,
    observed: npt.ArrayLike | None = None,
) -> Series:
    """Return binned spikes that lie trials × units × bins.

    Args:
        counts: spikes of each unit in each bin of each trial.
        bin_width: in seconds.
        observed: trials × units, whether the unit was recorded in the trial; None for
            all in all.

    Raises:
        ValueError: another number of axes, or counts that are no whole numbers.
    """
    array = np.asarray(counts)
    for axis in range(3):
        validation.length("counts", array, axis=axis, ndim=3)
    # Counts are read as spikes by all that follows; a rate would pass for them.
    if array.dtype.kind not in "iub" and not np.array_equal(array, np.floor(array)):
        raise ValueError(
            "counts: got numbers with fractions, need whole numbers; for rates use "
            "isotau.sim.timescales.records.series.from_signal"
        )
    return Series(
        values=np.moveaxis(array, 2, 0),
        bin_width=bin_width,
        observed=None if observed is None else np.asarray(observed),
    )


def read_arrays(path: str | os.PathLike[str]) -> SpikeTimes | Series:
    """Return what an `.npz` holds: spike times or counts, or isotau's own records.

    Raises:
        UnreadableFile: no `.npz`, damaged, another kind of record, keys missing or
            unknown, or values that do not fit together.
    """
    kind = kind_of(path)  # empty for what isotau has not written
    if kind == Spikes.__name__:
        return spike_times.from_spikes(load(path, Spikes))
    if kind:
        return load(path, SpikeTimes)
    arrays = read_npz(path, max_bytes=MAX_BYTES)
    required, optional = (
        (COUNTS, ("observed",)) if "counts" in arrays else (NEEDED, OPTIONAL)
    )
    missing = [key for key in required if key not in arrays]
    unknown = [key for key in arrays if key not in (*required, *optional)]
    if missing or unknown:
        raise UnreadableFile(
            f"{path}: got {', '.join(sorted(arrays)) or 'no array'}, need "
            f"{', '.join(required)}; optional {', '.join(optional)}"
        )
    try:
        values: dict[str, Any] = dict(arrays)
        if "counts" in values:
            return from_counts(**values)
        # numpy's own strings, made Python's.
        values["names"] = tuple(map(str, values.get("names", ())))
        return SpikeTimes(**{"source": Path(path).name} | values)
    except (TypeError, ValueError) as error:
        raise UnreadableFile(f"{path}: {error}") from error


def write_arrays(recording: SpikeTimes, path: str | os.PathLike[str]) -> Path:
    """Write spike times as `read_arrays` reads them and return the path.

    Unlike the file of `isotau.save` it can be made and read with NumPy alone.
    """
    members: dict[str, Any] = {key: getattr(recording, key) for key in NEEDED}
    members["source"] = recording.source
    if recording.names:  # an empty array of texts would have no width
        members["names"] = np.array(recording.names)
    with atomic(path) as stream:
        np.savez_compressed(stream, **members)
    return Path(path)


def join(recordings: Sequence[SpikeTimes]) -> SpikeTimes:
    """Return the neurons of all recordings in one, in order.

    Names are kept if all recordings have them; the sources stand side by side.

    Raises:
        ValueError: no recording, or windows of different lengths.
    """
    # Windows of sessions are differences of clocks: the last bits differ.
    durations = [recording.duration for recording in recordings]
    if not durations or not np.allclose(durations, durations[0], rtol=1e-9, atol=0):
        raise ValueError(
            f"duration: got {sorted(set(durations))} s, need one for all recordings"
        )
    sizes = [recording.n for recording in recordings]
    before = np.cumsum([0, *sizes[:-1]])
    named = all(recording.names for recording in recordings)
    neurons = [k + r.neuron for k, r in zip(before, recordings, strict=True)]
    return SpikeTimes(
        times=np.concatenate([r.times for r in recordings]),
        trial=np.concatenate([r.trial for r in recordings]),
        neuron=np.concatenate(neurons),
        trials=np.concatenate([r.trials for r in recordings]),
        # The longest, so that every spike lies within it.
        duration=max(durations),
        names=sum((r.names for r in recordings), ()) if named else (),
        source="; ".join(dict.fromkeys(r.source for r in recordings)),
    )


def cut_window(
    source: SpikeTimes | Series, start: float | None, stop: float | None
) -> SpikeTimes:
    """Return what lies between two times of every trial, in seconds.

    Raises:
        ValueError: times outside the trial, or counts in place of spike times.
    """
    if isinstance(source, Series):
        raise ValueError("window: got counts, need spike times to cut them")
    low = 0.0 if start is None else start
    high = source.duration if stop is None else stop
    if not 0 <= low < high <= source.duration * (1 + 1e-9):
        raise ValueError(
            f"window: got {low:g} to {high:g} s, need 0 to {source.duration:g} s"
        )
    return from_trials(
        [spike_times.of_neuron(source, k) for k in range(source.n)],
        window=(low, high),
        names=source.names,
        source=source.source,
    )
