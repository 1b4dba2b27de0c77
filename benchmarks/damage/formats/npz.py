"""Damages of `.npz` files: headers and contents of members, the zip around them."""

import io
import json
import math
import pickle
import struct
import zipfile
from collections.abc import Callable

import numpy as np

from benchmarks.damage.formats.any_bytes import (
    BYTES,
    WORDS,
    Damage,
    Rng,
    with_bad_value,
)
from benchmarks.damage.formats.zip_members import (
    Members,
    directory,
    read_members,
    with_zeros,
    zipped,
)

HUGE = ((1 << 40,), (1 << 31, 1 << 31), (1 << 62, 8), (10**30,))
"""Shapes that no memory holds, some whose sizes overflow 64 bits."""
TEXTS = ("[" * 20_000, "1e999", "{}", "null", '{"format": 1', "9" * 5000, "\ud800")
"""In place of a record's own JSON: too deep, too large, of another kind, no text."""
HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }" + "(" * 300,
    "{'descr': '<f8', 'fortran_order': False, 'shape': " + "-" * 3000 + "1}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 4)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': 0x(1)}",
    "{'descr': '<f8', 'fortran_order': 3, 'shape': ('a',)}",
    "{'descr': '<f0', 'fortran_order': False, 'shape': (1099511627776,)}",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (1099511627776,)}",
    "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': [('a', '<f8', (1048576, 1048576))], 'fortran_order': False, "
    "'shape': (1,)}",
    "{'descr': ('<f8', (65536, 65536)), 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2.0)}",
    "'\\d'\n  1",
)
"""Of arrays; NumPy reads headers as Python's literals."""


def edit(change: Callable[[Rng, bytes], bytes]) -> Callable[[Rng, bytes], bytes]:
    """Return the damage that changes one member and makes the zip right again."""

    def damage(rng: Rng, whole: bytes) -> bytes:
        members = read_members(whole)
        name = pick(rng, members)
        members[name] = change(rng, members[name])
        return zipped(members, deflated=bool(rng.integers(2)))

    return damage


def pick(rng: Rng, members: Members) -> str:
    """Return a member's name, that of an array rather than of the header.

    Not one of Python objects, which PsychRNN's files have: they would be unpickled.
    """
    plain = [name for name in members if b"|O" not in members[name][:128]]
    names = [name for name in plain if name != "isotau.npy"]
    return names[rng.integers(len(names))]


def within(rng: Rng, content: bytes) -> bytes:
    """Return a member damaged as bytes."""
    damages = [damage for damage in (BYTES | WORDS).values() if content]
    return damages[rng.integers(len(damages))].make(rng, content)


def array(content: bytes) -> np.ndarray:
    """Return a member's array; one of Python objects is refused."""
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def npy(value: object) -> bytes:
    """Return an array as NumPy writes it."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(value))
    return stream.getvalue()


def headed(text: str, data: bytes) -> bytes:
    """Return an array's file with this header."""
    head = text.encode("latin1")
    # Filled up so that the data begins at a multiple of 64 bytes, as NumPy has it.
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def claiming(rng: Rng, content: bytes, shape: tuple[int, ...]) -> bytes:
    """Return a member whose header claims another shape."""
    descr = array(content).dtype.str
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"
    return headed(text, content[-64:])


def huge(rng: Rng, content: bytes) -> bytes:
    """Return a member that claims more than any memory holds."""
    return claiming(rng, content, HUGE[rng.integers(len(HUGE))])


def negative(rng: Rng, content: bytes) -> bytes:
    """Return a member that claims fewer than no elements."""
    shapes = ((-1,), (-1, -8), (3, -(1 << 40)), (-(10**30), 1))
    return claiming(rng, content, shapes[rng.integers(len(shapes))])


def odd_header(rng: Rng, content: bytes) -> bytes:
    """Return a member whose header is no header, or an odd one."""
    return headed(HEADERS[rng.integers(len(HEADERS))], content[-64:])


