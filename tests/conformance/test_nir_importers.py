"""What others make of isotau's `.nir` files: the same spikes, or the known fault.

The first oracle reads NIR's documentation; the others are importers of frameworks,
skipped where the framework is not installed (`benchmarks.targets.nir_importers` runs
them in environments of their own).
"""

import contextlib
import io
from dataclasses import replace
from importlib.metadata import version

import nir
import numpy as np
import pytest
import torch

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.norse_module import LIFModule
from isotau.targets.nir_graph.to_nir import write_nir

STEPS, N, N_IN = 200, 40, 12


@pytest.fixture(scope="module", params=["at rest", "driven"])
def net(request) -> LIFNetwork:
    """Heterogeneous neurons that start where every importer starts them."""
    rng = np.random.default_rng(3)
    v_reset = np.full(N, -65e-3)
    drive = rng.uniform(5e-3, 28e-3, N) if request.param == "driven" else np.zeros(N)
    return LIFNetwork(
        w_in=rng.normal(0, 6e-3, (N, N_IN)),
        w_rec=rng.normal(0, 6e-3, (N, N)),
        w_out=rng.normal(0, 0.1, (3, N)),
        b_out=rng.normal(0, 1, 3),
        tau_syn=rng.uniform(5e-3, 20e-3, N),
        tau_mem=rng.uniform(8e-3, 40e-3, N),
        tau_out=rng.uniform(10e-3, 50e-3, N),
        v_th=v_reset + rng.uniform(20e-3, 30e-3, N),
        v_leak=v_reset + drive,
        v_reset=v_reset,
        refractory=np.zeros(N),
        noise_std=0.0,
        dt=1e-3,
    )


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return (np.random.default_rng(5).random((STEPS, N_IN)) < 0.15).astype(float)


def ours(net, inputs):
    """Outputs and raster of the Norse stage."""
    with torch.no_grad():
        outputs, spikes = LIFModule(net)(torch.tensor(inputs)[:, None])
    raster = spikes[:, 0].numpy() > 0
    assert raster.sum() > 100
    return outputs[:, 0].numpy(), raster


def through_file(net, folder, **choices):
    return nir.read(write_nir(net, folder / "net.nir", **choices))


def documented(graph, inputs, dt):
    """Outputs of every node: NIR's equations, one forward Euler step of dt each.

    What comes round a loop is a step old.
    """
    into = {name: [a for a, b in graph.edges if b == name] for name in graph.nodes}
    state = {name: [0.0, 0.0] for name in graph.nodes}
    out = {name: np.zeros(1) for name in graph.nodes}
    usual = ("input", "w_in", "lif", "w_rec", "filter", "w_out", "output")
    order = [name for name in usual if name in graph.nodes]
    history = {name: [] for name in graph.nodes}
    for x in inputs:
        for name in order:
            node, arriving = graph.nodes[name], sum(out[a] for a in into[name])
            kind = type(node).__name__
            if kind == "Input":
                out[name] = x
            elif kind == "Output":
                out[name] = arriving
            elif kind in ("Linear", "Affine"):
                out[name] = node.weight @ arriving + getattr(node, "bias", 0.0)
            elif kind == "LI":  # tau v' = (v_leak - v) + R I
                v = state[name][1]
                v = v + dt * ((node.v_leak - v) + node.r * arriving) / node.tau
                state[name][1] = out[name] = v
            elif kind == "CubaLIF":
                # tau_syn I' = -I + w_in S;  tau_mem v' = (v_leak - v) + R I
                i, v = state[name]
                i = i + dt * (-i + node.w_in * arriving) / node.tau_syn
                v = v + dt * ((node.v_leak - v) + node.r * i) / node.tau_mem
                z = v > node.v_threshold
                state[name] = [i, np.where(z, node.v_reset, v)]
                out[name] = z.astype(float)
            history[name].append(np.copy(out[name]))
    return {name: np.array(values) for name, values in history.items()}


def test_nirs_equations_give_our_spikes_and_outputs(net, inputs, tmp_path):
    outputs, raster = ours(net, inputs)
    graph = through_file(net, tmp_path)
    said = documented(graph, inputs, graph.metadata["dt"])
    np.testing.assert_array_equal(said["lif"] > 0, raster)
    np.testing.assert_allclose(said["output"], outputs, rtol=1e-9, atol=1e-9)


def test_by_the_discrete_convention_and_another_clock_too(net, inputs, tmp_path):
    net = replace(net, v_leak=net.v_reset)  # a drive has to build up in the synapse
    outputs, raster = ours(net, inputs)
    choices = {"reader": "snntorch", "layout": "flat", "readout": True}
    said = documented(through_file(net, tmp_path, **choices), inputs, 1e-4)
    np.testing.assert_array_equal(said["lif"] > 0, raster)
    np.testing.assert_allclose(said["output"], outputs, rtol=1e-9, atol=1e-9)


