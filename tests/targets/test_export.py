"""Exports through the face: what is written, what is refused, what is said."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

from isotau.convert.ground.errors import CannotExport, Severity
from isotau.convert.records import storage
from isotau.convert.records.lif import Ranges
from isotau.convert.to_fixed.quantize import quantize
from isotau.targets.export import EXPORTERS, Request
from isotau.targets.open_network import open_network


@pytest.fixture
def quiet(lif_net):
    return dataclasses.replace(lif_net, noise_std=0.0, refractory=np.zeros(20))


@pytest.fixture
def fixed(quiet):
    return quantize(quiet, Ranges(*np.full((3, 20), 0.01)), input_peak=1.0)


def test_names_come_from_the_network(tmp_path, monkeypatch, quiet, fixed):
    monkeypatch.chdir(tmp_path)
    request = Request(network=Path("net.v2.lif.npz"))
    assert EXPORTERS["nir"](quiet, request)[1] == Path("net.v2.nir")
    assert EXPORTERS["onnx"](quiet, request)[1] == Path("net.v2.onnx")
    assert EXPORTERS["lava"](fixed, Request(network=Path("x.npz")))[1] == Path("x-lava")
    assert storage.same(open_network("net.v2.nir").net, quiet)


@pytest.mark.parametrize("step", [False, True])
def test_every_stage_becomes_onnx(tmp_path, rate_net, quiet, fixed, step):
    for net in (rate_net, quiet, fixed):
        request = Request(network=Path("a"), out=tmp_path / "a.onnx", step=step)
        _, path = EXPORTERS["onnx"](net, request)
        model = onnx.load(path)
        said = {entry.key: entry.value for entry in model.metadata_props}
        assert storage.fingerprint(net) in " ".join(said.values())
        scans = [node for node in model.graph.node if node.op_type == "Scan"]
        assert bool(scans) is not step


def test_what_is_lost_is_said(tmp_path, lif_net):
    found, _ = EXPORTERS["nir"](
        lif_net, Request(network=Path("a"), out=tmp_path / "a.nir")
    )
    told = " ".join(f.place + f.message for f in found)
    assert "noise_std" in told and "refractory" in told
    assert any(f.severity is Severity.WARNING for f in found)


def test_nothing_is_written_after_an_error(tmp_path, rate_net, fixed):
    out = tmp_path / "a.nir"
    with pytest.raises(CannotExport, match="nir: cannot export"):
        EXPORTERS["nir"](rate_net, Request(network=Path("a"), out=out))
    delayed = dataclasses.replace(
        fixed, blocks=(dataclasses.replace(fixed.blocks[0], delay=3),)
    )
    with pytest.raises(CannotExport, match="a delay of 3 steps"):
        EXPORTERS["nir"](delayed, Request(network=Path("a"), out=out))
    assert not out.exists()


@pytest.mark.parametrize(
    ("target", "options", "text"),
    [
        ("nir", {"step": True}, "--step: got True for nir, which has no such option"),
        ("nir", {"dtype": "float32"}, "--dtype: got 'float32' for nir"),
        ("onnx", {"reader": "norse"}, "--reader: got 'norse' for onnx"),
        ("onnx", {"dtype": "float32"}, "--dtype: got 'float32' for onnx of integers"),
        ("lava", {"chip": "loihi3"}, "--chip: got 'loihi3', need one of"),
    ],
)
def test_options_of_another_target_are_refused(tmp_path, fixed, target, options, text):
    request = Request(network=Path("a"), out=tmp_path / "a", **options)
    with pytest.raises(ValueError, match=text):
        EXPORTERS[target](fixed, request)


def test_lava_needs_integers(tmp_path, quiet):
    with pytest.raises(ValueError, match="a: got a network in floats, need the chip's"):
        EXPORTERS["lava"](quiet, Request(network=Path("a"), out=tmp_path / "a"))
