"""Spike times from the units and the tables of trials of NWB files.

Neurodata Without Borders 2 in HDF5 (O. Rübel et al., doi:10.7554/eLife.78362), read as
untrusted input by pynwb, an optional library: the extra `isotau[nwb]`. Only columns
that are asked for are read, after their sizes are checked, and no other file is opened.
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

START, STOP = "start_time", "stop_time"
Choice: TypeAlias = Any | Collection[Any] | Callable[[np.ndarray], np.ndarray]
"""A value that a column must have, several that it may have, or a function that returns
a mask of the column."""
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


class NwbTable(NamedTuple):
    """A table, some of its columns in memory."""

    rows: int
    names: tuple[str, ...]
    """Of all its columns."""
    columns: dict[str, np.ndarray]
    """Those that were asked for and have one number or text per row."""


class NwbSession(NamedTuple):
    """What a file holds of one recording session; seconds on its clock."""

    units: NwbTable
    spike_times: list[np.ndarray]
    """Of each unit."""
    observed: list[np.ndarray] | None
    """When each unit was observed, interval × (start, stop); None if it is not told."""
    labels: list[str]
    """Of each unit: its id, and where its electrodes are."""
    tables: tuple[str, ...]
    """Names of all tables of intervals."""
    intervals: NwbTable | None
    """The one that was asked for."""


def open_nwb(
    path: str | os.PathLike[str],
    *,
    intervals: str,
    columns: Collection[str],
    unit_columns: Collection[str] = (),
) -> NwbSession:
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
        # The HDF5 library ends the process on a damaged heap: looked at before.
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
            # A small file cannot hold much, whatever sizes its columns claim.
            limit = max(MUCH, MAX_RATIO * os.path.getsize(path))
            allowance = ByteAllowance(min(limit, MAX_BYTES))
            return _session(stream.read(), allowance, intervals, columns, unit_columns)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except (*_DAMAGE, errors.ConstructError, UserWarning) as error:
        raise UnreadableFile(
            f"{path}: got a file that cannot be read ({error}), need NWB 2 in one HDF5 "
            "file with a table of units"
        ) from error


def _check(file: h5py.File) -> None:
    """Refuse what is no NWB 2 file, and what would have other files opened."""
    objects = 0

    def look(name: str, item: h5py.Group | h5py.Dataset) -> None:
        nonlocal objects
        objects += 1
        if objects > MAX_OBJECTS:
            raise ValueError(f"it has more than {MAX_OBJECTS} groups and arrays")
        if name.count("/") > MAX_DEPTH:
            raise ValueError(f"it has groups within more than {MAX_DEPTH} groups")
        for attribute in item.attrs:
            _check_type(f"{name}@{attribute}", item.attrs.get_id(attribute).get_type())
        if isinstance(item, h5py.Group):
            for child in item:
                # get(…, getlink) looks at the link itself and does not follow it.
                if isinstance(item.get(child, getlink=True), h5py.ExternalLink):
                    raise ValueError(f"{name}/{child} is a link to another file")
        elif isinstance(item, h5py.Dataset):
            _check_array(name, item)

    look("", file["/"])  # which visititems leaves out
    file.visititems(look)
    # Old files write "NWB-1.0.6", new ones "2.8.0".
    version = file.attrs.get("nwb_version", b"")
    version = version.decode() if isinstance(version, bytes) else str(version)
    if not version.removeprefix("NWB-").startswith("2"):
        raise ValueError(f"nwb_version is {version!r}")


def _check_array(name: str, array: h5py.Dataset) -> None:
    """Refuse arrays that are elsewhere, or take more to read than they may hold."""
    if array.external:
        raise ValueError(f"{name} keeps its data in another file")
    kind = array.id.get_type()
    _check_type(name, kind)
    # Fill values, which a file does not store, make an array of any size from nothing.
    size = (array.size or 0) * kind.get_size()
    if not name.startswith(LAZY) and size > max(
        MUCH, MAX_RATIO * array.id.get_storage_size()
    ):
        raise ValueError(f"{name} claims {size} bytes, which the file cannot hold")
    # One element of a chunk unpacks all of it.
    if math.prod(array.chunks or ()) * kind.get_size() > MAX_CHUNK:
        raise ValueError(f"{name} has chunks of shape {array.chunks}")
    number = kind.get_class() in (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
    if not number and (array.size or 0) > MAX_TEXTS:
        raise ValueError(f"{name} has {array.size} texts or references")


def _check_type(name: str, kind: Any) -> None:
    """Refuse types that NWB does not have and that end the process if damaged."""
    if kind.get_size() > MAX_ITEM:
        raise ValueError(f"{name} has elements of {kind.get_size()} bytes")
    parts = [kind]
    if kind.get_class() == h5py.h5t.COMPOUND:
        parts = [kind.get_member_type(k) for k in range(kind.get_nmembers())]
    if any(part.get_class() not in TYPES for part in parts):
        raise ValueError(f"{name} has elements of another type than NWB's")


class ByteAllowance:
    """Bytes that columns may still take."""

    def __init__(self, limit: int) -> None:
        """Take how many there are in all."""
        self.bytes_left = self.limit = limit

    def take(self, name: str, array: Any) -> None:
        """Count a column; the file may hold only so much."""
        # Python's own objects take more than what the file says of them.
        least = MIN_ITEM if array.dtype.kind in "fiub" else TEXT_ITEM
        size = array.size * max(array.dtype.itemsize, least)
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise ValueError(
                f"{name} claims {size} bytes, beyond {self.limit} for all columns"
            )


def _session(
    content: Any,
    allowance: ByteAllowance,
    intervals: str,
    columns: Collection[str],
    unit_columns: Collection[str],
) -> NwbSession:
    """Return the parts that are asked for of what pynwb has opened."""
    units = content.units
    if units is None:
        raise ValueError("it has no table of units")
    spike_times = _ragged(units, "spike_times", (), allowance)
    if spike_times is None:
        raise ValueError("its units have no spike_times")
    tables = {name: getattr(content, name) for name in OUTSIDE}
    tables = {name: table for name, table in tables.items() if table is not None}
    tables |= dict(content.intervals or {})
    table = tables.get(intervals)
    return NwbSession(
        units=_table(units, unit_columns, allowance),
        spike_times=spike_times,
        observed=_ragged(units, "obs_intervals", (2,), allowance),
        labels=_labels(units, allowance),
        tables=tuple(tables),
        intervals=None if table is None else _table(table, columns, allowance),
    )


def _table(table: Any, names: Collection[str], allowance: ByteAllowance) -> NwbTable:
    """Return a table with those of the columns that have one value per row."""
    rows = len(_values(table.id, allowance))
    columns = {}
    for name in set(names) & set(table.colnames):
        column = table[name]
        if hasattr(column, "target"):  # an index: a list per row
            continue
        values = _values(column, allowance)
        if values.dtype.kind in "fiubU" and values.shape == (rows,):
            columns[name] = values
    return NwbTable(rows, tuple(table.colnames), columns)


def _values(column: Any, allowance: ByteAllowance) -> np.ndarray:
    """Return a column's data if the file can hold it, text as str."""
    # pynwb wraps references; what is counted is the array in the file.
    data = column.data
    array = getattr(data, "dataset", data)
    if getattr(array, "is_virtual", False):  # made of parts of other files
        raise ValueError(f"{column.name} is elsewhere")
    allowance.take(column.name, array)
    values = np.asarray(data[:])
    if values.dtype == object and all(isinstance(v, bytes | str) for v in values.flat):
        text = [v.decode() if isinstance(v, bytes) else v for v in values.flat]
        # An array of text has room for the longest in every place.
        longest = np.dtype((str, max(map(len, text), default=0)))
        allowance.take(column.name, np.broadcast_to(np.zeros((), longest), len(text)))
        return np.array(text, dtype=str).reshape(values.shape)
    return values


