"""Noise of eight steps at a time, in vectors: (P1) to (P5).

A lane is a step. What the counters of a block have in common, block and trial, is then
one number, not a vector: two and a half of the ten rounds cost next to nothing. And
hardly a lane is left over, however many neurons there are. Samples are bytes until they
are added to v or u, so that those of eight steps fit the nearest cache.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.chip.arithmetic import NOISE_MAX
from isotau.convert.chip.lanes import Lanes, memory_of
from isotau.convert.chip.vector_philox import philox4x32

STEPS = 8
"""Whose samples are drawn at once: lanes of 64 bits, cut by LLVM as machines need."""
BLOCK = 8
"""Neurons of a counter."""
PAIR = 2 * BLOCK
"""Neurons of two: as many as a vector of the step has."""
INT8, INT16, INT32, INT64 = (ir.IntType(size) for size in (8, 16, 32, 64))


@intrinsic
def draw_samples(typing, samples, pairs, key, step, trial, stream):
    """Set the samples of some neurons in `STEPS` steps: (P1) to (P5).

    Args:
        typing: numba's.
        samples: pair × step × neuron of the pair, int8, flat; set.
        pairs: of blocks, so many of the first.
        key: the two halves of the seed, uint64.
        step: number of the first step since power-up.
        trial: number of the trial.
        stream: of `philox`, for v or u.
    """
    kinds = (samples, pairs, key, step, trial, stream)
    return types.void(*kinds), _draw_samples_code


def _draw_samples_code(context, builder, signature, args):
    """Write the code of `draw_samples`: one pair after the other."""
    samples, halves = (
        memory_of(context, builder, signature.args[k], args[k]) for k in (0, 2)
    )
    key = [halves.lanes(ir.Constant(INT64, k), ir.VectorType(INT64, 1)) for k in (0, 1)]
    step, trial, stream = (_alone(builder, arg) for arg in args[3:])
    lanes = ir.Constant(ir.VectorType(INT64, STEPS), [*range(STEPS)])
    steps = Lanes(builder, lanes) + step
    thick = ir.VectorType(INT64, STEPS)
    # of the first block and the second, in turns, half of the steps and then the rest
    orders = [
        [k + block for k in half for block in (0, STEPS)]
        for half in (range(STEPS // 2), range(STEPS // 2, STEPS))
    ]
    with cgutils.for_range(builder, args[1]) as loop:
        first = builder.mul(loop.index, ir.Constant(INT64, 2))
        blocks = [_alone(builder, first), _alone(builder, first) + 1]
        counters = [[block, steps, trial, stream] for block in blocks]  # (P1)
        one, other = (_samples(words, thick) for words in philox4x32(counters, key))
        place = builder.mul(loop.index, ir.Constant(INT64, STEPS * PAIR))
        for k, order in enumerate(orders):
            at = builder.add(place, ir.Constant(INT64, k * STEPS * BLOCK))
            samples.store(at, one.shuffled(other, order))
    return context.get_dummy_value()


def _alone(builder: Any, number: Any) -> Lanes:
    """Return a number as a vector of one lane, which stands for as many as it meets."""
    return Lanes(builder, builder.bitcast(number, ir.VectorType(INT64, 1)))


def _samples(words: list[Lanes], kind: Any) -> Lanes:
    """Return the samples of a block: the bytes of a lane are its neurons in a step."""
    builder = words[0].builder
    halves = ir.VectorType(INT32, 2 * STEPS)
    w0, w1, w2, w3 = (Lanes(builder, word.bits(halves)) for word in words)
    # Words are the lower halves of lanes: those of a step become two lanes.
    alternate = [k + half for k in range(0, 2 * STEPS, 2) for half in (0, 2 * STEPS)]
    quarters = ir.VectorType(INT16, 4 * STEPS)
    low, high = (
        Lanes(builder, pair.bits(quarters)).unsigned(INT32)  # (P4)
        for pair in (w0.shuffled(w1, alternate), w2.shuffled(w3, alternate))
    )
    # Below 255 each fits a byte. Those of neurons 4 to 7 are multiplied by 2^8 more,
    # and lie between the others: half of a product is one instruction, its shift two.
    low = (low * 255).unsigned_shift(16).signed(INT16)
    high = (high * (255 << 8)).unsigned_shift(16).signed(INT16) & 0xFF00
    numbers = Lanes(builder, (low | high).bits(ir.VectorType(INT8, STEPS * BLOCK)))
    order = [8 * step + k for step in range(STEPS) for k in (0, 2, 4, 6, 1, 3, 5, 7)]
    ordered = numbers.shuffled(numbers, order) - NOISE_MAX  # (P5)
    return Lanes(builder, ordered.bits(kind))
