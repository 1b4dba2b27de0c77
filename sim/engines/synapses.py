"""Sparse weights in words, as `sparse_kernels` takes them: 4 bytes a synapse."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.sparse import SparseWeights
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.sim.engines.sparse_kernels import OFFSET, WEIGHT_BITS

MOST_NEURONS = 1 << (32 - WEIGHT_BITS)
"""That a word can name."""


class Synapses(NamedTuple):
    """The sparse blocks of a network.

    Attributes:
        words: synapses of all blocks, one block after the other, uint32.
        starts: block × source and one more, int64: where each source's begin.
        place: of each block of the network, its row in `starts`; −1 for a dense one.
    """

    words: np.ndarray
    starts: np.ndarray
    place: np.ndarray


def pack_synapses(blocks: Sequence[WeightBlock], n: int) -> Synapses | None:
    """Return the sparse recurrent blocks of a network; None if it has none.

    Args:
        blocks: of the network.
        n: its number of neurons.

    Raises:
        ValueError: more neurons than a word can name.
    """
    place = np.full(len(blocks), -1, dtype=np.int64)
    words: list[np.ndarray] = []
    starts: list[np.ndarray] = []
    begun = 0
    for k, block in enumerate(blocks):
        weights = block.weights
        if not isinstance(weights, SparseWeights) or block.source != "recurrent":
            continue
        if n > MOST_NEURONS:
            raise ValueError(
                f"net: got {n} neurons with sparse weights, need at most "
                f"{MOST_NEURONS}; take the reference engine"
            )
        place[k] = len(starts)
        lowered = (weights.data.astype(np.int32) + OFFSET).astype(np.uint32)
        words.append(weights.indices.astype(np.uint32) << WEIGHT_BITS | lowered)
        # Neurons that the block does not listen to send nothing.
        counts = np.zeros(n + 1, dtype=np.int64)
        counts[block.pre + 1] = np.diff(weights.indptr)
        starts.append(begun + np.cumsum(counts))
        begun += weights.data.size
    if not starts:
        return None
    return Synapses(np.concatenate(words), np.stack(starts), place)
