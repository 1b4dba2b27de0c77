"""Where a report's numbers come from: files, what was assumed of them, versions."""

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from isotau.convert.read.conventions import Conventions, Read
from isotau.convert.read.read_rate import read_rate
from isotau.convert.read.read_spikernn import read_spikernn_variables
from isotau.sim.tasks.choose_task import choose_task

SPIKERNN = "spikeRNN .mat"
PACKAGES = "isotau numpy scipy torch norse lava-nc matplotlib h5py".split()
"""That decide the numbers."""


class NamedNetwork(NamedTuple):
    """A rate network as it was read.

    Attributes:
        name: unlike that of any other.
        read: the network, and what was assumed of it.
        origin: what a report says of its file, from `describe_input`.
    """

    name: str
    read: Read
    origin: Mapping[str, Any]


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: its own, with its folders where two are the same.

    Raises:
        ValueError: a file that is given twice.
    """
    parts = [path.resolve().parts for path in paths]
    for path, folders in zip(paths, parts, strict=True):
        if parts.count(folders) > 1:
            raise ValueError(f"{path}: got this file twice, need every file once")
    # As few folders as tell them apart, and no suffix unless it does.
    for depth in range(1, 1 + max(map(len, parts), default=0)):
        whole = ["/".join(folders[-depth:]) for folders in parts]
        short = [name.removesuffix(Path(name).suffix) for name in whole]
        for names in ([name.removesuffix(".rate") for name in short], whole):
            if len(set(names)) == len(names):
                return names
    return []


def describe_input(
    path: str | os.PathLike[str], conventions: Conventions | None = None
) -> dict[str, Any]:
    """Return what a report says of the file that a network was read from.

    Its name, its SHA-256, what its reader assumed, and 1/λ as the original code chose
    it, in Hz, if the file says so.
    """
    inverse_lambda, assumed = None, None
    if conventions is not None:
        assumed = {
            "family": conventions.family,
            "ignored": list(conventions.ignored),
            **{item.name: item._asdict() for item in conventions.items},
        }
        # Only these files tell what λ the authors' own search had chosen.
        if conventions.family == SPIKERNN:
            scaling = read_spikernn_variables(path).get("opt_scaling_factor")
            if scaling is not None:
                inverse_lambda = float(np.ravel(scaling)[0])
    return {
        # The name alone: a path tells of the machine and not of the network.
        "input": Path(path).name,
        "input_sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        "input_inverse_lambda": inverse_lambda,
        "input_conventions": assumed,
    }


def read_networks(
    paths: Sequence[Path], assumed: Mapping[str, Any], task: str | None
) -> tuple[list[NamedNetwork], str]:
    """Return all networks, and the name of the task that they have in common.

    Raises:
        UnreadableFile: a file that is damaged or no network.
        ValueError: a network that does not fit the task; the message names its file.
    """
    networks, common = [], ""
    for name, path in zip(names_of(paths), paths, strict=True):
        read = read_rate(path, **assumed)
        # All files before any work: the last may be the one that does not fit.
        try:
            common = choose_task(read.net, task).name
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        origin = describe_input(path, read.conventions)
        networks.append(NamedNetwork(name, read, origin))
    return networks, common


def describe_assumptions(networks: Sequence[NamedNetwork]) -> list[str]:
    """Return what was assumed of networks, each text once with the number it is of."""
    names: dict[str, list[str]] = {}
    for network in networks:
        names.setdefault(network.read.conventions.describe(), []).append(network.name)
    if len(networks) == 1:
        return list(names)
    return [f"{len(same)} from {same[0]}\n{text}" for text, same in names.items()]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the numbers."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        # A checkout runs without being installed, and Lava without its metadata.
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "not installed as a package"
    return installed
