"""Reading recorded neurons from any file: the content decides which reader takes it."""

import os
from collections.abc import Collection, Mapping, Sequence

from isotau.convert.read.kinds import MATLAB_ORDER, Content, FileReader, read_file
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.recorded.read_arrays import read_arrays
from isotau.sim.recorded.read_constantinidis import read_constantinidis
from isotau.sim.recorded.read_nwb import Choice, read_nwb
from isotau.sim.timescales.records.series import Series

GROUP = "isotau.recordings"
"""Entry points of other packages' readers of recorded neurons."""


def _is_constantinidis(content: Content) -> bool:
    # A folder holds one file for each neuron. Whatever HDF5 is no NWB is MATLAB 7.3.
    folder = content.path.is_dir()
    return folder or content.head[124:128] in MATLAB_ORDER or content.is_hdf5


# Arguments are refused by what the functions take by keyword.
READERS = (
    FileReader(
        "NWB", ".nwb", lambda content: "nwb_version" in content.attributes, read_nwb
    ),
    FileReader(
        "Constantinidis .mat",
        ".mat",
        _is_constantinidis,
        read_constantinidis,
        any_content=True,
    ),
    FileReader(
        ".npz",
        ".npz",
        # Any zip file: the reader names what is missing in one that is no .npz.
        lambda content: content.head.startswith(b"PK"),
        read_arrays,
        any_content=True,
    ),
)


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
    """Return the recorded neurons in a file of any kind.

    The content decides which reader it is, not the name; a folder is one of
    Constantinidis-lab files. Its reader says what the arguments mean: `read_nwb`,
    `read_constantinidis`, `read_arrays`.

    Raises:
        UnreadableFile: none of these files, or damaged.
        ValueError: an argument that such files leave no room for, or that is wrong.
    """
    # What the caller does not say is None, and left to the reader's own defaults.
    return read_file(
        path,
        READERS,
        GROUP,
        align=align,
        window=window,
        split=split,
        intervals=intervals,
        trials=trials,
        units=units,
        epoch=epoch,
        classes=classes,
    )
