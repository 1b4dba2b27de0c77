"""Which population comes after which, and how many steps later it gets its spikes.

In a `LIFNetwork` every connection between neurons takes one step. In NIR's simulators
a node downstream gets the spikes in the same step, and only a loop takes one. So a
population k layers down runs k steps late, which is made exact by setting its start
state back by as many steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from isotau.convert.ground.errors import Finding, info, warning


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
    # Within a loop some connection has to wait; which one, NIR leaves open.
    feedback = {
        (a, b): int(a == b or (loop[a] == loop[b] and depth[b] <= depth[a]))
        for a in names
        for b in sorted(feeds[a])
    }
    forward: dict[str, list[str]] = {name: [] for name in names}
    for (a, b), back in feedback.items():
        if not back:
            forward[b].append(a)
    lags = dict.fromkeys(names, 0)
    # Without feedback no loop is left, so that there is such an order.
    for name in TopologicalSorter(forward).static_order():
        lags[name] = max((lags[a] + 1 for a in forward[name]), default=0)
    return Order(lags, feedback)


def mistimed(
    timing: Order, fed: set[str], read_out: Sequence[str]
) -> Iterator[Finding]:
    """Yield what arrives earlier or later than in the graph, and every lag.

    Args:
        timing: from `order`.
        fed: populations that get input.
        read_out: populations that are read out.
    """
    lags = timing.lags
    for name, lag in lags.items():
        place = f"population {name}"
        if lag:
            yield info(
                place,
                f"runs {_steps(lag)} later than in the graph",
                "its start state is set back, so that its spikes only shift",
            )
        if lag and name in fed:
            yield warning(
                place,
                f"gets input {lag} steps too early, next to spikes that are late",
                "kept; route the input through neurons, or delay it",
            )
    for (a, b), back in timing.feedback.items():
        place = f"connection {a} → {b}"
        late = lags[a] + 1 - lags[b] - back
        if late:
            when = "later" if late > 0 else "earlier"
            yield warning(
                place,
                f"spikes arrive {_steps(abs(late))} {when} than in the graph",
                "kept; every connection between neurons takes one step here",
            )
        elif back and a != b:
            message = "got feedback, for which NIR states no delay"
            yield info(place, message, "takes one step")
    reading = sorted({lags[name] for name in read_out})
    if len(reading) > 1:
        message = f"got populations {reading} steps late in one output"
        yield warning("output", message, "kept; they do not meet in time")


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"


def _depths(
    names: Sequence[str], feeds: Mapping[str, set[str]], fed: set[str]
) -> dict[str, int]:
    """Return how many populations lie between each one and the nearest source."""
    # What nothing drives is a source, besides what gets input.
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
    # Without any pair numpy would make an array of one axis.
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    shape = (len(names), len(names))
    graph = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    _, labels = connected_components(graph, directed=True, connection="strong")
    return {name: int(labels[k]) for name, k in place.items()}
