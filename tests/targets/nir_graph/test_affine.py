import nir
import numpy as np
import pytest

from isotau.targets.nir_graph.affine import arriving, dense
from isotau.targets.nir_graph.graph import flatten, with_widths

ROOM = 1 << 30


class NIRGraph:
    def __init__(self, nodes, edges):
        self.nodes, self.edges = nodes, edges


def flat(nodes, *edges):
    return with_widths(flatten(NIRGraph(nodes, list(edges)))[0])[0]


@pytest.mark.parametrize("seed", range(5))
def test_chains_and_sums_are_those_of_the_numbers(seed, cuba):
    rng = np.random.default_rng(seed)
    w, u = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    square, b, c, s = (
        rng.normal(size=(2, 2)),
        rng.normal(size=2),
        rng.normal(size=2),
        rng.normal(size=2),
    )
    made = flat(
        {
            "x": nir.Input(np.array([3])),
            "w": nir.Affine(w, b),
            "u": nir.Linear(u),
            "s": nir.Scale(s),
            "t": nir.Scale(s),
            "q": nir.Affine(square, c),
            "lif": cuba(2),
            "pass": nir.Flatten({"input": np.array([2])}, 0),
        },
        *[("x", "w"), ("x", "u"), ("w", "s"), ("u", "s"), ("s", "q"), ("q", "pass")],
        *[("pass", "lif"), ("lif", "lif"), ("lif", "t"), ("t", "lif"), ("s", "lif")],
    )
    sinks, found = arriving(made, max_bytes=ROOM)
    assert not found and list(sinks) == ["lif"]
    x, z = rng.normal(size=3), rng.normal(size=2)
    scaled = s * (w @ x + b + u @ x)
    want = square @ scaled + c + scaled + z + s * z
    got = sinks["lif"].bias + sum(
        dense(sinks["lif"].weights[name]) @ value
        for name, value in [("x", x), ("lif", z)]
    )
    np.testing.assert_allclose(got, want)


def test_loops_without_neurons_are_refused(cuba):
    nodes = {"a": nir.Linear(np.eye(2)), "b": nir.Scale(np.ones(2)), "lif": cuba(2)}
    _, found = arriving(
        flat(nodes, ("a", "b"), ("b", "a"), ("b", "lif")), max_bytes=ROOM
    )
    assert [(f.place, f.message) for f in found] == [
        ("nodes a, b", "got a loop without a neuron in it, need one in every loop")
    ]


def test_weights_that_nothing_feeds_are_told(cuba):
    made = flat({"a": nir.Affine(np.eye(2), np.ones(2)), "lif": cuba(2)}, ("a", "lif"))
    sinks, found = arriving(made, max_bytes=ROOM)
    np.testing.assert_array_equal(sinks["lif"].bias, [1, 1])
    assert found[0].message == "nothing feeds it"


def test_products_that_are_too_large_are_refused(cuba):
    made = flat(
        {
            "x": nir.Input(np.array([1 << 19])),
            "s": nir.Linear(np.ones((1, 1 << 19), np.float32)),
            "t": nir.Linear(np.ones((1 << 19, 1), np.float32)),
            "lif": cuba(1),
        },
        *[("x", "s"), ("s", "t"), ("t", "lif")],
    )
    _, found = arriving(made, max_bytes=1 << 28)
    assert "takes too much memory" in found[0].message
