"""quantize and simulate, as typed on the command line, on NIR and isotau's networks."""

import dataclasses
import json

import numpy as np
import pytest

from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes
from isotau.targets.nir_graph.to_nir import write_nir


@pytest.fixture
def files(tmp_path, lif_net):
    net = dataclasses.replace(lif_net, noise_std=0.0, refractory=np.zeros(20))
    write_nir(net, tmp_path / "net.nir")
    rng = np.random.default_rng(0)
    inputs, labels = rng.random((120, 8, 2)), rng.integers(0, 2, 8)
    np.savez(tmp_path / "in.npz", inputs=inputs, labels=labels)
    return net


def test_nir_is_quantized_and_both_stages_are_left(isotau, files, tmp_path):
    status, said, _ = isotau("quantize", "net.nir", "--inputs", "in.npz", "--out", "q")
    assert status == 0
    assert "read as: NIR" in said and "accuracy: " in said and "coincide" in said
    assert storage.same(storage.load(tmp_path / "q/network.lif.npz", LIFNetwork), files)
    fixed = storage.load(tmp_path / "q/network.fixed.npz", FixedPointNetwork)
    assert fixed.made_from == files.fingerprint
    report = json.loads((tmp_path / "q/quantization.json").read_text())
    assert report["trials"] == {"calibration": 4, "test": 4}
    assert report["config"]["outliers"] == "split"
    assert report["quantization"]["parameters"]


def test_options_reach_the_quantizer(isotau, files, tmp_path):
    asked = ("quantize", "net.nir", "--inputs", "in.npz", "--out", "q", "--bits", 4)
    assert isotau(*asked, "--outliers", "clip", "--percentile", 98)[0] == 0
    fixed = storage.load(tmp_path / "q/network.fixed.npz", FixedPointNetwork)
    assert {block.num_weight_bits for block in fixed.blocks} == {4}
    assert isotau(*asked, "--search")[0] == 0
    report = json.loads((tmp_path / "q/quantization.json").read_text())
    assert len(report["tried"]) == 12 and report["config"]["num_weight_bits"] == 4
    status, _, errors = isotau(*asked, "--outliers", "drop")
    assert status == 2 and "outliers: got 'drop', need one of" in errors


def test_simulate_runs_either_stage(isotau, files, tmp_path):
    isotau("quantize", "net.nir", "--inputs", "in.npz", "--out", "q")
    found = {}
    for name, more in (
        ("net.nir", ()),
        ("q/network.lif.npz", ()),
        ("q/network.fixed.npz", ("--engine", "reference")),
        ("q/network.fixed.npz", ()),
    ):
        status, said, _ = isotau("simulate", name, "--inputs", "in.npz", *more)
        assert status == 0 and "Hz on average" in said and "accuracy: " in said
        found[name, more] = storage.load(tmp_path / "spikes.npz", Spikes).bits
    first, second, third, fourth = found.values()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(third, fourth)


def test_wrong_files_are_one_line(isotau, files, tmp_path, rate_net):
    storage.save(rate_net, tmp_path / "r.npz")
    np.savez(tmp_path / "bad.npz", inputs=np.zeros((5, 2, 3)))
    for arguments, text in (
        (("quantize", "r.npz", "--inputs", "in.npz"), "got a rate network, need LIF"),
        (("quantize", "net.nir", "--inputs", "bad.npz"), "got shape (5, 2, 3), need"),
        (("quantize", "net.nir", "--inputs", "no.npz"), "no.npz: no such file"),
        (("simulate", "no.nir", "--inputs", "in.npz"), "no.nir: no such file"),
        (("simulate", "r.npz", "--inputs", "in.npz"), "got a rate network, need LIF"),
        (("quantize", "net.nir"), "Missing option"),
    ):
        status, _, errors = isotau(*arguments)
        assert status == 2 and text in errors and errors.count("\n") == 1, arguments
