import h5py
import numpy as np
import pytest
from scipy.io import savemat

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.kinds import find_reader
from isotau.convert.records import storage
from isotau.sim.recorded import read_spike_times as face
from isotau.sim.recorded.read_arrays import from_trials, write_arrays
from isotau.sim.recorded.read_spike_times import GROUP, READERS, read_spike_times

RECORDING = from_trials([[[0.1, 0.5], [0.2]]], window=(0, 1), source="lab")


def write_neuron(path):
    trials = np.zeros((1, 3), dtype=[("TS", object), ("Cue_onT", object)])
    for k in range(3):
        trials[0, k]["TS"], trials[0, k]["Cue_onT"] = [0.5, 2.5], 1.0 + k
    savemat(path, {"MatData": {"class": {"ntr": trials}}})


def test_the_content_decides(tmp_path):
    write_arrays(RECORDING, tmp_path / "spikes.mat")  # a name that misleads
    assert storage.same(read_spike_times(tmp_path / "spikes.mat"), RECORDING)
    write_neuron(tmp_path / "cell.dat")
    found = read_spike_times(tmp_path / "cell.dat", window=(-1.0, 0.0))
    assert found.trials.tolist() == [3]
    assert found.times == pytest.approx([0.5, 0.5])


def test_a_folder_is_of_neurons(tmp_path):
    for k in range(2):
        write_neuron(tmp_path / f"cell{k}.mat")
    found = read_spike_times(tmp_path, epoch="fixation", classes=[1])
    assert found.names == ("cell0", "cell1")


@pytest.mark.parametrize(
    ("attribute", "family"),
    [("nwb_version", "NWB"), ("other", "Constantinidis .mat")],
)
def test_hdf5_files_differ_by_an_attribute(attribute, family, tmp_path):
    with h5py.File(tmp_path / "a", "w") as file:
        file.attrs[attribute] = "2.8.0"
    assert find_reader(tmp_path / "a", READERS, GROUP).name == family


def test_arguments_of_other_families_are_refused(tmp_path):
    write_arrays(RECORDING, tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"got window, need .npz files read with no a"):
        read_spike_times(tmp_path / "a.npz", window=(0, 1))
    write_neuron(tmp_path / "a.mat")
    with pytest.raises(ValueError, match=r"got split, units, need Constantinidis .mat"):
        read_spike_times(tmp_path / "a.mat", split=1.0, units={"snr": 1})


@pytest.mark.parametrize("content", [b"", b"junk" * 100])
def test_what_is_none_of_them_is_named(content, tmp_path):
    (tmp_path / "a.nwb").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"got a file that begins with b'.*NWB, "):
        read_spike_times(tmp_path / "a.nwb")


def test_files_that_cannot_be_opened_are_named(tmp_path):
    with pytest.raises(UnreadableFile, match="no such file"):
        read_spike_times(tmp_path / "a.nwb")
    whole = tmp_path / "whole.nwb"
    with h5py.File(whole, "w") as file:
        file["x"] = np.eye(9)
    (tmp_path / "b.nwb").write_bytes(whole.read_bytes()[:600])
    with pytest.raises(UnreadableFile, match="truncated file"):
        read_spike_times(tmp_path / "b.nwb")


def test_the_package_offers_it():
    assert face is read_spike_times
