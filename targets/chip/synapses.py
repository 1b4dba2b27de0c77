"""Bits that synapse lists take: one list per axon that reaches a core, as on Loihi 1.

A list holds the weights of one presynaptic neuron or input channel in one block, for
the neurons of one core. Dense lists hold a weight for every neuron of the core, zeros
included; sparse ones the nonzero weights alone, each with the number of its neuron.
Counted as nengo-loihi 1.1.0 does (`block.py`, `SynapseConfig.bits_per_axon`): 64
synapses share a header, and each such part is rounded up to whole words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Integer

from isotau.convert.fixedpoint import WeightBlock
from isotau.targets.chip.limits import Chip


class Lists(NamedTuple):
    """What the lists of one block take on one core.

    Attributes:
        dense_bits: bits if all are dense.
        sparse_bits: bits if all are sparse.
        number: lists, that is input axons.
    """

    dense_bits: int
    sparse_bits: int
    number: int

    @property
    def dense(self) -> bool:
        """Whether dense lists take no more than sparse ones."""
        return self.dense_bits <= self.sparse_bits

    @property
    def bits(self) -> int:
        """Bits in the smaller of both formats."""
        return min(self.dense_bits, self.sparse_bits)


def stored_bits(allowed: Sequence[int], needed: int) -> int:
    """Return the smallest allowed number of bits that is at least `needed`."""
    return min(bits for bits in allowed if bits >= needed)


def weight_bits(chip: Chip, block: WeightBlock) -> int:
    """Return the bits that the chip stores a weight of the block in."""
    return stored_bits(chip.weight_bits, block.num_weight_bits)


def delay_bits(block: WeightBlock) -> int:
    """Return the bits that hold the block's delay with each synapse."""
    return block.delay.bit_length()


def index_bits(chip: Chip, neurons: int) -> int:
    """Return the bits that number the neurons of a core."""
    return stored_bits(chip.index_bits, (neurons - 1).bit_length())


def list_bits(
    chip: Chip, counts: Integer[np.ndarray, " lists"], entry_bits: int
) -> Int64[np.ndarray, " lists"]:
    """Return the bits of lists of `counts` entries, with headers and whole words."""

    def words(entries: np.ndarray | int) -> np.ndarray:
        bits = np.asarray(entries) * entry_bits + chip.header_bits
        return -(-bits // chip.word_bits) * chip.word_bits

    parts, rest = np.divmod(counts.astype(np.int64), chip.list_synapses)
    return parts * words(chip.list_synapses) + np.where(rest > 0, words(rest), 0)


def lists(
    chip: Chip, block: WeightBlock, counts: Integer[np.ndarray, " pre"], neurons: int
) -> Lists:
    """Return what the lists of a block take on a core.

    Args:
        chip: whose memory it is.
        block: the connection.
        counts: nonzero weights of each column for the neurons of the core; a column
            without any needs no list.
        neurons: neurons on the core.
    """
    present = counts[counts > 0]
    entry = weight_bits(chip, block) + delay_bits(block)
    whole = np.full(len(present), neurons)
    return Lists(
        dense_bits=int(list_bits(chip, whole, entry).sum()),
        sparse_bits=int(
            list_bits(chip, present, entry + index_bits(chip, neurons)).sum()
        ),
        number=len(present),
    )


def delay_slots(blocks: Sequence[WeightBlock]) -> int:
    """Return the accumulators that a neuron takes: a power of two, at least 8.

    Delays of up to 62 steps take 64 (Davies et al. 2018).
    """
    longest = max((block.delay for block in blocks), default=0)
    return max(8, 1 << (longest + 1).bit_length())
