"""NIR graphs stepped by brute force, and the networks made of them, for comparison."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import nir
import numpy as np
import pytest
import torch

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.norse_module import LIFModule
from isotau.targets.nir_graph.from_nir import FromNIR


class Ran(NamedTuple):
    outputs: np.ndarray
    """Steps × output."""
    spikes: dict[str, np.ndarray]
    """By node, steps × neuron."""


class Brute:
    """Forward Euler of NIR's documented equations, node by node, pulled from the ends.

    A node that is asked for while it is itself being computed gives what it gave in the
    step before: that is the one step of a loop. The current is stepped before the
    potential, as all simulators do.
    """

    def __init__(self, graph: nir.NIRGraph, dt: float, hold: int, start: str) -> None:
        self.graph, self.dt, self.hold, self.start = graph, dt, hold, start
        self.current: dict[str, Any] = {}
        self.v: dict[str, Any] = {}
        self.before: dict[str, Any] = {}
        self.rest: dict[str, Any] = {}
        self.spikes: dict[str, list[np.ndarray]] = {}

    def level(self, graph: nir.NIRGraph, place: str, given: Any) -> np.ndarray:
        done: dict[str, np.ndarray] = {}
        busy: set[str] = set()
        inputs = [k for k, n in graph.nodes.items() if isinstance(n, nir.Input)]
        parts = dict(zip(inputs, given, strict=True))

        def pull(name: str) -> np.ndarray:
            node, full = graph.nodes[name], place + name
            if name in done:
                return done[name]
            if name in busy:
                shape = next(iter(node.output_type.values()))
                return self.before.get(full, np.zeros(int(np.prod(shape))))
            busy.add(name)
            total = sum((pull(a) for a, b in graph.edges if b == name), np.zeros(1))
            if isinstance(node, nir.Input):
                value = parts[name]
            elif isinstance(node, nir.NIRGraph):
                value = self.level(node, full + "/", [total])
            else:
                value = self.node(node, full, total)
            done[name] = value
            return value

        for name in graph.nodes:
            if not isinstance(graph.nodes[name], nir.Input):
                pull(name)
        for name, value in done.items():
            self.before[place + name] = value
        ends = [k for k, n in graph.nodes.items() if isinstance(n, nir.Output)]
        return np.concatenate([done[name] for name in ends])

    def node(self, node: Any, full: str, x: np.ndarray) -> np.ndarray:
        if isinstance(node, nir.Linear):
            return node.weight.astype(float) @ x
        if isinstance(node, nir.Affine):
            return node.weight.astype(float) @ x + node.bias
        if isinstance(node, nir.Scale):
            return node.scale * x
        if isinstance(node, nir.Output | nir.Flatten):
            return x
        if isinstance(node, nir.LI):
            v = self.v.get(full, node.v_leak)
            self.v[full] = v + self.dt / node.tau * ((node.v_leak - v) + node.r * x)
            return self.v[full]
        tau = node.tau if isinstance(node, nir.LIF) else node.tau_mem
        v = self.v.get(full, node.v_leak if self.start == "leak" else node.v_reset)
        if isinstance(node, nir.CubaLIF):
            i = self.current.get(full, 0.0)
            i = i + self.dt / node.tau_syn * (-i + node.w_in * x)
            self.current[full] = x = i
        v = v + self.dt / tau * ((node.v_leak - v) + node.r * x)
        rest = self.rest.get(full, np.zeros(len(v), int))
        z = (v > node.v_threshold) & (rest == 0)
        self.v[full] = np.where(z | (rest > 0), node.v_reset, v)
        self.rest[full] = np.where(z, self.hold, np.maximum(rest - 1, 0))
        self.spikes.setdefault(full, []).append(z)
        return z.astype(float)


def _brute(
    graph: nir.NIRGraph, x: np.ndarray, dt: float, *, hold: int = 0, start: str = ""
) -> Ran:
    brute = Brute(graph, dt, hold, start)
    outputs = [brute.level(graph, "", [now]) for now in x]
    spikes = {name: np.array(rows) for name, rows in brute.spikes.items()}
    return Ran(np.array(outputs), spikes)


@pytest.fixture
def brute() -> Callable[..., Ran]:
    return _brute


def _run(read: FromNIR, x: np.ndarray) -> Ran:
    """Return what a network does, each population's lag taken out."""
    late = max(p.lag for p in read.populations)
    padded = np.concatenate([x, np.zeros((late, x.shape[1]))])
    with torch.no_grad():
        module = LIFModule(read.net, dtype=torch.float64)
        outputs, spikes = module(torch.tensor(padded)[:, None])
    z = spikes[:, 0].numpy() > 0
    for p in read.populations:
        assert not z[: p.lag, p.indices].any()
    shifted = {p.name: z[p.lag : p.lag + len(x), p.indices] for p in read.populations}
    return Ran(outputs[late : late + len(x), 0].numpy(), shifted)


