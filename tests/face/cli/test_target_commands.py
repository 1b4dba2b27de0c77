"""check, export, verify and place, as typed on the command line."""

import dataclasses
import json
import re

import nir
import numpy as np
import onnx
import pytest

from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import Ranges
from isotau.convert.records.weight_form import sparsified
from isotau.convert.to_fixed.quantize import quantize
from isotau.jobs import place_network
from isotau.targets.loihi.limits import LOIHI1


@pytest.fixture
def stored(tmp_path, rate_net, lif_net):
    """Networks of each stage, and one that is quiet and without refractory periods."""
    quiet = dataclasses.replace(lif_net, noise_std=0.0, refractory=np.zeros(20))
    ranges = Ranges(*np.full((3, 20), 0.01))
    nets = {
        "a.rate": rate_net,
        "a.lif": lif_net,
        "a.fixed": quantize(lif_net, ranges, input_peak=1.0),
        "quiet.fixed": quantize(quiet, ranges, input_peak=1.0),
    }
    for name, net in nets.items():
        storage.save(net, tmp_path / f"{name}.npz")
    return nets


@pytest.mark.parametrize("target", ["loihi1", "loihi2", "lava", "nir", "onnx"])
def test_check_gives_all_findings_and_its_status(isotau, stored, target):
    for name in stored:
        status, said, errors = isotau("check", f"{name}.npz", "--target", target)
        again, text, _ = isotau("check", f"{name}.npz", "--to", target, "--json")
        report = json.loads(text)
        assert status == again == report["status"] and not errors
        severities = [f["severity"] for f in report["findings"]]
        assert status == (
            2 if "error" in severities else 1 if "warning" in severities else 0
        )
        assert report["stage"] == name.partition(".")[2] and report["target"] == target
        for finding in report["findings"]:
            assert finding["place"] in said and finding["action"] in said
            assert all(finding.values())


def test_what_a_chip_cannot_hold_is_found(isotau, stored):
    status, said, _ = isotau("check", "a.rate.npz", "--target", "loihi2")
    assert status == 2 and "isotau convert" in said
    status, said, _ = isotau("check", "a.fixed.npz", "--target", "nir")
    assert status == 1 and "noise" in said and "refractory" in said
    status, _, errors = isotau("check", "a.fixed.npz", "--target", "tpu")
    assert status == 2 and "target: got 'tpu', need one of" in errors


def test_export_then_verify(isotau, stored, tmp_path):
    status, said, _ = isotau("export", "a.fixed.npz", "--to", "onnx")
    assert status == 0 and "Written: a.onnx" in said
    asked = ("--trials", 2, "--steps", 40)
    status, said, _ = isotau("verify", "a.onnx", "a.fixed.npz", *asked)
    assert status == 0 and "identical, bit for bit" in said
    status, said, _ = isotau("verify", "a.onnx", "a.fixed.npz", *asked, "--json")
    assert status == 0 and json.loads(said)["identical"] is True
    status, _, errors = isotau("verify", "a.onnx", "quiet.fixed.npz", *asked)
    assert status == 2 and "a.onnx" in errors and "network" in errors


def test_verify_finds_a_changed_weight(isotau, stored, tmp_path):
    isotau("export", "quiet.fixed.npz", "--to", "onnx")
    model = onnx.load(tmp_path / "quiet.onnx")
    del model.metadata_props[:]
    (bias,) = [t for t in model.graph.initializer if "bias" in t.name]
    values = onnx.numpy_helper.to_array(bias).copy()
    values[..., 3] += 64
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    onnx.save(model, tmp_path / "odd.onnx")
    asked = ("--trials", 2, "--steps", 40)
    status, said, _ = isotau("verify", "odd.onnx", "quiet.fixed.npz", *asked)
    assert status == 1 and "DIFFERENT" in said
    assert re.search(r"first difference: v of \D*3,", said)


def test_export_says_what_is_lost_and_writes_nothing_after_an_error(
    isotau, stored, tmp_path
):
    status, said, _ = isotau("export", "a.lif.npz", "--to", "nir")
    assert status == 0 and "warning: " in said and "noise_std" in said
    status, said, _ = isotau("check", "a.nir", "--target", "onnx")
    assert status < 2 and "read as: NIR" in said
    status, _, errors = isotau("export", "a.rate.npz", "--to", "nir", "--out", "b.nir")
    assert status == 2 and "cannot export" in errors
    assert not (tmp_path / "b.nir").exists()
    status, _, errors = isotau("export", "a.rate.npz", "--to", "pdf")
    assert status == 2 and "--to: got 'pdf', need one of nir, onnx, lava" in errors


