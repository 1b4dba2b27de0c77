import h5py
import numpy as np
import pytest
from scipy.io import savemat

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.spikes import counts, of_neuron
from isotau.sim.recorded.read_constantinidis import read_constantinidis

FIELDS = ("TS", "Cue_onT", "Sample_onT", "Target_onT", "fix", "trialnum")
NOTHING = np.zeros((0, 0))


def neuron(seed, classes=3, trials=4):
    """Return a neuron's trials by class, and how a session would number them."""
    rng = np.random.default_rng(seed)
    numbers = iter(rng.permutation(classes * trials) + 1.0)
    return [
        [
            {
                "TS": np.sort(rng.uniform(0, 6, rng.integers(5, 40))),
                "Cue_onT": 1.0 + rng.uniform(0, 0.2),
                "Sample_onT": 3.2 + rng.uniform(0, 0.1),
                "Target_onT": 5.5,
                "fix": 4.0,
                "trialnum": next(numbers),
            }
            for _ in range(trials - i)  # the classes have 4, 3, … trials
        ]
        for i in range(classes)
    ]


def struct_array(elements, fields):
    array = np.zeros((1, len(elements)), dtype=[(name, object) for name in fields])
    for k, element in enumerate(elements):
        for name in fields:
            array[0, k][name] = element[name]
    return array


def write_v5(path, classes, fields=FIELDS):
    ntr = [{"ntr": struct_array(trials, fields)} for trials in classes]
    savemat(path, {"MatData": {"class": struct_array(ntr, ("ntr",))}})
    return path


