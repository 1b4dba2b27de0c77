"""Whole MATLAB files: networks of spikeRNN, and recorded neurons as structs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

N, FIELDS = 12, ("TS", "Cue_onT", "trialnum")


def network() -> dict[str, Any]:
    """Return the variables that spikeRNN's training writes."""
    rng = np.random.default_rng(5)
    signs = np.where(np.arange(N) < 9, 1.0, -1.0)
    return {
        "w": np.abs(rng.normal(size=(N, N))),
        "m": np.diag(signs),
        "som_m": np.ones((N, N)),
        "w_in": rng.normal(size=(N, 2)),
        "w_out": rng.normal(size=(1, N)),
        "b_out": np.zeros((1, 1)),
        "taus": np.array([[4.0, 20.0]]),
        "taus_gaus": rng.normal(size=(N, 1)),
        "activation": "sigmoid",
    }


def trials(seed: int) -> list[dict[str, Any]]:
    """Return the trials of one class of stimuli."""
    rng = np.random.default_rng(seed)
    return [
        {
            "TS": np.sort(rng.uniform(0, 6, (1, 12))),
            "Cue_onT": np.array([[1.1]]),
            "trialnum": np.array([[seed * 4 + j + 1.0]]),
        }
        for j in range(4)
    ]


def write_spikernn(version: int, packed: bool = False) -> Callable[[Path], None]:
    """Return what writes a network, as MATLAB 5 or 7.3, compressed or not."""

    def write_5(path: Path) -> None:
        savemat(path, network(), do_compression=packed)

    def write_7(path: Path) -> None:
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, value in network().items():
                text = isinstance(value, str)
                # Transposed: MATLAB's arrays go column by column, HDF5's row by row.
                data = np.array([[ord(c)] for c in value], "u2") if text else value.T
                options = {"compression": "gzip", "chunks": True} if packed else {}
                dataset = file.create_dataset(name, data=data, **options)
                dataset.attrs["MATLAB_class"] = np.bytes_("char" if text else "double")
        seal(path)

    return write_5 if version == 5 else write_7


def write_structs(version: int, packed: bool = False) -> Callable[[Path], None]:
    """Return what writes one neuron's trials, as MATLAB 5 or 7.3."""

    def write_5(path: Path) -> None:
        kinds = np.zeros((1, 2), dtype=[("ntr", object)])
        for i in range(2):
            structs = np.zeros((1, 4), dtype=[(name, object) for name in FIELDS])
            for j, trial in enumerate(trials(i)):
                for name in FIELDS:
                    structs[0, j][name] = trial[name]
            kinds[0, i]["ntr"] = structs
        savemat(path, {"MatData": {"class": kinds}}, do_compression=packed)

    def write_7(path: Path) -> None:
        with h5py.File(path, "w", userblock_size=512) as file:
            # In 7.3 a struct's fields are references to arrays kept in this group.
            targets = file.create_group("#refs#")
            refs = file.create_dataset("MatData/class/ntr", (2, 1), h5py.ref_dtype)
            for i in range(2):
                group = targets.create_group(f"class{i}")
                refs[i, 0] = group.ref
                for name in FIELDS:
                    column = group.create_dataset(name, (4, 1), h5py.ref_dtype)
                    for j, trial in enumerate(trials(i)):
                        values = trial[name].T
                        array = targets.create_dataset(f"{i}{name}{j}", data=values)
                        column[j, 0] = array.ref
        seal(path)

    return write_5 if version == 5 else write_7


def seal(path: Path) -> None:
    """Write MATLAB's own words into the user block of a 7.3 file."""
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
