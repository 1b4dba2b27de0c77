import contextlib
import sys

import h5py
import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.sim.recorded import read_nwb as module
from isotau.sim.recorded.read_nwb import open_nwb
from isotau.sim.recorded.read_spike_times import read_spike_times


def read(path, **options):
    return open_nwb(path, **{"intervals": "trials", "columns": ("correct",)} | options)


def test_only_what_is_asked_for_is_in_memory(write_nwb):
    found = read(write_nwb(), unit_columns=("snr", "spike_times", "absent"))
    assert found.tables == ("trials", "rest")
    assert set(found.units.columns) == {"snr"}
    assert found.units.names[:2] == ("quality", "snr")
    assert found.units.columns["snr"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert found.intervals.rows == 10
    assert found.intervals.columns["correct"].tolist() == [j % 3 > 0 for j in range(10)]
    assert [len(train) for train in found.spike_times] == [900, 300, 50, 0]
    assert found.observed[1].tolist() == [[0.0, 45.0], [45.0, 72.0]]


def test_a_table_that_is_not_there_is_none(write_nwb):
    assert read(write_nwb(), intervals="blocks").intervals is None


def test_columns_of_text_are_text(write_nwb):
    found = read(write_nwb(), columns=("hand", "licks"))
    assert set(found.intervals.columns) == {"hand"}  # a list per row is left out
    assert found.intervals.columns["hand"].tolist() == ["left"] * 5 + ["right"] * 5


def test_without_the_library_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(ModuleNotFoundError, match=r"need pynwb; install isotau\[nwb\]"):
        read(tmp_path / "a.nwb")


def put(file, name, data, **options):
    """Replace an array, its attributes kept."""
    attributes = dict(file[name].attrs)
    del file[name]
    made = file.create_dataset(name, data=data, **options)
    made.attrs.update(attributes)


def link_away(file):
    file["acquisition/raw"] = h5py.ExternalLink("other.nwb", "/acquisition/raw")


def keep_elsewhere(file):
    file.create_dataset(
        "scratch", (4,), dtype="f8", external=[("other.raw", 0, h5py.h5f.UNLIMITED)]
    )


def claim_too_much(file):
    attributes = dict(file["units/spike_times"].attrs)
    del file["units/spike_times"]
    made = file.create_dataset(
        "units/spike_times", (1 << 40,), dtype="f8", chunks=(1 << 20,)
    )
    made.attrs.update(attributes)


def show_another_file(file):
    attributes = dict(file["units/spike_times"].attrs)
    del file["units/spike_times"]
    layout = h5py.VirtualLayout((1250,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.nwb", "units/spike_times", (1250,))
    file.create_virtual_dataset("units/spike_times", layout)
    file["units/spike_times"].attrs.update(attributes)


def descend(file):
    put(file, "units/spike_times_index", np.array([900, 300, 50, 0]))


def point_beyond(file):
    put(file, "units/spike_times_index", np.array([900, 1200, 1250, 9999]))


def flatten(file):
    put(file, "units/obs_intervals", np.zeros(10))


def list_lists(file):
    file.create_dataset("scratch", (2,), dtype=h5py.vlen_dtype(np.float64))


def grow_an_element(file):
    file.create_dataset("scratch", (), dtype=f"S{(1 << 26) + 1}")


def drop_the_times(file):
    names = [name for name in file["units"].attrs["colnames"] if "spike" not in name]
    del file["units/spike_times"], file["units/spike_times_index"]
    file["units"].attrs["colnames"] = names


def nest(file):
    file.create_group("/".join(["scratch", *("deep",) * 70]))


def inflate_one_chunk(file):
    file.create_dataset("scratch/x", (3,), "f8", chunks=(1 << 26,), maxshape=(None,))


def write_too_much(file):
    file.create_dataset("scratch/x", ((1 << 22) + 1,), h5py.string_dtype())


def claim_a_column_that_pynwb_reads(file):
    put(file, "units/electrodes", None, shape=(1 << 26,), dtype="i8", chunks=(1024,))


def point_at_no_electrode(file):
    file["units/electrodes"][0] = -1


def make_times_complex(file):
    put(file, "units/spike_times", np.zeros(1250, dtype=complex))


def count_in_halves(file):
    put(file, "units/spike_times_index", np.array([900, 1200, 1250, 1250.0]))


def break_a_link(file):
    del file["intervals/trials/hand"]
    file["intervals/trials/hand"] = h5py.SoftLink("/nowhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (nest, r"it has groups within more than 64 groups"),
        (inflate_one_chunk, r"scratch/x has chunks of shape \(67108864,\)"),
        (write_too_much, r"scratch/x has 4194305 texts or references"),
        (
            claim_a_column_that_pynwb_reads,
            r"units/electrodes claims 536870912 bytes, which the file cannot hold",
        ),
        (make_times_complex, r"spike_times is no list of numbers per unit"),
        (count_in_halves, r"spike_times is no list of numbers per unit"),
        (point_at_no_electrode, r"are out of bounds"),
        (break_a_link, r"Path to Group altered/broken at /intervals/trials/hand"),
        (link_away, r"acquisition/raw is a link to another file"),
        (keep_elsewhere, r"scratch keeps its data in another file"),
        (claim_too_much, r"spike_times claims 8796093022208 bytes, which the f"),
        (show_another_file, r"spike_times is elsewhere"),
        (descend, r"spike_times_index does not ascend to 1250"),
        (point_beyond, r"spike_times_index does not ascend to 1250"),
        (flatten, r"obs_intervals has shape \(10,\)"),
        (list_lists, r"scratch has elements of another type than NWB's"),
        (grow_an_element, r"scratch has elements of 67108865 bytes"),
        (drop_the_times, r"its units have no spike_times"),
    ],
)
def test_hostile_files_are_refused(damage, message, write_nwb):
    path = write_nwb()
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(UnreadableFile, match=message):
        read(path)


def test_texts_in_a_damaged_heap_are_not_looked_for(write_nwb):
    """HDF5 would go on for ever."""
    path = write_nwb()
    whole = bytearray(path.read_bytes())
    heap = whole.index(b"GCOL\x01\0\0\0")
    whole[heap + 16 : heap + 128] = bytes(112)
    path.write_bytes(whole)
    with pytest.raises(UnreadableFile, match=rf"its heap at byte {heap} is damaged"):
        read(path)
    with pytest.raises(UnreadableFile, match=rf"its heap at byte {heap} is damaged"):
        read_spike_times(path)


def test_files_of_too_many_units_or_columns_are_refused(write_nwb, monkeypatch):
    monkeypatch.setattr(module, "MAX_UNITS", 3)
    with pytest.raises(UnreadableFile, match=r"belongs to more than 3 units"):
        read(write_nwb())
    monkeypatch.undo()
    monkeypatch.setattr(module, "MUCH", 10_000)
    monkeypatch.setattr(module, "MAX_RATIO", 0)
    with pytest.raises(UnreadableFile, match=r"beyond 10000 for all columns"):
        read(write_nwb())


def test_files_of_too_many_parts_are_refused(write_nwb, monkeypatch):
    monkeypatch.setattr(module, "MAX_OBJECTS", 10)
    with pytest.raises(UnreadableFile, match=r"it has more than 10 groups and arrays"):
        read(write_nwb())


@pytest.mark.parametrize("version", ["1.0.6", "NWB-1.0.6", ""])
def test_other_versions_are_refused(version, write_nwb):
    path = write_nwb()
    with h5py.File(path, "r+") as file:
        file.attrs["nwb_version"] = version
    with pytest.raises(UnreadableFile, match=rf"nwb_version is '{version}'"):
        read(path)


def test_other_files_are_unreadable(write_nwb, tmp_path):
    with pytest.raises(UnreadableFile, match="no such file"):
        read(tmp_path / "absent.nwb")
    path = write_nwb()
    data = path.read_bytes()
    for size in (0, 100, 5000, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(UnreadableFile, match="got a file that cannot be read"):
            read(path)


@pytest.mark.filterwarnings("ignore")  # pynwb warns of links that lead nowhere
def test_parts_that_are_missing_are_not_fatal(write_nwb):
    """Whatever is removed, the file is read or it is unreadable."""
    path = write_nwb()
    data = path.read_bytes()
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visit(names.append)
    for name in names:
        if name.startswith("specifications/"):
            continue
        path.write_bytes(data)
        with h5py.File(path, "r+") as file:
            del file[name]
        with contextlib.suppress(UnreadableFile):
            read(path)
