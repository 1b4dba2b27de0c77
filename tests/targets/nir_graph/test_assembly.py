import nir
import numpy as np
import pytest

from isotau.convert.records.lif import decay_fraction
from isotau.targets.nir_graph.from_nir import from_nir
from isotau.targets.nir_graph.graph import CannotImport


def two(cuba, **second):
    """Return a graph of two populations, the second behind the first."""
    lone = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    nodes = lone | {"a": cuba(2), "b": cuba(2, **second)}
    edges = [("input", "a"), ("a", "b"), ("b", "output")]
    return nir.NIRGraph(nodes=nodes, edges=edges)


def test_populations_lie_one_after_the_other(cuba):
    read = from_nir(two(cuba), dt=1e-3)
    assert [(p.name, p.indices.tolist(), p.lag) for p in read.populations] == [
        ("a", [0, 1], 0),
        ("b", [2, 3], 1),
    ]
    np.testing.assert_array_equal(read.net.population, [0, 0, 1, 1])
    np.testing.assert_array_equal(read.net.w_rec[2:, :2], read.net.w_in[:2])
    assert (read.net.w_in[2:] == 0).all()


def test_inputs_are_put_one_after_the_other(cuba):
    graph = two(cuba)
    graph.nodes["more"] = nir.Input(np.array([2]))
    graph.edges.append(("more", "a"))
    read = from_nir(graph, dt=1e-3)
    assert read.net.n_in == 4
    np.testing.assert_array_equal(read.net.w_in[:2, :2], read.net.w_in[:2, 2:])
    assert "got 2 Input nodes (channels: input 0-1, more 2-3)" in str(read.findings)


@pytest.mark.parametrize(
    ("start", "v0"), [("reset", -0.5), ("leak", 0.25), ("zero", 0)]
)
def test_where_neurons_start(cuba, start, v0):
    graph = two(cuba)
    for name in "ab":
        graph.nodes[name] = cuba(2, v_leak=0.25, v_reset=-0.5)
    read = from_nir(graph, dt=1e-3, start=start)
    np.testing.assert_array_equal(read.net.v0[:2], v0)
    after_one_step = read.net.v0[2:] + 0.1 * (0.25 - read.net.v0[2:])
    np.testing.assert_allclose(after_one_step, v0, atol=1e-15)
    assert f"starts at {start}" in str(read.findings)


def test_a_start_that_cannot_be_set_back_is_reported(cuba):
    read = from_nir(two(cuba, v_leak=2.0), dt=1e-3, start="leak")
    assert [f.place for f in read.findings if "set back by their lag" in f.message] == [
        "neurons 2-3"
    ]


def test_networks_too_large_for_memory_are_refused(cuba):
    graph = two(cuba)
    with pytest.raises(CannotImport, match="got 4 neurons, whose matrices take 256 by"):
        from_nir(graph, max_bytes=100)
    with pytest.raises(CannotImport, match="composing the weight nodes"):
        from_nir(looped(graph), max_bytes=300)


def looped(graph):
    """Return the graph with two full matrices on its way that make a larger product."""
    graph.nodes |= {
        "down": nir.Linear(np.ones((1, 2))),
        "up": nir.Linear(np.ones((64, 1))),
        "back": nir.Linear(np.ones((2, 64))),
    }
    graph.edges += [("a", "down"), ("down", "up"), ("up", "back"), ("back", "a")]
    return graph


@pytest.mark.parametrize(("r", "w_in"), [(1.0, 5.0), (10.0, 5.0), (2.0, 1.0)])
def test_gains_follow_the_formula(chain, cuba, r, w_in):
    graph = chain(fc=nir.Linear(np.array([[3.0]])), lif=cuba(r=r, w_in=w_in))
    net = from_nir(graph, dt=1e-3).net
    volts_of_v = decay_fraction(net.tau_mem, net.dt) * net.w_in[0, 0]
    np.testing.assert_allclose(volts_of_v, 3 * (w_in * 1e-3 / 5e-3) * (r * 1e-3 / 1e-2))


def test_a_scalar_gain_is_that_of_every_neuron(chain, cuba):
    one = chain(fc=nir.Linear(np.ones((3, 1))), lif=cuba(3))
    lif = one.nodes["lif"]
    scalar = nir.CubaLIF(
        tau_syn=lif.tau_syn,
        tau_mem=lif.tau_mem,
        r=lif.r,
        v_leak=lif.v_leak,
        v_threshold=lif.v_threshold,
        w_in=5.0,
    )
    other = chain(fc=nir.Linear(np.ones((3, 1))), lif=scalar)
    a, b = (from_nir(graph, dt=1e-3).net for graph in (one, other))
    np.testing.assert_array_equal(a.w_in, b.w_in)


