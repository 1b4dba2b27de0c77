"""From an NWB file's units and table of trials to spike times."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from isotau.convert.spike_times import SpikeTimes
from isotau.sim.recorded.open_nwb import Session, Table, open_nwb
from isotau.sim.recorded.windows import consecutive, covered, cut, place

START, STOP = "start_time", "stop_time"
Choice: TypeAlias = Any | Collection[Any] | Callable[[np.ndarray], np.ndarray]
"""A value that a column must have, several that it may have, or a function that returns
a mask of the column."""


def read_nwb(
    path: str | os.PathLike[str],
    *,
    align: str = START,
    window: Sequence[float] | None = None,
    split: float | None = None,
    intervals: str = "trials",
    trials: Mapping[str, Choice] | None = None,
    units: Mapping[str, Choice] | None = None,
) -> SpikeTimes:
    """Return the spikes of an NWB file's units, cut into its trials.

    A unit with `obs_intervals` was recorded in the trials whose window lies within
    them. Its trials are those in which it was recorded, numbered anew from 0. Names are
    the unit's id and the location of its electrodes.

    Args:
        path: of the file.
        align: column with the time that every trial is aligned to; trials in which it
            is NaN are left out.
        window: start and stop from there, in seconds; None for 0 to the length of the
            shortest trial. Trials that end before their window are left out.
        split: cut every interval into windows of so many seconds instead, for rest and
            other long blocks.
        intervals: name of the table, "trials" or another.
        trials: which rows of it to take, by its columns: {"correct": 1}.
        units: which units to take, by theirs: {"snr": lambda snr: snr > 4}.

    Raises:
        ModuleNotFoundError: pynwb is not installed.
        UnreadableFile: no NWB 2 file, damaged, linked to other files, or without units.
        ValueError: no such table or column, no trial or unit left, windows that
            overlap, or `split` beside `align` or `window`.
    """
    if split is not None and (window is not None or align != START):
        raise ValueError("split: got align or window too, need split alone")
    by_row, by_unit = dict(trials or {}), dict(units or {})
    columns = (*by_row, align, START, STOP)
    session = open_nwb(path, intervals=intervals, columns=columns, unit_columns=by_unit)
    table = session.intervals
    if table is None:
        raise ValueError(
            f"{path}: intervals: got {intervals!r}, need one of the file's tables: "
            f"{', '.join(session.tables) or 'it has none'}"
        )
    rows = _chosen(f"{path}: {intervals}", table, by_row)
    taken = np.flatnonzero(_chosen(f"{path}: units", session.units, by_unit))
    if not rows.any() or not taken.size:
        raise ValueError(
            f"{path}: got {rows.sum()} {intervals} and {taken.size} units that were "
            "chosen, need one of each at least"
        )
    times = _column(f"{path}: {intervals}", table, align)[rows]
    stops = _column(f"{path}: {intervals}", table, STOP)[rows]
    try:
        if split is None:
            used, starts, duration = place(times, window=window, stops=stops)
            said = f"{used.sum()} of {table.rows} {intervals} from {align}"
        else:
            starts, duration = consecutive(times, stops, split), split
            said = f"{rows.sum()} of {table.rows} {intervals} split"
        source = f"{Path(path).name}: {said}"
        return _recording(session, taken, starts, duration, source)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _recording(
    session: Session,
    taken: np.ndarray,
    starts: np.ndarray,
    duration: float,
    source: str,
) -> SpikeTimes:
    """Return the spikes of the units taken, in windows."""
    observed = None
    if session.observed is not None:
        seen = [covered(session.observed[k], starts, duration) for k in taken]
        observed = np.stack(seen, axis=1)
    return cut(
        [session.spike_times[k] for k in taken],
        starts,
        duration,
        observed=observed,
        names=[session.labels[k] for k in taken],
        source=source,
    )


def _column(label: str, table: Table, name: str) -> np.ndarray:
    """Return a column with one value per row."""
    if name not in table.columns:
        raise ValueError(
            f"{label}: got no column {name!r} with one value per row, need one of "
            f"{', '.join(table.names)}"
        )
    return table.columns[name]


def _chosen(label: str, table: Table, choices: Mapping[str, Choice]) -> np.ndarray:
    """Return which rows satisfy every choice."""
    mask = np.ones(table.rows, dtype=bool)
    for name, choice in choices.items():
        column = _column(label, table, name)
        if callable(choice):
            found = np.asarray(choice(column))
            if found.shape != mask.shape or found.dtype != bool:
                raise ValueError(
                    f"{label}: {name}: got {found.dtype} of shape {found.shape} from "
                    f"the function, need bool of shape {mask.shape}"
                )
        else:
            several = isinstance(choice, Collection) and not isinstance(choice, str)
            allowed = list(choice) if several else [choice]
            found = np.array([value in allowed for value in column.tolist()])
        mask &= found
    return mask
