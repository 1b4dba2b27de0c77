import nir
import numpy as np
import pytest

from isotau.convert.records.lif import decay_fraction
from isotau.targets.nir_graph.from_nir import from_nir
from isotau.targets.nir_graph.operations import CannotImport


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
