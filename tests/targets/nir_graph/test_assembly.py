import nir
import numpy as np
import pytest

from isotau.targets.nir_graph.from_nir import from_nir
from isotau.targets.nir_graph.operations import CannotImport


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
