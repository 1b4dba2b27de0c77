"""What reaches each neuron and output of a flat graph: one matrix per source, one bias.

Chains of Linear, Affine, Scale and Flatten are composed, and what meets in a node is
summed; the sources are inputs and neurons.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

import numpy as np

from isotau.convert.ground.errors import Finding, error, warning
from isotau.targets.nir_graph.graph import PASS, Flat, Floats, Operation

LINEAR = ("Linear", "Affine", "Scale", PASS)
"""Types of node without a state, which can be composed."""


@dataclass(frozen=True, slots=True, eq=False)
class Arriving:
    """Sum that a node gets: Σ weights[source] · source + bias.

    A matrix that is diagonal is kept as its diagonal.
    """

    weights: Mapping[str, Floats]
    bias: Floats


@dataclass(slots=True)
class _MemoryBudget:
    """Bytes that composed matrices may still take."""

    bytes: int
    findings: list[Finding] = field(default_factory=list)

    def take(self, rows: int, columns: int, place: str) -> bool:
        """Return whether a matrix still has room, and count it."""
        # What was made before is counted too: it may all live at the same time.
        self.bytes -= rows * columns * 8
        if self.bytes < 0 and not self.findings:
            message = "composing the weight nodes up to here takes too much memory"
            action = "give a larger max_bytes, or multiply the weights out yourself"
            self.findings.append(error(f"node {place}", message, action))
        return self.bytes >= 0


def arriving(
    flat: Flat, *, max_bytes: int
) -> tuple[dict[str, Arriving], list[Finding]]:
    """Return what every node but the weight nodes gets, and what is wrong.

    Args:
        flat: with widths.
        max_bytes: of all composed matrices together.
    """
    budget = _MemoryBudget(max_bytes)
    before: dict[str, list[str]] = {name: [] for name in flat.nodes}
    for a, b in flat.edges:
        before[b].append(a)
    outputs: dict[str, Arriving] = {}
    sinks: dict[str, Arriving] = {}
    order, findings = _order(flat, before)
    ends = [n for n in flat.nodes if flat.nodes[n].kind not in (*LINEAR, "Input")]
    # Neurons last: whatever feeds them is composed by then.
    for name in (*order, *ends):
        op = flat.nodes[name]
        total = _sum(flat, name, before[name], outputs, budget)
        if budget.findings:
            return {}, findings + budget.findings
        if op.kind in LINEAR:
            outputs[name] = _applied(op, name, total, budget)
        else:
            sinks[name] = total
    return sinks, findings + budget.findings


def dense(matrix: Floats) -> Floats:
    """Return a matrix that may be kept as its diagonal in full."""
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def _order(
    flat: Flat, before: Mapping[str, list[str]]
) -> tuple[list[str], list[Finding]]:
    """Return the weight nodes, each after those that feed it, and any loop of them."""
    linear = dict.fromkeys(flat.of_kind(*LINEAR))
    sorter = TopologicalSorter(
        {name: [a for a in before[name] if a in linear] for name in linear}
    )
    with suppress(CycleError):  # it still gives the nodes that no loop holds up
        sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorter.get_ready()
        order += ready
        sorter.done(*ready)
    findings = [
        warning(f"node {n}", "nothing feeds it", "only its bias counts")
        for n in order
        if not before[n]
    ]
    free = set(order)
    loop = [name for name in linear if name not in free]
    if loop:
        message = "got a loop without a neuron in it, need one in every loop"
        findings.append(error(f"nodes {', '.join(loop[:8])}", message, "open the loop"))
    return order, findings


def _sum(
    flat: Flat,
    name: str,
    sources: list[str],
    outputs: Mapping[str, Arriving],
    budget: _MemoryBudget,
) -> Arriving:
    """Return the sum of what all predecessors of a node give."""
    width = flat.nodes[name].n_in
    weights: dict[str, Floats] = {}
    bias = np.zeros(width)
    for source in sources:
        # Diagonals are small, but there may be as many as edges.
        if not budget.take(2, width, name):
            break
        if flat.nodes[source].kind not in LINEAR:
            part = Arriving({source: np.ones(width)}, 0.0 * bias)
        elif source in outputs:
            part = outputs[source]
        else:  # in a loop, which is reported
            continue
        bias = bias + part.bias
        for origin, matrix in part.weights.items():
            weights[origin] = _added(weights.get(origin), matrix, name, budget)
    return Arriving(weights, bias)


def _added(a: Floats | None, b: Floats, name: str, budget: _MemoryBudget) -> Floats:
    if a is None:
        return b
    # A diagonal stays one only if it meets another.
    if a.ndim == b.ndim:
        return a + b if budget.take(len(a), _columns(a), name) else a
    if not budget.take(len(a), len(a), name):
        return a
    return dense(a) + dense(b)


def _columns(matrix: Floats) -> int:
    return 1 if matrix.ndim == 1 else matrix.shape[1]


def _applied(
    op: Operation, name: str, total: Arriving, budget: _MemoryBudget
) -> Arriving:
    """Return what a weight node gives for what it gets."""
    if op.kind == PASS:
        return total
    # Diagonals stay diagonals for as long as no matrix is met.
    if op.kind == "Scale":
        scale = op.values["scale"]
        scaled = {
            origin: (scale if m.ndim == 1 else scale[:, None]) * m
            for origin, m in total.weights.items()
            if budget.take(len(m), _columns(m), name)
        }
        return Arriving(scaled, scale * total.bias)
    weight = op.values["weight"]
    composed = {
        origin: weight * m if m.ndim == 1 else weight @ m
        for origin, m in total.weights.items()
        if budget.take(len(weight), len(m) if m.ndim == 1 else m.shape[1], name)
    }
    return Arriving(composed, weight @ total.bias + op.values["bias"])
