"""A NIR graph, nested at any depth → one flat graph of operations."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isotau.convert.findings import Finding
from isotau.targets.from_nir.operations import PASS, Operation, operation
from isotau.targets.from_nir.read_file import (
    MAX_DEPTH,
    MAX_OBJECTS,
    SUPPORTED,
    foreign,
    within,
)
from isotau.targets.from_nir.refusal import error, warning

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
