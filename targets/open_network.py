"""Opening a network of any stage: the content decides what it is."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from isotau.convert.ground.errors import Finding, UnreadableFile
from isotau.convert.ground.representation import short_repr
from isotau.convert.read.kinds import HDF5
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records import storage
from isotau.convert.records.stage import STAGES, Network


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A network from a file, and what its reader had to say.

    Attributes:
        net: the network.
        description: what the file was read as, and what was assumed, for the user.
        findings: what a reader of NIR inferred or changed.
    """

    net: Network
    description: str
    findings: tuple[Finding, ...] = ()


def open_network(path: str | os.PathLike[str], **reading: Any) -> Opened:
    """Return the network in a file: isotau's own, NIR, or any rate network.

    Args:
        path: of the file.
        reading: for `isotau.targets.nir_graph.from_nir.from_nir`, if it is a NIR file.

    Raises:
        UnreadableFile: no network that can be read, or options for another kind.
    """
    # isotau's own files say what they are; all others are told by their content.
    kind = storage.kind_of(path)
    networks = {stage.__name__: stage for stage in STAGES.values()}
    if kind in networks:
        _refuse(path, reading)
        return Opened(storage.load(path, networks[kind]), f"read as: isotau {kind}")
    if kind:
        raise UnreadableFile(
            f"{path}: got {kind}, need a network ({', '.join(networks)})"
        )
    if is_nir(path):
        # Imported on use: nir, which most files do without.
        from isotau.targets.nir_graph.from_nir import from_nir

        read = from_nir(os.fspath(path), **reading)
        names = ", ".join(f"{p.name} ({len(p.indices)})" for p in read.populations)
        return Opened(read.net, f"read as: NIR, populations {names}", read.findings)
    _refuse(path, reading)
    plain = read_rate(path)
    return Opened(plain.net, plain.conventions.describe())


def is_nir(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is HDF5 and holds a graph where NIR has it.

    MATLAB's HDF5 files have a header before the signature, or variables at the top.
    """
    try:
        with open(path, "rb") as stream:
            if stream.read(len(HDF5)) != HDF5:
                return False
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be opened ({error.strerror})") from error
    # By its name even if damaged, so that the reader says what is wrong with it.
    if Path(path).suffix == ".nir":
        return True
    try:
        with h5py.File(path, "r") as file:
            return "node" in file and "version" in file
    except (OSError, RuntimeError, ValueError) as error:
        raise UnreadableFile(f"{path}: not a readable HDF5 file ({error})") from error


def _refuse(path: str | os.PathLike[str], reading: dict[str, Any]) -> None:
    # An option that was dropped in silence would seem to have been taken.
    options = [name for name, value in reading.items() if value is not None]
    if options:
        raise UnreadableFile(
            f"{path}: got {', '.join(options)} for a file that is no NIR; leave it out"
        )