def _ragged(
    table: Any, name: str, inner: tuple[int, ...], allowance: ByteAllowance
) -> list[np.ndarray] | None:
    """Return the list of every row of a column of numbers, None without it."""
    if name not in table.colnames:
        return None
    # pynwb gives the index of a ragged column; `target` is what it points into.
    index = table[name]
    values = _values(index.target, allowance)
    if values.shape[1:] != inner or values.ndim != 1 + len(inner):
        raise ValueError(f"{name} has shape {values.shape}")
    rows = _split(name, values, _values(index, allowance))
    return [row.astype(np.float64, copy=False) for row in rows]


def _split(name: str, values: np.ndarray, index: np.ndarray) -> list[np.ndarray]:
    """Return the values of each row, which end where `index` says."""
    if index.dtype.kind not in "iu" or values.dtype.kind not in "fiub":
        raise ValueError(f"{name} is no list of numbers per unit")
    if index.size > MAX_UNITS:
        raise ValueError(f"{name} belongs to more than {MAX_UNITS} units")
    # Unsigned ends would wrap below where they do not ascend.
    ends = index.astype(np.int64)
    if (np.diff(ends, prepend=0) < 0).any() or (ends > len(values)).any():
        raise ValueError(f"{name}_index does not ascend to {len(values)}")
    return np.split(values, ends)[: ends.size]  # less what is after the last row


