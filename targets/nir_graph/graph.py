"""A NIR graph, nested at any depth → one flat graph of operations with widths.

`CannotImport`: what a NIR graph asks for and a `LIFNetwork` cannot do.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.errors import (
    Finding,
    Severity,
    error,
    info,
    list_errors,
    neuron_range,
    of_severity,
    warning,
)

Floats = npt.NDArray[np.float64]
MAX_WIDTH = 1 << 20
"""Numbers that a node takes or gives."""
WEIGHTS = {"Linear": ("weight",), "Affine": ("weight", "bias")}
ELEMENTWISE = {
    "Scale": ("scale",),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": (
        *("tau_syn", "tau_mem", "r", "w_in"),
        *("v_leak", "v_threshold", "v_reset"),
    ),
}
"""Parameters of the types of node that have one value per neuron."""
SPIKING = ("LIF", "CubaLIF")
TAUS = ("tau", "tau_syn", "tau_mem")
SHAPES = {"Input": "input", "Output": "output"}
PASS = "Flatten"
"""What hands on all that it gets; numbers are flattened in C order throughout."""
UNKNOWN = 0
"""Width of a node that does not tell it."""
SUPPORTED = (
    *("LIF", "CubaLIF", "LI", "Linear", "Affine", "Scale", "Flatten"),
    *("Input", "Output", "NIRGraph"),
)
"""Types of node that can be imported."""
MAX_OBJECTS = 20_000
"""Groups and arrays of a file, nodes or edges of a graph."""
MAX_DEPTH = 64
"""Of groups within groups, graphs within graphs."""
Edge = tuple[str, str]


class CannotImport(ValueError):
    """A graph needs what a `LIFNetwork` lacks; every need is named.

    Attributes:
        findings: all of them, warnings included.
        damaged: whether the graph contradicts itself; then no network could hold it.
    """

    def __init__(
        self, source: str, findings: Sequence[Finding], *, damaged: bool = False
    ) -> None:
        """Name the source and every finding that is an error."""
        self.findings, self.damaged = tuple(findings), damaged
        super().__init__(f"{source}: cannot import: {list_errors(findings)}")


def refuse(source: str, findings: Sequence[Finding], *, damaged: bool = False) -> None:
    """Raise `CannotImport` if there is an error among the findings."""
    if of_severity(findings, Severity.ERROR):
        raise CannotImport(source, findings, damaged=damaged)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Operation:
    """One node.

    Attributes:
        kind: its type in NIR; `PASS` also for the borders of a graph within a graph.
        values: its parameters; one-dimensional but for the weight (output × input).
        n_in: how many numbers it takes, `UNKNOWN` where it does not tell by itself.
        n_out: how many it gives.
    """

    kind: str
    values: Mapping[str, Floats]
    n_in: int = UNKNOWN
    n_out: int = UNKNOWN


def operation(node: Any, kind: str, place: str) -> tuple[Operation, list[Finding]]:
    """Return a NIR node as an operation of a kind, and what is wrong with it."""
    findings: list[Finding] = []
    values = {}
    for name in (*WEIGHTS.get(kind, ()), *ELEMENTWISE.get(kind, ())):
        stored = getattr(node, name, None)
        # nir before 1.0.5 has no v_reset.
        if stored is None and name in ("v_reset", "bias"):
            stored = 0.0
        array = np.asarray(stored)
        if array.dtype.kind not in "fiub" or not array.size:
            content = f"{array.dtype} of shape {array.shape}"
            findings.append(_wrong(place, f"{name}: got {content}, need numbers"))
            array = np.ones((1, 1))  # so that what else is wrong is found too
        values[name] = array.astype(np.float64)
    if kind in WEIGHTS:
        return _weighted(kind, values, place, findings), findings
    values = {name: value.reshape(-1) for name, value in values.items()}
    width = max((value.size for value in values.values()), default=1)
    findings += [
        _wrong(place, f"{name}: got {value.size} values, need {width} or one")
        for name, value in values.items()
        if value.size not in (1, width)
    ]
    if kind in SHAPES:
        width = _declared(node, kind, place, findings)
    elif width == 1:  # one number for however many neurons
        width = UNKNOWN
    return Operation(kind=kind, values=values, n_in=width, n_out=width), findings


def _weighted(
    kind: str, values: dict[str, Floats], place: str, findings: list[Finding]
) -> Operation:
    """Return a node with a matrix; its bias is 0 if it has none."""
    weight = values["weight"]
    if weight.ndim != 2:
        shape = f"got shape {weight.shape}, need output × input"
        findings.append(_wrong(place, f"weight: {shape}"))
        weight = np.ones((1, 1))
    bias = values.get("bias", np.zeros(1)).reshape(-1)
    if bias.size not in (1, len(weight)):
        message = f"bias: got {bias.size} values, need {len(weight)}"
        findings.append(_wrong(place, message))
        bias = np.zeros(1)
    # One bias for all outputs is spread over them.
    whole = {"weight": weight, "bias": np.broadcast_to(bias, len(weight))}
    return Operation(kind=kind, values=whole, n_in=weight.shape[1], n_out=len(weight))


def _declared(node: Any, kind: str, place: str, findings: list[Finding]) -> int:
    """Return the width that an Input or Output states; an Output of 1 states none."""
    types = getattr(node, f"{SHAPES[kind]}_type", None) or {}
    shape = np.asarray(types.get(SHAPES[kind]))
    if shape.dtype.kind not in "iu" or not shape.size:
        return UNKNOWN
    width = int(np.prod(shape.astype(object)))  # Python's integers do not wrap
    if not 0 < width <= MAX_WIDTH:
        message = f"got shape {shape.tolist()}, need 1 to {MAX_WIDTH}"
        findings.append(_wrong(place, message))
        return UNKNOWN
    return UNKNOWN if width == 1 and kind == "Output" else width


def _wrong(place: str, message: str) -> Finding:
    return error(f"node {place}", message, "mend the node")


def foreign(place: str, kind: str) -> Finding:
    """Return the error on a node of a type that cannot be imported."""
    return error(
        f"node {place}",
        f"got type {kind}, need one of {', '.join(SUPPORTED)}",
        "replace it by these, or take the part of the graph without it",
    )


def within(place: str, name: str) -> str:
    """Return the name of a node, with those of the graphs that it lies in."""
    return f"{place}/{name}" if place else name


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
    findings: list[Finding] = []
    nodes: dict[str, Operation] = {}
    edges: dict[Edge, None] = {}
    # Level by level without recursion, as a hostile file may lie deep.
    levels = deque([("", graph, 0)])
    while levels:
        place, level, depth = levels.popleft()
        entry, leave = {}, {}
        for name, node in level.nodes.items():
            full, kind = within(place, str(name)), type(node).__name__
            if kind == "NIRGraph":
                entry[name] = _border(node, full, "Input", findings)
                leave[name] = _border(node, full, "Output", findings)
                levels.append((full, node, depth + 1))
                continue
            # Only the outermost borders are the network's; inner ones hand on.
            inner = bool(place) and kind in ("Input", "Output")
            nodes[full], wrong = operation(node, PASS if inner else kind, full)
            findings += wrong
        for a, b in level.edges:
            missing = [name for name in (a, b) if name not in level.nodes]
            start, end = (within(place, str(name)) for name in (a, b))
            place_of_edge = f"edge {start} → {end}"
            if missing:
                message = f"got no node {missing[0]}, need both ends"
                findings.append(
                    error(place_of_edge, message, "add the node or remove the edge")
                )
                continue
            edge = (leave.get(a, start), entry.get(b, end))
            if edge in edges:
                message = "got it twice, need it once"
                findings.append(warning(place_of_edge, message, "taken once"))
            edges[edge] = None
        if depth > MAX_DEPTH or max(len(nodes), len(edges)) > MAX_OBJECTS:
            message = (
                f"got {len(nodes)} nodes, {len(edges)} edges, depth {depth}, need at "
                f"most {MAX_OBJECTS} nodes and edges and depth {MAX_DEPTH}"
            )
            findings.append(error("graph", message, "merge nodes"))
            break
    return Flat(nodes=nodes, edges=tuple(edges)), findings


def unsupported(flat: Flat) -> list[Finding]:
    """Return an error for every node of a type that cannot be imported."""
    return [
        foreign(name, node.kind)
        for name, node in flat.nodes.items()
        if node.kind not in SUPPORTED
    ]


def _border(graph: Any, place: str, kind: str, findings: list[Finding]) -> str:
    """Return the node by which edges enter or leave a graph within a graph."""
    names = [n for n, node in graph.nodes.items() if type(node).__name__ == kind]
    if len(names) == 1:
        return within(place, names[0])
    message = f"got a graph within the graph with {len(names)} {kind} nodes, need one"
    action = "split it, or move its nodes to the graph around it"
    findings.append(error(f"node {place}", message, action))
    return place


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
        # Nodes of unknown width give as many numbers as they take.
        for width, neighbours in ((outs[name], after[name]), (ins[name], before[name])):
            for neighbour in neighbours:
                if outs[neighbour] == UNKNOWN:
                    ins[neighbour] = outs[neighbour] = width
                    waiting.append(neighbour)
    findings = [
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
        # A node that nothing tells the width of is a single neuron.
        nodes[name] = _widened(op, ins[name] or 1, outs[name] or 1)
        if max(ins[name], outs[name]) > MAX_WIDTH:
            message = f"got {max(ins[name], outs[name])} values, need {MAX_WIDTH}"
            findings.append(error(f"node {name}", message, "take a smaller part"))
        elif op.kind in ELEMENTWISE and op.n_out == UNKNOWN and outs[name] > 1:
            message = f"got one value for all of its {outs[name]} neurons"
            findings.append(info(f"node {name}", message, "repeated"))
    return replace(flat, nodes=nodes), findings


def _widened(op: Operation, n_in: int, n_out: int) -> Operation:
    values = op.values
    # Broadcasting takes no memory, but what is made of it later would.
    if op.kind not in WEIGHTS and n_out <= MAX_WIDTH:
        values = {name: np.broadcast_to(v, (n_out,)) for name, v in values.items()}
    return replace(op, values=values, n_in=n_in, n_out=n_out)


def wrong_borders(flat: Flat) -> Iterator[Finding]:
    """Yield errors for a graph without input, output or neurons, or past these."""
    # An edge is (from, to): nothing may end in an Input or begin in an Output.
    for kind, end, way in (("Input", 1, "into"), ("Output", 0, "out of")):
        names = set(flat.of_kind(kind))
        if not names:
            yield error("graph", f"got no {kind} node, need one", "add it")
        for edge in flat.edges:
            if edge[end] in names:
                message = f"got an edge {way} the {kind}"
                yield error(f"node {edge[end]}", message, "remove it")
    if not flat.of_kind(*SPIKING):
        yield error("graph", "got no LIF or CubaLIF node, need one", "add it")


def wrong_values(flat: Flat) -> Iterator[Finding]:
    """Yield errors for NaN, infinity, τ ≤ 0 and v_reset at or above threshold."""
    mend = "mend the node"
    for name, op in flat.nodes.items():
        place = f"node {name}"
        for field, value in op.values.items():
            # First, as NaN passes every comparison below.
            if not np.isfinite(value).all():
                yield error(place, f"{field}: got NaN or infinity, need numbers", mend)
            elif field in TAUS and (value <= 0).any():
                message = f"{field}: got {float(value.min())}, need more than 0"
                yield error(f"{place}, {neuron_range(value <= 0)}", message, mend)
        if op.kind in SPIKING:
            wrong = op.values["v_reset"] >= op.values["v_threshold"]
            if wrong.any():
                message = "got v_reset at or above v_threshold, need it below"
                yield error(f"{place}, {neuron_range(wrong)}", message, mend)
