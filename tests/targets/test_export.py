"""Exports through the face: what is written, what is refused, what is said."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import scipy.sparse

from isotau.convert.ground.errors import CannotExport, Severity
from isotau.convert.ground.plugins import BrokenPlugin
from isotau.convert.records import storage
from isotau.convert.records.lif import Ranges
from isotau.convert.records.weight_form import sparsified
from isotau.convert.to_fixed.quantize import quantize
from isotau.sim.engines import reference
from isotau.targets.check import check
from isotau.targets.export import EXPORTERS, GROUP, Request, export, exporters
from isotau.targets.onnx_model.verify_onnx import verify_onnx
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
    assert export(quiet, "nir", request)[1] == Path("net.v2.nir")
    assert export(quiet, "onnx", request)[1] == Path("net.v2.onnx")
    assert export(fixed, "lava", Request(network=Path("x.npz")))[1] == Path("x-lava")
    assert storage.same(open_network("net.v2.nir").net, quiet)


@pytest.mark.parametrize("step", [False, True])
def test_every_stage_becomes_onnx(tmp_path, rate_net, quiet, fixed, step):
    for net in (rate_net, quiet, fixed):
        request = Request(network=Path("a"), out=tmp_path / "a.onnx", step=step)
        _, path = export(net, "onnx", request)
        model = onnx.load(path)
        said = {entry.key: entry.value for entry in model.metadata_props}
        assert net.fingerprint in " ".join(said.values())
        scans = [node for node in model.graph.node if node.op_type == "Scan"]
        assert bool(scans) is not step


@pytest.mark.parametrize("target", ["onnx", "nir", "lava"])
def test_sparse_weights_are_written_as_dense_ones(tmp_path, quiet, fixed, target):
    """The same but for hashes of the network, which has another form."""
    net = quiet if target == "nir" else fixed
    files = []
    for name, form in (("a", net), ("b", sparsified(net))):
        request = Request(network=Path("x"), out=tmp_path / name)
        findings, path = export(form, target, request)
        told = " ".join(f.message for f in findings)
        assert ("need a dense array" in told) == (name == "b")
        files.append(path)
    if target == "nir":
        assert storage.same(*(open_network(path).net for path in files))
    elif target == "lava":
        nets = [storage.load(path / "network.npz") for path in files]
        assert storage.same(*nets)
    else:
        graphs = [onnx.load(path).graph for path in files]
        assert graphs[0] == graphs[1]
        run = verify_onnx(files[1], sparsified(net), engine=reference.run, steps=20)
        assert run.identical


@pytest.mark.parametrize("target", ["onnx", "nir", "lava"])
def test_a_large_sparse_network_is_refused_by_its_size(tmp_path, quiet, fixed, target):
    """No array of N² numbers is made to find out."""
    n = 50_000
    net = large_network(quiet if target == "nir" else fixed, n)
    request = Request(network=Path("x"), out=tmp_path / "a")
    with pytest.raises(CannotExport, match="need a dense array of at most 512 MiB"):
        export(net, target, request)
    assert not (tmp_path / "a").exists()


def large_network(net, n):
    """Return a network of many more neurons with one synapse each."""
    weights = scipy.sparse.eye_array(n, format="csc") * 2
    fields = {}
    for field in dataclasses.fields(net):
        value = getattr(net, field.name)
        if isinstance(value, np.ndarray) and value.shape[:1] == (net.n,):
            fields[field.name] = np.repeat(value[:1], n, axis=0)
    fields["w_out"] = np.ones((1, n))
    fields["b_out"] = [0.0]
    if fields.pop("w_rec", None) is not None:
        return dataclasses.replace(net, w_rec=weights, **fields)
    block = next(b for b in net.blocks if b.source == "recurrent")
    block = dataclasses.replace(
        block, pre=np.arange(n), weights=weights, sign_mode="mixed"
    )
    return dataclasses.replace(net, blocks=[block], **fields)


def test_what_is_lost_is_said(tmp_path, lif_net):
    found, _ = export(
        lif_net, "nir", Request(network=Path("a"), out=tmp_path / "a.nir")
    )
    told = " ".join(f.place + f.message for f in found)
    assert "noise_std" in told and "refractory" in told
    assert any(f.severity is Severity.WARNING for f in found)


def test_nothing_is_written_after_an_error(tmp_path, rate_net, fixed):
    out = tmp_path / "a.nir"
    with pytest.raises(CannotExport, match="nir: cannot export"):
        export(rate_net, "nir", Request(network=Path("a"), out=out))
    delayed = dataclasses.replace(
        fixed, blocks=(dataclasses.replace(fixed.blocks[0], delay=3),)
    )
    with pytest.raises(CannotExport, match="a delay of 3 steps"):
        export(delayed, "nir", Request(network=Path("a"), out=out))
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
        export(fixed, target, request)


def test_lava_needs_integers(tmp_path, quiet):
    with pytest.raises(ValueError, match="a: got a network in floats, need the chip's"):
        export(quiet, "lava", Request(network=Path("a"), out=tmp_path / "a"))


PACKAGE = """
from isotau.convert.ground.errors import info
from isotau.sim.engines import reference
from isotau.targets.check import check
from isotau.targets.export import Exporter