@pytest.fixture
def run() -> Callable[..., Ran]:
    return _run


class Make:
    """Random nodes, such that neurons spike now and then."""

    def __init__(self, seed: int, dt: float = 1e-3) -> None:
        self.rng, self.dt = np.random.default_rng(seed), dt

    def draw(self, low: float, high: float, n: int) -> np.ndarray:
        return self.rng.uniform(low, high, n)

    def neurons(self, n: int, *, discrete: bool, synapse: bool) -> nir.NIRNode:
        dt = self.dt
        tau = dt * self.draw(2, 20, n)
        r = tau / dt if discrete else self.draw(0.5, 2, n)
        potentials = {
            "v_leak": self.draw(-0.2, 0.3, n),
            "v_reset": self.draw(-0.3, 0.1, n),
            "v_threshold": self.draw(0.5, 1, n) * (3 if discrete else 1),
        }
        if not synapse:
            return nir.LIF(tau=tau, r=r, **potentials)
        tau_syn = dt * np.where(self.draw(0, 1, n) < 0.2, 1, self.draw(1.5, 9, n))
        w_in = tau_syn / dt if discrete else self.draw(1, 4, n)
        return nir.CubaLIF(tau_syn=tau_syn, tau_mem=tau, r=r, w_in=w_in, **potentials)

    def weights(self, rows: int, columns: int, size: float = 1.0) -> np.ndarray:
        return self.rng.normal(0.2 * size, size / np.sqrt(columns), (rows, columns))

    def affine(self, rows: int, columns: int, size: float = 1.0) -> nir.Affine:
        bias = self.rng.normal(0, 0.1, rows)
        return nir.Affine(weight=self.weights(rows, columns, size), bias=bias)

    def linear(self, rows: int, columns: int, size: float = 1.0) -> nir.Linear:
        return nir.Linear(weight=self.weights(rows, columns, size))

    def inputs(self, steps: int, n_in: int) -> np.ndarray:
        return (self.rng.random((steps, n_in)) < 0.3) * 1.5


@pytest.fixture
def make() -> type[Make]:
    return Make


def _chain(**nodes: nir.NIRNode) -> nir.NIRGraph:
    """Return the nodes in a row, between an Input and an Output."""
    first, last = next(iter(nodes.values())), list(nodes.values())[-1]
    full = {
        "input": nir.Input(np.asarray(first.input_type["input"])),
        **nodes,
        "output": nir.Output(np.asarray(last.output_type["output"])),
    }
    names = list(full)
    edges = list(pairwise(names))
    return nir.NIRGraph(nodes=full, edges=edges)


@pytest.fixture
def chain() -> Callable[..., nir.NIRGraph]:
    return _chain


def _looped(graph: nir.NIRGraph, lif: str, node: nir.NIRNode) -> nir.NIRGraph:
    """Return the graph with a recurrent connection at a node."""
    graph.nodes[f"{lif}_rec"] = node
    graph.edges += [(lif, f"{lif}_rec"), (f"{lif}_rec", lif)]
    return graph


@pytest.fixture
def looped() -> Callable[..., nir.NIRGraph]:
    return _looped


@pytest.fixture
def cuba() -> Callable[..., nir.CubaLIF]:
    """CubaLIF nodes whose every parameter can be named."""

    def build(n: int = 1, **given: Any) -> nir.CubaLIF:
        usual = {
            "tau_syn": 0.005,
            "tau_mem": 0.01,
            "r": 1.0,
            "w_in": 5.0,
            "v_leak": 0.0,
            "v_threshold": 1.0,
            "v_reset": 0.0,
        }
        return nir.CubaLIF(**{k: np.full(n, v) for k, v in (usual | given).items()})

    return build


@pytest.fixture
def same() -> Callable[[LIFNetwork, LIFNetwork], None]:
    """Check that two networks agree up to rounding."""

    def check(a: LIFNetwork, b: LIFNetwork) -> None:
        for name in ("w_in", "w_rec", "w_out", "b_out", "tau_syn", "tau_mem", "i0"):
            np.testing.assert_allclose(
                getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-12
            )

    return check
