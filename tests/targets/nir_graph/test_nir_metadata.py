"""Metadata lead back to the very record, or say what is wrong with them."""

from dataclasses import replace

import nir
import numpy as np
import pytest

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.storage import same
from isotau.targets.nir_graph import nir_metadata
from isotau.targets.nir_graph.to_nir import READERS, to_nir, write_nir


def rounded(net: LIFNetwork) -> LIFNetwork:
    """What a reader might make of the nodes: other zero, unit and rounding."""
    near = 1 + 1e-13
    return replace(
        net,
        w_in=net.w_in * 50 * near,
        w_rec=net.w_rec * 50 / near,
        tau_mem=net.tau_mem * near,
        v_th=(net.v_th - net.v_reset) * 50,
        v_leak=(net.v_leak - net.v_reset) * 50 * near,
        v_reset=np.zeros(net.n),
        v0=np.zeros(net.n),
        refractory=np.zeros(net.n),
        noise_std=0.0,
    )


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("scheme", nir_metadata.SCHEMES)
def test_the_very_record_comes_back_from_a_file(lif_net, tmp_path, reader, scheme):
    net = replace(
        lif_net,
        i0=np.linspace(0, 1e-3, lif_net.n),
        tau_out=np.linspace(0.02, 0.03, lif_net.n),
        population=np.arange(lif_net.n) % 3,
    )
    path = write_nir(net, tmp_path / "a.nir", reader=reader, scheme=scheme)
    back = nir_metadata.restore(nir.read(path), rounded(net))
    assert back is not None and same(back, net)


def test_what_a_person_reads(lif_net):
    metadata = nir_metadata.write(lif_net)
    assert metadata["dt"] == 1e-3 and metadata["time_unit"] == "s"
    assert metadata["scheme"] == "euler" and metadata["spike"] == "strictly above"
    assert metadata["reset"] == "to v_reset" and metadata["noise_std"] == 1e-3
    assert metadata["made_by"].startswith("isotau ")
    assert metadata["fingerprint"] == lif_net.fingerprint
    assert (metadata["refractory"] == 0.002).all()
    assert (metadata["v0"] == 0).all()  # from v_reset
    flat = (str, float, np.ndarray)
    assert all(isinstance(value, flat) for value in metadata.values())


def test_a_start_stands_above_reset(lif_net):
    moved = replace(lif_net, v0=np.full(lif_net.n, -0.060))
    np.testing.assert_allclose(nir_metadata.write(moved)["v0"], 5e-3)


def test_an_unknown_scheme(lif_net):
    with pytest.raises(ValueError, match="scheme: got 'midpoint', need one of euler"):
        nir_metadata.write(lif_net, scheme="midpoint")


def test_files_of_others_give_none(lif_net):
    graph = to_nir(lif_net)
    for metadata in ({}, {"dt": 1e-3}, {"fingerprint": "x"}, None):
        graph.metadata = metadata
        assert nir_metadata.restore(graph, lif_net) is None
    graph.metadata = {"fingerprint": "x", "made_by": 3}
    assert nir_metadata.restore(graph, lif_net) is None


def test_text_as_bytes_is_text(lif_net):
    graph = to_nir(lif_net)
    graph.metadata |= {
        name: graph.metadata[name].encode() for name in ("made_by", "fingerprint")
    }
    back = nir_metadata.restore(graph, lif_net)
    assert back is not None and same(back, lif_net)


def edit_weight(graph):
    graph.nodes["w_rec"].weight[2, 1] += 1e-3


def edit_type(graph):
    graph.nodes["w_in"] = nir.Threshold(np.ones(2))


def edit_fingerprint(graph):
    graph.metadata["fingerprint"] = "0" * 64


def edit_noise(graph):
    graph.metadata["record.noise_std"] = 5.0


@pytest.mark.parametrize("edit", [edit_weight, edit_type, edit_fingerprint, edit_noise])
def test_edited_files_give_none(lif_net, edit):
    graph = to_nir(lif_net)
    edit(graph)
    assert nir_metadata.restore(graph, lif_net) is None


@pytest.mark.parametrize("name", ["w_in", "tau_syn", "tau_mem", "tau_out", "v_leak"])
def test_nodes_that_say_something_else_give_none(lif_net, name):
    other = replace(lif_net, **{name: getattr(lif_net, name) * 1.001})
    assert nir_metadata.restore(to_nir(lif_net), other) is None


def test_the_readout_does_not_count_where_the_graph_has_none(lif_net):
    other = replace(lif_net, w_out=np.eye(lif_net.n), b_out=np.zeros(lif_net.n))
    assert nir_metadata.restore(to_nir(lif_net), other) is None
    back = nir_metadata.restore(to_nir(lif_net, readout=False), other)
    assert back is not None and same(back, lif_net)


def test_another_number_of_neurons_gives_none(lif_net):
    n = lif_net.n - 1
    per_neuron = ("tau_syn", "tau_mem", "v_th", "v_leak", "v_reset", "refractory")
    start = ("i0", "v0", "f0", "tau_out", "population", "w_in")
    start += ("noise_std", "current_noise_std")
    other = replace(
        lif_net,
        w_rec=lif_net.w_rec[:n, :n],
        w_out=lif_net.w_out[:, :n],
        **{name: getattr(lif_net, name)[:n] for name in per_neuron + start},
    )
    assert nir_metadata.restore(to_nir(lif_net), other) is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("record.tau_syn", None, r"metadata: record\.tau_syn is missing; remove"),
        ("record.tau_syn", np.ones(3), r"record\.tau_syn: got float64 of shape \(3,\)"),
        ("record.dt", np.ones(20), r"record\.dt: got float64 of shape \(20,\)"),
        ("record.v_th", "high", r"record\.v_th: got <U4 of shape \(\)"),
        ("record.tau_mem", np.ones((2, 2)), "need numbers of shape"),
        ("record.tau_mem", np.zeros(0), "need numbers of shape"),
        ("record.dt", -1.0, r"metadata: dt: got -1\.0, need numbers greater than 0"),
        ("record.colour", 1.0, r"got record\.colour, which no network has"),
        ("record.w_in", np.ones((2, 2)), r"metadata: w_in: got shape \(2, 2\)"),
    ],
)
def test_damaged_metadata_are_named(lif_net, name, value, message):
    graph = to_nir(lif_net, reader="snntorch")
    graph.metadata[name] = value
    if value is None:
        del graph.metadata[name]
    with pytest.raises(ValueError, match=message):
        nir_metadata.restore(graph, lif_net)


def test_metadata_of_numbers_without_axes_are_named(lif_net):
    graph = to_nir(lif_net)
    for name, value in graph.metadata.items():
        if name.startswith("record.") and np.ndim(value):
            graph.metadata[name] = np.float64(1.0)
    with pytest.raises(ValueError, match=r"need numbers of shape \(1,\)"):
        nir_metadata.restore(graph, lif_net)


@pytest.mark.parametrize("reader", READERS)
def test_channels_of_noise_come_back_from_a_file(lif_net, tmp_path, reader):
    net = replace(lif_net, input_noise_std=[0.25])
    path = write_nir(net, tmp_path / "a.nir", reader=reader)
    back = nir_metadata.restore(nir.read(path), rounded(net))
    assert back is not None and same(back, net) and back.n_shown == 1
    # Without any there is no key: files are as they were.
    assert not any("input_noise" in key for key in nir_metadata.write(lif_net))
