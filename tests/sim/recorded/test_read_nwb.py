import contextlib
import importlib
import sys

import h5py
import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.spikes import counts, of_neuron
from isotau.sim.recorded.read_nwb import open_nwb, read_nwb
from isotau.sim.recorded.read_spike_times import read_spike_times
from isotau.sim.timescales import kim

# The package has a function of the same name.
MODULE = importlib.import_module("isotau.sim.recorded.read_nwb")
FIXATION = np.array([10.0 * j + 1 + 0.05 * j for j in range(10) if j != 4])


def by_hand(train, starts, duration):
    return [[t - s for t in train if s <= t < s + duration] for s in starts]


def check(found, k, expected):
    for times, other in zip(of_neuron(found, k), expected, strict=True):
        assert times == pytest.approx(other, abs=1e-9)


def test_trials_are_cut_around_their_event(write_nwb, spike_trains):
    found = read_nwb(write_nwb(observed=False), align="fixation", window=(-0.2, 0.9))
    assert found.duration == pytest.approx(1.1)
    assert found.trials.tolist() == [9] * 4  # one trial lacks the event
    assert found.source == "session.nwb: 9 of 10 trials from fixation"
    for k, train in enumerate(spike_trains):
        check(found, k, by_hand(train, FIXATION - 0.2, 1.1))


def test_without_a_window_trials_are_as_long_as_the_shortest(write_nwb, spike_trains):
    found = read_nwb(write_nwb(observed=False))
    assert (found.duration, found.trials.tolist()) == (5.0, [10] * 4)
    check(found, 0, by_hand(spike_trains[0], 10.0 * np.arange(10), 5.0))


def test_trials_that_end_too_early_are_left_out(write_nwb, spike_trains):
    found = read_nwb(write_nwb(observed=False), window=(0.0, 5.55))
    assert found.trials.tolist() == [4] * 4
    check(found, 1, by_hand(spike_trains[1], [60.0, 70.0, 80.0, 90.0], 5.55))


def test_a_unit_has_the_trials_in_which_it_was_observed(write_nwb, spike_trains):
    found = read_nwb(write_nwb(), align="fixation", window=(0.0, 0.9))
    # Unit 11 was observed to 72 s, in two intervals that touch.
    assert found.trials.tolist() == [9, 6, 9, 9]
    check(found, 1, by_hand(spike_trains[1], FIXATION[:6], 0.9))


def test_names_tell_the_unit_and_where_it_was(write_nwb):
    assert read_nwb(write_nwb()).names == (
        "10 hippocampus",
        "11 amygdala",
        "12 hippocampus amygdala",
        "13 hippocampus amygdala",
    )


def test_units_and_trials_are_chosen_by_their_columns(write_nwb, spike_trains):
    path = write_nwb(observed=False)

    def read(**choices):
        return read_nwb(path, align="fixation", window=(0, 0.9), **choices)

    assert read(units={"quality": "good"}).names == (
        "11 amygdala",
        "13 hippocampus amygdala",
    )
    assert read(units={"snr": lambda snr: snr > 1, "quality": "multi"}).n == 1
    found = read(trials={"hand": ["left", "both"], "correct": True})
    assert found.source == "session.nwb: 2 of 10 trials from fixation"
    check(found, 0, by_hand(spike_trains[0], FIXATION[[1, 2]], 0.9))


def test_rest_is_split_into_windows(write_nwb, spike_trains):
    found = read_nwb(write_nwb(observed=False), intervals="rest", split=1.0)
    starts = np.concatenate((np.arange(20.0, 50.0), np.arange(60.0, 99.0)))
    assert found.trials.tolist() == [69] * 4
    assert found.source == "session.nwb: 2 of 2 rest split"
    check(found, 0, by_hand(spike_trains[0], starts, 1.0))


def test_windows_may_lie_before_the_trial(write_nwb, spike_trains):
    found = read_nwb(
        write_nwb(observed=False), window=(-1.0, 0.0), trials={"hand": "right"}
    )
    check(found, 0, by_hand(spike_trains[0], 10.0 * np.arange(5, 10) - 1, 1.0))


def test_the_entry_for_all_files_reads_it_too(write_nwb):
    found = read_spike_times(write_nwb(), align="fixation", window=(0, 0.9))
    assert counts(found, 0.05).shape == (18, 9, 4)


def test_the_estimators_take_it(write_nwb):
    found = read_nwb(write_nwb(), intervals="rest", split=1.5)
    taus = kim(found)
    assert taus.n == 4
    assert taus.status[3].value == "too few spikes"
    assert taus.rate[0] == pytest.approx(9, abs=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"split": 1.0, "window": (0, 1)},
            r"split: got align or window too, need spli",
        ),
        ({"split": 1.0, "align": "fixation"}, r"split: got align or window too"),
        ({"intervals": "blocks"}, r"intervals: got 'blocks', need .*: trials, rest"),
        ({"align": "cue"}, r"trials: got no column 'cue' .*, need one of start_time, "),
        ({"align": "licks"}, r"trials: got no column 'licks' with one value per row"),
        (
            {"align": "hand", "window": (0, 1)},
            r"align: got <U5 of shape \(10,\), need a time",
        ),
        (
            {"units": {"depth": 1}},
            r"units: got no column 'depth'.*, need one of qualit",
        ),
        ({"units": {"quality": "best"}}, r"got 10 trials and 0 units that were chosen"),
        ({"trials": {"hand": "none"}}, r"got 0 trials and 4 units that were chosen"),
        ({"units": {"snr": lambda snr: snr}}, r"snr: got float64 of shape \(4,\) from"),
        ({"window": (0, 20)}, r"got 10 trials that end before or lack the event"),
        ({"window": (-6, 4.5)}, r"which overlap, need them apart"),
    ],
)
def test_what_cannot_be_done_is_named(options, message, write_nwb):
    with pytest.raises(ValueError, match=message):
        read_nwb(write_nwb(), **options)


def test_trials_that_end_before_they_begin_are_named_with_their_file(write_nwb):
    path = write_nwb()
    with h5py.File(path, "r+") as file:
        file["intervals/trials/stop_time"][...] = -1.0
    with pytest.raises(ValueError, match=r"session\.nwb: window: got 0\.0 to -91\.0 s"):
        read_nwb(path)


def test_a_session_without_trials_says_so(write_nwb):
    with pytest.raises(ValueError, match=r"need one of the file's tables: rest"):
        read_nwb(write_nwb(trials=False))


def test_a_file_without_units_is_no_recording(write_nwb):
    with pytest.raises(UnreadableFile, match="it has no table of units"):
        read_nwb(write_nwb(units=False))


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
    monkeypatch.setattr(MODULE, "MAX_UNITS", 3)
    with pytest.raises(UnreadableFile, match=r"belongs to more than 3 units"):
        read(write_nwb())
    monkeypatch.undo()
    monkeypatch.setattr(MODULE, "MUCH", 10_000)
    monkeypatch.setattr(MODULE, "MAX_RATIO", 0)
    with pytest.raises(UnreadableFile, match=r"beyond 10000 for all columns"):
        read(write_nwb())


def test_files_of_too_many_parts_are_refused(write_nwb, monkeypatch):
    monkeypatch.setattr(MODULE, "MAX_OBJECTS", 10)
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
