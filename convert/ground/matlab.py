"""Variables and struct arrays of MATLAB 5 and 7.3 files, read as untrusted input.

Only variables that are asked for are read, after their sizes are checked. MATLAB 5 is
not read by scipy, whose reader follows a damaged file's type codes beyond its tables
and ends the process. Layouts: MathWorks, "MAT-File Format", chapter 1; HDF5 File Format
Specification, section III.E, for the global heaps that hold texts of variable length.
"""

import itertools
import math
import mmap
import os
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from isotau.convert.ground.errors import UnreadableFile

MAX_FILE = 1 << 30
"""Largest MATLAB 5 file, in bytes."""
MAX_ELEMENTS = 1 << 25
"""Of all variables read together; of a struct array with all that is in it."""
MAX_RATIO = 1100
"""Elements per byte of file; DEFLATE cannot compress more."""
MAX_PARTS = 1 << 20
"""Fields of all structs in a struct array together."""
MAX_DEPTH = 8
"""Of structs within structs."""
MAX_SCAN = 1 << 30
"""Size of file in bytes beyond which heaps are not looked for."""
_ORDER = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
_COMPRESSED, _MATRIX, _STRUCT, _CHAR, _COMPLEX = 15, 14, 2, 4, 0x0800
_CLASSES = (_CHAR, *range(6, 16))
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_TYPES |= {12: "i8", 13: "u8", 16: "u1", 17: "u2", 18: "u4"}
"""What MATLAB 5 files call an element's type: code and dtype; from 16 on text."""
_HEAD = 1024
"""Bytes within which a variable's type, shape and name end."""
MAX_CONTENT = 8 * MAX_ELEMENTS + _HEAD
"""Of a variable, a struct array with all that is in it, in bytes."""
# Types of attributes that the library may decode whatever their bytes are.
_SAFE = (h5py.h5t.STRING, h5py.h5t.INTEGER)
_DAMAGE = (struct.error, zlib.error, TypeError, OverflowError, MemoryError)
_HEAP = b"GCOL\x01\x00\x00\x00"
_OBJECT = struct.Struct("<HH4xQ")
"""Number, references and size of an object in a heap, before its content."""
_HDF5_HEAD = 16
"""Bytes of a heap before its first object."""


def read_variables(
    path: str | os.PathLike[str], names: Collection[str]
) -> dict[str, Any]:
    """Return those of the named variables that a `.mat` file has.

    Arrays come with MATLAB's shape and their stored type, text as str.

    Raises:
        UnreadableFile: no MATLAB 5 or 7.3 file, damaged, too large, or a named variable
            is neither a real array nor text.
    """
    return _read(path, names, ())


def read_structs(
    path: str | os.PathLike[str], name: str, fields: Collection[str]
) -> list[dict[str, Any]] | None:
    """Return the elements of a struct array in MATLAB's order, None without one.

    An element holds those of the named fields that it has: a struct array as such a
    list, all else as `read_variables` has it. Other fields are passed over unread.

    Raises:
        UnreadableFile: no MATLAB 5 or 7.3 file, damaged, too large, or what is named is
            neither a struct array, nor a real array, nor text.
    """
    elements = _read(path, (name,), fields).get(name)
    if not isinstance(elements, list | None):
        raise UnreadableFile(f"{path}: {name}: got an array, need a struct array")
    return elements


class _Budget(NamedTuple):
    """Which fields to read of a struct array, and how much has been read.

    Attributes:
        fields: names of the fields.
        file_size: in bytes.
        spent: fields read, and elements of arrays read.
    """

    fields: frozenset[str]
    file_size: int
    spent: list[int]

    def note(self, label: str, depth: int) -> None:
        """Count one field; the file may hold only so many, and so deep."""
        self.spent[0] += 1
        if self.spent[0] > MAX_PARTS or depth > MAX_DEPTH:
            raise ValueError(f"{label} is beyond {MAX_PARTS} parts, {MAX_DEPTH} levels")

    def size(self, label: str, shape: tuple[int, ...]) -> int:
        """Return the number of elements of an array if the file can hold it."""
        size, allowed = math.prod(shape), min(MAX_ELEMENTS, MAX_RATIO * self.file_size)
        self.spent[1] += size
        if min(shape, default=0) < 0 or self.spent[1] > allowed:
            raise ValueError(f"{label} claims shape {shape}, beyond {allowed} elements")
        return size


