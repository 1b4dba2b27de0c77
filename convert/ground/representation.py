"""How records print: their sizes, numbers and units instead of their arrays.

A record is a dataclass or a `NamedTuple`. Units are read from the "Attributes" of its
docstring ("…, in seconds"), so that they stand in one place.
"""

import dataclasses
import html
import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeVar

import numpy as np

from isotau.convert.ground.validation import Size

MOST_CHARACTERS = 40
"""Of a text or of an object that is no record; what is longer is cut."""
SIZES = ("n", "n_in", "n_out", "steps", "batch", "dt", "shape", "synapses")
"""What is printed of a record that is a field of another one."""
MOST_ITEMS = 4
"""Of a collection that is written out."""
MOST_ELEMENTS = 1 << 20
"""Of an array whose range is computed; a raster may fill most of the memory."""
UNITS = {
    "bytes": "B", "hertz": "Hz", "Hz": "Hz", "joules": "J", "milliseconds": "ms",
    "ms": "ms", "seconds": "s", "steps": "steps", "volts": "V",
}  # fmt: skip
"""What docstrings write after "in", and its symbol."""
_ATTRIBUTE = re.compile(r"^ {4}([\w, ]+): (.+(?:\n {8,}.+)*)", re.MULTILINE)
_UNIT = re.compile(rf"\bin ({'|'.join(UNITS)})\b")
_T = TypeVar("_T")


class _Row(NamedTuple):
    """One field, or one size, as it is printed."""

    name: str
    kind: str
    """Type of an array's elements, else of the value."""
    text: str
    range: str
    """Smallest and largest finite element of an array; empty for all else."""
    unit: str


def short_repr(record: type[_T]) -> type[_T]:
    """Return the class, printing sizes and units; HTML in a notebook.

    It stands above `@dataclass`, which makes a new class where it makes slots.
    """
    # After the class is made: a dataclass would write its own `__repr__` over ours.
    for name, function in (("__repr__", text), ("_repr_html_", table)):
        setattr(record, name, function)
    return record


def text(record: Any) -> str:
    """Return a record as one line: `LIFNetwork(n=20, …, tau_mem=[20] 0.01 s, …)`."""
    return f"{type(record).__name__}({', '.join(map(_part, _rows(record)))})"


def table(record: Any) -> str:
    """Return a record as an HTML table, a row a field, everything escaped."""
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in _rows(record)
    )
    titles = ("field", "type", "value", "range", "unit")
    head = "".join(f"<th>{title}</th>" for title in titles)
    name = html.escape(type(record).__name__)
    return f"<table><caption>{name}</caption><tr>{head}</tr>{rows}</table>"


def _part(row: _Row) -> str:
    """Return a row for the line; ranges only where a unit gives them a meaning."""
    extent = row.range if row.unit else ""
    unit = row.unit if extent or row.kind in ("int", "float") else ""
    return " ".join(filter(None, (f"{row.name}={row.text}", extent, unit)))


def _rows(record: Any) -> Iterator[_Row]:
    """Yield the sizes of a record, then its fields."""
    for name, size in _sizes(record):
        yield _Row(name, "int", str(size), "", "")
    units = _units(type(record))
    for name in _names(record):
        # A field that is not set yet: a constructor that fails is printed, too.
        value: Any = getattr(record, name, None)
        kind = str(value.dtype) if _is_array(value) else type(value).__name__
        yield _Row(name, kind, _value(value), _extent(value), units.get(name, ""))


def _names(record: Any) -> tuple[str, ...]:
    """Return the names of a record's fields; () for what is no record."""
    if dataclasses.is_dataclass(record):
        return tuple(field.name for field in dataclasses.fields(record) if field.repr)
    return getattr(record, "_fields", ()) if isinstance(record, tuple) else ()


def _sizes(record: Any) -> Iterator[tuple[str, int]]:
    """Yield the sizes of a record: a `Size`, or a property that is an int by type."""
    for name, member in vars(type(record)).items():
        # Other properties may compute for long, or not apply to this record.
        hints = getattr(getattr(member, "fget", None), "__annotations__", {})
        if isinstance(member, Size) or hints.get("return") in (int, "int"):
            size = getattr(record, name, None)
            if size is not None:
                yield name, size


def _units(record: type) -> dict[str, str]:
    """Return the units that a record's docstring gives, by field."""
    units: dict[str, str] = {}
    for names, description in _ATTRIBUTE.findall(inspect.getdoc(record) or ""):
        unit = _UNIT.search(description)
        if unit:
            units |= dict.fromkeys(names.split(", "), UNITS[unit[1]])
    return units


def _is_array(value: Any) -> bool:
    """Return whether a value is an array or a tensor with at least one axis."""
    return hasattr(value, "dtype") and bool(getattr(value, "shape", ()))


def _extent(array: Any) -> str:
    """Return "low … high", one number where they are equal, or ""."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        return ""
    if not 0 < array.size <= MOST_ELEMENTS:
        return ""
    # NaN stands for "none" in many records.
    finite = array[np.isfinite(array)]
    if not finite.size:
        return ""
    low, high = finite.min(), finite.max()
    return f"{low:.4g}" if low == high else f"{low:.4g} … {high:.4g}"


def _value(value: Any) -> str:
    """Return a value in few characters."""
    if _is_array(value):
        return f"[{' × '.join(map(str, value.shape))}]"
    if isinstance(value, Enum):  # its repr has the value twice
        return value.name
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, str):
        return repr(_cut(value))
    if _names(value):
        return _head(value)
    # An array without axes has a length by its type and none by its value.
    if isinstance(value, Collection) and not isinstance(value, bytes | np.ndarray):
        return _collection(value)
    return _cut(repr(value))


def _head(record: Any) -> str:
    """Return a record within a record: its name, its sizes and its step."""
    parts = [_part(row) for row in _rows(record) if row.name in SIZES]
    return f"{type(record).__name__}({', '.join(parts) or '…'})"


def _collection(values: Collection[Any]) -> str:
    """Return a short collection of plain values, else how many of what it holds."""
    items = values.values() if isinstance(values, Mapping) else values
    kinds = dict.fromkeys(type(item).__name__ for item in items)
    # What has parts of its own would be as long as if it stood alone.
    plain = all(isinstance(item, str | int | float | None) for item in items)
    if len(values) <= MOST_ITEMS and plain:
        return _cut(repr(values))
    return f"{len(values)} × {_cut(' | '.join(kinds))}"


def _cut(long: str) -> str:
    return long if len(long) <= MOST_CHARACTERS else f"{long[: MOST_CHARACTERS - 1]}…"
