"""From an NWB file's units and table of trials to spike times.

What NWB files (Neurodata Without Borders 2, HDF5) hold, read as untrusted input.

O. Rübel et al., doi:10.7554/eLife.78362. By pynwb, an optional library: the extra
`isotau[nwb]`. Only columns that are asked for are read, after their sizes are checked,
and no other file is opened.
"""

import importlib
import math
import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import h5py
import numpy as np

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import check_heaps
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.recorded.windows import consecutive, covered, cut, place

MUCH = 256 << 20
"""Bytes of columns up to which it does not matter how small their file is."""
MAX_RATIO = 200
"""Bytes of larger columns per byte of file; DEFLATE compresses zeros 1030 times."""
MAX_BYTES = 4 << 30
"""Of all columns that are read."""
MIN_ITEM, TEXT_ITEM = 8, 64
"""Bytes that are counted for a number and for a text of a column, at least."""
MAX_DEPTH = 64
"""Of groups within groups."""
MAX_UNITS = 1 << 16
MAX_ITEM = 1 << 26
"""Of one element of any array, in bytes; pynwb reads single elements by itself."""
MAX_CHUNK = 1 << 28
"""Of what a chunk of any array takes unpacked, in bytes."""
MAX_TEXTS = 1 << 22
"""Of the largest array of anything but numbers, which pynwb may read by itself."""
LAZY = ("acquisition/", "analysis/", "processing/", "scratch/", "stimulus/")
"""Where arrays are that pynwb does not read by itself."""
MAX_OBJECTS = 1 << 20
"""Groups and arrays of a file."""
OUTSIDE = ("trials", "epochs", "invalid_times")
"""Tables of intervals that older pynwb does not list with the others."""
TYPES = (
    *(h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING),
    *(h5py.h5t.ENUM, h5py.h5t.REFERENCE),
)
_DAMAGE = (
    *(OSError, ValueError, KeyError, IndexError, RuntimeError, TypeError),
    *(AttributeError, OverflowError, MemoryError),
)


class Table(NamedTuple):
    """A table, some of its columns in memory."""

    rows: int
    names: tuple[str, ...]
    """Of all its columns."""
    columns: dict[str, np.ndarray]
    """Those that were asked for and have one number or text per row."""


class Session(NamedTuple):
    """What a file holds of one recording session; seconds on its clock."""

    units: Table
    spike_times: list[np.ndarray]
    """Of each unit."""
    observed: list[np.ndarray] | None
    """When each unit was observed, interval × (start, stop); None if it is not told."""
    labels: list[str]
    """Of each unit: its id, and where its electrodes are."""
    tables: tuple[str, ...]
    """Names of all tables of intervals."""
    intervals: Table | None
    """The one that was asked for."""


def open_nwb(
    path: str | os.PathLike[str],
    *,
    intervals: str,
    columns: Collection[str],
    unit_columns: Collection[str] = (),
) -> Session:
    """Return what is asked for of an NWB file.

    Args:
        path: of the file.
        intervals: name of the table of intervals.
        columns: of that table.
        unit_columns: of the table of units.

    Raises:
        ModuleNotFoundError: pynwb is not installed.
        UnreadableFile: no NWB 2 file, damaged, linked to other files, or without units.
    """
    try:
        pynwb = importlib.import_module("pynwb")
        errors = importlib.import_module("hdmf.build.errors")
        broken = importlib.import_module("hdmf.backends.warnings").BrokenLinkWarning
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"NWB files: got no library {error.name}, need pynwb; install isotau[nwb]"
        ) from error
    try:
        check_heaps(path)
        with h5py.File(path, "r") as file:
            _check(file)
        with (
            pynwb.NWBHDF5IO(os.fspath(path), "r") as stream,
            warnings.catch_warnings(),
        ):
            # Of links to nowhere and rows that are none pynwb only warns.
            warnings.filterwarnings("error", category=broken)
            warnings.filterwarnings("error", ".*are out of bounds")
            limit = max(MUCH, MAX_RATIO * os.path.getsize(path))
            room = _Room(min(limit, MAX_BYTES))
            return _session(stream.read(), room, intervals, columns, unit_columns)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except (*_DAMAGE, errors.ConstructError, UserWarning) as error:
        raise UnreadableFile(
            f"{path}: got a file that cannot be read ({error}), need NWB 2 in one HDF5 "
            "file with a table of units"
        ) from error


def _check(file: h5py.File) -> None:
    """Refuse what is no NWB 2 file, and what would have other files opened."""
    seen = 0

    def look(name: str, found: h5py.Group | h5py.Dataset) -> None:
        nonlocal seen
        seen += 1
        if seen > MAX_OBJECTS:
            raise ValueError(f"it has more than {MAX_OBJECTS} groups and arrays")
        if name.count("/") > MAX_DEPTH:
            raise ValueError(f"it has groups within more than {MAX_DEPTH} groups")
        for attribute in found.attrs:
            _check_type(f"{name}@{attribute}", found.attrs.get_id(attribute).get_type())
        if isinstance(found, h5py.Group):
            for child in found:
                if isinstance(found.get(child, getlink=True), h5py.ExternalLink):
                    raise ValueError(f"{name}/{child} is a link to another file")
        elif isinstance(found, h5py.Dataset):
            _check_array(name, found)

    look("", file["/"])
    file.visititems(look)
    version = file.attrs.get("nwb_version", b"")
    version = version.decode() if isinstance(version, bytes) else str(version)
    if not version.removeprefix("NWB-").startswith("2"):
        raise ValueError(f"nwb_version is {version!r}")