def each_step(module, inputs):
    state, raster = None, []
    for x in torch.tensor(inputs, dtype=torch.float32):
        with torch.no_grad():
            given = (x[None],) if state is None else (x[None], state)
            spikes, state = module(*given)
        raster.append(spikes[0].numpy() > 0)
    return np.array(raster)


def from_norse(graph, dt):
    norse = pytest.importorskip("norse.torch")
    with pytest.warns(DeprecationWarning, match="nirtorch.load"):
        return norse.from_nir(graph, dt=dt)


@pytest.mark.parametrize("layout", ["flat", "nested"])
def test_norse_reads_a_network_at_rest(net, inputs, tmp_path, layout):
    net = replace(net, v_leak=net.v_reset)
    _, raster = ours(net, inputs)
    graph = through_file(net, tmp_path, reader="norse", layout=layout)
    np.testing.assert_array_equal(each_step(from_norse(graph, net.dt), inputs), raster)


def test_norse_reads_a_drive_once_it_is_mended(net, inputs, tmp_path):
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState

    _, raster = ours(net, inputs)
    module = from_norse(through_file(net, tmp_path, reader="norse"), net.dt)
    neurons = module.get_submodule("lif")
    zero = torch.zeros(N)
    neurons.synapse.p = neurons.synapse.p._replace(v_leak=zero)
    neurons.lif.state_fallback = lambda x: LIFBoxFeedForwardState(v=zero)
    np.testing.assert_array_equal(each_step(module, inputs), raster)


@pytest.mark.skipif(version("norse") != "1.1.0", reason="the fault of Norse 1.1.0")
def test_norse_110_applies_a_drive_twice():
    # v' = 0.6 - v can never reach 1; Norse's importer gives the synapse 0.6 as well.
    one = np.ones(1)
    lif = nir.CubaLIF(
        tau_syn=0.01 * one,
        tau_mem=0.01 * one,
        r=one,
        v_leak=0.6 * one,
        v_threshold=one,
        w_in=one,
    )
    graph = nir.NIRGraph(
        nodes={"input": nir.Input([1]), "lif": lif, "output": nir.Output([1])},
        edges=[("input", "lif"), ("lif", "output")],
    )
    silence = np.zeros((100, 1))
    assert each_step(from_norse(graph, 1e-3), silence).sum() == 5
    assert documented(graph, silence, 1e-3)["lif"].sum() == 0


def from_snntorch(graph):
    importer = pytest.importorskip("snntorch.import_nir", reason="needs snnTorch")
    with contextlib.redirect_stdout(io.StringIO()):
        return importer.import_from_nir(graph)


def test_snntorch(net, inputs, tmp_path):
    _, raster = ours(net, inputs)
    graph = through_file(net, tmp_path, reader="snntorch")
    module = from_snntorch(graph)
    neurons, lif = module.w_loop.lif, graph.nodes["w_loop"].nodes["lif"]
    kept = 1 - graph.metadata["dt"] / lif.tau_syn
    start = graph.metadata["i0"] / lif.r / kept
    neurons.syn = torch.tensor(start, dtype=torch.float32)[None]
    neurons.mem = torch.zeros(1, N)
    np.testing.assert_array_equal(each_step(module, inputs), raster)


def test_snntorch_100_sends_the_input_through_a_flat_loops_weights(
    net, inputs, tmp_path
):
    pytest.importorskip("snntorch", reason="needs snnTorch")
    if version("snntorch") != "1.0.0":
        pytest.skip("the fault of snnTorch 1.0.0")
    # Without recurrent weights the loop must not matter, and silences the network.
    net = replace(net, w_rec=np.zeros((N, N)), v_leak=net.v_reset)
    ours(net, inputs)
    graph = through_file(net, tmp_path, reader="snntorch", layout="flat")
    assert not each_step(from_snntorch(graph), inputs).any()


def test_spyx_resets_by_subtraction_and_shows_spikes_a_step_late(inputs, tmp_path, net):
    importer = pytest.importorskip("spyx.nir", reason="needs Spyx, in its environment")
    graph = through_file(net, tmp_path, reader="spyx")
    with contextlib.redirect_stdout(io.StringIO()):
        _, spikes = importer.from_nir(
            graph, np.float32(inputs[:, None]), dt=graph.metadata["dt"]
        )
    shown = np.asarray(spikes)[:, 0] > 0
    lif, loop = (graph.nodes["w_loop"].nodes[name] for name in ("lif", "w_rec"))
    entry, dt = graph.nodes["w_in"], graph.metadata["dt"]
    i = v = z = np.zeros(N)
    for k, x in enumerate(inputs[:-1]):
        i = i * (1 - dt / lif.tau_syn) + entry.weight @ x + entry.bias + loop.weight @ z
        v = v * (1 - dt / lif.tau_mem) + i
        z = (v > 1).astype(float)
        v = v - z
        np.testing.assert_array_equal(shown[k + 1], z > 0)
