from types import SimpleNamespace

import nir
import numpy as np
import pytest

from isotau.convert.ground.errors import error, info, warning
from isotau.targets.nir_graph.graph import (
    UNKNOWN,
    CannotImport,
    flatten,
    operation,
    refuse,
    unsupported,
    with_widths,
    wrong_borders,
    wrong_values,
)


class NIRGraph(SimpleNamespace):
    """A graph as nir holds it, without nir's checks."""


def graph(nodes, edges):
    return NIRGraph(nodes=nodes, edges=edges)


def lone(n):
    return {"input": nir.Input(np.array([n])), "output": nir.Output(np.array([n]))}


def test_graphs_within_graphs_are_taken_apart(cuba):
    inner = graph(lone(2) | {"lif": cuba(2)}, [("input", "lif"), ("lif", "output")])
    middle = graph(lone(2) | {"in": inner}, [("input", "in"), ("in", "output")])
    outer = graph(
        lone(2) | {"m": middle}, [("input", "m"), ("m", "m"), ("m", "output")]
    )
    flat, found = flatten(outer)
    assert not found
    assert set(flat.nodes) == {
        *("input", "output", "m/input", "m/output"),
        *("m/in/input", "m/in/output", "m/in/lif"),
    }
    assert ("m/output", "m/input") in flat.edges
    assert ("m/in/output", "m/output") in flat.edges
    assert flat.of_kind("Input") == ["input"]
    assert flat.nodes["m/in/input"].kind == "Flatten"


def test_what_is_wrong_with_edges_and_borders(cuba):
    two = graph({"a": nir.Input(np.array([2])), "b": nir.Input(np.array([2]))}, [])
    outer = graph(lone(2) | {"g": two}, [("input", "g"), ("x", "output"), ("g", "y")])
    _, found = flatten(outer)
    assert [f.message for f in found] == [
        "got a graph within the graph with 2 Input nodes, need one",
        "got a graph within the graph with 0 Output nodes, need one",
        "got no node x, need both ends",
        "got no node y, need both ends",
    ]


def test_edges_told_twice_count_once():
    flat, found = flatten(graph(lone(2), [("input", "output")] * 2))
    assert flat.edges == (("input", "output"),)
    assert [f.severity.value for f in found] == ["warning"]


def test_graphs_too_deep_or_large_are_refused(monkeypatch):
    deep = graph(lone(1), [])
    for _ in range(80):
        deep = graph(lone(1) | {"g": deep}, [])
    assert "depth 65" in flatten(deep)[1][-1].message
    monkeypatch.setattr("isotau.targets.nir_graph.graph.MAX_OBJECTS", 1)
    assert "got 2 nodes, 0 edges" in flatten(graph(lone(1), []))[1][-1].message


def test_every_foreign_node_is_named(cuba):
    inner = graph(lone(2) | {"bad": nir.I(r=np.ones(2))}, [])
    flat, _ = flatten(graph(lone(2) | {"g": inner, "d": nir.Delay(np.ones(2))}, []))
    assert [f.place for f in unsupported(flat)] == ["node d", "node g/bad"]


class StubGraph:
    def __init__(self, nodes, edges):
        self.nodes, self.edges = nodes, edges


def flat(nodes, *edges):
    made, found = flatten(StubGraph(nodes, list(edges)))
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
    assert [f.message for f in list(wrong_borders(flat({})))] == [
        "got no Input node, need one",
        "got no Output node, need one",
        "got no LIF or CubaLIF node, need one",
    ]


def test_values(cuba):
    node = cuba(4)
    node.r = np.array([1, np.inf, 1, 1])
    node.tau_syn = np.array([1.0, 0, -1, 1])
    node.v_reset = np.array([0, 0, 0, 1.0])
    found = list(wrong_values(flat({"n": node})))
    assert [(f.place, f.message) for f in found] == [
        ("node n, neurons 1-2", "tau_syn: got -1.0, need more than 0"),
        ("node n", "r: got NaN or infinity, need numbers"),
        ("node n, neuron 3", "got v_reset at or above v_threshold, need it below"),
    ]


def test_neurons_are_flattened_in_c_order():
    tau = np.arange(1.0, 7).reshape(2, 3)
    node = nir.LIF(tau=tau, r=tau, v_leak=tau, v_threshold=tau, v_reset=0 * tau)
    op, wrong = operation(node, "LIF", "a")
    assert not wrong and (op.n_in, op.n_out) == (6, 6)
    np.testing.assert_array_equal(op.values["tau"], np.arange(1.0, 7))


def test_one_value_does_not_tell_the_width():
    op, _ = operation(nir.Scale(np.ones(1)), "Scale", "a")
    assert (op.n_in, op.n_out) == (UNKNOWN, UNKNOWN)


def test_weights_tell_both_widths_and_have_a_bias():
    op, wrong = operation(nir.Linear(np.ones((2, 3), np.float32)), "Linear", "a")
    assert not wrong and (op.n_in, op.n_out) == (3, 2)
    np.testing.assert_array_equal(op.values["bias"], [0, 0])
    assert op.values["weight"].dtype == np.float64


@pytest.mark.parametrize(
    ("shape", "width"), [([3, 4], 12), ([1], 1), (None, UNKNOWN), ([], UNKNOWN)]
)
def test_inputs_tell_their_width(shape, width):
    given = None if shape is None else np.array(shape, dtype=int)
    op, wrong = operation(nir.Input({"input": given}), "Input", "a")
    assert not wrong and op.n_out == width


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (nir.Linear(np.ones((2, 2, 2))), r"weight: got shape \(2, 2, 2\), need outp"),
        (nir.Linear(np.ones((0, 2))), r"weight: got float64 of shape \(0, 2\), need"),
        (nir.Affine(np.ones((2, 2)), np.ones(3)), "bias: got 3 values, need 2"),
        (nir.Linear(np.ones((2, 2), complex)), "weight: got complex128 of shape"),
        (
            nir.Input(np.array([1 << 12, 1 << 12])),
            r"got shape \[4096, 4096\], need 1 t",
        ),
        (nir.Input(np.array([-3])), r"got shape \[-3\], need 1 to 1048576"),
    ],
)
def test_nodes_that_contradict_themselves(node, message):
    _, wrong = operation(node, type(node).__name__, "a")
    assert len(wrong) == 1 and wrong[0].place == "node a"
    with pytest.raises(ValueError, match=message):
        raise ValueError(wrong[0].message)


def test_parameters_of_unequal_length(cuba):
    node = cuba(3)
    node.r = np.ones(2)
    _, wrong = operation(node, "CubaLIF", "a")
    assert [w.message for w in wrong] == ["r: got 2 values, need 3 or one"]


FOUND = [error("a", "b", "c"), warning("d", "e", "f"), info("g", "h", "i")]


def test_only_errors_are_raised_and_all_findings_kept():
    refuse("x.nir", FOUND[1:])
    with pytest.raises(CannotImport, match=r"^x\.nir: cannot import: a: b; c$") as got:
        refuse("x.nir", FOUND)
    assert got.value.findings == tuple(FOUND) and not got.value.damaged
    with pytest.raises(CannotImport) as got:
        refuse("x.nir", FOUND, damaged=True)
    assert got.value.damaged
