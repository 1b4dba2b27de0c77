"""Which core sends how much to which, and how far that travels."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64
from scipy.sparse import csr_array

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import columns_of, sparse_weights
from isotau.convert.records import spikes as packed
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import Spikes
from isotau.targets.loihi.limits import Chip
from isotau.targets.loihi.place import Placement


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What one event of a source does on each core; pre × core, whole numbers.

    Arrays are scipy's CSR: most sources reach few of many cores.

    Attributes:
        synapses: synapses that are not 0.
        entries: entries of synapse lists that are read; dense lists hold zeros, too.
        lists: lists that are fed, each by a message of its own.
    """

    synapses: csr_array
    entries: csr_array
    lists: csr_array


def reach(net: FixedPointNetwork, placement: Placement, source: str) -> Reach:
    """Return what an event of each neuron ("recurrent") or channel ("input") does."""
    shape = (net.n if source == "recurrent" else net.n_in, placement.cores)
    synapses, entries, lists = (csr_array(shape) for _ in range(3))
    on_core = np.bincount(placement.core, minlength=placement.cores)
    for number, block in enumerate(net.blocks):
        if block.source != source:
            continue
        own = sparse_weights(block.weights)
        # Per core: a spike is one message to each core that listens.
        places = (block.pre[columns_of(own)], placement.core[own.indices])
        # Synapses of one source on one core come together: a list.
        counts = csr_array((np.ones(own.data.size), places), shape=shape)
        counts.sum_duplicates()
        fed, core = counts.copy(), counts.indices
        fed.data[:] = 1
        # A dense list is read in full, with the zeros in it.
        read, dense = counts.copy(), placement.dense[number, core]
        read.data[:] = np.where(dense, on_core[core], counts.data)
        synapses, entries, lists = synapses + counts, entries + read, lists + fed
    return Reach(synapses, entries, lists)


def spike_counts(spikes: Spikes) -> Float64[np.ndarray, " n"]:
    """Return how often each neuron spikes in a trial, on average."""
    total = np.zeros(spikes.n)
    # Step by step, as the unpacked raster may not fit into memory.
    for bits in spikes.bits:
        total += packed.unpack(bits, spikes.n).sum(axis=0)
    return total / spikes.batch


def traffic(
    net: FixedPointNetwork, placement: Placement, spikes: Spikes
) -> Float64[np.ndarray, "cores cores"]:
    """Return messages per trial from each core (row) to each core (column)."""
    lists = reach(net, placement, "recurrent").lists
    return (members(placement, spike_counts(spikes)).T @ lists).toarray()  # (D3)


def members(placement: Placement, numbers: Float64[np.ndarray, " n"]) -> csr_array:
    """Return neuron × core: the number of each neuron in the column of its core."""
    n = len(placement.core)
    places = (numbers, placement.core, np.arange(n + 1))
    return csr_array(places, shape=(n, placement.cores))


def tile(chip: Chip, core: int) -> tuple[int, int] | None:
    """Return column and row of a core's tile on its chip; None if not public.

    Tiles are numbered along the rows. Which core is where is not public.
    """
    # Distances without a public mesh would be invented.
    if chip.mesh is None or chip.cores_per_tile is None:
        return None
    number = core % chip.cores // chip.cores_per_tile
    return number % chip.mesh[0], number // chip.mesh[0]


def hops(
    chip: Chip, messages: Float64[np.ndarray, "cores cores"]
) -> tuple[float, float] | None:
    """Return tile hops per trial along rows and along columns; None if not public.

    Messages go along the row first. Those between chips are left out.
    """
    places = [tile(chip, core) for core in range(len(messages))]
    # One unknown place makes every sum a guess.
    public = [place for place in places if place is not None]
    if len(public) < len(places):
        return None
    at = np.array(public)
    number = np.arange(len(messages)) // chip.cores
    # Links between chips cost otherwise, and no figure of theirs is public.
    inside = messages * (number[:, None] == number)
    distance = np.abs(at[:, None] - at[None])
    rows, columns = (float((inside * distance[..., k]).sum()) for k in (0, 1))  # (D5)
    return rows, columns


def links(
    chip: Chip, messages: Float64[np.ndarray, "cores cores"], chip_number: int = 0
) -> dict[tuple[tuple[int, int], tuple[int, int]], float]:
    """Return messages per trial over each link between neighbouring tiles of one chip.

    Both directions together, from the left or upper tile to the other; without links
    that nothing passes; empty where the mesh is not public.
    """
    loads: dict[tuple[tuple[int, int], tuple[int, int]], float] = {}
    number = np.arange(len(messages)) // chip.cores
    inside = messages * ((number[:, None] == chip_number) & (number == chip_number))
    for sender, receiver in np.argwhere(inside > 0).tolist():
        start, end = tile(chip, sender), tile(chip, receiver)
        if start is None or end is None:
            return {}
        # The chip routes along the row first.
        way = [(x, start[1]) for x in _between(start[0], end[0])]
        way += [(end[0], y) for y in _between(start[1], end[1])[1:]]
        for here, there in pairwise(way):
            # Both directions share the drawing of a link.
            link = (min(here, there), max(here, there))
            loads[link] = loads.get(link, 0.0) + float(inside[sender, receiver])
    return loads


def _between(start: int, end: int) -> list[int]:
    """Return all whole numbers from `start` to `end`, both included."""
    step = 1 if end >= start else -1
    return list(range(start, end + step, step))
