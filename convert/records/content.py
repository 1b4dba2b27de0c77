"""What a record consists of: its arrays, its other fields, and the hash of both."""

import hashlib
import json
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.sparse import SparseWeights

NESTED = ("blocks",)
"""Fields that hold records themselves."""
SPARSE_ARRAYS = ("data", "indices", "indptr")
"""Fields of `SparseWeights` that are arrays."""


class RecordContent:
    """What all records have that a file can hold."""

    __slots__ = ("_fingerprint",)
    _fingerprint: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, as 64 hexadecimal digits."""
        # Records never change: a large one is hashed once, not for every run.
        if not hasattr(self, "_fingerprint"):
            object.__setattr__(self, "_fingerprint", _hash(self))
        return self._fingerprint


def flatten(record: Any) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Return a record's arrays and, apart, all its other fields."""
    # What is no array goes into the header as JSON, which no reader has to unpickle.
    arrays: dict[str, npt.NDArray[Any]] = {}
    plain: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        elif isinstance(value, SparseWeights):
            for name in SPARSE_ARRAYS:
                arrays[f"{field.name}.{name}"] = getattr(value, name)
            plain[field.name] = {"shape": list(value.shape)}
        elif field.name in NESTED:
            # Arrays of blocks get names such as "blocks.3.weights".
            parts = [flatten(part) for part in value]
            plain[field.name] = [inner for _, inner in parts]
            for k, (inner_arrays, _) in enumerate(parts):
                for name, array in inner_arrays.items():
                    arrays[f"{field.name}.{k}.{name}"] = array
        else:
            plain[field.name] = value
    return arrays, plain


def _hash(record: RecordContent) -> str:
    """Return the SHA-256 of a record."""
    # Name, type and shape are hashed, too: 2 × 3 zeros are not 3 × 2 zeros.
    arrays, plain = flatten(record)
    digest = hashlib.sha256(type(record).__name__.encode())
    digest.update(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
