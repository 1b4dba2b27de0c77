"""A NIR graph, nested at any depth → one flat graph of operations.

Widths of a flat graph's nodes, and what is wrong with its borders and values.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isotau.convert.ground.errors import Finding, neuron_range
from isotau.targets.nir_graph.nir_file import (
    MAX_DEPTH,
    MAX_OBJECTS,
    SUPPORTED,
    foreign,
    within,
)
from isotau.targets.nir_graph.operations import (
    ELEMENTWISE,
    MAX_WIDTH,
    PASS,
    SPIKING,
    TAUS,
    UNKNOWN,
    WEIGHTS,
    Operation,
    error,
    info,
    operation,
    warning,
)

Edge = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Flat:
    """A flat graph; the names of its nodes hold those of the graphs they lay in."""

    nodes: Mapping[str, Operation]
    edges: tuple[Edge, ...]

    def of_kind(self, *kinds: str) -> list[str]:
        """Return the names of all nodes of some types, in order."""
        return [name for name, node in self.nodes.items() if node.kind in kinds]


def flatten(graph: Any) -> tuple[Flat, list[Finding]]:
    """Return a `nir.NIRGraph` as a flat graph, and what is wrong with it.

    The findings are errors for edges without end, for nodes that contradict themselves
    and for graphs within graphs that have not one entry and one exit; and warnings.
    Nodes of unsupported types keep their type.
    """
    found: list[Finding] = []
    nodes: dict[str, Operation] = {}
    edges: dict[Edge, None] = {}
    levels = deque([("", graph, 0)])
    while levels:
        place, level, depth = levels.popleft()
        entry, leave = {}, {}
        for name, node in level.nodes.items():
            full, kind = within(place, str(name)), type(node).__name__
            if kind == "NIRGraph":
                entry[name], wrong_in = _border(node, full, "Input")
                leave[name], wrong_out = _border(node, full, "Output")
                found += wrong_in + wrong_out
                levels.append((full, node, depth + 1))
                continue
            inner = bool(place) and kind in ("Input", "Output")
            nodes[full], wrong = operation(node, PASS if inner else kind, full)
            found += wrong
        for a, b in level.edges:
            missing = [name for name in (a, b) if name not in level.nodes]
            shown = f"edge {within(place, str(a))} → {within(place, str(b))}"
            if missing:
                found.append(_dangling(shown, str(missing[0])))
                continue
            edge = (
                leave.get(a, within(place, str(a))),
                entry.get(b, within(place, str(b))),
            )
            if edge in edges:
                found.append(warning(shown, "got it twice, need it once", "taken once"))
            edges[edge] = None
        if depth > MAX_DEPTH or max(len(nodes), len(edges)) > MAX_OBJECTS:
            found.append(_too_large(depth, len(nodes), len(edges)))
            break
    return Flat(nodes=nodes, edges=tuple(edges)), found


def unsupported(flat: Flat) -> list[Finding]:
    """Return an error for every node of a type that cannot be imported."""
    return [
        foreign(name, node.kind)
        for name, node in flat.nodes.items()
        if node.kind not in SUPPORTED
    ]


def _border(graph: Any, place: str, kind: str) -> tuple[str, list[Finding]]:
    """Return the node by which edges enter or leave a graph within a graph."""
    names = [n for n, node in graph.nodes.items() if type(node).__name__ == kind]
    if len(names) == 1:
        return within(place, names[0]), []
    message = f"got a graph within the graph with {len(names)} {kind} nodes, need one"
    action = "split it, or move its nodes to the graph around it"
    return place, [error(f"node {place}", message, action)]


def _dangling(shown: str, missing: str) -> Finding:
    action = "add the node or remove the edge"
    return error(shown, f"got no node {missing}, need both ends", action)


def _too_large(depth: int, nodes: int, edges: int) -> Finding:
    return error(
        "graph",
        f"got {nodes} nodes, {edges} edges, depth {depth}, need at most {MAX_OBJECTS} "
        f"nodes and edges and depth {MAX_DEPTH}",
        "merge nodes",
    )


def with_widths(flat: Flat) -> tuple[Flat, list[Finding]]:
    """Return the graph with the width of every node, and the edges that do not fit.

    A width is handed along the edges to nodes that do not tell theirs, such as neurons
    with one value for all; their parameters are repeated.
    """
    ins = {name: op.n_in for name, op in flat.nodes.items()}
    outs = {name: op.n_out for name, op in flat.nodes.items()}
    after: dict[str, list[str]] = {name: [] for name in flat.nodes}
    before: dict[str, list[str]] = {name: [] for name in flat.nodes}
    for a, b in flat.edges:
        after[a].append(b)
        before[b].append(a)
    waiting = deque(name for name in flat.nodes if outs[name] != UNKNOWN)
    while waiting:
        name = waiting.popleft()
        for width, others in ((outs[name], after[name]), (ins[name], before[name])):
            for other in others:
                if outs[other] == UNKNOWN:
                    ins[other] = outs[other] = width
                    waiting.append(other)
    found = [
        error(
            f"edge {a} → {b}",
            f"got {outs[a]} values, need {ins[b]}",
            "mend the shapes of the two nodes",
        )
        for a, b in flat.edges
        if outs[a] != ins[b]
    ]
    nodes = {}
    for name, op in flat.nodes.items():
        nodes[name] = _widened(op, ins[name] or 1, outs[name] or 1)
        if max(ins[name], outs[name]) > MAX_WIDTH:
            message = f"got {max(ins[name], outs[name])} values, need {MAX_WIDTH}"
            found.append(error(f"node {name}", message, "take a smaller part"))
        elif op.kind in ELEMENTWISE and op.n_out == UNKNOWN and outs[name] > 1:
            message = f"got one value for all of its {outs[name]} neurons"
            found.append(info(f"node {name}", message, "repeated"))
    return replace(flat, nodes=nodes), found


def _widened(op: Operation, n_in: int, n_out: int) -> Operation:
    values = op.values
    if op.kind not in WEIGHTS and n_out <= MAX_WIDTH:
        values = {name: np.broadcast_to(v, (n_out,)) for name, v in values.items()}
    return replace(op, values=values, n_in=n_in, n_out=n_out)


def wrong_borders(flat: Flat) -> list[Finding]:
    """Return errors for a graph without input, output or neurons, or past these."""
    found = []
    for kind, end, way in (("Input", 1, "into"), ("Output", 0, "out of")):
        names = set(flat.of_kind(kind))
        if not names:
            found.append(error("graph", f"got no {kind} node, need one", "add it"))
        found += [
            error(f"node {edge[end]}", f"got an edge {way} the {kind}", "remove it")
            for edge in flat.edges
            if edge[end] in names
        ]
    if not flat.of_kind(*SPIKING):
        found.append(error("graph", "got no LIF or CubaLIF node, need one", "add it"))
    return found


def wrong_values(flat: Flat) -> list[Finding]:
    """Return errors for NaN, infinity, τ ≤ 0 and v_reset at or above threshold."""
    found = []
    for name, op in flat.nodes.items():
        for field, value in op.values.items():
            if not np.isfinite(value).all():
                message = f"{field}: got NaN or infinity, need numbers"
                found.append(error(f"node {name}", message, "mend the node"))
            elif field in TAUS and (value <= 0).any():
                place = f"node {name}, {neuron_range(value <= 0)}"
                message = f"{field}: got {float(value.min())}, need more than 0"
                found.append(error(place, message, "mend the node"))
        if op.kind in SPIKING:
            wrong = op.values["v_reset"] >= op.values["v_threshold"]
            if wrong.any():
                place = f"node {name}, {neuron_range(wrong)}"
                message = "got v_reset at or above v_threshold, need it below"
                found.append(error(place, message, "mend the node"))
    return found
