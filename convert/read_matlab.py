"""Variables of MATLAB 5 and 7.3 files, read as untrusted input.

Only variables that are asked for are read, after their sizes are checked. MATLAB 5 is
not read by scipy, whose reader follows a damaged file's type codes beyond its tables
and ends the process. Layout: MathWorks, "MAT-File Format", chapter 1.
"""

import itertools
import math
import os
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from isotau.convert.errors import UnreadableFile

MAX_FILE = 1 << 30
"""Largest MATLAB 5 file, in bytes."""
MAX_ELEMENTS = 1 << 25
"""Of the largest variable read."""
MAX_RATIO = 1100
"""Elements per byte of file; DEFLATE cannot compress more."""
_ORDER = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
_COMPRESSED, _MATRIX, _CHAR, _COMPLEX = 15, 14, 4, 0x0800
_CLASSES = (_CHAR, *range(6, 16))
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_TYPES |= {12: "i8", 13: "u8", 16: "u1", 17: "u2", 18: "u4"}
"""What MATLAB 5 files call an element's type: code and dtype; from 16 on text."""
_HEAD = 1024
"""Bytes within which a variable's type, shape and name end."""
_DAMAGE = (struct.error, zlib.error, TypeError, OverflowError, MemoryError)


def read_variables(
    path: str | os.PathLike[str], names: Collection[str]
) -> dict[str, Any]:
    """Return those of the named variables that a `.mat` file has.

    Arrays come with MATLAB's shape and their stored type, text as str.

    Raises:
        UnreadableFile: no MATLAB 5 or 7.3 file, damaged, too large, or a named variable
            is neither a real array nor text.
    """
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return dict(_hdf5_variables(file, os.path.getsize(path), names))
        if os.path.getsize(path) > MAX_FILE:
            raise ValueError(f"it has more than {MAX_FILE} bytes")
        return dict(_matlab5_variables(Path(path).read_bytes(), names))
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, RuntimeError, *_DAMAGE) as error:
        raise UnreadableFile(
            f"{path}: got a file that cannot be read ({error}), need a MATLAB 5 or "
            "7.3 file as spikeRNN's training writes; save with -v7 or -v7.3"
        ) from error


def _matlab5_variables(
    data: bytes, names: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """Yield names and values of the variables wanted in a MATLAB 5 file."""
    order = _ORDER.get(data[124:128])
    if order is None:
        raise ValueError("it lacks the mark of either format")
    for kind, content in _elements(data[128:], order):
        head = _inflated(content, _HEAD)[8:] if kind == _COMPRESSED else content[:_HEAD]
        if kind not in (_COMPRESSED, _MATRIX):
            continue
        parts = [part for _, part in itertools.islice(_elements(head, order), 3)]
        name = parts[2].decode("ascii", "replace") if len(parts) == 3 else ""
        if name not in names:
            continue
        flags = struct.unpack_from(f"{order}I", parts[0])[0]
        shape = tuple(np.frombuffer(parts[1], f"{order}i4").tolist())
        size = _size(name, shape, len(data))
        if kind == _COMPRESSED:
            content = _inflated(content, _HEAD + 8 * size)[8:]
        code, raw = next(itertools.islice(_elements(content, order), 3, None), (0, b""))
        if (flags & 0xFF) not in _CLASSES or flags & _COMPLEX or code not in _TYPES:
            raise ValueError(f"{name} is no real array and no text")
        values = np.frombuffer(raw, order + _TYPES[code])
        if values.size != size:
            raise ValueError(f"{name} has {values.size} elements for shape {shape}")
        if (flags & 0xFF) == _CHAR:
            yield name, "".join(map(chr, values.tolist()))
        else:
            yield name, values.reshape(shape, order="F")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type code and content of the MATLAB 5 elements in a row."""
    at = 0
    while at + 8 <= len(data):
        code, size = struct.unpack_from(f"{order}II", data, at)
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
    file: h5py.File, file_size: int, names: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """Yield names and values of the variables wanted in a MATLAB 7.3 file."""
    for name in names:
        # Soft and external links, and such datasets, would have other files opened.
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            continue
        found = file[name]
        if (
            not isinstance(found, h5py.Dataset)
            or found.dtype.kind not in "fiub"
            or found.is_virtual
            or found.external
        ):
            raise ValueError(f"{name} is no real array and no text")
        _size(name, found.shape, file_size)
        values = np.asarray(found[()]).T  # MATLAB's order of axes is the other way
        if found.attrs.get("MATLAB_class") == b"char":
            yield name, "".join(map(chr, values.ravel(order="F").tolist()))
        else:
            yield name, values


def _size(name: str, shape: tuple[int, ...], file_size: int) -> int:
    """Return the number of elements of a variable if the file can hold it."""
    size = math.prod(shape)
    allowed = min(MAX_ELEMENTS, MAX_RATIO * file_size)
    if min(shape, default=0) < 0 or size > allowed:
        raise ValueError(f"{name} claims shape {shape}, more than {allowed} elements")
    return size