def test_a_script_for_lava_is_a_folder(isotau, stored, tmp_path):
    status, said, _ = isotau("export", "quiet.fixed.npz", "--to", "lava")
    assert status == 0 and "Written: quiet-lava" in said
    assert (tmp_path / "quiet-lava/run.py").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    asked = ("export", "quiet.fixed.npz", "--to", "lava", "--out", "mine")
    status, _, errors = isotau(*asked)
    assert status == 2 and "holds what isotau has not written" in errors
    assert isotau(*asked, "--overwrite")[0] == 0
    assert (tmp_path / "mine/notes.txt").read_text() == "x"


def test_a_graph_that_cannot_be_read_is_a_finding_for_each_node(isotau, tmp_path):
    one = np.ones(3)
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input({"input": np.array([3])}),
            "a": nir.IF(r=one, v_threshold=one),
            "b": nir.I(r=one),
            "output": nir.Output({"output": np.array([3])}),
        },
        edges=[("input", "a"), ("a", "b"), ("b", "output")],
    )
    nir.write(tmp_path / "g.nir", graph)
    status, said, _ = isotau("check", "g.nir", "--target", "loihi2", "--json")
    report = json.loads(said)
    assert status == report["status"] == 2 and report["stage"] == "nir"
    told = " ".join(f["place"] + f["message"] for f in report["findings"])
    assert "IF" in told and "node a" in told and "node b" in told
    status, said, errors = isotau("check", "g.nir", "--target", "loihi2")
    assert status == 2 and "not read" in said and "node b" in said and not errors
    status, _, errors = isotau("export", "g.nir", "--to", "onnx")
    assert status == 2 and "IF" in errors


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_place_draws_and_counts(isotau, stored, tmp_path, chip):
    np.savez(tmp_path / "in.npz", inputs=np.ones((50, 3, 2)))
    asked = ("place", "a.fixed.npz", "--chip", chip)
    status, said, _ = isotau(*asked, "--inputs", "in.npz", "--out", "placed")
    assert status == 0 and "20 neurons on 1 of 128 cores" in said
    report = json.loads((tmp_path / "placed/placement.json").read_text())
    assert report["core_of_neuron"] == [0] * 20
    assert report["cost_per_trial"]["spikes"] > 0
    assert report["neurobench"]["Footprint"] > 0
    for name in ("chip_0.png", "cores.csv"):
        assert (tmp_path / "placed" / name).stat().st_size > 100
    status, said, _ = isotau(*asked, "--group", "--out", "grouped")
    made = storage.load(tmp_path / "grouped/network.fixed.npz", FixedPointNetwork)
    assert status == 0 and made.n == 20
    status, _, _ = isotau(*asked, "--out", "alone")
    report = json.loads((tmp_path / "alone/placement.json").read_text())
    assert status == 0 and report["cost_per_trial"] is None


def test_a_sparse_network_goes_from_the_record_to_cores(
    isotau, lif_net, tmp_path, monkeypatch
):
    few = lif_net.w_rec * (np.random.default_rng(0).random((20, 20)) < 0.3)
    nets = {"a": dataclasses.replace(lif_net, w_rec=few)}
    nets["b"] = sparsified(nets["a"])
    np.savez(tmp_path / "in.npz", inputs=np.ones((50, 4, 2)))
    # Two chips of as many small cores, of which one is drawn.
    tiny = dataclasses.replace(LOIHI1, neurons=4, cores=4)
    monkeypatch.setattr(place_network, "CHIPS", {"loihi1": tiny})
    monkeypatch.setattr(place_network, "MOST_DRAWN", 1)
    spikes, told = [], []
    for name, net in nets.items():
        storage.save(net, tmp_path / f"{name}.lif.npz")
        shown = ("--inputs", "in.npz", "--out")
        assert isotau("quantize", f"{name}.lif.npz", *shown, name)[0] == 0
        chip = f"{name}/network.fixed.npz"
        assert isotau("simulate", chip, *shown, f"{name}/run")[0] == 0
        spikes.append(storage.load(tmp_path / name / "run").bits)
        asked = ("place", chip, "--chip", "loihi1", "--chips", "2")
        status, said, errors = isotau(*asked, *shown, f"{name}/cores")
        assert status == 0, errors
        told.append(said.replace(f"{name}/", ""))
        pictures = sorted((tmp_path / name / "cores").glob("*.png"))
        assert [path.name for path in pictures] == ["chip_0.png"]
    np.testing.assert_array_equal(*spikes)
    assert told[0] == told[1] and "drawn: the first 1 of 2 chips" in told[0]


def test_place_needs_integers_and_a_folder(isotau, stored, tmp_path):
    status, _, errors = isotau("place", "a.lif.npz")
    assert status == 2 and "need the chip's integers; use isotau quantize" in errors
    (tmp_path / "file").write_text("x")
    status, _, errors = isotau("place", "a.fixed.npz", "--out", "file")
    assert status == 2 and "need a folder" in errors
    status, _, errors = isotau("place", "a.fixed.npz", "--chip", "loihi9")
    assert status == 2 and "--chip: got 'loihi9', need one of" in errors