def write_v7(path, classes, fields=FIELDS):
    """Write as MATLAB 7.3 does: fields of struct arrays are references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        kept = file.create_group("#refs#")
        refs = file.create_dataset(
            "MatData/class/ntr", (len(classes), 1), h5py.ref_dtype
        )
        for i, trials in enumerate(classes):
            group = kept.create_group(f"class{i}")
            refs[i, 0] = group.ref
            for name in fields:
                column = group.create_dataset(name, (len(trials), 1), h5py.ref_dtype)
                for j, trial in enumerate(trials):
                    value = np.atleast_2d(trial[name]).T
                    made = kept.create_dataset(
                        f"{i}{name}{j}",
                        data=value if value.size else np.zeros(2, dtype="u8"),
                    )
                    if not value.size:
                        made.attrs["MATLAB_empty"] = np.uint8(1)
                    column[j, 0] = made.ref
    return path


@pytest.fixture(params=[write_v5, write_v7])
def write(request):
    return request.param


def by_hand(classes, event, start, stop):
    """Return spikes in the window, per trial in the order of the session."""
    trials = sorted((t for each in classes for t in each), key=lambda t: t["trialnum"])
    return [
        [s - t[event] - start for s in t["TS"] if start <= s - t[event] < stop]
        for t in trials
        if np.size(t[event]) and t[event] + start >= 0
    ]


@pytest.mark.parametrize(
    ("epoch", "event", "start", "stop"),
    [("fixation", "Cue_onT", -1.0, 0.0), ("delay", "Sample_onT", -1.5, 0.0)],
)
def test_epochs_hold_the_spikes_they_should(write, tmp_path, epoch, event, start, stop):
    cells = [neuron(0), neuron(1)]
    for k, classes in enumerate(cells):
        write(tmp_path / f"cell{k}.mat", classes)
    found = read_constantinidis(tmp_path, epoch=epoch)
    assert found.names == ("cell0", "cell1")
    assert found.trials.tolist() == [9, 9]
    assert found.duration == stop - start
    assert found.source == f"{epoch} from {event}"
    for k, classes in enumerate(cells):
        expected = by_hand(classes, event, start, stop)
        for times, other in zip(of_neuron(found, k), expected, strict=True):
            assert times == pytest.approx(other)


def test_trials_without_the_whole_window_are_left_out(write, tmp_path):
    classes = neuron(2)
    classes[0][1]["Cue_onT"] = 0.7  # fixation began 0.3 s before the recording
    classes[1][0]["Sample_onT"] = NOTHING  # ended before the sample
    path = write(tmp_path / "a.mat", classes)
    assert read_constantinidis(path).trials.tolist() == [8]
    assert read_constantinidis(path, epoch="delay").trials.tolist() == [8]
    assert read_constantinidis(path, window=(-0.5, 0.0)).trials.tolist() == [9]


def test_silent_trials_count(write, tmp_path):
    classes = neuron(3)
    classes[0][0]["TS"] = NOTHING
    found = read_constantinidis(write(tmp_path / "a.mat", classes))
    assert found.trials.tolist() == [9]


def test_other_events_windows_and_classes(write, tmp_path):
    classes = neuron(4)
    path = write(tmp_path / "a.mat", classes)
    found = read_constantinidis(
        [path], align="Target_onT", window=(-2.0, 0.5), classes=(1, 3)
    )
    expected = by_hand([classes[0], classes[2]], "Target_onT", -2.0, 0.5)
    assert found.trials.tolist() == [4 + 2]
    for times, other in zip(of_neuron(found, 0), expected, strict=True):
        assert times == pytest.approx(other)


def test_without_numbers_the_order_is_that_of_the_file(tmp_path):
    classes = neuron(5)
    fields = tuple(name for name in FIELDS if name != "trialnum")
    found = read_constantinidis(write_v5(tmp_path / "a.mat", classes, fields))
    for j, trial in enumerate(t for each in classes for t in each):
        trial["trialnum"] = j
    first = by_hand(classes, "Cue_onT", -1.0, 0.0)[0]
    assert of_neuron(found, 0)[0] == pytest.approx(first)


def test_a_class_without_trials_has_none(tmp_path):
    classes = [{"ntr": struct_array(neuron(6)[0], FIELDS)}, {"ntr": NOTHING}]
    savemat(tmp_path / "a.mat", {"MatData": {"class": struct_array(classes, ("ntr",))}})
    assert read_constantinidis(tmp_path / "a.mat").trials.tolist() == [4]


def test_counts_follow(tmp_path):
    classes = neuron(7)
    found = read_constantinidis(write_v5(tmp_path / "a.mat", classes))
    assert counts(found, 0.05).shape == (20, 9, 1)
    total = sum(map(len, by_hand(classes, "Cue_onT", -1.0, 0.0)))
    assert counts(found, 0.05).sum() == total


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("TS", "text", r"class\(1\).ntr.TS: got no finite numbers, need seconds"),
        ("TS", [0.5, np.nan], r"class\(1\).ntr.TS: got no finite numbers"),
        ("Cue_onT", [1.0, 2.0], r"Cue_onT: got no number, need one per trial"),
        ("Cue_onT", np.inf, r"Cue_onT: got no number, need one per trial"),
        ("trialnum", "five", r"trialnum: got no number, need one per trial"),
    ],
)
def test_what_is_not_as_needed_is_named(field, value, message, tmp_path):
    classes = neuron(8)
    classes[0][0][field] = value
    with pytest.raises(UnreadableFile, match=message):
        read_constantinidis(write_v5(tmp_path / "a.mat", classes))


def test_fields_that_are_missing_are_named(tmp_path):
    path = write_v5(tmp_path / "a.mat", neuron(9), ("TS", "Cue_onT"))
    message = r"class\(1\).ntr: got TS, need TS and Sample_onT"
    with pytest.raises(UnreadableFile, match=message):
        read_constantinidis(path, epoch="delay")


def test_files_of_other_kinds_are_named(tmp_path):
    savemat(tmp_path / "a.mat", {"w": np.eye(2)})
    with pytest.raises(UnreadableFile, match=r"got no MatData.class, need the structs"):
        read_constantinidis(tmp_path / "a.mat")
    savemat(tmp_path / "b.mat", {"MatData": {"class": 1.0}})
    with pytest.raises(UnreadableFile, match=r"got no MatData.class, need the structs"):
        read_constantinidis(tmp_path / "b.mat")
    with pytest.raises(UnreadableFile, match="no such file"):
        read_constantinidis(tmp_path / "c.mat")


def test_what_is_asked_for_must_make_sense(tmp_path):
    with pytest.raises(ValueError, match=r"without a .mat file, need one at least"):
        read_constantinidis(tmp_path)
    with pytest.raises(ValueError, match=r"epoch: got 'cue', need one of fixation, de"):
        read_constantinidis(tmp_path / "a.mat", epoch="cue")
