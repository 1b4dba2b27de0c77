"""The dense and the sparse form of a network become the same chip."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.ground.sparse import SparseWeights, dense
from isotau.convert.records.lif import Ranges
from isotau.convert.records.spikes import Spikes, pack
from isotau.convert.records.weight_form import densified, sparsified
from isotau.convert.to_fixed.dequantize import dequantize
from isotau.convert.to_fixed.lost_drive import lost_drive
from isotau.convert.to_fixed.quantization_report import report_quantization
from isotau.convert.to_fixed.quantize import QuantizeConfig, quantize
from isotau.convert.to_fixed.weight_blocks import OUTLIERS

MODULE = "isotau.convert.to_fixed.lost_drive"


@pytest.fixture
def nets(lif_net):
    """A network of two populations, a third of its weights present, some very large."""
    rng = np.random.default_rng(8)
    present = rng.random(lif_net.w_rec.shape) < 0.35
    w_rec = lif_net.w_rec * present * np.where(rng.random(present.shape) < 0.03, 30, 1)
    w_rec[:, 3] = 0
    populations = np.arange(lif_net.n) % 2
    net = dataclasses.replace(lif_net, w_rec=w_rec, population=populations)
    return net, sparsified(net)


@pytest.fixture
def ranges(lif_net):
    every = np.ones(lif_net.n)
    return Ranges(i_peak=0.01 * every, i_rms=0.003 * every, v_low=0.005 * every)


@pytest.mark.parametrize("outliers", OUTLIERS)
@pytest.mark.parametrize("bits", [8, 3])
def test_quantizing_gives_the_same_chip(nets, ranges, outliers, bits):
    config = QuantizeConfig(outliers=outliers, num_weight_bits=bits)
    chips = [quantize(net, ranges, input_peak=3.0, config=config) for net in nets]
    recurrent = [b for b in chips[1].blocks if b.source == "recurrent"]
    assert len(recurrent) >= 8  # of each sign, for each pair of populations
    assert all(isinstance(b.weights, SparseWeights) for b in recurrent)
    # All else is of the network, whose hash is another in each form.
    same = dataclasses.replace(
        densified(chips[1], "a test"), made_from=chips[0].made_from
    )
    assert same.fingerprint == chips[0].fingerprint
    reports = [
        report_quantization(net, chip, ranges)
        for net, chip in zip(nets, chips, strict=True)
    ]
    for ours, theirs in zip(*(report.parameters for report in reports), strict=True):
        assert ours.rms == pytest.approx(theirs.rms, rel=1e-12)
        assert ours.worst == theirs.worst
        assert (ours.zeroed, ours.total) == (theirs.zeroed, theirs.total)
    # A report of one form may be asked of the other.
    mixed = report_quantization(nets[0], chips[1], ranges)
    assert mixed.parameters == reports[0].parameters
    floats = [dequantize(dataclasses.replace(chip, noise_exp=None)) for chip in chips]
    assert isinstance(floats[1].w_rec, SparseWeights)
    np.testing.assert_array_equal(dense(floats[1].w_rec, "a test"), floats[0].w_rec)


def test_weights_that_round_to_zero_take_no_memory(nets, ranges):
    config = QuantizeConfig(outliers="keep", num_weight_bits=2)
    chip = quantize(nets[1], ranges, input_peak=3.0, config=config)
    (report,) = [
        p
        for p in report_quantization(nets[1], chip, ranges).parameters
        if p.name == "w_rec"
    ]
    left = sum(b.weights.synapses for b in chip.blocks if b.source == "recurrent")
    assert report.zeroed > 0
    assert left == nets[1].w_rec.synapses - report.zeroed


@pytest.mark.parametrize("numbers", [1 << 23, 200])
def test_truncation_takes_the_same(nets, ranges, numbers, monkeypatch):
    """Also where the samples are looked at a few at a time."""
    chips = [quantize(net, ranges, input_peak=3.0) for net in nets]
    lowered = [
        dataclasses.replace(
            chip,
            blocks=[dataclasses.replace(b, weight_exp=-3) for b in chip.blocks],
        )
        for chip in chips
    ]
    rng = np.random.default_rng(1)
    raster = rng.random((40, 3, nets[0].n)) < 0.2
    spikes = Spikes(bits=pack(raster), n=nets[0].n, dt=1e-3, engine="drawn")
    inputs = rng.standard_normal((40, 3, 2))
    whole = lost_drive(lowered[0], spikes, inputs)
    assert all(part.any() for part in whole)
    monkeypatch.setattr(f"{MODULE}.CHUNK_NUMBERS", numbers)
    for chip in lowered:
        for part, expected in zip(lost_drive(chip, spikes, inputs), whole, strict=True):
            np.testing.assert_array_equal(part, expected)


def test_a_large_network_is_sampled_less(nets, ranges, monkeypatch):
    chip = quantize(nets[1], ranges, input_peak=3.0)
    chip = dataclasses.replace(
        chip, blocks=[dataclasses.replace(b, weight_exp=-3) for b in chip.blocks]
    )
    raster = np.random.default_rng(1).random((40, 1, chip.n)) < 0.2
    spikes = Spikes(bits=pack(raster), n=chip.n, dt=1e-3, engine="drawn")
    monkeypatch.setattr(f"{MODULE}.MOST_NUMBERS", 10 * chip.n)
    few = lost_drive(chip, spikes, np.zeros((40, 1, 2)))
    monkeypatch.undo()
    every_fourth = Spikes(bits=pack(raster[::4]), n=chip.n, dt=1e-3, engine="drawn")
    expected = lost_drive(chip, every_fourth, np.zeros((10, 1, 2)))
    np.testing.assert_array_equal(few.constant, expected.constant)
