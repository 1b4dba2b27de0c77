"""What NWB files (Neurodata Without Borders 2, HDF5) hold, read as untrusted input.

O. Rübel et al., doi:10.7554/eLife.78362. By pynwb, an optional library: the extra
`isotau[nwb]`. Only columns that are asked for are read, after their sizes are checked,
and no other file is opened.
"""

import importlib
import os
from collections.abc import Collection
from typing import Any, NamedTuple

import h5py
import numpy as np

from isotau.convert.errors import UnreadableFile

MAX_RATIO = 1100
"""Bytes of a column per byte of file; DEFLATE cannot compress more."""
MAX_BYTES = 4 << 30
"""Of the largest column read."""
MAX_ITEM = 1 << 26
"""Of one element of any array, in bytes; pynwb reads single elements by itself."""
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
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"NWB files: got no library {error.name}, need pynwb; install isotau[nwb]"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            _check(file)
        with pynwb.NWBHDF5IO(os.fspath(path), "r") as stream:
            content, limit = stream.read(), os.path.getsize(path) * MAX_RATIO
            return _session(
                content, min(limit, MAX_BYTES), intervals, columns, unit_columns
            )
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except (*_DAMAGE, errors.ConstructError) as error:
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
        for attribute in found.attrs:
            _check_type(f"{name}@{attribute}", found.attrs.get_id(attribute).get_type())
        if isinstance(found, h5py.Group):
            for child in found:
                if isinstance(found.get(child, getlink=True), h5py.ExternalLink):
                    raise ValueError(f"{name}/{child} is a link to another file")
        elif isinstance(found, h5py.Dataset) and found.external:
            raise ValueError(f"{name} keeps its data in another file")
        elif isinstance(found, h5py.Dataset):
            _check_type(name, found.id.get_type())

    look("", file["/"])
    file.visititems(look)
    version = file.attrs.get("nwb_version", b"")
    version = version.decode() if isinstance(version, bytes) else str(version)
    if not version.removeprefix("NWB-").startswith("2"):
        raise ValueError(f"nwb_version is {version!r}")


def _check_type(name: str, kind: Any) -> None:
    """Refuse types that NWB does not have and that end the process if damaged."""
    if kind.get_size() > MAX_ITEM:
        raise ValueError(f"{name} has elements of {kind.get_size()} bytes")
    parts = [kind]
    if kind.get_class() == h5py.h5t.COMPOUND:
        parts = [kind.get_member_type(k) for k in range(kind.get_nmembers())]
    if any(part.get_class() not in TYPES for part in parts):
        raise ValueError(f"{name} has elements of another type than NWB's")


def _session(
    content: Any,
    limit: int,
    intervals: str,
    columns: Collection[str],
    unit_columns: Collection[str],
) -> Session:
    """Return the parts wanted of what pynwb has opened."""
    units = content.units
    if units is None:
        raise ValueError("it has no table of units")
    spike_times = _ragged(units, "spike_times", (), limit)
    if spike_times is None:
        raise ValueError("its units have no spike_times")
    tables = {name: getattr(content, name) for name in OUTSIDE}
    tables = {name: table for name, table in tables.items() if table is not None}
    tables |= dict(content.intervals or {})
    found = tables.get(intervals)
    return Session(
        units=_table(units, unit_columns, limit),
        spike_times=spike_times,
        observed=_ragged(units, "obs_intervals", (2,), limit),
        labels=_labels(units, limit),
        tables=tuple(tables),
        intervals=None if found is None else _table(found, columns, limit),
    )


def _table(table: Any, wanted: Collection[str], limit: int) -> Table:
    """Return a table with those columns that have one value per row."""
    rows = len(_values(table.id, limit))
    columns = {}
    for name in set(wanted) & set(table.colnames):
        column = table[name]
        if hasattr(column, "target"):  # a list per row
            continue
        values = _values(column, limit)
        if values.dtype.kind in "fiubU" and values.shape == (rows,):
            columns[name] = values
    return Table(rows, tuple(table.colnames), columns)


def _values(column: Any, limit: int) -> np.ndarray:
    """Return a column's data if the file can hold it, text as str."""
    data = column.data
    array = getattr(data, "dataset", data)
    size = array.size * array.dtype.itemsize
    if size > limit or getattr(array, "is_virtual", False):
        raise ValueError(f"{column.name} claims {size} bytes or is elsewhere")
    values = np.asarray(data[:])
    if values.dtype == object and all(isinstance(v, bytes | str) for v in values.flat):
        text = [v.decode() if isinstance(v, bytes) else v for v in values.flat]
        return np.array(text, dtype=str).reshape(values.shape)
    return values


def _ragged(
    table: Any, name: str, inner: tuple[int, ...], limit: int
) -> list[np.ndarray] | None:
    """Return the list of every row of a column of numbers, None without it."""
    if name not in table.colnames:
        return None
    index = table[name]
    values = _values(index.target, limit).astype(np.float64)
    if values.shape[1:] != inner or values.ndim != 1 + len(inner):
        raise ValueError(f"{name} has shape {values.shape}")
    return _split(name, values, _values(index, limit))


def _split(name: str, values: np.ndarray, index: np.ndarray) -> list[np.ndarray]:
    """Return the values of each row, which end where `index` says."""
    ends = index.astype(np.int64)
    if (np.diff(ends, prepend=0) < 0).any() or (ends > len(values)).any():
        raise ValueError(f"{name}_index does not ascend to {len(values)}")
    return np.split(values, ends)[: ends.size]


def _labels(units: Any, limit: int) -> list[str]:
    """Return each unit's id, with the locations of its electrodes if it has some."""
    labels = [str(k) for k in _values(units.id, limit)]
    if "electrodes" not in units.colnames:
        return labels
    index = units["electrodes"]
    place = _values(index.target.table["location"], limit)
    electrodes = _split(
        "electrodes", _values(index.target, limit), _values(index, limit)
    )
    return [
        " ".join((label, *dict.fromkeys(map(str, place[mine]))))
        for label, mine in zip(labels, electrodes, strict=True)
    ]
