"""Records on disk: one `.npz` each, no pickle, written atomically, read with care.

A file holds the record's arrays under their field names and one JSON text, `isotau`,
with the format's version, the record's kind and every field that is no array. Sparse
weights are three arrays, `w_rec.data`, `.indices` and `.indptr`, and their shape in the
header of a file of format 2.
"""

import json
import os
import zipfile
import zlib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import atomic
from isotau.convert.ground.npz import (
    DAMAGED,
    read_array,
    read_header,
    read_npz,
    write_npz,
)
from isotau.convert.ground.sparse import SparseWeights
from isotau.convert.records.content import SPARSE_ARRAYS
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, SpikeTimes
from isotau.convert.records.trials import Trials

FORMAT, SPARSE_FORMAT = 1, 2
"""Of files without and with sparse weights, which older versions cannot read."""
MAX_BYTES = 4 << 30
"""Largest array data that `load` reads, in bytes."""

MAX_HEADER = 1 << 24
"""Largest isotau header of a file, in bytes."""

Record = RateRNN | LIFNetwork | FixedPointNetwork | Trials | Spikes | SpikeTimes
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (RateRNN, LIFNetwork, FixedPointNetwork, Trials, Spikes, SpikeTimes)
}
NESTED: dict[str, type[Any]] = {"blocks": WeightBlock}
OLD_CLIPPED = ("relu", "softplus")
"""Activations that were cut at 20 when files did not yet say where."""
R = TypeVar("R", bound=Record)


def save(record: Record, path: str | os.PathLike[str]) -> Path:
    """Write a record to `path` and return the path; the file appears whole or not."""
    arrays, plain = record.flatten()
    # Sorted keys: one record gives one file, whatever order its fields are in.
    sparse = any(name.endswith(".indptr") for name in arrays)
    version = SPARSE_FORMAT if sparse else FORMAT
    header = {"format": version, "kind": type(record).__name__, "fields": plain}
    text = np.array(json.dumps(header, sort_keys=True))
    members: dict[str, Any] = {**arrays, "isotau": text}
    with atomic(path) as stream:
        if sparse:  # weights at random places hardly pack, and a minute it would take
            np.savez(stream, **members)
        else:
            write_npz(stream, members)
    return Path(path)


