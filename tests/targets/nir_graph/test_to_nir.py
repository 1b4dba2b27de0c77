"""The graph that stands for a network: nodes, gains, units, edges, and the file."""

from dataclasses import replace

import nir
import numpy as np
import pytest

from isotau.convert.ground.errors import CannotExport
from isotau.convert.records.lif import Ranges
from isotau.convert.records.storage import same
from isotau.convert.to_fixed.dequantize import dequantize
from isotau.convert.to_fixed.quantize import quantize
from isotau.targets.nir_graph import nir_metadata
from isotau.targets.nir_graph.to_nir import READERS, to_nir, write_nir


@pytest.fixture
def fixed(lif_net):
    """The same network in integers, without noise."""
    wide = np.full(lif_net.n, 0.05)
    quiet = replace(lif_net, noise_std=0.0)
    return quantize(quiet, Ranges(wide, wide, wide), input_peak=1.0)


def test_nodes_and_edges(lif_net):
    graph = to_nir(lif_net)
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    assert kinds == {
        "input": "Input",
        "w_in": "Linear",
        "lif": "CubaLIF",
        "w_rec": "Linear",
        "filter": "LI",
        "w_out": "Affine",
        "output": "Output",
    }
    assert set(graph.edges) == {
        ("input", "w_in"),
        ("w_in", "lif"),
        ("lif", "w_rec"),
        ("w_rec", "lif"),
        ("lif", "filter"),
        ("filter", "w_out"),
        ("w_out", "output"),
    }
    assert graph.nodes["input"].input_type["input"] == [lif_net.n_in]
    assert graph.nodes["output"].output_type["output"] == [lif_net.n_out]
    assert graph.check_types()


def test_weights_are_the_networks_own(lif_net):
    graph = to_nir(lif_net)
    np.testing.assert_array_equal(graph.nodes["w_in"].weight, lif_net.w_in)
    np.testing.assert_array_equal(graph.nodes["w_rec"].weight, lif_net.w_rec)
    np.testing.assert_array_equal(graph.nodes["w_out"].weight, lif_net.w_out)
    np.testing.assert_array_equal(graph.nodes["w_out"].bias, lif_net.b_out)


def test_numbers_of_one_neuron():
    # tau = 10 ms at 1 ms: a step keeps exp(-0.1) = 0.904837, loses 0.095163
    from isotau.convert.records.lif import LIFNetwork

    net = LIFNetwork(
        w_in=[[2e-3]],
        w_rec=[[0.0]],
        w_out=[[1.0]],
        b_out=[0.5],
        tau_syn=[0.010],
        tau_mem=[0.020],
        tau_out=[0.050],
        v_th=[-0.040],
        v_leak=[-0.060],
        v_reset=[-0.065],
        refractory=[0.0],
        noise_std=0.0,
        dt=1e-3,
    )
    lif = to_nir(net).nodes["lif"]
    assert lif.tau_syn[0] == pytest.approx(1e-3 / 0.0951625820)
    assert lif.tau_mem[0] == pytest.approx(1e-3 / 0.0487705755)
    assert lif.w_in[0] * 1e-3 / lif.tau_syn[0] == pytest.approx(1, rel=1e-15)
    assert lif.r[0] == 1 and lif.v_reset[0] == 0
    assert lif.v_threshold[0] == pytest.approx(0.025)
    assert lif.v_leak[0] == pytest.approx(0.005)
    readout = to_nir(net).nodes["filter"]
    assert readout.tau[0] == pytest.approx(1e-3 / 0.0198013267)
    assert readout.r[0] == 1000 and readout.v_leak[0] == 0
    exact = to_nir(net, scheme="exact")
    assert exact.nodes["lif"].tau_syn[0] == 0.010
    assert exact.nodes["lif"].tau_mem[0] == 0.020
    assert exact.nodes["filter"].tau[0] == 0.050
    assert exact.metadata["scheme"] == "exact"
    snn = to_nir(net, reader="snntorch")
    lif = snn.nodes["w_loop"].nodes["lif"]
    assert lif.v_threshold[0] == 1 and lif.v_leak[0] == 0
    assert lif.tau_syn[0] == pytest.approx(1e-4 / 0.0951625820)  # its own clock
    assert lif.r[0] == pytest.approx(lif.tau_mem[0] / 1e-4, rel=1e-15)
    assert snn.nodes["w_in"].weight[0, 0] == pytest.approx(0.0487705755 * 2 / 25)
    # the drive of 5 mV, a fifth of the way to threshold
    steady = snn.nodes["w_in"].bias[0] / 0.0951625820 * lif.r[0]
    assert steady == pytest.approx(0.2)


