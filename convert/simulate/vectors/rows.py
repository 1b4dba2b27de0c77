"""Rows of numbers as the loops take them, each in cache lines of its own."""

from typing import Any

import numpy as np
import numpy.typing as npt

LINE = 64
"""Bytes of a cache line: a vector across two takes as long as two to read."""


def blank(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return zeros that begin where a cache line does; numpy's begin anywhere."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(kind).reshape(shape)


def filled_up(x: npt.NDArray[Any], width: int, fill: float = 0.0) -> npt.NDArray[Any]:
    """Return x with its last axis filled up to a width, contiguous and writable."""
    out = blank((*x.shape[:-1], width), x.dtype)
    out[..., : x.shape[-1]] = x
    out[..., x.shape[-1] :] = fill
    return out


def tiled(row: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """Return a row so many times."""
    out = blank((count, *row.shape), row.dtype)
    out[...] = row
    return out
