"""Zip files taken apart and put together again, wrongly if wanted."""

import io
import struct
import zipfile
import zlib

from benchmarks.damage.formats.any_bytes import WORDS, Rng

Members = dict[str, bytes]
MEBIBYTE = bytes(1 << 20)
ALL = 0xFFFFFFFF
"""In place of a size that stands among the 64-bit ones."""


def read_members(whole: bytes) -> Members:
    """Return what a zip file holds, by name."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: Members, *, deflated: bool = True) -> bytes:
    """Return a zip file that holds these, with sums that are right."""
    stream = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def zeros_deflated(mebibytes: int, before: bytes) -> tuple[bytes, int]:
    """Return the DEFLATE stream of some bytes and MiB of zeros, and their CRC-32.

    Made in no time: the stream of one MiB, which refers to nothing before it, repeated.
    The sum is right up to a GiB, which is where whoever checks it has read enough.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    one = packer.compress(MEBIBYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    sum_ = zlib.crc32(before)
    for _ in range(min(mebibytes, 1024)):
        sum_ = zlib.crc32(MEBIBYTE, sum_)
    return start + one * mebibytes + packer.flush(), sum_


def with_zeros(members: Members, name: str, head: bytes, mebibytes: int) -> bytes:
    """Return a zip in which one member is some bytes and then zeros."""
    stream, sum_ = zeros_deflated(mebibytes, head)
    rest = zipped({key: value for key, value in members.items() if key != name})
    count, length, start = struct.unpack_from("<HII", rest, len(rest) - 12)
    size = len(head) + (mebibytes << 20)
    fields = struct.pack("<HHHHHIII", 45, 0, 8, 0, 33, sum_, ALL, ALL)
    more = struct.pack("<HHQQ", 1, 16, size, len(stream))
    named = name.encode()
    lengths = struct.pack("<HH", len(named), len(more))
    local = b"PK\x03\x04" + fields + lengths + named + more + stream
    entry = b"PK\x01\x02" + struct.pack("<H", 45) + fields + lengths
    entry += struct.pack("<HHHII", 0, 0, 0, 0, 0) + named + more
    kept = bytearray(rest[start : start + length])
    at = 0
    while at < len(kept):
        old = struct.unpack_from("<I", kept, at + 42)[0]
        struct.pack_into("<I", kept, at + 42, old + len(local))
        at += 46 + sum(struct.unpack_from("<HHH", kept, at + 28))
    ends = (count + 1, count + 1, len(entry) + length, len(local) + start, 0)
    tail = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, *ends)
    return local + rest[:start] + entry + bytes(kept) + tail


def directory(rng: Rng, whole: bytes) -> bytes:
    """Return a zip whose directory lies in some numbers."""
    start = whole.index(b"PK\x01\x02")
    return whole[:start] + WORDS["bad numbers"].make(rng, whole[start:])
