"""Arrays of an `.npz`, read as untrusted input: nothing is unpickled, sizes come first.

numpy's own reader takes memory for what an array's header claims, and leaves sums
unchecked where the header claims less than there is.
"""

import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.errors import UnreadableFile

DAMAGED = (OSError, ValueError, EOFError, KeyError, RuntimeError)
"""What zipfile and numpy raise for damaged files; RuntimeError for encrypted ones."""
MUCH = 256 << 20
"""Bytes of arrays up to which it does not matter how small their file is."""
MAX_RATIO = 200
"""Bytes of larger arrays per byte of file; DEFLATE compresses zeros 1030 times."""
MAX_MEMBERS = 1 << 16
LEVEL = 1
"""Of the compression of what is written."""
WIDE = 8
"""Bytes that each number takes where it is used, whatever it takes in the file."""
AS_STORED = ("bits",)
"""Arrays whose numbers are used as they are: packed spikes."""
KINDS = "biufcSU"
"""Of numpy's types, numbers and text."""
_HEADER = (
    *(SyntaxError, TypeError, AttributeError, LookupError, OverflowError),
    *(MemoryError, struct.error, tokenize.TokenError),
)
"""What else numpy raises for a damaged header."""


class Header(NamedTuple):
    """What an array in a file claims to be."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Of all elements."""
        return self.size * self.dtype.itemsize


class _Member(NamedTuple):
    """An array of an archive."""

    info: zipfile.ZipInfo
    name: str
    header: Header


def read_npz(
    path: str | os.PathLike[str],
    *,
    max_bytes: int,
    max_elements: int | None = None,
    skip_objects: Collection[str] = (),
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an untrusted `.npz`; sizes are checked before reading.

    Args:
        path: of the file.
        max_bytes: of all arrays together.
        max_elements: of each of them; any number if None.
        skip_objects: names of arrays of Python objects to leave out; others are
            refused, for they would have to be unpickled.

    Raises:
        UnreadableFile: no `.npz`, damaged, too large, compressed beyond belief, or with
            arrays of objects.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, str(path), skip_objects)
            _check_sizes(members, str(path), max_bytes, max_elements)
            for info, name, _ in members:
                with archive.open(info) as stream:
                    arrays[name] = read_array(stream)
                    # At the end of the member its sum is checked; numpy would stop
                    # where its array ends.
                    if stream.read(1):
                        raise ValueError(f"{name} holds more than it claims")
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except UnreadableFile:
        raise
    except (*DAMAGED, *_HEADER, zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableFile(f"{path}: not a readable .npz file ({error})") from error
    return arrays


def read_header(stream: IO[bytes]) -> Header:
    """Return what the array at the beginning of a stream claims to be.

    Raises:
        ValueError: it is no array, or damaged.
    """
    version = np.lib.format.read_magic(stream)
    read: Callable[..., Any] = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    with warnings.catch_warnings():
        # A damaged header looks like Python 2's, or like no Python at all.
        warnings.simplefilter("ignore")
        try:
            shape, _, dtype = read(stream)
        except _HEADER as error:
            raise ValueError(f"an array's header is damaged ({error})") from error
    if min(shape, default=0) < 0:  # the product of two could pass every limit
        raise ValueError(f"an array claims shape {shape}")
    if not dtype.hasobject and (
        dtype.kind not in KINDS or dtype.names or dtype.subdtype
    ):
        raise ValueError(f"an array has elements of type {dtype}")
    return Header(shape, dtype)


def read_array(stream: IO[bytes]) -> npt.NDArray[Any]:
    """Return the array at the beginning of a stream, whose header was checked."""
    # numpy warns of headers that Python 2 wrote, and reads them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.lib.format.read_array(stream, allow_pickle=False)


def _members(
    archive: zipfile.ZipFile, path: str, skip_objects: Collection[str]
) -> list[_Member]:
    """Return the arrays of an archive, each with what it claims to be."""
    members: dict[str, _Member] = {}
    if len(archive.infolist()) > MAX_MEMBERS:
        raise ValueError(f"it has more than {MAX_MEMBERS} members")
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        # LZMA and BZIP2 pack zeros far more densely than `MAX_RATIO` allows for.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is packed otherwise than by DEFLATE")
        with archive.open(info) as stream:
            header = read_header(stream)
            begun = stream.tell()
        # numpy would have to unpickle objects, which can run anything.
        if header.dtype.hasobject:
            if name in skip_objects:
                continue
            raise UnreadableFile(
                f"{path}: {name}: got an array of Python objects, need numbers or "
                "text; pickles are not read, save it as a plain array"
            )
        held = info.file_size - begun
        # Checked before reading, since numpy takes the memory that is claimed.
        if header.bytes > held:
            raise UnreadableFile(
                f"{path}: {info.filename} claims {header.bytes} bytes and holds "
                f"{held}; the file is damaged"
            )
        # Of two members of one name zip readers take the last, checkers the first.
        if name in members:
            raise UnreadableFile(f"{path}: got {name} twice, need it once")
        members[name] = _Member(info, name, header)
    return list(members.values())


def _check_sizes(
    members: list[_Member], path: str, max_bytes: int, max_elements: int | None
) -> None:
    """Refuse arrays that are too large, or too large for such a file."""
    total = memory = 0
    for _, name, header in members:
        if max_elements is not None and header.size > max_elements:
            raise UnreadableFile(
                f"{path}: {name}: claims shape {header.shape}, need at most "
                f"{max_elements} elements"
            )
        total += header.bytes
        if total > max_bytes:
            raise UnreadableFile(
                f"{path}: got arrays of {total} bytes or more, need at most {max_bytes}"
            )
        # What records make of an array is float64 or int64, whatever it is in the file.
        width = max(header.dtype.itemsize, 0 if name in AS_STORED else WIDE)
        memory += header.size * width
    held = os.path.getsize(path)
    if memory > max(MUCH, MAX_RATIO * held):
        raise UnreadableFile(
            f"{path}: got arrays of {memory} bytes in a file of {held}, need at most "
            f"{MAX_RATIO} times the file's size beyond {MUCH}; if you trust it, write "
            "it uncompressed (numpy.savez)"
        )


def write_npz(stream: IO[bytes], members: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays as `numpy.savez_compressed` does, in a fifth of its time.

    Packed spikes, the most of what is written, become a quarter larger than by numpy's
    level of compression; the same arrays make the same file.
    """
    with zipfile.ZipFile(
        stream, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL
    ) as archive:
        for name, values in members.items():
            # The size is not told beforehand: it may need 64 bits.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
