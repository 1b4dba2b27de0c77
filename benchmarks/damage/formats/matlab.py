"""Damages of MATLAB 5 files, within compressed variables too."""

import struct
import zlib

import numpy as np

from benchmarks.damage.formats.any_bytes import BYTES, WORDS, WORST, Damage, Rng

COMPRESSED, MATRIX = 15, 14
TYPES = (0, 1, 7, 8, 9, 14, 15, 16, 17, 18, 99, 0xFFFF, 0x10009, 0xFFFFFFFF)
"""Codes of element types, some that do not exist, one of a small element."""


def opened(whole: bytes) -> list[bytes]:
    """Return the header and, uncompressed, the variables with their tags."""
    parts, at = [whole[:128]], 128
    while at + 8 <= len(whole):
        kind, size = struct.unpack_from("<II", whole, at)
        content = whole[at + 8 : at + 8 + size]
        tagged = whole[at : at + 8 + size]
        parts.append(zlib.decompress(content) if kind == COMPRESSED else tagged)
        at += 8 + size
    return parts


def joined(rng: Rng, parts: list[bytes]) -> bytes:
    """Return a file of these variables, compressed or not."""
    if rng.random() < 0.5:
        return b"".join(parts)
    return parts[0] + b"".join(map(compressed, parts[1:]))


def compressed(variable: bytes) -> bytes:
    """Return a variable as MATLAB compresses it."""
    packed = zlib.compress(variable)
    return struct.pack("<II", COMPRESSED, len(packed)) + packed


def pick(rng: Rng, whole: bytes) -> tuple[list[bytes], int]:
    """Return a file's parts, and the number of a variable."""
    parts = opened(whole)
    return parts, int(rng.integers(1, len(parts)))


def within(rng: Rng, whole: bytes) -> bytes:
    """Return a file in which one variable is damaged as bytes, then packed right."""
    parts, k = pick(rng, whole)
    damages = [*(BYTES | WORDS).values()]
    parts[k] = damages[rng.integers(len(damages))].make(rng, parts[k])
    return joined(rng, parts)


def put(rng: Rng, whole: bytes, at: int, value: int) -> bytes:
    """Return a file with a 32-bit number in a variable, at this byte or about there."""
    parts, k = pick(rng, whole)
    data = bytearray(parts[k])
    struct.pack_into("<I", data, min(at, len(data) - 4) // 4 * 4, value % (1 << 32))
    parts[k] = bytes(data)
    return joined(rng, parts)


def size(rng: Rng, whole: bytes) -> bytes:
    """Return a file with a size or type code that is wrong, near a variable's front."""
    codes = WORST if rng.random() < 0.5 else TYPES
    return put(rng, whole, 4 * int(rng.integers(24)), codes[rng.integers(len(codes))])


def shape(rng: Rng, whole: bytes) -> bytes:
    """Return a file with a number of rows or columns that is wrong."""
    worst = (-1, -(1 << 31), 0, (1 << 31) - 1, 1 << 25, 1 << 16, 3)
    # 8 bytes of tag, 16 of flags, 8 of the dimensions' own tag: there they stand.
    place = 32 + 4 * int(rng.integers(2))
    return put(rng, whole, place, worst[rng.integers(len(worst))])


def kind(rng: Rng, whole: bytes) -> bytes:
    """Return a file with a variable of another class, or flags that are odd."""
    flags = (*range(19), 0x0806, 0x0206, 0xFFFFFFFF)
    return put(rng, whole, 16, flags[rng.integers(len(flags))])


def element(rng: Rng, whole: bytes) -> bytes:
    """Return a file with a bad number anywhere in a variable."""
    at = int(rng.integers(8, 1 << 12))
    return put(rng, whole, at, WORST[rng.integers(len(WORST))])


def values(rng: Rng, whole: bytes) -> bytes:
    """Return a file with a NaN, an infinity or another bad number for data."""
    parts, k = pick(rng, whole)
    data = bytearray(parts[k])
    bad = (np.nan, np.inf, -np.inf, 1e308, -1.0, 0.0, 1e-320)
    # From the end, where the numbers are: names and shapes stand at the front.
    at = len(data) // 8 * 8 - 8 * int(rng.integers(1, max(2, len(data) // 16)))
    struct.pack_into("<d", data, max(at, 8), bad[rng.integers(len(bad))])
    parts[k] = bytes(data)
    return joined(rng, parts)


def missing(rng: Rng, whole: bytes) -> bytes:
    """Return a file without one of its variables."""
    parts, k = pick(rng, whole)
    del parts[k]
    return joined(rng, parts)


def twice(rng: Rng, whole: bytes) -> bytes:
    """Return a file with a variable again at its end, damaged."""
    parts, k = pick(rng, whole)
    parts.append(WORDS["bad numbers"].make(rng, parts[k]))
    return joined(rng, parts)


def bomb(rng: Rng, whole: bytes) -> bytes:
    """Return a file in which a variable deflates from zeros, and claims them."""
    parts, k = pick(rng, whole)
    rows = int(rng.choice((1 << 10, 1 << 14, 1 << 15)))
    content = min(8 * rows * rows, (1 << 32) - 1024)
    head = bytearray(parts[k][:64])
    struct.pack_into("<I", head, 4, content + 56)
    struct.pack_into("<ii", head, 32, rows, rows)
    head[48:64] = struct.pack("<II", 9, content) + bytes(8)
    packer = zlib.compressobj(9)
    start = packer.compress(bytes(head)) + packer.flush(zlib.Z_FULL_FLUSH)
    mebibyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # Repeated, since the stream of one MiB refers to nothing before it.
    packed = start + mebibyte * min(content >> 20, 4096)
    variables = [part for n, part in enumerate(parts) if n not in (0, k)]
    tagged = struct.pack("<II", COMPRESSED, len(packed)) + packed
    return parts[0] + tagged + b"".join(variables)


def endless(rng: Rng, whole: bytes) -> bytes:
    """Return a file of very many variables without a name, or structs in structs."""
    parts = opened(whole)
    if rng.random() < 0.5:
        return b"".join(parts) + struct.pack("<II", MATRIX, 0) * 200_000
    inner = parts[-1]
    for _ in range(200):
        tag = struct.pack("<IIII", 6, 8, 2, 0) + struct.pack("<IIii", 5, 8, 1, 1)
        name = struct.pack("<II", 1, 8) + b"MatData\0"
        field = struct.pack("<IIII", 0x40005, 32, 1, 32) + b"class".ljust(32, b"\0")
        body = tag + name + field + inner
        inner = struct.pack("<II", MATRIX, len(body)) + body
    return parts[0] + inner


MATLAB5: dict[str, Damage] = {
    "variable damaged, packed right": Damage(within),
    "element size or type": Damage(size),
    "rows or columns": Damage(shape),
    "class or flags": Damage(kind),
    "bad number in a variable": Damage(element),
    "bad values": Damage(values),
    "variable missing": Damage(missing),
    "variable twice": Damage(twice),
    "deflated zeros": Damage(bomb),
    "very many or very deep": Damage(endless),
}
