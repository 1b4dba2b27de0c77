"""Deliveries of sparse weights: a spike adds what it sends where that ends.

A synapse is one word of 32 bits, as `isotau.sim.engines.synapses` makes it: the weight
above, with its sign, and below the neuron that it ends at. Words of one source lie
together, so that a spike reads one piece of memory; where they end the sums are
scattered over a row that stays in cache. Sums are those of int32, which wraps: (H14).
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from isotau.convert.chip import compiled_step as chip

TARGET_BITS = 23
"""Of a word; nine are left for −256 … 255, every weight that there is."""
LINE = 16
"""Words of a cache line."""
AHEAD = 4
"""Spikes ahead of the one that is being sent: its words are then on their way. Without,
the memory is waited for at every spike: 1.5 to 3 times as long."""


@intrinsic
def prefetch(typing, array, place):
    """Ask for the cache line of an element, and go on."""

    def codegen(context, builder, signature, args):
        view = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.gep(view.data, [args[1]])
        char, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [char, number, number, number])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [char], kind)
        # To be read, to stay in all caches, data.
        hints = [ir.Constant(number, hint) for hint in (0, 3, 1)]
        builder.call(ask, [builder.bitcast(pointer, char), *hints])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


@chip.kernel
def send_synapses(target, sums, words, starts, block, source_list, sources, exponent):
    """Deliver what some sources send, each sum times 2^exponent: (H12).

    Args:
        target: row that is added to, int32.
        sums: room for the sums before they are floored, int32, as long; all 0, before
            and after.
        words: synapses, int32, source after source; None if there are none.
        starts: block × source, where each source's begin, and the end, int64.
        block: number of the block.
        source_list: those that spiked.
        sources: how many.
        exponent: of the weights.
    """
    # None for a network without sparse weights: nothing is compiled.
    if words is None:
        return
    if sources == 0:
        return
    begun = starts[block]
    if exponent >= 0:
        # Without a floor each weight may be added by itself: modulo 2^32 a sum of
        # shifted numbers is the shifted sum.
        add_synapses(target, words, begun, source_list, sources, exponent)
        return
    add_synapses(sums, words, begun, source_list, sources, 0)
    for j in range(target.shape[0]):
        target[j] += sums[j] >> np.int32(-exponent)
        sums[j] = 0


@chip.kernel
def add_synapses(total, words, starts, source_list, sources, up):
    """Add the weights of some sources, shifted left, to where they end."""
    mask, shift = np.int32((1 << TARGET_BITS) - 1), np.int32(TARGET_BITS)
    for k in range(sources):
        later = source_list[min(k + AHEAD, sources - 1)]
        for place in range(starts[later], starts[later + 1], LINE):
            prefetch(words, place)
        source = source_list[k]
        # Numbers without a sign: numba would look at each whether it counts from the
        # end.
        first, last = np.uint64(starts[source]), np.uint64(starts[source + 1])
        if up == 0:
            for place in range(first, last):
                word = words[place]
                total[np.uint32(word & mask)] += word >> shift
            continue
        for place in range(first, last):
            word = words[place]
            total[np.uint32(word & mask)] += (word >> shift) << np.int32(up)
