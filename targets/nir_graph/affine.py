"""What reaches each neuron and output of a flat graph: one matrix per source, one bias.

Chains of Linear, Affine, Scale and Flatten are composed, and what meets in a node is
summed; the sources are inputs and neurons.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from isotau.convert.ground.errors import Finding
from isotau.targets.nir_graph.graph import Flat
from isotau.targets.nir_graph.operations import PASS, Floats, Operation, error, warning

LINEAR = ("Linear", "Affine", "Scale", PASS)


@dataclass(frozen=True, slots=True, eq=False)
class Arriving:
    """Sum that a node gets: Σ weights[source] · source + bias.

    A matrix that is diagonal is kept as its diagonal.
    """

    weights: Mapping[str, Floats]
    bias: Floats


@dataclass(slots=True)
class _Room:
    """Bytes that composed matrices may still take."""

    left: int
    findings: list[Finding] = field(default_factory=list)

    def take(self, rows: int, columns: int, place: str) -> bool:
        """Return whether a matrix still has room, and count it."""
        self.left -= rows * columns * 8
        if self.left < 0 and not self.findings:
            self.findings.append(
                error(
                    f"node {place}",
                    "composing the weight nodes up to here takes too much memory",
                    "give a larger max_bytes, or multiply the weights out yourself",
                )
            )
        return self.left >= 0


def arriving(
    flat: Flat, *, max_bytes: int
) -> tuple[dict[str, Arriving], list[Finding]]:
    """Return what every node but the weight nodes gets, and what is wrong.

    Args:
        flat: with widths.
        max_bytes: of all composed matrices together.
    """
    room = _Room(max_bytes)
    before: dict[str, list[str]] = {name: [] for name in flat.nodes}
    for a, b in flat.edges:
        before[b].append(a)
    given: dict[str, Arriving] = {}
    sinks: dict[str, Arriving] = {}
    order, found = _order(flat, before)
    reached = [n for n in flat.nodes if flat.nodes[n].kind not in (*LINEAR, "Input")]
    for name in (*order, *reached):
        op = flat.nodes[name]
        total = _sum(flat, name, before[name], given, room)
        if room.findings:
            return {}, found + room.findings
        if op.kind in LINEAR:
            given[name] = _applied(op, name, total, room)
        else:
            sinks[name] = total
    return sinks, found + room.findings


def dense(matrix: Floats) -> Floats:
    """Return a matrix that may be kept as its diagonal in full."""
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def _order(
    flat: Flat, before: Mapping[str, list[str]]
) -> tuple[list[str], list[Finding]]:
    """Return the weight nodes, each after those that feed it, and any loop of them."""
    linear = set(flat.of_kind(*LINEAR))
    missing = {n: sum(p in linear for p in before[n]) for n in linear}
    after: dict[str, list[str]] = {name: [] for name in linear}
    for name in linear:
        for p in before[name]:
            if p in linear:
                after[p].append(name)
    ready = deque(n for n in flat.nodes if n in linear and not missing[n])
    order = []
    while ready:
        order.append(ready.popleft())
        for name in after[order[-1]]:
            missing[name] -= 1
            if not missing[name]:
                ready.append(name)
    found = [
        warning(f"node {n}", "nothing feeds it", "only its bias counts")
        for n in order
        if not before[n]
    ]
    loop = [name for name in flat.nodes if name in linear and missing[name]]
    if loop:
        message = "got a loop without a neuron in it, need one in every loop"
        found.append(error(f"nodes {', '.join(loop[:8])}", message, "open the loop"))
    return order, found


def _sum(
    flat: Flat,
    name: str,
    sources: list[str],
    given: Mapping[str, Arriving],
    room: _Room,
) -> Arriving:
    """Return the sum of what all predecessors of a node give."""
    width = flat.nodes[name].n_in
    weights: dict[str, Floats] = {}
    bias = np.zeros(width)
    for source in sources:
        if not room.take(2, width, name):
            break
        known = flat.nodes[source].kind in LINEAR
        if known and source not in given:  # in a loop, reported
            continue
        one = given[source] if known else Arriving({source: np.ones(width)}, 0.0 * bias)
        bias = bias + one.bias
        for origin, matrix in one.weights.items():
            weights[origin] = _added(weights.get(origin), matrix, name, room)
    return Arriving(weights, bias)


def _added(a: Floats | None, b: Floats, name: str, room: _Room) -> Floats:
    if a is None:
        return b
    if a.ndim == b.ndim:
        return a + b if room.take(*_shape(a), name) else a
    if not room.take(len(a), len(a), name):
        return a
    return dense(a) + dense(b)


def _shape(matrix: Floats) -> tuple[int, int]:
    return (len(matrix), 1) if matrix.ndim == 1 else (len(matrix), matrix.shape[1])


def _applied(op: Operation, name: str, total: Arriving, room: _Room) -> Arriving:
    """Return what a weight node gives for what it gets."""
    if op.kind == PASS:
        return total
    if op.kind == "Scale":
        scale = op.values["scale"]
        scaled = {
            origin: (scale if m.ndim == 1 else scale[:, None]) * m
            for origin, m in total.weights.items()
            if room.take(*_shape(m), name)
        }
        return Arriving(scaled, scale * total.bias)
    weight = op.values["weight"]
    composed = {
        origin: weight * m if m.ndim == 1 else weight @ m
        for origin, m in total.weights.items()
        if room.take(len(weight), len(m) if m.ndim == 1 else m.shape[1], name)
    }
    return Arriving(composed, weight @ total.bias + op.values["bias"])
