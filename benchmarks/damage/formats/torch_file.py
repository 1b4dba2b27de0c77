"""Damages of `.pt` files, zipped and of the older kind: pickles, tensors, traps."""

import io
import pickle
import pickletools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.damage.formats.any_bytes import BYTES, WORDS, Damage, Rng
from benchmarks.damage.formats.npz import Trap
from benchmarks.damage.formats.zip_members import (
    directory,
    read_members,
    with_zeros,
    zipped,
)

State = dict[str, Any]
OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]


def saved(state: object, *, legacy: bool, **more: Any) -> bytes:
    """Return what `torch.save` writes."""
    stream = io.BytesIO()
    torch.save(state, stream, _use_new_zipfile_serialization=not legacy, **more)
    return stream.getvalue()


def edit(change: Callable[[Rng, State, str], None]) -> Callable[..., bytes]:
    """Return the damage that changes a state dict at one of its tensors."""

    def damage(rng: Rng, whole: bytes) -> bytes:
        state = dict(torch.load(io.BytesIO(whole), weights_only=True))
        names = list(state)
        change(rng, state, names[rng.integers(len(names))])
        return saved(state, legacy=not whole.startswith(b"PK"))

    return damage


def expanded(rng: Rng, state: State, name: str) -> None:
    """Let tensors of one stored number claim many."""
    shapes = ((1 << 40,), (1 << 20, 1 << 20), (1 << 24,), (4096, 4096), (1 << 25,))
    shape = shapes[rng.integers(len(shapes))]
    # An expanded tensor takes four bytes in a file, and its full size in NumPy.
    names = list(state) if rng.random() < 0.5 else [name]
    for key in names:
        state[key] = torch.zeros(1).expand(shape)


def many(rng: Rng, state: State, name: str) -> None:
    """Let hundreds of tensors share one stored number."""
    for k in range(300):
        state[f"{name}{k}"] = torch.zeros(1).expand(1 << 24)


def retyped(rng: Rng, state: State, name: str) -> None:
    """Give a tensor another type, layout or class."""
    value = state[name].float()
    matrix = value.reshape(1, -1)
    makers: list[Callable[[], object]] = [
        lambda: value.half(),
        lambda: value.bfloat16(),
        lambda: value.to(torch.float8_e4m3fn),
        lambda: value.to(torch.complex64),
        lambda: value.bool(),
        lambda: value.to(torch.int8),
        lambda: matrix.to_sparse(),
        lambda: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        lambda: torch.empty(value.shape, device="meta"),
        lambda: torch.nn.Parameter(value),
        lambda: value.tolist(),
        lambda: {"a": value},
        lambda: None,
        lambda: "text",
        lambda: torch.complex(value, value).conj(),
    ]
    state[name] = makers[rng.integers(len(makers))]()


def reshaped(rng: Rng, state: State, name: str) -> None:
    """Give a tensor another shape."""
    value = state[name]
    shapes = ((), (0,), (1,), (5,), (12, 12), (1, 2, 3), (0, 12), (1,) * 60)
    shape = shapes[rng.integers(len(shapes))]
    state[name] = value.T if rng.random() < 0.2 else torch.ones(shape)


def revalued(rng: Rng, state: State, name: str) -> None:
    """Put a number that no network has in a tensor."""
    bad = (np.nan, np.inf, -np.inf, 1e38, -1.0, 0.0)
    state[name].reshape(-1)[0] = float(bad[rng.integers(len(bad))])


def missing(rng: Rng, state: State, name: str) -> None:
    """Take a tensor away."""
    del state[name]


def renamed(rng: Rng, state: State, name: str) -> None:
    """Give a tensor another key, which need not be a text."""
    keys = (3, None, (1, 2), "", "a" * 9999, "weight_hh_l1", "\ud7ff", b"m", "model")
    key: Any = keys[rng.integers(len(keys))]
    state[key] = state.pop(name)


def pickle_within(rng: Rng, whole: bytes) -> bytes:
    """Return a file whose pickle is damaged as bytes, the zip around it right."""
    damages = [*(BYTES | WORDS).values(), Damage(opcodes)]
    damage = damages[rng.integers(len(damages))]
    if not whole.startswith(b"PK"):
        # The magic number stays, so that the file is still taken for one of torch.
        return whole[:32] + damage.make(rng, whole[32:])
    members = read_members(whole)
    for name in members:
        if name.endswith("data.pkl"):
            members[name] = damage.make(rng, members[name])
    return zipped(members, deflated=False)


