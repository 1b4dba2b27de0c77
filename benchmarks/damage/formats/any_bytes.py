"""Damages that know nothing of a format: bytes lost, changed, moved, bad numbers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Rng = np.random.Generator
WORST = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE)
WORST += (0xFFFFFFFF, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
"""Numbers at which sizes, offsets and signs go wrong."""
BAD_VALUES = (np.nan, np.inf, -np.inf, 1e308, -1.0, 0.0, 2.0**63, 1e-320)
"""Numbers that no network and no recording has among its own."""


class Damage(NamedTuple):
    """How a file is damaged."""

    make: Callable[[Rng, bytes], bytes]
    refused: bool = False
    """Whether no reader may take the file for whole."""


def with_bad_value(rng: Rng, value: np.ndarray) -> np.ndarray:
    """Return an array in float64 with a bad value somewhere, or all negated."""
    wide = value.astype(np.float64)
    k = int(rng.integers(len(BAD_VALUES) + 1))
    if k == len(BAD_VALUES):
        return -wide
    wide.reshape(-1)[rng.integers(value.size)] = BAD_VALUES[k]
    return wide


def span(rng: Rng, whole: bytes) -> tuple[int, int]:
    """Return where a part of a file begins and ends, of 1 byte to a quarter of it."""
    longest = max(2, len(whole) // 4)
    # Short parts as often as long ones: most fields of a header have a few bytes.
    length = int(np.exp(rng.uniform(0, np.log(longest))))
    start = int(rng.integers(max(1, len(whole) - length)))
    return start, start + length


def truncated(rng: Rng, whole: bytes) -> bytes:
    """Return a file that breaks off."""
    return whole[: rng.integers(len(whole))]


def flipped(rng: Rng, whole: bytes, first: int | None = None) -> bytes:
    """Return a file with 1 to 64 bits flipped, in its first bytes or anywhere."""
    data = bytearray(whole)
    for _ in range(int(2 ** rng.integers(7))):
        data[rng.integers(min(first or len(data), len(data)))] ^= 1 << rng.integers(8)
    return bytes(data)


def zeroed(rng: Rng, whole: bytes) -> bytes:
    """Return a file with zeros over a part."""
    start, stop = span(rng, whole)
    return whole[:start] + bytes(stop - start) + whole[stop:]


def randomised(rng: Rng, whole: bytes) -> bytes:
    """Return a file with noise over a part."""
    start, stop = span(rng, whole)
    return whole[:start] + rng.bytes(stop - start) + whole[stop:]


def doubled(rng: Rng, whole: bytes) -> bytes:
    """Return a file with a part twice, what follows shifted."""
    start, stop = span(rng, whole)
    return whole[:stop] + whole[start:]


def removed(rng: Rng, whole: bytes) -> bytes:
    """Return a file without a part, what follows shifted."""
    start, stop = span(rng, whole)
    return whole[:start] + whole[stop:]


def moved(rng: Rng, whole: bytes) -> bytes:
    """Return a file with one part written over another."""
    start, stop = span(rng, whole)
    to = int(rng.integers(max(1, len(whole) - (stop - start))))
    return whole[:to] + whole[start:stop] + whole[to + stop - start :]


def word(rng: Rng, whole: bytes) -> bytes:
    """Return a file with one to four of the worst numbers, 2 to 8 bytes each."""
    data = bytearray(whole)
    for _ in range(rng.integers(1, 5)):
        width = int(rng.choice((2, 4, 8)))
        # At even places, where formats put their numbers.
        at = int(rng.integers(max(1, len(data) - width))) // 2 * 2
        value = WORST[rng.integers(len(WORST))] % (1 << 8 * width)
        order = "little" if rng.random() < 0.8 else "big"
        data[at : at + width] = value.to_bytes(width, order)
    return bytes(data)


def at_front(rng: Rng, whole: bytes) -> bytes:
    """Return a file with a bad number among its first 512 bytes."""
    return word(rng, whole[:512]) + whole[512:]


def flipped_front(rng: Rng, whole: bytes) -> bytes:
    """Return a file with bits flipped where headers stand."""
    return flipped(rng, whole, first=256)


def garbage(rng: Rng, whole: bytes) -> bytes:
    """Return the first bytes of a file and noise behind them."""
    return whole[: rng.integers(160)] + rng.bytes(int(rng.integers(4096)))


BYTES: dict[str, Damage] = {
    "truncated": Damage(truncated),
    "bits flipped": Damage(flipped),
    "bits flipped at the front": Damage(flipped_front),
    "part zeroed": Damage(zeroed),
    "part randomised": Damage(randomised),
    "part doubled": Damage(doubled),
    "part removed": Damage(removed),
    "part over another": Damage(moved),
    "front and noise": Damage(garbage),
}
WORDS: dict[str, Damage] = {
    "bad numbers": Damage(word),
    "bad number at the front": Damage(at_front),
}