def test_lif_has_no_synapse(chain):
    values = np.array([[0.01, 0.02], [2, 3], [0, 0], [1, 1], [0, 0]])
    net = from_nir(
        chain(fc=nir.Linear(np.ones((2, 1))), lif=nir.LIF(*values)), dt=1e-3
    ).net
    np.testing.assert_array_equal(decay_fraction(net.tau_syn, net.dt), [1, 1])
    np.testing.assert_allclose(net.w_in[:, 0], [2, 3])


def test_a_bias_is_a_steady_drive_that_builds_up(chain, cuba, brute):
    """v of a silent neuron against forward Euler of NIR's equations, step for step."""
    fc = nir.Affine(np.array([[0.0]]), np.array([0.3]))
    graph = chain(fc=fc, lif=cuba(v_leak=0.1, v_threshold=1e9))
    net = from_nir(graph, dt=1e-3).net
    a_syn, a_mem = (decay_fraction(t, net.dt)[0] for t in (net.tau_syn, net.tau_mem))
    i, v = net.i0[0], net.v0[0]
    current, potential = 0.0, 0.0
    for _ in range(40):
        v += a_mem * (net.v_leak[0] - v + i)
        i *= 1 - a_syn
        current += 0.2 * (-current + 5.0 * 0.3)
        potential += 0.1 * (0.1 - potential + current)
        assert abs(v - potential) < 1e-12
    assert potential > 1


def li(n, tau, r=1.0, v_leak=0.0):
    return nir.LI(*(np.full(n, float(x)) for x in (tau, r, v_leak)))


def test_a_spiking_last_population_is_read_as_it_is(chain, cuba):
    net = from_nir(chain(lif=cuba(3)), dt=1e-3).net
    np.testing.assert_array_equal(net.w_out, 1e-3 * np.eye(3))
    np.testing.assert_array_equal(decay_fraction(net.tau_out, net.dt), np.ones(3))


def test_weights_right_after_spikes_read_them_unfiltered(chain, cuba, make, brute, run):
    m = make(0)
    graph = chain(fc=m.linear(4, 2, 6.0), lif=cuba(4), out=m.affine(3, 4))
    x = m.inputs(100, 2)
    want = brute(graph, x, 1e-3)
    assert want.spikes["lif"].any()
    got = run(from_nir(graph, dt=1e-3), x)
    np.testing.assert_allclose(got.outputs, want.outputs, atol=1e-12)


def test_one_filter_per_neuron_then_weights(chain, cuba, make, brute, run):
    m = make(1)
    filters = nir.LI(tau=m.draw(0.005, 0.1, 4), r=m.draw(1, 9, 4), v_leak=np.zeros(4))
    graph = chain(fc=m.linear(4, 2, 6.0), lif=cuba(4), li=filters, out=m.affine(3, 4))
    x = m.inputs(200, 2)
    want = brute(graph, x, 1e-3)
    read = from_nir(graph, dt=1e-3)
    assert len(np.unique(read.net.tau_out)) == 4 and want.spikes["lif"].any()
    np.testing.assert_allclose(run(read, x).outputs, want.outputs, atol=1e-12)
    assert "NIR states no start state for LI" in str(read.findings)


def test_filters_of_different_tau_on_one_neuron_are_refused(chain, cuba, make):
    m = make(2)
    mixed = nir.LI(tau=np.array([0.01, 0.02]), r=np.ones(2), v_leak=np.zeros(2))
    graph = chain(lif=cuba(3), out=m.linear(2, 3), li=mixed)
    message = "output, neurons 0-2: read through filters of different τ, need one"
    with pytest.raises(CannotImport, match=message):
        from_nir(graph, dt=1e-3)


def test_two_outputs_are_put_one_after_the_other(chain, cuba):
    graph = chain(lif=cuba(2), out=nir.Affine(np.ones((1, 2)), np.array([0.5])))
    graph.nodes["second"] = nir.Output(np.array([2]))
    graph.edges.append(("lif", "second"))
    read = from_nir(graph, dt=1e-3)
    np.testing.assert_array_equal(
        read.net.w_out, 1e-3 * np.array([[1, 1], [1, 0], [0, 1]])
    )
    np.testing.assert_array_equal(read.net.b_out, [0.5, 0, 0])
    assert "got 2 Output nodes (output, second)" in str(read.findings)


def test_paths_that_no_readout_can_stand_for(chain, cuba):
    graph = chain(lif=cuba(2), li=li(2, 0.01), two=li(2, 0.02))
    graph.edges += [("li", "lif"), ("input", "output")]
    with pytest.raises(CannotImport) as caught:
        from_nir(graph, dt=1e-3)
    for message in (
        "node lif: got LI li as its input, need neurons that spike",
        "node two: got LI li as its input, need neurons that spike",
        "node output: got Input input past all neurons, need neurons",
    ):
        assert message in str(caught.value)