def _read(
    path: str | os.PathLike[str], names: Collection[str], fields: Collection[str]
) -> dict[str, Any]:
    """Return the named variables, structs only if fields of them are wanted."""
    try:
        size = os.path.getsize(path)
        budget = _Budget(frozenset(fields), size, [0, 0])
        if h5py.is_hdf5(path):
            check_heaps(path)
            with h5py.File(path, "r") as file:
                return dict(_hdf5_variables(file, names, budget))
        if size > MAX_FILE:
            raise ValueError(f"it has more than {MAX_FILE} bytes")
        return dict(_matlab5_variables(Path(path).read_bytes(), names, budget))
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, RuntimeError, *_DAMAGE) as error:
        raise UnreadableFile(
            f"{path}: got a file that cannot be read ({error}), need a MATLAB 5 or "
            "7.3 file; save with -v7 or -v7.3"
        ) from error


def _matlab5_variables(
    data: bytes, names: Collection[str], budget: _Budget
) -> Iterator[tuple[str, Any]]:
    """Yield names and values of the variables wanted in a MATLAB 5 file."""
    order = _ORDER.get(data[124:128])
    if order is None:
        raise ValueError("it lacks the mark of either format")
    for kind, content in _elements(data[128:], order):
        if kind not in (_COMPRESSED, _MATRIX):
            continue
        # The name is read first: what is not asked for is never unpacked whole.
        head = _inflated(content, _HEAD)[8:] if kind == _COMPRESSED else content[:_HEAD]
        starts = [part for _, part in itertools.islice(_elements(head, order), 3)]
        name = starts[2].decode("ascii", "replace") if len(starts) == 3 else ""
        if name not in names:
            continue
        if kind == _COMPRESSED:
            # Type and size of the variable come first in what is unpacked.
            size = struct.unpack_from(f"{order}4xI", _inflated(content, 8))[0]
            if size > min(MAX_CONTENT, MAX_RATIO * len(data)):
                raise ValueError(f"{name} claims {size} bytes")
            content = _inflated(content, 8 + size)[8:]
        yield name, _matlab5_value(name, content, order, budget, 0)


def _matlab5_value(
    label: str, content: bytes, order: str, budget: _Budget, depth: int
) -> Any:
    """Return an array, a text, or a struct array as a list."""
    budget.note(label, depth)
    if not content:  # a field that was never set
        return np.zeros((0, 0))
    pieces = _elements(content, order)
    # Flags and class, shape, name; then the content.
    (_, head), (_, raw), _ = itertools.islice(pieces, 3)
    flags = struct.unpack_from(f"{order}I", head)[0]
    shape = tuple(np.frombuffer(raw, f"{order}i4").tolist())
    kind, size = flags & 0xFF, budget.size(label, shape)
    if kind == _STRUCT and budget.fields:
        return _matlab5_elements(label, pieces, order, size, budget, depth + 1)
    code, raw = next(pieces, (0, b""))
    if kind not in _CLASSES or flags & _COMPLEX or code not in _TYPES:
        raise ValueError(f"{label} is no real array and no text")
    values = np.frombuffer(raw, order + _TYPES[code])
    if values.size != size:
        raise ValueError(f"{label} has {values.size} elements for shape {shape}")
    if kind == _CHAR:
        return "".join(map(chr, values.tolist()))
    return values.reshape(shape, order="F")


def _matlab5_elements(
    label: str,
    pieces: Iterator[tuple[int, bytes]],
    order: str,
    count: int,
    budget: _Budget,
    depth: int,
) -> list[dict[str, Any]]:
    """Return the elements of a struct array: each is a variable per field."""
    # Names lie one after another, each padded with zeros to one width.
    (_, width), (_, raw) = itertools.islice(pieces, 2)
    step = struct.unpack_from(f"{order}i", width)[0]
    names = [
        raw[k : k + step].split(b"\0")[0].decode("ascii", "replace")
        for k in range(0, len(raw), step)
    ]
    elements: list[dict[str, Any]] = []
    for k in range(count):
        budget.note(label, depth)
        elements.append({})
        for name in names:
            inner = f"{label}({k + 1}).{name}"
            kind, content = next(pieces, (0, b""))
            # Fields that are not asked for are passed over, but have to be there.
            if kind != _MATRIX:
                raise ValueError(f"it ends before {inner}")
            if name in budget.fields:
                elements[k][name] = _matlab5_value(inner, content, order, budget, depth)
    return elements


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type code and content of the MATLAB 5 elements in a row."""
    at = 0
    while at + 8 <= len(data):
        code, size = struct.unpack_from(f"{order}II", data, at)
        # Elements begin at multiples of eight bytes, but for compressed ones.
        start, pad = at + 8, 0 if code == _COMPRESSED else -size % 8
        if code >> 16:  # a small element: both numbers in four bytes, then content
            code, size, start, pad = code & 0xFFFF, code >> 16, at + 4, 4 - (code >> 16)
        if start + size > len(data) or pad < 0:
            raise ValueError("it ends within a variable")
        yield code, data[start : start + size]
        at = start + size + pad


def _inflated(content: bytes, limit: int) -> bytes:
    """Return at most `limit` decompressed bytes."""
    return zlib.decompressobj().decompress(content, limit)


def _hdf5_variables(
    file: h5py.File, names: Collection[str], budget: _Budget
) -> Iterator[tuple[str, Any]]:
    """Yield names and values of the variables wanted in a MATLAB 7.3 file."""
    for name in names:
        if _has(file, name):
            yield name, _hdf5_value(name, file[name], budget, 0)


def _has(group: h5py.Group, name: str) -> bool:
    """Return whether a group has a member; links to other places are none."""
    # Soft and external links would have other files opened.
    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def _attribute(item: h5py.Dataset, name: str) -> Any:
    """Return an attribute's value, None without it."""
    if name not in item.attrs:
        return None
    # Other types, which a damaged file may have, can end the process when read.
    if item.attrs.get_id(name).get_type().get_class() not in _SAFE:
        raise ValueError(f"{name} is neither text nor a number")
    return item.attrs[name]


