"""What has to be true of an HDF5 file before the library may look into it.

Texts of variable length lie in global heaps. A heap with an object of number 0 and size
0, which is what zeros look like, has HDF5 (2.0 and earlier) go on for ever in a loop
that nothing can interrupt. Layout: HDF5 File Format Specification, section III.E.
"""

import mmap
import os
import struct

MAX_SCAN = 1 << 30
"""Size of file in bytes beyond which heaps are not looked for."""
_HEAP = b"GCOL\x01\x00\x00\x00"
_OBJECT = struct.Struct("<HH4xQ")
"""Number, references and size of an object in a heap, before its content."""
_HEAD = 16
"""Bytes of a heap before its first object."""


def check_heaps(path: str | os.PathLike[str]) -> None:
    """Refuse a file in which HDF5 would never come to an end.

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
    if start + _HEAD > len(data):
        return
    (size,) = struct.unpack_from("<Q", data, start + 8)
    end, at = min(start + size, len(data)), start + _HEAD
    while at + _OBJECT.size <= end:
        number, _, content = _OBJECT.unpack_from(data, at)
        # Object 0 is what is free, its own head included.
        step = _OBJECT.size + content + -content % 8 if number else content
        if step == 0:
            raise ValueError(f"its heap at byte {start} is damaged")
        at += step