def _labels(units: Any, allowance: ByteAllowance) -> list[str]:
    """Return each unit's id, with the locations of its electrodes if it has some."""
    labels = [str(k) for k in _values(units.id, allowance)]
    if "electrodes" not in units.colnames:
        return labels
    index = units["electrodes"]
    place = _values(index.target.table["location"], allowance)
    electrodes = _split(
        "electrodes", _values(index.target, allowance), _values(index, allowance)
    )
    return [
        " ".join((label, *dict.fromkeys(map(str, place[rows]))))
        for label, rows in zip(labels, electrodes, strict=True)
    ]


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
    # Columns that choose are read with those that align.
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
    unit_rows = np.flatnonzero(_chosen(f"{path}: units", session.units, by_unit))
    if not rows.any() or not unit_rows.size:
        raise ValueError(
            f"{path}: got {rows.sum()} {intervals} and {unit_rows.size} units that "
            "were chosen, need one of each at least"
        )
    times = _column(f"{path}: {intervals}", table, align)[rows]
    stops = _column(f"{path}: {intervals}", table, STOP)[rows]
    try:
        if split is None:
            usable, starts, duration = place(times, window=window, stops=stops)
            description = f"{usable.sum()} of {table.rows} {intervals} from {align}"
        else:
            starts, duration = consecutive(times, stops, split), split
            description = f"{rows.sum()} of {table.rows} {intervals} split"
        observed = None
        if session.observed is not None:
            masks = [covered(session.observed[k], starts, duration) for k in unit_rows]
            observed = np.stack(masks, axis=1)
        return cut(
            [session.spike_times[k] for k in unit_rows],
            starts,
            duration,
            observed=observed,
            names=[session.labels[k] for k in unit_rows],
            source=f"{Path(path).name}: {description}",
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _column(label: str, table: NwbTable, name: str) -> np.ndarray:
    """Return a column with one value per row."""
    if name not in table.columns:
        raise ValueError(
            f"{label}: got no column {name!r} with one value per row, need one of "
            f"{', '.join(table.names)}"
        )
    return table.columns[name]


def _chosen(label: str, table: NwbTable, choices: Mapping[str, Choice]) -> np.ndarray:
    """Return which rows satisfy every choice."""
    mask = np.ones(table.rows, dtype=bool)
    for name, choice in choices.items():
        column = _column(label, table, name)
        if callable(choice):
            rows = np.asarray(choice(column))
            if rows.shape != mask.shape or rows.dtype != bool:
                raise ValueError(
                    f"{label}: {name}: got {rows.dtype} of shape {rows.shape} from "
                    f"the function, need bool of shape {mask.shape}"
                )
        else:
            several = isinstance(choice, Collection) and not isinstance(choice, str)
            allowed = list(choice) if several else [choice]
            # By Python's equality, under which 1 is True and nothing is NaN.
            rows = np.array([value in allowed for value in column.tolist()])
        mask &= rows
    return mask