def _hdf5_value(label: str, item: Any, budget: _Budget, depth: int) -> Any:
    """Return an array, a text, or a struct array as a list."""
    budget.note(label, depth)
    if isinstance(item, h5py.Group) and budget.fields:
        return _hdf5_elements(label, item, budget, depth)
    if (
        not isinstance(item, h5py.Dataset)
        or item.dtype.kind not in "fiub"
        # Both read from other files, of the author's choice.
        or item.is_virtual
        or item.external
    ):
        raise ValueError(f"{label} is no real array and no text")
    budget.size(label, item.shape)
    # A chunk is unpacked whole, however little of it the array has.
    if math.prod(item.chunks or ()) > MAX_ELEMENTS:
        raise ValueError(f"{label} has chunks of shape {item.chunks}")
    values = np.asarray(item[()]).T  # MATLAB's order of axes is the other way
    kind = _attribute(item, "MATLAB_class")
    if _attribute(item, "MATLAB_empty"):  # what is stored is the shape
        return [] if kind == b"struct" else "" if kind == b"char" else np.zeros((0, 0))
    if kind == b"char":
        return "".join(map(chr, values.ravel(order="F").tolist()))
    return values


def _hdf5_elements(
    label: str, group: h5py.Group, budget: _Budget, depth: int
) -> list[dict[str, Any]]:
    """Return the elements of a struct array; if it is one only, fields are values."""
    # By name: going through a damaged group may never end.
    members = {k: group[k] for k in sorted(budget.fields) if _has(group, k)}
    file, at = group.file, depth + 1
    if not members or not all(map(_refers, members.values())):
        items = members.items()
        return [{k: _hdf5_value(f"{label}.{k}", v, budget, at) for k, v in items}]
    count = {budget.size(label, member.shape) for member in members.values()}
    if len(count) > 1:
        raise ValueError(f"{label} has fields of different lengths")
    columns = {name: member[()].ravel() for name, member in members.items()}
    return [
        {
            name: _hdf5_value(f"{label}({k + 1}).{name}", file[refs[k]], budget, at)
            for name, refs in columns.items()
        }
        for k in range(count.pop())
    ]


def _refers(member: Any) -> bool:
    """Return whether a member holds one reference per element of a struct array."""
    return (
        isinstance(member, h5py.Dataset)
        and h5py.check_ref_dtype(member.dtype) is h5py.Reference
        and "MATLAB_class" not in member.attrs  # a cell array
        and not (member.is_virtual or member.external)
    )


def check_heaps(path: str | os.PathLike[str]) -> None:
    """Refuse a file in which HDF5 would never come to an end.

    A heap with an object of number 0 and size 0, which is what zeros look like, has
    HDF5 (2.0 and earlier) go on for ever in a loop that nothing can interrupt.

    Raises:
        ValueError: it has such a heap.
        OSError: it cannot be opened.
    """
    if not 0 < os.path.getsize(path) <= MAX_SCAN:
        return
    with (
        open(path, "rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        at = data.find(_HEAP)
        while at >= 0:
            _check_heap(data, at)
            at = data.find(_HEAP, at + 1)


def _check_heap(data: mmap.mmap, start: int) -> None:
    """Go through a heap as HDF5 does."""
    if start + _HDF5_HEAD > len(data):
        return
    (size,) = struct.unpack_from("<Q", data, start + 8)
    end, at = min(start + size, len(data)), start + _HDF5_HEAD
    while at + _OBJECT.size <= end:
        number, _, content = _OBJECT.unpack_from(data, at)
        # Object 0 is what is free, its own head included.
        step = _OBJECT.size + content + -content % 8 if number else content
        if step == 0:
            raise ValueError(f"its heap at byte {start} is damaged")
        at += step
