"""Reading recorded neurons from any file: the content decides which reader takes it."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import h5py

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import check_heaps
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.recorded.read_arrays import read_arrays
from isotau.sim.recorded.read_constantinidis import read_constantinidis
from isotau.sim.recorded.read_nwb import Choice, read_nwb
from isotau.sim.timescales.records.series import Series

ACCEPTED: dict[str, tuple[str, ...]] = {
    "NWB": ("align", "window", "split", "intervals", "trials", "units"),
    "Constantinidis .mat": ("epoch", "align", "window", "classes"),
    ".npz": (),
}
"""Which arguments each family's reader takes."""
READERS: dict[str, Callable[..., SpikeTimes | Series]] = {
    "NWB": read_nwb,
    "Constantinidis .mat": read_constantinidis,
    ".npz": read_arrays,
}
MATLAB_ORDER = (b"\x00\x01IM", b"\x01\x00MI")
"""At byte 124 of a MATLAB 5 file."""


def read_spike_times(
    path: str | os.PathLike[str],
    *,
    align: str | None = None,
    window: Sequence[float] | None = None,
    split: float | None = None,
    intervals: str | None = None,
    trials: Mapping[str, Choice] | None = None,
    units: Mapping[str, Choice] | None = None,
    epoch: str | None = None,
    classes: Collection[int] | None = None,
) -> SpikeTimes | Series:
    """Return the recorded neurons in a file of any family.

    The content decides which reader it is, not the name; a folder is one of
    Constantinidis-lab files. `ACCEPTED` tells which arguments a family takes, its
    reader what they mean: `read_nwb`, `read_constantinidis`, `read_arrays`.

    Raises:
        UnreadableFile: none of these files, or damaged.
        ValueError: an argument that the family does not take, or its reader refuses.
    """
    arguments = {
        "align": align,
        "window": window,
        "split": split,
        "intervals": intervals,
        "trials": trials,
        "units": units,
        "epoch": epoch,
        "classes": classes,
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    family = find_family(path)
    refused = [name for name in given if name not in ACCEPTED[family]]
    if refused:
        raise ValueError(
            f"{path}: got {', '.join(refused)}, need {family} files read with "
            f"{', '.join(ACCEPTED[family]) or 'no argument'}"
        )
    return READERS[family](path, **given)


def find_family(path: str | os.PathLike[str]) -> str:
    """Return which of the families in `ACCEPTED` a file or folder belongs to.

    Raises:
        UnreadableFile: to none, or it cannot be opened.
    """
    if Path(path).is_dir():
        return "Constantinidis .mat"
    try:
        with open(path, "rb") as stream:
            head = stream.read(128)
        if head.startswith(b"PK"):
            return ".npz"
        if head[124:128] in MATLAB_ORDER:
            return "Constantinidis .mat"
        if h5py.is_hdf5(path):
            check_heaps(path)
            with h5py.File(path, "r") as file:
                return "NWB" if "nwb_version" in file.attrs else "Constantinidis .mat"
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise UnreadableFile(f"{path}: {error}") from error
    raise UnreadableFile(
        f"{path}: got a file that begins with {head[:8]!r}, need one of "
        f"{', '.join(ACCEPTED)}"
    )
