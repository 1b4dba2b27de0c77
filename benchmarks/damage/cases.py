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


class DamagedFile(NamedTuple):
    """One damaged file."""

    format: str
    name: str
    reader: str
    damage: str
    refused: bool
    """Whether no reader may take it for whole: it is a trap, or it lies."""
    content: bytes


def make_case(seed: int, number: int, folder: Path) -> DamagedFile:
    """Return the damaged file of this number, from the whole ones in a folder.

    One half of the files of a format are damaged as bytes, the other by what is known
    of the format.
    """
    rng = np.random.default_rng([seed, number])
    # By the number alone, so that formats can be left out without others changing.
    format_ = FORMATS[number % len(FORMATS)]
    seeds = [seed_file for seed_file in SEEDS if seed_file.format == format_]
    source = seeds[rng.integers(len(seeds))]
    whole = (folder / source.name).read_bytes()
    damages = BYTES | WORDS if rng.random() < 0.5 else DAMAGES[format_]
    name = list(damages)[rng.integers(len(damages))]
    damage = damages[name]
    content = damage.make(rng, whole)
    return DamagedFile(
        format_, source.name, source.reader, name, damage.refused, content
    )