def test_without_memory_a_node_has_one_step(lif_net):
    net = replace(lif_net, tau_syn=np.full(lif_net.n, lif_net.dt / 50))
    assert (to_nir(net).nodes["lif"].tau_syn == lif_net.dt).all()


def test_a_nested_loop(lif_net):
    nested = to_nir(lif_net, layout="nested")
    inner = nested.nodes["w_loop"]
    assert set(inner.nodes) == {"input", "lif", "w_rec", "output"}
    assert ("input", "lif") in inner.edges and ("lif", "output") in inner.edges
    assert ("w_in", "w_loop") in nested.edges
    assert ("w_loop", "filter") in nested.edges


def test_spikes_as_output(lif_net):
    graph = to_nir(lif_net, readout=False)
    assert ("lif", "output") in graph.edges
    assert graph.nodes["output"].output_type["output"] == [lif_net.n]
    assert not {"filter", "w_out"} & set(graph.nodes)
    with_readout = to_nir(lif_net, reader="snntorch", readout=True)
    # ten times the clock: ten times the Hz, a tenth of the weight
    np.testing.assert_allclose(with_readout.nodes["w_out"].weight, lif_net.w_out / 10)
    assert (with_readout.nodes["filter"].r == 1e4).all()


def test_noise_of_unequal_units_is_one_number_per_neuron(lif_net):
    assert to_nir(lif_net, reader="spyx").metadata["noise_std"] == pytest.approx(0.04)
    net = replace(lif_net, v_th=np.linspace(-0.045, -0.040, lif_net.n))
    noise = to_nir(net, reader="spyx").metadata["noise_std"]
    np.testing.assert_allclose(noise, 1e-3 / (net.v_th + 0.065))


def test_the_network_does_not_change(lif_net):
    before = lif_net.fingerprint
    graph = to_nir(lif_net)
    graph.nodes["w_rec"].weight[:] = 0
    graph.nodes["lif"].v_threshold[:] = 0
    # a record hashes itself once: a copy looks at the arrays again
    assert replace(lif_net).fingerprint == before


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"scheme": "heun"}, "scheme: got 'heun', need one of euler, exact"),
        ({"layout": "round"}, "layout: got 'round', need one of flat, nested"),
        ({"reader": "brian"}, "reader: got 'brian', need one of any, norse, snntorch"),
    ],
)
def test_wrong_choices(lif_net, argument, message):
    with pytest.raises(ValueError, match=message):
        to_nir(lif_net, **argument)


def test_a_rate_network_is_refused(rate_net, tmp_path):
    with pytest.raises(
        CannotExport, match="nir: cannot export: activation: got a rate"
    ):
        to_nir(rate_net)
    with pytest.raises(CannotExport, match="need spiking neurons; convert it first"):
        write_nir(rate_net, tmp_path / "a.nir")
    assert not list(tmp_path.iterdir())


def test_all_that_a_fixed_point_network_lacks_is_named(fixed):
    stuck = replace(fixed, dv=np.zeros(fixed.n, np.uint16), reset_interval=10)
    with pytest.raises(CannotExport, match=r"dv = 0.*resets every 10 steps"):
        to_nir(stuck)


@pytest.mark.parametrize("reader", READERS)
def test_the_file_says_what_the_graph_says(lif_net, tmp_path, reader):
    path = write_nir(lif_net, tmp_path / "deep" / "a.nir", reader=reader)
    assert [p.name for p in path.parent.iterdir()] == ["a.nir"]
    read, made = nir.read(path), to_nir(lif_net, reader=reader)
    assert set(read.edges) == set(made.edges)
    np.testing.assert_equal(read.to_dict()["nodes"], made.to_dict()["nodes"])


def test_a_fixed_point_file(fixed, tmp_path):
    path = write_nir(fixed, tmp_path / "a.nir")
    graph = nir.read(path)
    floats = dequantize(fixed)
    np.testing.assert_array_equal(graph.nodes["w_rec"].weight, floats.w_rec)
    back = nir_metadata.restore(graph, floats)
    assert back is not None and same(back, floats)
    kept = {k: v for k, v in graph.metadata.items() if k.startswith("fixed_point.")}
    assert kept["fixed_point.fingerprint"] == fixed.fingerprint
    assert kept["fixed_point.made_from"] == fixed.made_from
    assert kept["fixed_point.input_scale"] == fixed.input_scale
    np.testing.assert_array_equal(kept["fixed_point.state_scale"], fixed.state_scale)
