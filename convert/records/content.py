"""What a record consists of: its arrays, its other fields, and the hash of both."""

import hashlib
import json
from dataclasses import fields
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.sparse import SparseWeights
from isotau.convert.ground.validation import floats

NESTED = ("blocks",)
"""Fields that hold records themselves."""
SPARSE_ARRAYS = ("data", "indices", "indptr")
"""Fields of `SparseWeights` that are arrays."""


class RecordContent:
    """What all records have that a file can hold, by themselves or in others."""

    __slots__ = ("_fingerprint",)
    _fingerprint: str
    LATER: ClassVar[tuple[str, ...]] = ()
    """Arrays that records did not have at first: no part of the hash while all 0."""
    ONCE_NUMBERS: ClassVar[dict[str, Any]] = {}
    """Arrays that were one number at first, hashed as one while all are alike, and what
    0 was hashed as."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, as 64 hexadecimal digits."""
        # Records never change: a large one is hashed once, not for every run.
        if not hasattr(self, "_fingerprint"):
            object.__setattr__(self, "_fingerprint", self._hash())
        return self._fingerprint

    def flatten(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Return the record's arrays and, apart, all its other fields."""
        # What is no array goes into the header as JSON, which no reader unpickles.
        arrays: dict[str, npt.NDArray[Any]] = {}
        plain: dict[str, Any] = {}
        for field in fields(cast(Any, self)):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                arrays[field.name] = value
            elif isinstance(value, SparseWeights):
                for name in SPARSE_ARRAYS:
                    arrays[f"{field.name}.{name}"] = getattr(value, name)
                plain[field.name] = {"shape": list(value.shape)}
            elif field.name in NESTED:
                # Arrays of blocks get names such as "blocks.3.weights".
                parts = [part.flatten() for part in value]
                plain[field.name] = [inner for _, inner in parts]
                for k, (inner_arrays, _) in enumerate(parts):
                    for name, array in inner_arrays.items():
                        arrays[f"{field.name}.{k}.{name}"] = array
            else:
                plain[field.name] = value
        return arrays, plain

    def _as_at_first(
        self, arrays: dict[str, npt.NDArray[Any]], plain: dict[str, Any]
    ) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Return the content as a record without later fields had it."""
        # What files say of each other by hash stays true when a field is added.
        for name in self.LATER:
            if not arrays[name].any():
                del arrays[name]
        for name, zero in self.ONCE_NUMBERS.items():
            values = arrays[name]
            if (values == values[0]).all():
                plain[name] = values[0].item() if values[0] else zero
                del arrays[name]
        return arrays, plain

    def _hash(self) -> str:
        # Name, type and shape are hashed, too: 2 × 3 zeros are not 3 × 2 zeros.
        arrays, plain = self._as_at_first(*self.flatten())
        digest = hashlib.sha256(type(self).__name__.encode())
        digest.update(json.dumps(plain, sort_keys=True).encode())
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def channel_noise(net: Any) -> npt.NDArray[np.float64]:
    """Return the SDs of the noise that a network's last input channels carry, checked.

    Raises:
        ValueError: more of them than channels, or one below 0.
    """
    std = np.asarray(net.input_noise_std)
    if std.ndim == 1 and len(std) > net.n_in:
        raise ValueError(
            f"input_noise_std: got {len(std)} channels of noise, need at most "
            f"{net.n_in}, all input channels; give one number for each of the last"
        )
    return floats("input_noise_std", std, (std.size,), "noise channel", minimum=0)
