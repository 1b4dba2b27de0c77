"""Files of the Constantinidis lab: MATLAB structs, one file per neuron.

`MatData.class(i).ntr(j)` is trial j of stimulus class i, with its spike times `TS` and
the onsets `Cue_onT`, `Sample_onT` … in seconds from the trial's beginning. CRCNS pfc-3
is such data, doi:10.6080/K0ZW1HVD; R. Kim & T. J. Sejnowski measured timescales of it,
doi:10.1038/s41593-020-00753-w.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import read_structs
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.recorded.read_arrays import from_trials
from isotau.sim.recorded.windows import SLACK, span

VARIABLE = "MatData"
EPOCHS = {
    "fixation": ("Cue_onT", (-1.0, 0.0)),
    "delay": ("Sample_onT", (-1.5, 0.0)),
}
"""The last second before the cue, and the first delay: event, and window from there."""
File: TypeAlias = str | os.PathLike[str]


class NeuronTrial(NamedTuple):
    """A trial of one neuron."""

    number: float
    """In the session; NaN where the file does not tell."""
    times: np.ndarray
    """Of the spikes, in seconds from the event."""


def read_constantinidis(
    paths: File | Iterable[File],
    *,
    epoch: str = "fixation",
    align: str | None = None,
    window: Sequence[float] | None = None,
    classes: Collection[int] | None = None,
) -> SpikeTimes:
    """Return one epoch of the trials of neurons recorded one by one.

    A trial counts if its event happened and its window does not begin before the trial
    does. Trials are not chosen by how much the neuron fired in them, which would
    change what is measured. Their order is that of `trialnum`, or the file's.

    Args:
        paths: of the files, or one folder for all `.mat` files in it, by name.
        epoch: "fixation", the second before the cue, or "delay", the 1.5 s before the
            sample.
        align: field with the event in place of the epoch's.
        window: start and stop from the event, in seconds, in place of the epoch's.
        classes: stimulus classes to take, counted from 1; None for all.

    Raises:
        UnreadableFile: a file is damaged or has no such structs.
        ValueError: no file, or an epoch or window that is none.
    """
    files = _files(paths)
    event, epoch_window = EPOCHS[validation.choice("epoch", epoch, tuple(EPOCHS))]
    event, (start, stop) = align or event, span(window or epoch_window)
    neurons = [
        [trial.times for trial in _trials(file, event, start, classes)]
        for file in files
    ]
    return from_trials(
        neurons,
        window=(start, stop),
        names=[file.stem for file in files],
        source=f"{epoch if window is None else 'window'} from {event}",
    )


def _files(paths: File | Iterable[File]) -> list[Path]:
    """Return the files meant, in order."""
    if isinstance(paths, str | os.PathLike):
        path = Path(paths)
        files = sorted(path.glob("*.mat")) if path.is_dir() else [path]
    else:
        files = [Path(path) for path in paths]
    if not files:
        raise ValueError(f"paths: got {paths} without a .mat file, need one at least")
    return files


def _trials(
    path: Path, event: str, start: float, classes: Collection[int] | None
) -> list[NeuronTrial]:
    """Return the trials of the neuron in a file that have the event."""
    # NaN, no event, fails the comparison; before a trial's own start there is no data.
    trials = [
        NeuronTrial(_number(path, trial, "trialnum"), times - time)
        for trial, times in _recorded(path, event, classes)
        if (time := _number(path, trial, event)) + start >= -SLACK
    ]
    numbers = [trial.number for trial in trials]
    # Classes alternate in the session, and each is a list of its own in the file.
    return trials if np.isnan(numbers).any() else sorted(trials, key=lambda t: t.number)


def _recorded(
    path: Path, event: str, classes: Collection[int] | None
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yield the structs of trials, and their spike times in seconds."""
    # Only these are read, whatever else a lab has put beside them.
    fields = ("class", "ntr", "TS", "trialnum", event)
    top = read_structs(path, VARIABLE, fields)
    kinds = top[0].get("class") if top else None
    if not isinstance(kinds, list):
        raise UnreadableFile(
            f"{path}: got no {VARIABLE}.class, need the structs of one neuron"
        )
    for i, kind in enumerate(kinds, 1):  # MATLAB counts from 1
        if classes is not None and i not in classes:
            continue
        trials = kind.get("ntr")
        if not isinstance(trials, list):  # a class without trials is an empty array
            trials = []
        for trial in trials:
            if "TS" not in trial or event not in trial:
                raise UnreadableFile(
                    f"{path}: class({i}).ntr: got {', '.join(trial) or 'no field'}, "
                    f"need TS and {event}"
                )
            times = trial["TS"]  # a row or a column, empty without spikes
            if isinstance(times, str | list) or not np.isfinite(times).all():
                raise UnreadableFile(
                    f"{path}: class({i}).ntr.TS: got no finite numbers, need seconds"
                )
            yield trial, np.ravel(times).astype(np.float64)


def _number(path: Path, trial: dict[str, Any], field: str) -> float:
    """Return a field that is one number; NaN where it is empty or not there."""
    value = trial.get(field, np.zeros(0))
    scalar = not isinstance(value, str | list) and np.size(value) <= 1
    if not scalar or np.isinf(value).any():
        raise UnreadableFile(f"{path}: {field}: got no number, need one per trial")
    return float(np.ravel(value)[0]) if np.size(value) else np.nan
