"""Which population comes after which, and how many steps later it gets its spikes.

In a `LIFNetwork` every connection between neurons takes one step. In NIR's simulators
a node downstream gets the spikes in the same step, and only a loop takes one. So a
population k layers down runs k steps late, which is made exact by setting its start
state back by as many steps.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from isotau.convert.ground.errors import Finding
from isotau.targets.nir_graph.operations import info, warning


class Order(NamedTuple):
    """When populations run, compared with the graph."""

    lags: dict[str, int]
    """Steps that each is late."""
    feedback: dict[tuple[str, str], int]
    """Steps that each connection takes in the graph: 1 if it is feedback, else 0."""


def order(names: Sequence[str], feeds: Mapping[str, set[str]], fed: set[str]) -> Order:
    """Return the lag of each population.

    A connection is feedback if it lies in a loop and does not lead away from the
    inputs. The lag is the number of populations on the longest path without feedback.

    Args:
        names: of all populations.
        feeds: for each, the populations that get its spikes.
        fed: populations that get input.
    """
    depth = _depths(names, feeds, fed)
    loop = _loops(names, feeds)
    feedback = {
        (a, b): int(a == b or (loop[a] == loop[b] and depth[b] <= depth[a]))
        for a in names
        for b in sorted(feeds[a])
    }
    forward: dict[str, list[str]] = {name: [] for name in names}
    waits = dict.fromkeys(names, 0)
    for (a, b), back in feedback.items():
        if not back:
            forward[a].append(b)
            waits[b] += 1
    lags = dict.fromkeys(names, 0)
    ready = [name for name in names if not waits[name]]
    while ready:
        a = ready.pop()
        for b in forward[a]:
            lags[b] = max(lags[b], lags[a] + 1)
            waits[b] -= 1
            if not waits[b]:
                ready.append(b)
    return Order(lags, feedback)


def mistimed(made: Order, fed: set[str], read_out: Sequence[str]) -> list[Finding]:
    """Return what arrives earlier or later than in the graph, and every lag.

    Args:
        made: from `order`.
        fed: populations that get input.
        read_out: populations that are read out.
    """
    lags, found = made.lags, []
    for name, lag in lags.items():
        if lag:
            message = f"runs {lag} step{'s' * (lag > 1)} later than in the graph"
            action = "its start state is set back, so that its spikes only shift"
            found.append(info(f"population {name}", message, action))
        if lag and name in fed:
            message = f"gets input {lag} steps too early, next to spikes that are late"
            action = "kept; route the input through neurons, or delay it"
            found.append(warning(f"population {name}", message, action))
    for (a, b), back in made.feedback.items():
        late = lags[a] + 1 - lags[b] - back
        place = f"connection {a} → {b}"
        if late:
            message = (
                f"spikes arrive {abs(late)} step{'s' * (abs(late) > 1)} "
                f"{'later' if late > 0 else 'earlier'} than in the graph"
            )
            action = "kept; every connection between neurons takes one step here"
            found.append(warning(place, message, action))
        elif back and a != b:
            message = "got feedback, for which NIR states no delay"
            found.append(info(place, message, "takes one step"))
    reading = {lags[name] for name in read_out}
    if len(reading) > 1:
        message = f"got populations {sorted(reading)} steps late in one output"
        found.append(warning("output", message, "kept; they do not meet in time"))
    return found


def _depths(
    names: Sequence[str], feeds: Mapping[str, set[str]], fed: set[str]
) -> dict[str, int]:
    """Return how many populations lie between each one and the nearest source."""
    driven = {b for a in names for b in feeds[a] if a != b}
    layer = {name for name in names if name in fed or name not in driven}
    depth: dict[str, int] = {}
    level = 0
    while len(depth) < len(names):
        if not layer:  # a loop that nothing feeds
            layer, level = {next(name for name in names if name not in depth)}, 0
        depth.update(dict.fromkeys(layer, level))
        layer = {b for a in layer for b in feeds[a] if b not in depth}
        level += 1
    return depth


def _loops(names: Sequence[str], feeds: Mapping[str, set[str]]) -> dict[str, int]:
    """Return the number of the strongly connected part that each lies in."""
    place = {name: k for k, name in enumerate(names)}
    pairs = [(place[a], place[b]) for a in names for b in feeds[a]]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    shape = (len(names), len(names))
    graph = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    _, labels = connected_components(graph, directed=True, connection="strong")
    return {name: int(labels[k]) for name, k in place.items()}
