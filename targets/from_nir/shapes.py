"""Widths of a flat graph's nodes, and what is wrong with its borders and values."""

from collections import deque
from dataclasses import replace

import numpy as np

from isotau.convert.findings import Finding, neuron_range
from isotau.targets.from_nir.graph import Flat
from isotau.targets.from_nir.operations import (
    ELEMENTWISE,
    MAX_WIDTH,
    SPIKING,
    TAUS,
    UNKNOWN,
    WEIGHTS,
    Operation,
)
from isotau.targets.from_nir.refusal import error, info


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