def opcodes(rng: Rng, whole: bytes) -> bytes:
    """Return a pickle with some of its bytes replaced by instructions."""
    data = bytearray(whole)
    for _ in range(rng.integers(1, 5)):
        data[rng.integers(len(data))] = OPCODES[rng.integers(len(OPCODES))][0]
    return bytes(data)


def trapped(rng: Rng, whole: bytes) -> bytes:
    """Return a file that calls something when it is unpickled by pickle."""
    trap = pickle.dumps({"m": Trap()}, protocol=2)
    if not whole.startswith(b"PK"):
        if rng.random() < 0.5:
            return trap
        return saved({"m": Trap()}, legacy=True)
    members = read_members(whole)
    for name in members:
        if name.endswith("data.pkl"):
            members[name] = trap
    return zipped(members, deflated=False)


def member_within(rng: Rng, whole: bytes) -> bytes:
    """Return a zip with one member damaged, removed or compressed."""
    members = read_members(whole)
    name = list(members)[rng.integers(len(members))]
    if rng.random() < 0.2:
        del members[name]
    else:
        damages = [*BYTES.values()]
        content = members[name] or b"\0"
        members[name] = damages[rng.integers(len(damages))].make(rng, content)
    return zipped(members, deflated=bool(rng.integers(2)))


def bomb(rng: Rng, whole: bytes) -> bytes:
    """Return a zip with a member of zeros: 8 GiB, or as much as may pass."""
    members = read_members(whole)
    name = list(members)[rng.integers(len(members))]
    return with_zeros(members, name, members[name], int(rng.choice((8192, 1000, 200))))


def long_storage(rng: Rng, whole: bytes) -> bytes:
    """Return a file in whose pickle a number, such as a storage's size, is huge."""
    # Pickle's one-byte numbers 12 and 144, sizes of the seeds' tensors, made 2^31 − 1
    # and 2^40 − 1.
    changes = {
        b"K\x0c": b"J\xff\xff\xff\x7f",
        b"K\x90": b"\x8a\x06" + b"\xff" * 5 + b"\0",
    }
    small = list(changes)[rng.integers(len(changes))]
    if not whole.startswith(b"PK"):
        place = whole.rfind(small) if rng.random() < 0.5 else whole.find(small)
        return whole[:place] + changes[small] + whole[place + 2 :]
    members = read_members(whole)
    for name in members:
        if name.endswith("data.pkl"):
            members[name] = members[name].replace(small, changes[small])
    return zipped(members, deflated=False)


def long_data(rng: Rng, whole: bytes) -> bytes:
    """Return an older file in which a storage claims 2^40 elements or fewer than 0."""
    # The last storage's number of elements, before its data.
    place = whole.rfind(struct.pack("<q", 12))
    claimed = (1 << 40, -1, 1 << 62, 1 << 27)[rng.integers(4)]
    return whole[:place] + struct.pack("<q", claimed) + whole[place + 8 :]


TORCH: dict[str, Damage] = {
    "few numbers claim many": Damage(edit(expanded), refused=True),
    "hundreds of tensors share one": Damage(edit(many), refused=True),
    "another type": Damage(edit(retyped)),
    "another shape": Damage(edit(reshaped)),
    "bad values": Damage(edit(revalued)),
    "tensor missing": Damage(edit(missing)),
    "another name": Damage(edit(renamed)),
    "pickle damaged": Damage(pickle_within),
    "trap in the pickle": Damage(trapped, refused=True),
    "huge number in the pickle": Damage(long_storage),
    "member damaged, sums right": Damage(member_within),
    "zip bomb": Damage(bomb),
    "zip directory lies": Damage(directory),
}
TORCH_LEGACY: dict[str, Damage] = {
    name: damage
    for name, damage in TORCH.items()
    if damage.make not in (member_within, bomb, directory)
} | {"storage of 2^27 to 2^62": Damage(long_data, refused=True)}
