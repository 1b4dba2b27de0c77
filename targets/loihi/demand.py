"""What a network needs of a chip, block by block and neuron by neuron.

Synapses take lists, one per axon that reaches a core, as on Loihi 1. A list holds the
weights of one presynaptic neuron or input channel in one block, for the neurons of one
core. Dense lists hold a weight for every neuron of the core, zeros included; sparse
ones the nonzero weights alone, each with the number of its neuron. Bits are counted as
nengo-loihi 1.1.0 does (`block.py`, `SynapseConfig.bits_per_axon`): 64 synapses share a
header, and each such part is rounded up to whole words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Integer

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import column_counts, row_counts, row_lists
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.targets.loihi.limits import Chip


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
    most = int(counts.max(initial=0))
    layout = (chip.header_bits, chip.word_bits, chip.list_synapses)
    # Asked for again with every neuron that comes on a core: looked up, a power of two
    # at a time.
    return _bits_by_length(entry_bits, layout, 1 << most.bit_length())[counts]


@lru_cache(maxsize=64)
def _bits_by_length(
    entry_bits: int, layout: tuple[int, int, int], number: int
) -> Int64[np.ndarray, " number"]:
    """Return the bits of lists of 0, 1, 2, … entries."""
    header_bits, word_bits, list_synapses = layout

    def words(entries: np.ndarray | int) -> np.ndarray:
        bits = np.asarray(entries) * entry_bits + header_bits
        return -(-bits // word_bits) * word_bits  # (D1)

    parts, remainder = np.divmod(np.arange(number), list_synapses)
    # A list that fills its parts has no header for a further, empty one.
    last = np.where(remainder > 0, words(remainder), 0)
    bits = parts * words(list_synapses) + last
    bits.setflags(write=False)
    return bits


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
    return lists_of_lengths(chip, block, np.bincount(counts), neurons)


def lists_of_lengths(
    chip: Chip, block: WeightBlock, lengths: Integer[np.ndarray, " lengths"], n: int
) -> Lists:
    """Return what the lists of a block take on a core.

    Args:
        chip: whose memory it is.
        block: the connection.
        lengths: how many columns have 0, 1, 2, … weights that are not 0 on the core.
        n: neurons on the core.
    """
    # A source that no neuron of the core listens to has no list there.
    number = int(lengths[1:].sum())
    entry = weight_bits(chip, block) + delay_bits(block)
    # Dense: an entry for every neuron of the core, zeros included.
    whole = int(list_bits(chip, np.array([n]), entry)[0])
    each = list_bits(chip, np.arange(len(lengths)), entry + index_bits(chip, n))
    return Lists(
        dense_bits=number * whole,
        sparse_bits=int(lengths[1:] @ each[1:]),
        number=number,
    )


def delay_slots(blocks: Sequence[WeightBlock]) -> int:
    """Return the accumulators that a neuron takes: a power of two, at least 8.

    Delays of up to 62 steps take 64 (Davies et al. 2018).
    """
    longest = max((block.delay for block in blocks), default=0)
    return max(8, 1 << (longest + 1).bit_length())  # (D2)


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockDemand:
    """What one connection needs.

    Attributes:
        source: "input" or "recurrent".
        synapses: weights that are not 0.
        entries: all weights.
        weight_bits: bits that a weight is stored in.
        delay_bits: bits of delay that are stored with each weight.
        axons: presynaptic neurons or channels with a synapse at all.
        dense_bits: memory in dense lists, the neurons in order on as few cores as the
            number of neurons allows.
        sparse_bits: the same in sparse lists.
    """

    source: str
    synapses: int
    entries: int
    weight_bits: int
    delay_bits: int
    axons: int
    dense_bits: int
    sparse_bits: int

    @property
    def list_format(self) -> str:
        """The format that takes less memory: "dense" or "sparse"."""
        return "dense" if self.dense_bits <= self.sparse_bits else "sparse"


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Demand:
    """What a network needs, if every neuron had a core of its own where not said.

    Attributes:
        blocks: each connection.
        memory_bits: synapse memory of each neuron, and its state where that shares the
            memory.
        in_axons: lists that end at each neuron.
        out_axons: lists that each neuron feeds if all its targets share a core.
        fan_in: nonzero synapses that end at each neuron.
        fan_out: nonzero synapses that start from it.
        compartment_profile: number of its combination of du, dv, refractory period and
            noise, from 0.
        threshold_profile: number of its threshold, from 0.
        noise_kind: number of its combination of what noise goes to and exponent, from
            0; −1 without noise.
    """

    blocks: tuple[BlockDemand, ...]
    memory_bits: Int64[np.ndarray, " n"]
    in_axons: Int64[np.ndarray, " n"]
    out_axons: Int64[np.ndarray, " n"]
    fan_in: Int64[np.ndarray, " n"]
    fan_out: Int64[np.ndarray, " n"]
    compartment_profile: Int64[np.ndarray, " n"]
    threshold_profile: Int64[np.ndarray, " n"]
    noise_kind: Int64[np.ndarray, " n"]

    @property
    def compartment_profiles(self) -> int:
        """Number of compartment profiles."""
        return int(self.compartment_profile.max()) + 1

    @property
    def threshold_profiles(self) -> int:
        """Number of thresholds."""
        return int(self.threshold_profile.max()) + 1

    @property
    def noise_kinds(self) -> int:
        """Number of kinds of noise."""
        return int(self.noise_kind.max()) + 1


def demand(net: FixedPointNetwork, chip: Chip) -> Demand:
    """Return what a network needs of a chip; nothing is compared with its limits."""
    zeros = np.zeros((5, net.n), dtype=np.int64)
    memory, in_axons, out_axons, fan_in, fan_out = zeros
    # State lies in the synapse memory on Loihi 2; on Loihi 1 this is 0.
    memory += chip.neuron_bits
    for block in net.blocks:
        # Nonzero weights: a zero is no synapse in a sparse list.
        ends = row_counts(block.weights)
        entry = weight_bits(chip, block) + delay_bits(block)
        # On a core of its own each synapse has a list to itself.
        memory += ends * list_bits(chip, np.ones(1, np.int64), entry)[0]
        in_axons += ends
        fan_in += ends
        # Only neurons have output axons; channels are fed from outside.
        if block.source == "recurrent":
            starts = column_counts(block.weights)
            np.add.at(fan_out, block.pre, starts)
            np.add.at(out_axons, block.pre, starts > 0)
    return Demand(
        blocks=tuple(_block(chip, block) for block in net.blocks),
        memory_bits=memory,
        in_axons=in_axons,
        out_axons=out_axons,
        fan_in=fan_in,
        fan_out=fan_out,
        # Numbers, not registers: what counts is how many differ on a core.
        compartment_profile=compartment_profiles(net),
        threshold_profile=np.unique(net.vth, return_inverse=True)[1].reshape(-1),
        noise_kind=noise_kinds(net),
    )


def compartment_profiles(net: FixedPointNetwork) -> Int64[np.ndarray, " n"]:
    """Return the number of each neuron's compartment profile, from 0.

    Of noise a profile has whether it is on; what it goes to and how strong it is stands
    for a whole core (`noise_kinds`).
    """
    # The bias stands with each neuron and takes no profile.
    on = (net.noise_exp > 0) | (net.current_noise_exp > 0)
    registers = np.stack([net.du, net.dv, net.refractory, on]).astype(np.int64)
    return np.unique(registers, axis=1, return_inverse=True)[1].reshape(-1)


def noise_kinds(net: FixedPointNetwork) -> Int64[np.ndarray, " n"]:
    """Return the number of each neuron's kind of noise, from 0; −1 without noise.

    A kind is what the noise goes to, u, v or both, and its exponents.
    """
    exponents = np.stack([net.noise_exp, net.current_noise_exp])
    on = exponents.any(axis=0)
    numbers = np.full(net.n, -1)
    numbers[on] = np.unique(exponents[:, on], axis=1, return_inverse=True)[1].reshape(
        -1
    )
    return numbers


def _block(chip: Chip, block: WeightBlock) -> BlockDemand:
    starts, columns = row_lists(block.weights)
    dense = sparse = 0
    # Lists are cut at cores: here the neurons in order, as many as a core holds.
    for first in range(0, block.n, chip.neurons):
        last = min(first + chip.neurons, block.n)
        counts = np.bincount(columns[starts[first] : starts[last]])
        needs = lists(chip, block, counts, last - first)
        dense += needs.dense_bits
        sparse += needs.sparse_bits
    return BlockDemand(
        source=block.source,
        synapses=len(columns),
        entries=math.prod(block.weights.shape),
        weight_bits=weight_bits(chip, block),
        delay_bits=delay_bits(block),
        axons=int((column_counts(block.weights) > 0).sum()),
        dense_bits=dense,
        sparse_bits=sparse,
    )
