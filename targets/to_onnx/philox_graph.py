"""The membrane noise of `convert/philox.py` as ONNX nodes: the same samples.

A product of two 32-bit words fills 64 bits of uint64, for which older onnxruntimes
(1.18) have no kernel of Mul but one of MatMul. So the words lie in pairs, (c0, c2) and
(c1, c3), and a MatMul by a 2 × 2 matrix of the multipliers gives both products of a
round, changed over as the next round wants them.
"""

import numpy as np

from isotau.convert.philox import MASK, MULTIPLIERS, ROUNDS, WEYL
from isotau.targets.to_onnx.graph import Graph

LANES = 8
"""Samples of one counter: four words of two halves."""
HALF = 16


def round_keys(graph: Graph, seed: str) -> list[str]:
    """Return the key of each round, 1 × 2, from the 64-bit seed.

    Round r adds r times the Weyl constants to the halves of the seed.
    """
    low = graph.op("BitwiseAnd", seed, _word(graph, MASK))
    high = graph.op("BitShift", seed, _word(graph, 32), direction="RIGHT")
    place = graph.constant([1, 1])
    halves = [graph.op("Reshape", half, place) for half in (low, high)]
    first = graph.op("Concat", *halves, axis=1)
    steps = graph.op("Concat", first, _word(graph, [list(WEYL)]), axis=0)
    times = _word(graph, [[1, r] for r in range(ROUNDS)])
    keys = graph.op("MatMul", times, steps)
    keys = graph.op("BitwiseAnd", keys, _word(graph, MASK))
    names = [f"key_{r}" for r in range(ROUNDS)]
    return graph.ops("Split", keys, names=names, axis=0, num_outputs=ROUNDS)


def counters(graph: Graph, first_trial: str, batch: str, n: int) -> str:
    """Return words c0 and c2, trial × block × 2: number of the block and the trial."""
    blocks = -(-n // LANES)
    one = graph.constant(1)
    last = graph.op("Add", first_trial, graph.op("Squeeze", batch))
    trials = graph.cast(graph.op("Range", first_trial, last, one), np.uint64)
    trials = graph.op("Reshape", trials, graph.constant([-1, 1, 1]))
    numbers = _word(graph, np.arange(blocks)[None, :, None])
    shape = graph.op("Concat", batch, graph.constant([blocks, 1]), axis=0)
    both = [graph.op("Expand", words, shape) for words in (numbers, trials)]
    return graph.op("Concat", *both, axis=-1, name="counters")


def noise(
    graph: Graph, counter: str, keys: list[str], step: str, n: int, noise_exp: int
) -> str:
    """Return the noise of one step, trial × neuron, int64, ready to be added to v.

    Args:
        graph: where the nodes go.
        counter: from `counters`.
        keys: from `round_keys`.
        step: number of the step, an int64 scalar.
        n: number of neurons.
        noise_exp: of the network.
    """
    matrix = _word(graph, [[0, MULTIPLIERS[0]], [MULTIPLIERS[1], 0]])
    mask, bits = _word(graph, MASK), _word(graph, 32)
    even = counter
    odd = graph.cast(graph.op("Mul", step, graph.constant([1, 0])), np.uint64)
    for key in keys:
        products = graph.op("MatMul", even, matrix)
        high = graph.op("BitShift", products, bits, direction="RIGHT")
        mixed = graph.op("BitwiseXor", odd, key)
        even = graph.op("BitwiseXor", high, mixed)
        odd = graph.op("BitwiseAnd", products, mask)
    last = graph.constant([-1])
    words = [graph.op("Unsqueeze", pair, last) for pair in (even, odd)]
    words = [graph.op("Concat", *words, axis=-1)]
    low = graph.op("BitwiseAnd", words[0], _word(graph, (1 << HALF) - 1))
    high = graph.op("BitShift", words[0], _word(graph, HALF), direction="RIGHT")
    halves = [graph.op("Unsqueeze", half, last) for half in (low, high)]
    lanes = graph.op("Concat", *halves, axis=-1)
    padded = -(-n // LANES) * LANES
    flat = graph.op("Reshape", lanes, graph.constant([-1, padded]))
    if padded != n:
        ends = [graph.constant([place]) for place in (0, n, 1)]
        flat = graph.op("Slice", flat, *ends)
    return _scaled(graph, graph.cast(flat, np.int64), noise_exp)


def _scaled(graph: Graph, halves: str, noise_exp: int) -> str:
    """Return floor(((255·h >> 16) − 127)·2^(noise_exp − 7)) of 16-bit words h.

    Division truncates toward zero, so what is divided is first made positive.
    """
    whole = graph.op("Mul", halves, graph.constant(255))
    whole = graph.op("Div", whole, graph.constant(1 << HALF))
    up, down = max(noise_exp - 7, 0), max(7 - noise_exp, 0)
    if not down:
        sample = graph.op("Sub", whole, graph.constant(127))
        return graph.op("Mul", sample, graph.constant(1 << up), name="noise")
    whole = graph.op("Add", whole, graph.constant(1))
    whole = graph.op("Div", whole, graph.constant(1 << down))
    return graph.op("Sub", whole, graph.constant(1 << (7 - down)), name="noise")


def _word(graph: Graph, value: object) -> str:
    return graph.constant(np.asarray(value, dtype=np.uint64), np.uint64)