@overload
def load(path: str | os.PathLike[str]) -> Record: ...
@overload
def load(path: str | os.PathLike[str], kind: type[R]) -> R: ...
def load(path: str | os.PathLike[str], kind: type[Any] | None = None) -> Record:
    """Return the record in a file, checking everything its constructor checks.

    Args:
        path: of the file.
        kind: which kind of record it has to be; whichever the file holds where None.

    Raises:
        UnreadableFile: no `.npz`, another kind of record, a newer format, a missing
            or bad field, or arrays that claim more memory than the file or `MAX_BYTES`
            allows.
    """
    arrays = read_npz(path, max_bytes=MAX_BYTES)
    # The header first: it says how the arrays are to be taken.
    if "isotau" not in arrays:
        raise UnreadableFile(f"{path}: got an .npz without an isotau header, need one")
    _check_header(path, arrays["isotau"].nbytes)
    try:
        header = json.loads(str(arrays.pop("isotau")))
        version, name, plain = header["format"], header["kind"], header["fields"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableFile(
            f"{path}: its isotau header is damaged ({error})"
        ) from error
    if version not in (FORMAT, SPARSE_FORMAT):
        raise UnreadableFile(
            f"{path}: got format {version}, need {FORMAT} or {SPARSE_FORMAT}; update "
            "isotau to read it"
        )
    # A damaged header may have a list where the name belongs.
    record_type = kind or KINDS.get(str(name))
    if record_type is None or name != record_type.__name__:
        need = f"a {kind.__name__}" if kind else f"one of {', '.join(KINDS)}"
        raise UnreadableFile(f"{path}: got a {name}, need {need}")
    # The constructor checks every value, so that a file is trusted no more than a user.
    try:
        if record_type is RateRNN:
            plain = _with_old_ceiling(plain)
        record: Record = _build(record_type, arrays, plain, str(path))
    except UnreadableFile:
        raise
    except (TypeError, ValueError) as error:
        raise UnreadableFile(f"{path}: {error}") from error
    return record


def kind_of(path: str | os.PathLike[str]) -> str:
    """Return which kind of record a file holds, "" for a file that is none of isotau's.

    Raises:
        UnreadableFile: an isotau file whose header is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if "isotau.npy" not in archive.namelist():
                return ""
            # The header alone is read: arrays may take minutes.
            info = archive.getinfo("isotau.npy")
            with archive.open(info) as stream:
                claimed = read_header(stream).bytes
            _check_header(path, max(claimed, info.file_size))
            with archive.open(info) as stream:
                text = read_array(stream)
        return str(json.loads(str(text))["kind"])
    except UnreadableFile:
        raise
    except zipfile.BadZipFile:
        return ""
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UnreadableFile(f"{path}: got a folder, need a file") from None
    except (*DAMAGED, TypeError, zlib.error) as error:
        raise UnreadableFile(
            f"{path}: its isotau header is damaged ({error})"
        ) from error


def same(a: Record, b: Record) -> bool:
    """Return whether two records are of one kind and equal, bit for bit."""
    return a.fingerprint == b.fingerprint


def _check_header(path: str | os.PathLike[str], size: int) -> None:
    """Refuse a header too large to be one, before it is taken apart."""
    # Parsed, JSON takes twenty times its size where it is all empty lists.
    if size > MAX_HEADER:
        raise UnreadableFile(
            f"{path}: got an isotau header of {size} bytes, need at most {MAX_HEADER}; "
            "the file is damaged"
        )


def _build(
    kind: type[Any], arrays: dict[str, Any], plain: dict[str, Any], path: str
) -> Any:
    """Construct a record from what `flatten` made; the constructor checks values."""
    if not isinstance(plain, dict):
        raise UnreadableFile(f"{path}: got {plain!r}, need the fields by name")
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in NESTED and isinstance(plain.get(field.name), list):
            values[field.name] = tuple(
                _build(NESTED[field.name], _within(arrays, field.name, k), inner, path)
                for k, inner in enumerate(plain[field.name])
            )
        elif f"{field.name}.indptr" in arrays:
            values[field.name] = _sparse(field.name, arrays, plain)
        elif field.name in arrays:
            values[field.name] = arrays[field.name]
        elif field.name in plain:
            values[field.name] = plain[field.name]
        # Fields that came later than the file have defaults that mean "as before".
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UnreadableFile(
                f"{path}: field {field.name} of {kind.__name__} is missing"
            )
    return kind(**values)


def _sparse(field: str, arrays: dict[str, Any], plain: dict[str, Any]) -> SparseWeights:
    """Return sparse weights from their three arrays and their shape in the header.

    Raises:
        ValueError: one of them is missing, or they contradict each other.
    """
    shape = plain.get(field)
    shape = shape.get("shape") if isinstance(shape, dict) else None
    # Python's whole numbers alone: True and 1e400 come through JSON as well.
    if not (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(size) is int for size in shape)
    ):
        raise ValueError(f"{field}: got shape {shape!r}, need two whole numbers")
    parts: dict[str, Any] = {}
    for name in SPARSE_ARRAYS:
        if f"{field}.{name}" not in arrays:
            raise ValueError(f"{field}.{name}: got no such array, need one")
        parts[name] = arrays[f"{field}.{name}"]
    try:
        return SparseWeights(shape=(shape[0], shape[1]), **parts)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{field}.{error}") from error


def _with_old_ceiling(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a rate network's fields; before `ceiling` was one it was 20 for two φ."""
    clipped = isinstance(plain, dict) and plain.get("activation") in OLD_CLIPPED
    return {"ceiling": 20.0} | plain if clipped else plain


def _within(arrays: dict[str, Any], field: str, k: int) -> dict[str, Any]:
    prefix = f"{field}.{k}."
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