class Trap:
    """What writes a file if it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        """Return the call that a pickle of this makes."""
        return open, ("trapped", "w")


def pickled(rng: Rng, content: bytes) -> bytes:
    """Return a member of Python objects, with the header of one or without."""
    trap = pickle.dumps(np.array([Trap()], dtype=object), protocol=2)
    if rng.random() < 0.3:
        return trap
    return headed("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", trap)


def reshaped(rng: Rng, content: bytes) -> bytes:
    """Return the member as an array of another shape, with as many elements or not."""
    value = array(content)
    changes: list[Callable[[], np.ndarray]] = [
        lambda: value.ravel(),
        lambda: value.T,
        lambda: value[..., None],
        lambda: value[None],
        lambda: np.atleast_1d(value)[:-1],
        lambda: np.concatenate([np.atleast_1d(value)] * 2),
        lambda: np.zeros((0,) * value.ndim, value.dtype),
        lambda: np.zeros((0, 5)),
        lambda: np.zeros((1,) * 33 if rng.integers(2) else (1,) * 12),
    ]
    change = changes[rng.integers(len(changes))]
    try:
        return npy(change())
    except ValueError:  # NumPy 1 has at most 32 axes
        return npy(value.ravel())


def retyped(rng: Rng, content: bytes) -> bytes:
    """Return the member with elements of another type."""
    kinds = ("<f4", ">f8", "<c16", "<U4", "|S4", "<i8", "<u8", "|b1", "<M8[s]", "<f2")
    kind = kinds[rng.integers(len(kinds))]
    shape = array(content).shape
    return npy(np.ones(shape).astype(np.int64).astype(kind))


def revalued(rng: Rng, content: bytes) -> bytes:
    """Return the member with a number that no network has, or all negated."""
    value = array(content)
    if value.dtype.kind not in "fiu" or not value.size:
        return npy(np.full(value.shape, np.nan))
    wide = with_bad_value(rng, value)
    integral = value.dtype.kind in "iu" and np.isfinite(wide).all()
    # What does not fit into the integers wraps, which is one more damage.
    with np.errstate(all="ignore"):
        narrow = integral and rng.random() < 0.7
        return npy(wide.astype(value.dtype) if narrow else wide)


def missing(rng: Rng, whole: bytes) -> bytes:
    """Return a file without one of its arrays."""
    members = read_members(whole)
    del members[pick(rng, members)]
    return zipped(members)


def header_text(rng: Rng, whole: bytes) -> bytes:
    """Return a file whose own header, if it has one, says something else."""
    members = read_members(whole)
    if "isotau.npy" not in members:
        return within(rng, whole)
    header = json.loads(str(array(members["isotau.npy"])))
    if rng.random() < 0.4:
        text = TEXTS[rng.integers(len(TEXTS))]
    else:
        place = header if rng.random() < 0.3 else header["fields"]
        key = list(place)[rng.integers(len(place))] if place else "a"
        values = (None, -1, 0, [], {}, "a", 1e308, 10**400, -0.5, True, [[]] * 3)
        place[key] = values[rng.integers(len(values))]
        if rng.random() < 0.2:
            del place[key]
        text = json.dumps(header)
    # NumPy's texts cannot hold half a surrogate pair; bytes can.
    raw = np.array([text.encode("utf8", "surrogatepass")])
    members["isotau.npy"] = npy(np.array(text) if text.isascii() else raw)
    return zipped(members)


def bomb(rng: Rng, whole: bytes) -> bytes:
    """Return a zip with a member of 8 GiB of zeros, and a header that agrees."""
    members = read_members(whole)
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (32768, 32768), }"
    return with_zeros(members, pick(rng, members), headed(text, b""), 8192)


def small_bomb(rng: Rng, whole: bytes) -> bytes:
    """Return one of 200 MiB, as small numbers that grow when they are converted."""
    members = read_members(whole)
    name, size = pick(rng, members), 200 << 20
    side = math.isqrt(size)
    shapes: dict[str, tuple[int, ...]] = {
        "|u1": (side, side),
        "<f8": (side // 8, side),
        "|b1": (size,),
    }
    kind = list(shapes)[rng.integers(len(shapes))]
    shape, original = shapes[kind], array(members[name])
    if original.ndim == 3 and rng.random() < 0.7:
        kind, shape = "|u1", (size // 2, 1, 2)
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}"
    return with_zeros(members, name, headed(text, b""), 200)


def twice(rng: Rng, whole: bytes) -> bytes:
    """Return a zip with two members of one name, the second another array."""
    members = read_members(whole)
    name = pick(rng, members)
    stream = io.BytesIO(zipped(members))
    with zipfile.ZipFile(stream, "a") as archive:
        info = zipfile.ZipInfo(name)
        # Forgotten, so that zipfile does not warn of the second of the name.
        archive.NameToInfo.pop(name)
        archive.writestr(info, reshaped(rng, members[name]))
    return stream.getvalue()


NPZ: dict[str, Damage] = {
    "member damaged, sums right": Damage(edit(within)),
    "shape of 2^40 and more": Damage(edit(huge), refused=True),
    "negative shape": Damage(edit(negative), refused=True),
    "odd header": Damage(edit(odd_header), refused=True),
    "pickled objects": Damage(edit(pickled), refused=True),
    "another shape": Damage(edit(reshaped)),
    "another type": Damage(edit(retyped)),
    "bad values": Damage(edit(revalued)),
    "member missing": Damage(missing),
    "own header changed": Damage(header_text),
    "zip bomb of 8 GiB": Damage(bomb, refused=True),
    "zip bomb of 200 MiB": Damage(small_bomb),
    "zip directory lies": Damage(directory),
    "two members of one name": Damage(twice),
}
