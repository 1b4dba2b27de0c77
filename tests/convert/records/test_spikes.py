"""`Spikes` and what is counted on them, against loops over booleans."""

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from isotau.convert.records.spikes import (
    Spikes,
    count,
    mean_rate,
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
