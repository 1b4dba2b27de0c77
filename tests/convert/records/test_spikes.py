"""`Spikes` and `SpikeTimes`, and what is counted on them, against loops."""

import re
import tracemalloc
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from isotau.convert.records import storage
from isotau.convert.records.spikes import (
    Spikes,
    SpikeTimes,
    count,
    counts,
    from_spikes,
    mean_rate,
    of_neuron,
    pack,
    select,
    unpack,
    window,
)


def recording(n, steps=20, batch=3, seed=0):
    raster = np.random.default_rng(seed).random((steps, batch, n)) < 0.3
    bits = pack(raster)
    return raster, Spikes(bits=bits, n=n, dt=0.001, engine="recorded", network="ab")


def test_bits_are_little_endian():
    raster = np.zeros((1, 1, 10), dtype=bool)
    raster[0, 0, [0, 3, 9]] = True
    assert pack(raster).tolist() == [[[0b00001001, 0b00000010]]]


@pytest.mark.parametrize("n", [1, 7, 8, 9, 200])
def test_unpack_undoes_pack(n):
    raster, spikes = recording(n)
    assert spikes.bits.shape == (20, 3, -(-n // 8))
    np.testing.assert_array_equal(unpack(spikes.bits, n), raster)
    assert unpack(spikes.bits, n).dtype == bool


def test_sizes():
    _, spikes = recording(9)
    assert (spikes.steps, spikes.batch) == (20, 3)


@pytest.mark.parametrize("width", [1, 3, 7, 20])
def test_count_by_a_loop(width):
    raster, spikes = recording(9)
    counts = count(spikes, width=width)
    assert counts.shape == (20 // width, 3, 9)
    for b, k, i in np.ndindex(counts.shape):
        expected = sum(int(raster[t, k, i]) for t in range(b * width, (b + 1) * width))
        assert counts[b, k, i] == expected


def test_a_bin_may_hold_more_than_a_byte_counts():
    spikes = Spikes(bits=np.ones((300, 1, 1), np.uint8), n=1, dt=1.0, engine="recorded")
    assert count(spikes, width=300).tolist() == [[[300]]]


@pytest.mark.parametrize("width", [0, -1, 21])
def test_count_refuses_widths_beyond_the_trial(width):
    with pytest.raises(ValueError, match=rf"width: got {width} steps, need 1 to 20"):
        count(recording(9)[1], width=width)


def test_window_and_select_keep_the_rest():
    raster, spikes = recording(9)
    part = select(window(spikes, 4, 10), slice(1, 3))
    np.testing.assert_array_equal(unpack(part.bits, 9), raster[4:10, 1:3])
    assert (part.n, part.dt, part.engine, part.network) == (9, 0.001, "recorded", "ab")
    assert window(spikes, 15).steps == 5


def test_mean_rate_by_a_loop():
    raster, spikes = recording(11)
    assert mean_rate(spikes) == pytest.approx(raster.sum() / (11 * 3 * 0.020))


def test_bits_are_taken_as_they_are_and_cannot_be_written():
    """They may fill most of the memory; a copy would need as much again."""
    bits = np.ones((2, 1, 1), np.uint8)
    spikes = Spikes(bits=bits, n=1, dt=1.0, engine="recorded")
    assert np.shares_memory(spikes.bits, bits)
    assert not spikes.bits.flags.writeable
    assert bits.flags.writeable
    whole = Spikes(bits=bits.astype(int), n=1, dt=1.0, engine="recorded")
    assert whole.bits.dtype == np.uint8


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError):
        recording(3)[1].n = 4


REFUSED = [
    ({"bits": np.zeros((2, 1), np.uint8)}, "bits: got shape (2, 1), need 3 axes"),
    (
        {"bits": np.zeros((2, 1, 2), np.uint8)},
        "bits: got shape (2, 1, 2), need (2, 1, 1)",
    ),
    ({"bits": np.full((2, 1, 1), 8)}, "bits: got spikes beyond neuron 2, need zeros"),
    ({"bits": np.full((2, 1, 1), 256)}, "bits: got 256 at [0, 0, 0], need 0 to 255"),
    ({"n": 0}, "n: got 0, need 1 to"),
    ({"dt": 0.0}, "dt: got 0.0, need numbers greater than 0"),
]


@pytest.mark.parametrize(("changes", "text"), REFUSED)
def test_refusals(changes, text):
    fields = {"bits": np.zeros((2, 1, 1), np.uint8), "n": 3, "dt": 1.0, "engine": "x"}
    with pytest.raises(ValueError, match=re.escape(text)):
        Spikes(**fields | changes)


def test_the_number_of_neurons_is_whole():
    with pytest.raises(TypeError, match="n: got dtype float64, need whole numbers"):
        Spikes(bits=np.zeros((2, 1, 1), np.uint8), n=2.5, dt=1.0, engine="x")


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
def test_times_refused(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        SpikeTimes(**FIELDS | changes)


def test_bins_and_neurons_that_are_not_there():
    times = SpikeTimes(**FIELDS)
    with pytest.raises(ValueError, match=r"bin_width: got 2\.0 s, need at most 1"):
        counts(times, 2.0)
    with pytest.raises(ValueError, match="k: got 3, need 0 to 2"):
        of_neuron(times, 3)