def _check_array(name: str, found: h5py.Dataset) -> None:
    """Refuse arrays that are elsewhere, or take more to read than they may hold."""
    if found.external:
        raise ValueError(f"{name} keeps its data in another file")
    kind = found.id.get_type()
    _check_type(name, kind)
    size = (found.size or 0) * kind.get_size()
    if not name.startswith(LAZY) and size > max(
        MUCH, MAX_RATIO * found.id.get_storage_size()
    ):
        raise ValueError(f"{name} claims {size} bytes, which the file cannot hold")
    if math.prod(found.chunks or ()) * kind.get_size() > MAX_CHUNK:
        raise ValueError(f"{name} has chunks of shape {found.chunks}")
    number = kind.get_class() in (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
    if not number and (found.size or 0) > MAX_TEXTS:
        raise ValueError(f"{name} has {found.size} texts or references")


def _check_type(name: str, kind: Any) -> None:
    """Refuse types that NWB does not have and that end the process if damaged."""
    if kind.get_size() > MAX_ITEM:
        raise ValueError(f"{name} has elements of {kind.get_size()} bytes")
    parts = [kind]
    if kind.get_class() == h5py.h5t.COMPOUND:
        parts = [kind.get_member_type(k) for k in range(kind.get_nmembers())]
    if any(part.get_class() not in TYPES for part in parts):
        raise ValueError(f"{name} has elements of another type than NWB's")


class _Room:
    """Bytes that columns may still take."""

    def __init__(self, limit: int) -> None:
        self.left = self.limit = limit

    def take(self, name: str, array: Any) -> None:
        """Count a column; the file may hold only so much."""
        least = MIN_ITEM if array.dtype.kind in "fiub" else TEXT_ITEM
        size = array.size * max(array.dtype.itemsize, least)
        self.left -= size
        if self.left < 0:
            raise ValueError(
                f"{name} claims {size} bytes, beyond {self.limit} for all columns"
            )


def _session(
    content: Any,
    room: _Room,
    intervals: str,
    columns: Collection[str],
    unit_columns: Collection[str],
) -> Session:
    """Return the parts wanted of what pynwb has opened."""
    units = content.units
    if units is None:
        raise ValueError("it has no table of units")
    spike_times = _ragged(units, "spike_times", (), room)
    if spike_times is None:
        raise ValueError("its units have no spike_times")
    tables = {name: getattr(content, name) for name in OUTSIDE}
    tables = {name: table for name, table in tables.items() if table is not None}
    tables |= dict(content.intervals or {})
    found = tables.get(intervals)
    return Session(
        units=_table(units, unit_columns, room),
        spike_times=spike_times,
        observed=_ragged(units, "obs_intervals", (2,), room),
        labels=_labels(units, room),
        tables=tuple(tables),
        intervals=None if found is None else _table(found, columns, room),
    )


def _table(table: Any, wanted: Collection[str], room: _Room) -> Table:
    """Return a table with those columns that have one value per row."""
    rows = len(_values(table.id, room))
    columns = {}
    for name in set(wanted) & set(table.colnames):
        column = table[name]
        if hasattr(column, "target"):  # a list per row
            continue
        values = _values(column, room)
        if values.dtype.kind in "fiubU" and values.shape == (rows,):
            columns[name] = values
    return Table(rows, tuple(table.colnames), columns)


def _values(column: Any, room: _Room) -> np.ndarray:
    """Return a column's data if the file can hold it, text as str."""
    data = column.data
    array = getattr(data, "dataset", data)
    if getattr(array, "is_virtual", False):
        raise ValueError(f"{column.name} is elsewhere")
    room.take(column.name, array)
    values = np.asarray(data[:])
    if values.dtype == object and all(isinstance(v, bytes | str) for v in values.flat):
        text = [v.decode() if isinstance(v, bytes) else v for v in values.flat]
        # An array of text has room for the longest in every place.
        longest = np.dtype((str, max(map(len, text), default=0)))
        room.take(column.name, np.broadcast_to(np.zeros((), longest), len(text)))
        return np.array(text, dtype=str).reshape(values.shape)
    return values


def _ragged(
    table: Any, name: str, inner: tuple[int, ...], room: _Room
) -> list[np.ndarray] | None:
    """Return the list of every row of a column of numbers, None without it."""
    if name not in table.colnames:
        return None
    index = table[name]
    values = _values(index.target, room)
    if values.shape[1:] != inner or values.ndim != 1 + len(inner):
        raise ValueError(f"{name} has shape {values.shape}")
    rows = _split(name, values, _values(index, room))
    return [row.astype(np.float64, copy=False) for row in rows]


def _split(name: str, values: np.ndarray, index: np.ndarray) -> list[np.ndarray]:
    """Return the values of each row, which end where `index` says."""
    if index.dtype.kind not in "iu" or values.dtype.kind not in "fiub":
        raise ValueError(f"{name} is no list of numbers per unit")
    if index.size > MAX_UNITS:
        raise ValueError(f"{name} belongs to more than {MAX_UNITS} units")
    ends = index.astype(np.int64)
    if (np.diff(ends, prepend=0) < 0).any() or (ends > len(values)).any():
        raise ValueError(f"{name}_index does not ascend to {len(values)}")
    return np.split(values, ends)[: ends.size]


def _labels(units: Any, room: _Room) -> list[str]:
    """Return each unit's id, with the locations of its electrodes if it has some."""
    labels = [str(k) for k in _values(units.id, room)]
    if "electrodes" not in units.colnames:
        return labels
    index = units["electrodes"]
    place = _values(index.target.table["location"], room)
    electrodes = _split("electrodes", _values(index.target, room), _values(index, room))
    return [
        " ".join((label, *dict.fromkeys(map(str, place[mine]))))
        for label, mine in zip(labels, electrodes, strict=True)
    ]


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
