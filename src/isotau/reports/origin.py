"""What a report says of where its numbers come from: the input file, and versions."""

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from isotau.convert.read.conventions import Conventions
from isotau.convert.read.read_spikernn import read_spikernn_variables

SPIKERNN = "spikeRNN .mat"
PACKAGES = "isotau numpy scipy torch norse lava-nc matplotlib h5py".split()
"""That decide the numbers."""


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
        if conventions.family == SPIKERNN:
            scaling = read_spikernn_variables(path).get("opt_scaling_factor")
            if scaling is not None:
                inverse_lambda = float(np.ravel(scaling)[0])
    return {
        "input": Path(path).name,
        "input_sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        "input_inverse_lambda": inverse_lambda,
        "input_conventions": assumed,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the numbers."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "not installed as a package"
    return installed
