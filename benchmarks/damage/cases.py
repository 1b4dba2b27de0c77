"""Damaged files by number: which whole file, which damage, and the bytes it leaves."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.damage.formats.any_bytes import BYTES, WORDS, Damage
from benchmarks.damage.formats.hdf5 import HDF5
from benchmarks.damage.formats.matlab import MATLAB5
from benchmarks.damage.formats.npz import NPZ
from benchmarks.damage.formats.onnx_model import ONNX
from benchmarks.damage.formats.torch_file import TORCH, TORCH_LEGACY
from benchmarks.damage.seeds.catalogue import SEEDS

DAMAGES: dict[str, dict[str, Damage]] = {
    "npz": NPZ,
    "mat 5": MATLAB5,
    "mat 7.3": HDF5,
    "nwb": HDF5,
    "nir": HDF5,
    "pt": TORCH,
    "pt legacy": TORCH_LEGACY,
    "onnx": ONNX,
}
FORMATS = tuple(DAMAGES)


class Case(NamedTuple):
    """One damaged file."""

    format: str
    name: str
    reader: str
    damage: str
    refused: bool
    """Whether no reader may take it for whole: it is a trap, or it lies."""
    content: bytes


def make_case(seed: int, number: int, folder: Path) -> Case:
    """Return the damaged file of this number, from the whole ones in a folder.

    One half of the files of a format are damaged as bytes, the other by what is known
    of the format.
    """
    rng = np.random.default_rng([seed, number])
    format_ = FORMATS[number % len(FORMATS)]
    seeds = [one for one in SEEDS if one.format == format_]
    chosen = seeds[rng.integers(len(seeds))]
    whole = (folder / chosen.name).read_bytes()
    raw = BYTES | WORDS if rng.random() < 0.5 else DAMAGES[format_]
    name = list(raw)[rng.integers(len(raw))]
    made = raw[name].make(rng, whole)
    return Case(format_, chosen.name, chosen.reader, name, raw[name].refused, made)
