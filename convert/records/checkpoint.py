"""Checkpoints: where a training or a tuning stands, one `.npz` without pickle each.

A file holds arrays and one JSON text, `header`. In it `whose` is the identity of the
run that wrote it: its configuration, seeds, networks. No other run goes on from it.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import atomic
from isotau.convert.ground.npz import read_npz
from isotau.convert.records.storage import MAX_BYTES

FORMAT = 1
DAMAGED = (KeyError, IndexError, TypeError, ValueError, RuntimeError)
"""What a file that is no checkpoint makes json, numpy and torch raise."""


class Checkpoint(NamedTuple):
    """All that the next update of a run needs.

    Attributes:
        header: plain values, as JSON can hold them.
        arrays: by name; none is called "header".
    """

    header: dict[str, Any]
    arrays: dict[str, np.ndarray]


def write_checkpoint(
    path: Path, run: Mapping[str, Any], checkpoint: Checkpoint
) -> None:
    """Write a checkpoint and the identity of its run; the file appears whole or not."""
    header, arrays = checkpoint
    text = np.array(json.dumps({"whose": run, **header}, sort_keys=True))
    members: dict[str, Any] = {"header": text, **arrays}
    # Whole or not: what is killed while it writes goes on from the checkpoint before.
    # Not compressed, since checkpoints are written more often than read.
    with atomic(path) as stream:
        np.savez(stream, **members)


def read_checkpoint(path: Path, run: Mapping[str, Any], kind: str) -> Checkpoint:
    """Return what a file holds.

    Args:
        path: written by `write_checkpoint`.
        run: identity of the run that is to go on.
        kind: "training" or "tuning", for messages.

    Raises:
        ValueError: it belongs to another run; the message names what differs.
        UnreadableFile: it is damaged.
    """
    arrays = read_npz(path, max_bytes=MAX_BYTES)
    with damage_named(path, kind):
        header = json.loads(str(arrays.pop("header")))
        owner = dict(header["whose"])
    # through JSON, as the file's went: tuples are lists there
    _check_identity(path, owner, json.loads(json.dumps(run)))
    return Checkpoint(header, arrays)


@contextmanager
def damage_named(path: Path, kind: str) -> Iterator[None]:
    """Turn what a damaged file makes its readers raise into `UnreadableFile`."""
    try:
        yield
    except DAMAGED as error:
        raise UnreadableFile(f"{path}: not a {kind} checkpoint ({error})") from error


def fitting(array: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return a file's array; TypeError unless its type and shape are another's."""
    # numpy would broadcast a smaller array into a parameter without a word.
    if array.shape != like.shape or array.dtype != like.dtype:
        raise TypeError(
            f"got {array.dtype} {array.shape}, need {like.dtype} {like.shape}"
        )
    return array


def digest(value: Any) -> str:
    """Return a SHA-256 of records, arrays and plain values, nested as they may be."""
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()


def _check_identity(path: Path, owner: dict[str, Any], need: dict[str, Any]) -> None:
    # One difference is named: the first is most often the cause of the others.
    names = sorted(set(owner) | set(need))
    different = [name for name in names if owner.get(name) != need.get(name)]
    if different:
        name = different[0]
        raise ValueError(
            f"{path}: got a checkpoint of {name} {owner.get(name)!r}, need "
            f"{need.get(name)!r}; remove the file or name another"
        )


def _feed(state: Any, value: Any) -> None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            state.update(field.name.encode())
            _feed(state, getattr(value, field.name))
    elif isinstance(value, np.ndarray):
        state.update(f"{value.dtype}{value.shape}".encode())
        state.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, tuple | list):
        # the length, or ((a), b) and (a, (b)) would feed the same bytes
        state.update(f"{type(value).__name__}{len(value)}".encode())
        for part in value:
            _feed(state, part)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            state.update(str(key).encode())
            _feed(state, value[key])
    else:
        state.update(repr(value).encode())