def check(net):
    return [info("network", f"got {net.n} neurons, need some", "written as text")]

def write(net, path, request):
    path.write_text(f"{net.n} neurons")
    return path

TEXT = Exporter(check=check, write=write, stages=("rate",), ending=".txt")
ODD = 3
"""


def test_another_package_brings_an_exporter(tmp_path, monkeypatch, install, rate_net):
    install("lab_text", PACKAGE, GROUP, text="lab_text:TEXT")
    monkeypatch.chdir(tmp_path)
    findings, path = export(rate_net, "text", Request(network=Path("a.rate.npz")))
    assert path == Path("a.txt") and path.read_text() == "24 neurons"
    assert findings == check(rate_net, "text")
    assert [f.message for f in findings] == ["got 24 neurons, need some"]


def test_its_exporter_is_held_to_its_row(install, quiet):
    install("lab_text", PACKAGE, GROUP, text="lab_text:TEXT")
    with pytest.raises(ValueError, match="a: got LIF neurons, need a rate network"):
        export(quiet, "text", Request(network=Path("a")))
    with pytest.raises(ValueError, match="--step: got True for text, which has no"):
        export(quiet, "text", Request(network=Path("a"), step=True))


def test_an_unknown_exporter_is_answered_with_all_names(install, quiet):
    install("lab_text", PACKAGE, GROUP, text="lab_text:TEXT")
    with pytest.raises(ValueError, match="--to: got 'x', need one of nir, onnx, lava,"):
        export(quiet, "x", Request(network=Path("a")))
    with pytest.raises(ValueError, match=r"target: got 'x', need .* lava, text"):
        check(quiet, "x")


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("odd", "lab_text:ODD", r"exporters odd of lab-text: .* need a Exporter"),
        ("gone", "lab_text:GONE", "exporters gone of lab-text: AttributeError"),
        ("nir", "lab_text:TEXT", r"exporters nir of lab-text: .* a name that is taken"),
        ("loihi2", "lab_text:TEXT", r"exporters loihi2 of lab-text: .* taken"),
    ],
)
def test_a_broken_exporter_is_named_and_left_out(install, entry, value, message):
    install("lab_text", PACKAGE, GROUP, **{entry: value})
    with pytest.warns(BrokenPlugin, match=message):
        assert exporters() == EXPORTERS


def test_isotaus_own_exporters_load_no_package(install, quiet, tmp_path):
    install("lab_text", "1 / 0", GROUP, text="lab_text:TEXT")
    export(quiet, "nir", Request(network=Path("a"), out=tmp_path / "a.nir"))
