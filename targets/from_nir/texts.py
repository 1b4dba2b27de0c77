"""Texts of an HDF5 file, read without the library.

HDF5 keeps texts of variable length in collections (global heaps), chains of objects
that each tell where the next one begins. Up to 2.0 the library follows a damaged chain
that stands still for ever, and believes a damaged length up to 4 GB.
Format: HDF5 File Format Specification 3.0, sections III.E and IV.B.
"""

import struct
from typing import BinaryIO

SIGNATURE = b"GCOL\x01"
ELEMENT = struct.Struct("<IQI")
"""Of an array: length, address of the collection, number of the object in it."""
HEADER = struct.Struct("<5s3xQ")
OBJECT = struct.Struct("<HH4xQ")
ADDRESS_AND_LENGTH = (8, 8)
"""Their bytes in the files of every common HDF5 library."""
MAX_OBJECTS = 1 << 18
"""Objects looked at in one file."""


class Texts:
    """The texts of one open file.

    Args:
        stream: the file.
        base: where HDF5's addresses begin in it, in bytes.
        max_bytes: of all collections together.
    """

    def __init__(self, stream: BinaryIO, base: int, max_bytes: int) -> None:
        """Read nothing yet."""
        self.stream, self.base, self.left = stream, base, max_bytes
        self.seen = 0
        self.collections: dict[int, dict[int, bytes]] = {}

    def read(self, offset: int, count: int) -> list[str]:
        """Return `count` texts of the array whose data begin at byte `offset`.

        Raises:
            ValueError: the file does not hold them.
        """
        made = []
        for k in range(count):
            place = offset + k * ELEMENT.size
            length, address, number = ELEMENT.unpack(self._bytes(place, ELEMENT.size))
            if length == 0:
                made.append("")
                continue
            if address not in self.collections:
                self.collections[address] = self._collection(address)
            held = self.collections[address].get(number)
            if held is None or len(held) < length:
                raise ValueError(f"a text of {length} bytes is missing")
            made.append(held[:length].decode())
        return made

    def _bytes(self, place: int, size: int) -> bytes:
        """Return bytes of the file, all that were asked for."""
        self.stream.seek(place)
        found = self.stream.read(size)
        if len(found) < size:
            raise ValueError("a text lies beyond the end of the file")
        return found

    def _collection(self, address: int) -> dict[int, bytes]:
        """Return the objects of a collection by number."""
        place = self.base + address
        if place >= 1 << 62:
            raise ValueError("a text lies beyond the end of the file")
        signature, size = HEADER.unpack(self._bytes(place, HEADER.size))
        self.left -= size
        if signature != SIGNATURE or self.left < 0:
            raise ValueError(f"got no collection of texts at byte {place}")
        data = self._bytes(place, size)
        objects: dict[int, bytes] = {}
        at = HEADER.size
        while at + OBJECT.size <= size:
            self.seen += 1
            number, _, length = OBJECT.unpack_from(data, at)
            begin = at + OBJECT.size
            step = OBJECT.size + (length + 7) // 8 * 8 if number else length
            if step == 0 or self.seen > MAX_OBJECTS:
                raise ValueError(f"the collection of texts at byte {place} has no end")
            if number:
                objects[number] = data[begin : begin + length]
            at += step
        return objects
