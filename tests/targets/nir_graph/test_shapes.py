import nir
import numpy as np

from isotau.targets.nir_graph.graph import (
    flatten,
    with_widths,
    wrong_borders,
    wrong_values,
)


class NIRGraph:
    def __init__(self, nodes, edges):
        self.nodes, self.edges = nodes, edges


def flat(nodes, *edges):
    made, found = flatten(NIRGraph(nodes, list(edges)))
    assert not found
    return made


def test_widths_travel_both_ways(cuba):
    nodes = {
        "a": nir.Input(np.array([2])),
        "w": nir.Linear(np.ones((5, 2))),
        "s": nir.Scale(np.ones(1)),
        "lif": cuba(1),
        "before": nir.Flatten({"input": None}),
        "o": nir.Output(np.array([5])),
    }
    edges = [("a", "w"), ("w", "s"), ("s", "lif"), ("lif", "o"), ("before", "lif")]
    made, found = with_widths(flat(nodes, *edges))
    assert {n: op.n_in for n, op in made.nodes.items() if n not in "aw"} == {
        **dict.fromkeys(("s", "lif", "before", "o"), 5)
    }
    assert made.nodes["lif"].values["tau_mem"].shape == (5,)
    assert [f.severity.value for f in found] == ["info", "info"]


def test_edges_that_do_not_fit_are_named(cuba):
    nodes = {"a": nir.Input(np.array([2])), "lif": cuba(3)}
    _, found = with_widths(flat(nodes, ("a", "lif"), ("lif", "lif")))
    assert [(f.place, f.message) for f in found] == [
        ("edge a → lif", "got 2 values, need 3")
    ]


def test_borders():
    names = {"i": nir.Input(np.array([2])), "o": nir.Output(np.array([2]))}
    found = wrong_borders(flat(names, ("o", "i")))
    assert [f.message for f in found] == [
        "got an edge into the Input",
        "got an edge out of the Output",
        "got no LIF or CubaLIF node, need one",
    ]
    assert [f.message for f in wrong_borders(flat({}))] == [
        "got no Input node, need one",
        "got no Output node, need one",
        "got no LIF or CubaLIF node, need one",
    ]


def test_values(cuba):
    node = cuba(4)
    node.r = np.array([1, np.inf, 1, 1])
    node.tau_syn = np.array([1.0, 0, -1, 1])
    node.v_reset = np.array([0, 0, 0, 1.0])
    found = wrong_values(flat({"n": node}))
    assert [(f.place, f.message) for f in found] == [
        ("node n, neurons 1-2", "tau_syn: got -1.0, need more than 0"),
        ("node n", "r: got NaN or infinity, need numbers"),
        ("node n, neuron 3", "got v_reset at or above v_threshold, need it below"),
    ]
