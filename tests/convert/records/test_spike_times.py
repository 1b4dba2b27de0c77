"""`SpikeTimes`, and what is counted on them, against loops."""

import re
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.records import storage
from isotau.convert.records.spikes import (
    Spikes,
    SpikeTimes,
    count,
    counts,
    from_spikes,
    of_neuron,
    pack,
)

FIELDS = {
    "times": [0.5, 0.1, 0.2, 0.999, 0.0],
    "trial": [0, 0, 2, 1, 0],
    "neuron": [2, 2, 2, 0, 0],
    "trials": [2, 0, 4],
    "duration": 1.0,
    "names": ("a", "b", "c"),
    "source": "lab",
}


def test_spikes_are_put_in_order():
    times = SpikeTimes(**FIELDS)
    assert times.times.tolist() == [0.0, 0.999, 0.1, 0.5, 0.2]
    assert times.trial.tolist() == [0, 1, 0, 0, 2]
    assert times.neuron.tolist() == [0, 0, 2, 2, 2]
    assert times.n == 3
    assert not times.times.flags.writeable


def test_each_neuron_by_trial():
    times = SpikeTimes(**FIELDS)
    assert [t.tolist() for t in of_neuron(times, 0)] == [[0.0], [0.999]]
    assert of_neuron(times, 1) == []
    assert [t.tolist() for t in of_neuron(times, 2)] == [[0.1, 0.5], [], [0.2], []]


def test_no_spikes_at_all():
    silent = SpikeTimes(**FIELDS | {"times": [], "trial": [], "neuron": []})
    assert [t.size for t in of_neuron(silent, 2)] == [0] * 4
    assert counts(silent, 0.5).shape == (2, 4, 3)
    assert not counts(silent, 0.5).any()


def test_counts_by_a_loop():
    rng = np.random.default_rng(5)
    size = 400
    times = SpikeTimes(
        times=rng.uniform(0, 1, size),
        trial=rng.integers(0, 3, size),
        neuron=rng.integers(0, 4, size),
        trials=[3, 3, 3, 3],
        duration=1.0,
    )
    found = counts(times, 0.3)
    assert found.shape == (3, 3, 4)
    for i, j, k in np.ndindex(found.shape):
        mine = of_neuron(times, k)[j]
        assert found[i, j, k] == np.sum((mine >= 0.3 * i) & (mine < 0.3 * (i + 1)))


def test_a_whole_number_of_bins_is_kept():
    times = SpikeTimes(**FIELDS | {"duration": 1.05})
    assert counts(times, 0.05).shape[0] == 21
    assert counts(times, 0.35).shape[0] == 3


def test_the_same_spikes_as_bits_and_as_times():
    raster = np.random.default_rng(1).random((40, 3, 5)) < 0.2
    spikes = Spikes(bits=pack(raster), n=5, dt=0.001, engine="reference")
    times = from_spikes(spikes)
    np.testing.assert_array_equal(counts(times, 0.004), count(spikes, width=4))
    assert times.trials.tolist() == [3] * 5
    assert times.source == "reference"


def test_silence_takes_no_memory():
    """Unpacked it would be a GiB."""
    spikes = Spikes(
        bits=np.zeros((1 << 20, 1, 128), np.uint8), n=1024, dt=0.001, engine="x"
    )
    tracemalloc.start()
    times = from_spikes(spikes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert times.times.size == 0 and peak < 2**28


def test_files(tmp_path):
    times = SpikeTimes(**FIELDS)
    path = storage.save(times, tmp_path / "a.npz")
    assert storage.same(storage.load(path, SpikeTimes), times)
    assert not storage.same(replace(times, names=()), times)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"times": [0.5, 0.1, 0.2, 1.0, 0.0]}, "times: got 1.0 s at [3], need less"),
        ({"times": [0.5, -0.1, 0.2, 0.9, 0.0]}, "times: got -0.1 at [1], need numbers"),
        ({"trial": [0, 0, 2, 2, 0]}, "trial: got 2 at [3], need less than 2 (the tr"),
        ({"trial": [0, 0, 4, 1, 0]}, "trial: got 4 at [2], need 0 to 3"),
        ({"neuron": [2, 2, 3, 0, 0]}, "neuron: got 3 at [2], need 0 to 2"),
        ({"neuron": [2, 2]}, "neuron: got shape (2,), need (5,)"),
        ({"trials": []}, "trials: got shape (0,), need at least one element"),
        ({"trials": [2, -1, 4]}, "trials: got -1 at [1], need 0"),
        ({"duration": 0.0}, "duration: got 0.0, need numbers greater than 0"),
        ({"names": ("a",)}, "names: got 1, need 3 (one per neuron) or none"),
    ],
)
def test_refusals(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        SpikeTimes(**FIELDS | changes)


def test_bins_and_neurons_that_are_not_there():
    times = SpikeTimes(**FIELDS)
    with pytest.raises(ValueError, match=r"bin_width: got 2\.0 s, need at most 1"):
        counts(times, 2.0)
    with pytest.raises(ValueError, match="k: got 3, need 0 to 2"):
        of_neuron(times, 3)
