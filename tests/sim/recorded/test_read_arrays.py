import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records import storage
from isotau.convert.records.spikes import Spikes, SpikeTimes, counts, of_neuron, pack
from isotau.sim.recorded.read_arrays import (
    cut_window,
    from_counts,
    from_session,
    from_trials,
    join,
    read_arrays,
    write_arrays,
)


def test_trials_keep_their_spikes_within_the_window():
    neurons = [
        [[-0.3, 0.0, 0.4], [0.999, 1.0], []],
        [np.array([0.2, 0.1])],
        [],
    ]
    found = from_trials(neurons, window=(-0.5, 1.0), names="abc", source="lab")
    assert found.trials.tolist() == [3, 1, 0]
    assert found.duration == 1.5
    assert of_neuron(found, 0)[0] == pytest.approx([0.2, 0.5, 0.9])
    assert of_neuron(found, 0)[1] == pytest.approx([1.499])
    assert of_neuron(found, 1)[0] == pytest.approx([0.6, 0.7])
    assert (found.names, found.source) == (("a", "b", "c"), "lab")


def test_silent_neurons_are_neurons():
    found = from_trials([[[], []], [[]]], window=(0, 1))
    assert (found.times.size, found.trials.tolist()) == (0, [2, 1])


def test_trials_with_bad_times_are_named():
    with pytest.raises(ValueError, match=r"neurons\[0\]\[1\]: got nan"):
        from_trials([[[0.1], [np.nan]]], window=(0, 1))


def test_a_session_and_its_trials_are_the_same_recording():
    rng = np.random.default_rng(0)
    session = [np.sort(rng.uniform(0, 60, 900)) for _ in range(3)]
    events = np.arange(1.0, 58, 4)
    cut = [[train - event for event in events] for train in session]
    assert storage.same(
        from_session(session, events, window=(-0.5, 1.5)),
        from_trials(cut, window=(-0.5, 1.5)),
    )


def test_a_session_is_cut_by_starts_and_stops():
    found = from_session([[0.5, 3.2, 9.0]], [0, 3, np.nan], stops=[2, 4, 10])
    assert (found.duration, found.trials.tolist()) == (1.0, [2])
    assert found.times == pytest.approx([0.5, 0.2])


def test_what_was_not_observed_goes_with_its_trial():
    seen = np.array([[True], [True], [False], [True]])
    align = [0.0, np.nan, 2.0, 3.0]
    found = from_session(
        [[0.1, 1.1, 2.1, 3.2]], align, window=(0, 1), observed=seen, names=["u"]
    )
    assert found.trials.tolist() == [2]
    assert found.times == pytest.approx([0.1, 0.2])
    with pytest.raises(
        ValueError, match=r"observed: got shape \(3, 1\), need \(4, 1\)"
    ):
        from_session([[0.1]], align, window=(0, 1), observed=seen[:3])


def test_counts_turn_their_axes():
    array = np.arange(24).reshape(2, 3, 4)  # trials × units × bins
    seen = np.array([[True, True, False], [True, False, True]])
    series = from_counts(array, 0.05, observed=seen)
    assert (series.bins, series.batch, series.n) == (4, 2, 3)
    assert series.values[3, 1, 2] == array[1, 2, 3]
    assert (series.kind, series.bin_width) == ("counts", 0.05)
    np.testing.assert_array_equal(series.observed, seen)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3)), r"counts: got shape \(2, 3\), need 3 axes"),
        (np.zeros((2, 0, 3)), r"counts: got shape \(2, 0, 3\), need at least one"),
        (np.full((1, 1, 2), 0.5), r"counts: got numbers with fractions, need whole"),
        (np.full((1, 1, 2), -1), r"values: got -1"),
    ],
)
def test_what_are_no_counts_is_named(array, message):
    with pytest.raises(ValueError, match=message):
        from_counts(array, 0.05)


@pytest.fixture
def recording() -> SpikeTimes:
    rng = np.random.default_rng(3)
    trains = [[rng.uniform(0, 1, 5) for _ in range(k)] for k in (4, 2)]
    return from_trials(trains, window=(0, 1), names=("left", "right"), source="lab")


def test_the_plain_file_comes_back(recording, tmp_path):
    path = write_arrays(recording, tmp_path / "cells.npz")
    assert storage.same(read_arrays(path), recording)


def test_numpy_alone_can_write_it(recording, tmp_path):
    path = tmp_path / "cells.npz"
    keys = ("times", "trial", "neuron", "trials", "duration")
    np.savez(path, **{key: getattr(recording, key) for key in keys})
    found = read_arrays(path)
    assert (found.names, found.source) == ((), "cells.npz")
    np.testing.assert_array_equal(counts(found, 0.05), counts(recording, 0.05))


def test_counts_are_read(tmp_path):
    array = np.random.default_rng(4).poisson(1.0, (5, 2, 8))
    np.savez(tmp_path / "a.npz", counts=array, bin_width=0.05)
    found = read_arrays(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.values, array.transpose(2, 0, 1))
    np.savez(
        tmp_path / "b.npz", counts=array, bin_width=0.05, observed=array[..., 0] >= 0
    )
    assert read_arrays(tmp_path / "b.npz").observed.all()


