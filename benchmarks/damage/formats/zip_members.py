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
            # A time of their own would make the bytes differ from second to second.
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=kind)
    return stream.getvalue()


def zeros_deflated(mebibytes: int, before: bytes) -> tuple[bytes, int]:
    """Return the DEFLATE stream of some bytes and MiB of zeros, and their CRC-32.

    Made in no time: the stream of one MiB, which refers to nothing before it, repeated.
    The sum is right up to a GiB, which is where whoever checks it has read enough.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    mebibyte = packer.compress(MEBIBYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    sum_ = zlib.crc32(before)
    for _ in range(min(mebibytes, 1024)):
        sum_ = zlib.crc32(MEBIBYTE, sum_)
    return start + mebibyte * mebibytes + packer.flush(), sum_


def with_zeros(members: Members, name: str, head: bytes, mebibytes: int) -> bytes:
    """Return a zip in which one member is some bytes and then zeros."""
    stream, sum_ = zeros_deflated(mebibytes, head)
    archive = zipped({key: value for key, value in members.items() if key != name})
    count, length, start = struct.unpack_from("<HII", archive, len(archive) - 12)
    size = len(head) + (mebibytes << 20)
    fields = struct.pack("<HHHHHIII", 45, 0, 8, 0, 33, sum_, ALL, ALL)
    # Sizes stand in the zip64 field: 4 GiB and more have no room elsewhere.
    extra = struct.pack("<HHQQ", 1, 16, size, len(stream))
    encoded = name.encode()
    lengths = struct.pack("<HH", len(encoded), len(extra))
    local = b"PK\x03\x04" + fields + lengths + encoded + extra + stream
    entry = b"PK\x01\x02" + struct.pack("<H", 45) + fields + lengths
    entry += struct.pack("<HHHII", 0, 0, 0, 0, 0) + encoded + extra
    # The others move behind the new one, and so do their places in the directory.
    entries = bytearray(archive[start : start + length])
    at = 0
    while at < len(entries):
        offset = struct.unpack_from("<I", entries, at + 42)[0]
        struct.pack_into("<I", entries, at + 42, offset + len(local))
        at += 46 + sum(struct.unpack_from("<HHH", entries, at + 28))
    ends = (count + 1, count + 1, len(entry) + length, len(local) + start, 0)
    tail = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, *ends)
    return local + archive[:start] + entry + bytes(entries) + tail


def directory(rng: Rng, whole: bytes) -> bytes:
    """Return a zip whose directory lies in some numbers."""
    start = whole.index(b"PK\x01\x02")
    return whole[:start] + WORDS["bad numbers"].make(rng, whole[start:])
