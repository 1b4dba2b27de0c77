"""Weights in words, as `sparse_kernels` takes them, for blocks where that is faster.

Which blocks these are is decided by how many of their weights are 0 and by their size,
whatever form the network has them in.
"""

import math
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.sparse import column_counts, sparse_weights
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.sim.engines.sparse_kernels import TARGET_BITS

SMALL = 1 << 20
"""Rows of so many bytes stay in a core's cache, and rows are as fast as any."""
CROWDED = 0.05
"""Share of weights that are not 0 from which rows are added faster than synapses."""
LARGE = 1 << 28
"""Bytes that rows of a block may take at most."""
MOST_NEURONS = 1 << TARGET_BITS
"""That a word can name."""


class Synapses(NamedTuple):
    """The blocks of a network that are held as synapses.

    Attributes:
        words: synapses of all these blocks, one block after the other, int32.
        starts: block × source and one more, int64: where each source's begin.
        place: of each block of the network, its row in `starts`; −1 for the others.
    """

    words: np.ndarray
    starts: np.ndarray
    place: np.ndarray


def pack_synapses(net: FixedPointNetwork) -> Synapses | None:
    """Return a network's blocks that are faster as synapses; None if none is.

    Raises:
        ValueError: more neurons than a word can name.
    """
    place = np.full(len(net.blocks), -1, dtype=np.int64)
    words: list[np.ndarray] = []
    starts: list[np.ndarray] = []
    begun = 0
    for k, block in enumerate(net.blocks):
        if block.source != "recurrent" or not pays(block):
            continue
        if net.n > MOST_NEURONS:
            raise ValueError(
                f"net: got {net.n} neurons with sparse weights, need at most "
                f"{MOST_NEURONS}; take the reference engine"
            )
        place[k] = len(starts)
        weights = sparse_weights(block.weights)
        words.append(weights.data.astype(np.int32) << TARGET_BITS | weights.indices)
        # Neurons that the block does not listen to send nothing.
        counts = np.zeros(net.n + 1, dtype=np.int64)
        counts[block.pre + 1] = np.diff(weights.indptr)
        starts.append(begun + np.cumsum(counts))
        begun += weights.synapses
    if not starts:
        return None
    return Synapses(np.concatenate(words), np.stack(starts), place)


def pays(block: WeightBlock) -> bool:
    """Return whether synapses are faster than rows, or rows would be too large."""
    size = math.prod(block.weights.shape)  # a byte each
    if size <= SMALL:
        return False
    return size > LARGE or int(column_counts(block.weights).sum()) < CROWDED * size