def test_the_records_of_isotau_are_read(recording, tmp_path):
    path = storage.save(recording, tmp_path / "times.npz")
    assert storage.same(read_arrays(path), recording)
    raster = np.zeros((100, 2, 3), dtype=bool)
    raster[7, 1, 2] = True
    spikes = Spikes(bits=pack(raster), n=3, dt=0.001, engine="lava")
    found = read_arrays(storage.save(spikes, tmp_path / "spikes.npz"))
    assert (found.source, found.trials.tolist()) == ("lava", [2, 2, 2])
    assert (found.trial.tolist(), found.neuron.tolist()) == ([1], [2])
    assert found.times == pytest.approx([0.007])


def test_other_records_are_refused(rate_net, tmp_path):
    path = storage.save(rate_net, tmp_path / "net.npz")
    with pytest.raises(UnreadableFile, match=r"got a RateRNN, need a SpikeTimes"):
        read_arrays(path)
    np.savez(tmp_path / "odd.npz", isotau=np.array("no JSON"))
    with pytest.raises(UnreadableFile, match=r"its isotau header is damaged"):
        read_arrays(tmp_path / "odd.npz")


GOOD = {"times": [0.1], "trial": [0], "neuron": [0], "trials": [1], "duration": 1.0}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"times": None}, r"got duration, neuron, trial, trials, need times, trial,"),
        ({"extra": 1}, r"got duration, extra, .*; optional names, source"),
        ({"times": [2.0]}, r"times: got 2.0 s at \[0\], need less than 1.0 s"),
        ({"trial": [1]}, r"trial: got 1"),
        ({"neuron": [0.5]}, r"neuron: got dtype float64, need whole numbers"),
        ({"names": ["a", "b"]}, r"names: got 2, need 1"),
        ({"names": "a"}, r"0-d array"),
        ({"duration": [1.0, 2.0]}, r"duration: got shape \(2,\)"),
        ({"counts": [[[1]]]}, r"need counts, bin_width; optional observed"),
    ],
)
def test_what_does_not_fit_is_named(changed, message, tmp_path):
    path = tmp_path / "a.npz"
    values = {k: v for k, v in (GOOD | changed).items() if v is not None}
    np.savez(path, **values)
    with pytest.raises(UnreadableFile, match=message):
        read_arrays(path)


def test_counts_that_do_not_fit_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", counts=[[[1, 2]]], bin_width=0.0)
    with pytest.raises(UnreadableFile, match=r"bin_width: got 0.0"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04junk", b"\x93NUMPY"])
def test_damaged_files_are_unreadable(content, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"not a readable \.npz file"):
        read_arrays(path)


def test_no_pickle_is_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **{k: np.array(v) for k, v in GOOD.items()}, names=np.array([{}]))
    with pytest.raises(UnreadableFile, match="names: got an array of Python obj"):
        read_arrays(path)


def session(rng, sizes, **options):
    trains = [[rng.uniform(0, 1, 4) for _ in range(k)] for k in sizes]
    return from_trials(trains, window=options.pop("window", (0, 1)), **options)


def test_every_neuron_keeps_its_trials():
    rng = np.random.default_rng(0)
    parts = [
        session(rng, (3, 0), names=("a", "b"), source="one"),
        session(rng, (5,), names=("c",), source="two"),
    ]
    found = join(parts)
    assert found.trials.tolist() == [3, 0, 5]
    assert (found.names, found.source) == (("a", "b", "c"), "one; two")
    apart = [of_neuron(part, k) for part in parts for k in range(part.n)]
    for k, trials in enumerate(apart):
        for one, other in zip(of_neuron(found, k), trials, strict=True):
            np.testing.assert_array_equal(one, other)


def test_names_are_kept_if_all_have_them():
    rng = np.random.default_rng(1)
    assert join([session(rng, (1,), names=("a",)), session(rng, (1,))]).names == ()


def test_windows_are_of_one_length():
    rng = np.random.default_rng(2)
    with pytest.raises(ValueError, match=r"duration: got \[1.0, 2.0\] s, need one for"):
        join([session(rng, (1,)), session(rng, (1,), window=(0, 2))])
    with pytest.raises(ValueError, match=r"duration: got \[\] s"):
        join([])


def test_a_window_is_cut():
    source = from_trials([[[0.05, 0.3, 0.6], []], [[0.2], [0.7]]], window=(0, 1))
    found = cut_window(source, 0.2, 0.7)
    assert found.duration == pytest.approx(0.5)
    assert found.trials.tolist() == [2, 2]
    assert found.times == pytest.approx([0.1, 0.4, 0.0])
    assert found.neuron.tolist() == [0, 0, 1]
    assert cut_window(source, None, None).times.size == source.times.size
    assert cut_window(source, 0.5, None).duration == 0.5
    for low, high in ((-0.1, 0.5), (0.5, 0.5), (0.6, 0.2), (0.0, 1.1)):
        with pytest.raises(ValueError, match="s, need 0 to 1 s"):
            cut_window(source, low, high)
    counts = from_counts(np.ones((3, 2, 20), dtype=int), 0.05)
    with pytest.raises(ValueError, match="window: got counts, need spike times"):
        cut_window(counts, 0.0, 0.5)
