"""One time step of the chip as ONNX nodes, in integers alone.

The rules are those of `convert/chip/arithmetic.py`. They use that ONNX divides integers
with truncation toward zero, as the chip's decay does, and that a cast to int32 keeps
the low 32 bits, as the chip's registers do. Shifts of signed numbers do not exist.

The membrane noise has the samples of `convert/chip/philox.py`. A product of two 32-bit
words fills 64 bits of uint64, for which older onnxruntimes
(1.18) have no kernel of Mul but one of MatMul. So the words lie in pairs, (c0, c2) and
(c1, c3), and a MatMul by a 2 × 2 matrix of the multipliers gives both products of a
round, changed over as the next round wants them.
"""

from typing import NamedTuple

import numpy as np

from isotau.convert.chip import arithmetic, philox
from isotau.convert.ground.sparse import values_of
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.targets.onnx_model import delivery
from isotau.targets.onnx_model.delivery import Sources
from isotau.targets.onnx_model.graph import Graph

LANES = 8
"""Samples of one counter: four words of two halves."""
HALF = 16


def round_keys(graph: Graph, seed: str) -> list[str]:
    """Return the key of each round, 1 × 2, from the 64-bit seed.

    Round r adds r times the Weyl constants to the halves of the seed.
    """
    low = graph.op("BitwiseAnd", seed, _word(graph, philox.MASK))
    high = graph.op("BitShift", seed, _word(graph, 32), direction="RIGHT")
    place = graph.constant([1, 1])
    halves = [graph.op("Reshape", half, place) for half in (low, high)]
    first = graph.op("Concat", *halves, axis=1)
    steps = graph.op("Concat", first, _word(graph, [list(philox.WEYL)]), axis=0)
    # (P3) for all rounds at once: [1, r] · [seed; Weyl constants].
    times = _word(graph, [[1, r] for r in range(philox.ROUNDS)])
    keys = graph.op("MatMul", times, steps)
    keys = graph.op("BitwiseAnd", keys, _word(graph, philox.MASK))
    names = [f"key_{r}" for r in range(philox.ROUNDS)]
    return graph.ops("Split", keys, names=names, axis=0, num_outputs=philox.ROUNDS)


def counters(graph: Graph, first_trial: str, batch: str, n: int) -> str:
    """Return words c0 and c2, trial × block × 2: number of the block and the trial."""
    blocks = -(-n // LANES)
    last = graph.op("Add", first_trial, graph.op("Squeeze", batch))
    numbers = graph.op("Range", first_trial, last, graph.constant(1))
    trials = graph.cast(numbers, np.uint64)
    trials = graph.op("Reshape", trials, graph.constant([-1, 1, 1]))
    places = _word(graph, np.arange(blocks)[None, :, None])
    shape = graph.op("Concat", batch, graph.constant([blocks, 1]), axis=0)
    words = [graph.op("Expand", word, shape) for word in (places, trials)]  # (P1)
    return graph.op("Concat", *words, axis=-1, name="counters")


def noise_nodes(
    graph: Graph,
    counter: str,
    keys: list[str],
    step: str,
    noise_exp: np.ndarray,
    stream: int = philox.MEMBRANE,
) -> str:
    """Return the noise of one step, trial × neuron, int64, ready to be added.

    Args:
        graph: where the nodes go.
        counter: from `counters`.
        keys: from `round_keys`.
        step: number of the step, an int64 scalar.
        noise_exp: of each neuron.
        stream: of `philox`, for v or u.
    """
    n = len(noise_exp)
    matrix = _word(graph, [[0, philox.MULTIPLIERS[0]], [philox.MULTIPLIERS[1], 0]])
    mask, bits = _word(graph, philox.MASK), _word(graph, 32)
    even = counter
    odd = graph.op("Mul", step, graph.constant([1, 0]))
    odd = graph.cast(graph.op("Add", odd, graph.constant([0, stream])), np.uint64)
    # (P2): even words are (c0, c2), odd ones (c1, c3).
    for key in keys:
        products = graph.op("MatMul", even, matrix)
        high = graph.op("BitShift", products, bits, direction="RIGHT")
        mixed = graph.op("BitwiseXor", odd, key)
        even = graph.op("BitwiseXor", high, mixed)
        odd = graph.op("BitwiseAnd", products, mask)
    # (P4): words in order, each with its low half first, are the neurons in order.
    last = graph.constant([-1])
    pairs = [graph.op("Unsqueeze", pair, last) for pair in (even, odd)]
    words = graph.op("Concat", *pairs, axis=-1)
    low = graph.op("BitwiseAnd", words, _word(graph, (1 << HALF) - 1))
    high = graph.op("BitShift", words, _word(graph, HALF), direction="RIGHT")
    halves = [graph.op("Unsqueeze", half, last) for half in (low, high)]
    lanes = graph.op("Concat", *halves, axis=-1)
    padded = -(-n // LANES) * LANES
    flat = graph.op("Reshape", lanes, graph.constant([-1, padded]))
    if padded != n:
        ends = [graph.constant([place]) for place in (0, n, 1)]
        flat = graph.op("Slice", flat, *ends)
    return _scaled(graph, graph.cast(flat, np.int64), noise_exp)


def _scaled(graph: Graph, halves: str, noise_exp: np.ndarray) -> str:
    """Return floor(((255·h >> 16) − 127)·2^(noise_exp − 7)) of 16-bit words h (P6).

    Division truncates toward zero, so what is divided is first made positive.
    """
    exponent = noise_exp.astype(np.int64)
    # One number where all are alike, which most networks' are.
    exponent = exponent[:1] if (exponent == exponent[0]).all() else exponent
    down = 1 << np.maximum(7 - exponent, 0)
    up = np.where(exponent > 0, 1 << np.maximum(exponent - 7, 0), 0)
    whole = graph.op("Mul", halves, graph.constant(255))
    whole = graph.op("Div", whole, graph.constant(1 << HALF))  # (P5) before − 127
    # ⌊(w − 127)/2^d⌋ = ⌊(w + 1)/2^d⌋ − 128/2^d, as d is at most 7.
    whole = graph.op("Add", whole, graph.constant(1))
    if (down > 1).any():
        whole = graph.op("Div", whole, graph.constant(down))
    sample = graph.op("Sub", whole, graph.constant(128 // down))
    return graph.op("Mul", sample, graph.constant(up))


def _word(graph: Graph, value: object) -> str:
    return graph.constant(np.asarray(value, dtype=np.uint64), np.uint64)


LIMIT = arithmetic.STATE_LIMIT


class ChipValues(NamedTuple):
    """Values that no step changes, computed once outside the loop over time."""

    keep_u: str
    keep_v: str
    threshold: str
    bias: str
    """Times 2^bias_exp; "" where all are 0."""
    refractory: str
    """Steps; "" where no neuron has any."""
    weights: list[str]
    counters: str
    keys: list[str]


class StateValues(NamedTuple):
    """What passes from step to step, trial × neuron."""

    u: str
    v: str
    rest: str
    """Carried only where a neuron has a refractory period, else ""."""
    ring: str
    """What is under way, int32, by steps until it arrives: slot × trial × neuron; with
    one slot trial × neuron."""


class StepInputs(NamedTuple):
    """What a step is given besides the state."""

    payloads: str
    events: str
    number: str
    """Steps since power-up, an int64 scalar; "" where nothing depends on it."""
    keep: str
    """0 where u and v are reset first, else 1; "" where they never are."""


def load_chip(
    graph: Graph, net: FixedPointNetwork, batch: str, seed: str, first_trial: str
) -> ChipValues:
    """Return a network's registers, added to the outermost graph.

    Args:
        graph: the outermost one.
        net: the network; its fields become parameters under their names.
        batch: number of trials, an int64 of one axis.
        seed: uint64 scalar; "" without noise.
        first_trial: int64 scalar; "" without noise.
    """

    def register(name: str) -> str:
        return graph.cast(graph.parameter(name, getattr(net, name)), np.int64)

    unity = arithmetic.DECAY_UNITY
    bias = arithmetic.effective_bias(net.bias_mant, net.bias_exp)
    whole = graph.constant(unity - arithmetic.DU_OFFSET)
    noisy = net.noisy
    return ChipValues(
        keep_u=graph.op("Sub", whole, register("du"), name="keep_u"),
        keep_v=graph.op("Sub", graph.constant(unity), register("dv"), name="keep_v"),
        threshold=graph.op(
            "Mul",
            register("vth"),
            graph.constant(1 << arithmetic.INPUT_SHIFT),
            name="threshold",
        ),
        bias=graph.cast(graph.parameter("bias", bias, np.int32), np.int64)
        if bias.any()
        else "",
        refractory=register("refractory") if net.refractory.any() else "",
        weights=delivery.load_weights(graph, net),
        counters=counters(graph, first_trial, batch, net.n) if noisy else "",
        keys=round_keys(graph, seed) if noisy else [],
    )


def step(
    graph: Graph,
    net: FixedPointNetwork,
    chip: ChipValues,
    state: StateValues,
    now: StepInputs,
) -> tuple[StateValues, str]:
    """Return the state after one time step, and who spiked, as uint8.

    The order is that of the reference engine.
    """
    arriving, coming = _arrivals(graph, net, state.ring)
    counter = (chip.counters, chip.keys, now.number)
    decayed = _decayed(graph, state.u, chip.keep_u, now.keep)
    if net.current_noise_exp.any():
        noise = noise_nodes(graph, *counter, net.current_noise_exp, philox.SYNAPSE)
        decayed = graph.op("Add", decayed, noise)
    u = _update_u(graph, decayed, arriving)
    drive = chip.bias  # (H6)
    if net.noise_exp.any():
        noise = noise_nodes(graph, *counter, net.noise_exp)
        drive = graph.op("Add", noise, drive) if drive else noise
    decayed = _decayed(graph, state.v, chip.keep_v, now.keep)
    v = _update_v(graph, net, decayed, u, drive)
    zero, rest = graph.constant(0), ""
    if chip.refractory:  # (H8)
        v = graph.op("Where", graph.op("Greater", state.rest, zero), zero, v)
    fired = graph.op("Greater", v, chip.threshold, name="fired")  # (H9)
    v = graph.op("Where", fired, zero, v, name="v_next")  # (H11)
    if chip.refractory:  # (H10)
        less = graph.op("Sub", state.rest, graph.constant(1))
        less = graph.op("Max", less, zero)
        rest = graph.op("Where", fired, chip.refractory, less, name="rest_next")
    spikes = graph.cast(fired, np.uint8, "spike")
    sources = Sources(now.payloads, now.events, spikes)
    sent = delivery.deliver(graph, net, chip.weights, sources)
    ring = _join(graph, net, coming, sent, like=arriving)
    return StateValues(u, v, rest, ring), spikes


def _decayed(graph: Graph, x: str, keep: str, unless_reset: str) -> str:
    """Return decay(x) (H4), of 0 if there is a reset (H2)."""
    if unless_reset:
        keep = graph.op("Mul", keep, unless_reset)
    product = graph.op("Mul", x, keep)
    return graph.op("Div", product, graph.constant(arithmetic.DECAY_UNITY))


def _update_u(graph: Graph, decayed: str, arriving: str) -> str:
    """Return wrap_u of decayed + (arriving << 6) as int32 holds it, (H3) and (H5).

    How far u is beyond −M + 1 … M decides by its sign whether and where it is wrapped.
    """
    shifted = graph.op("Mul", arriving, graph.constant(1 << arithmetic.INPUT_SHIFT))
    u = graph.op("Add", decayed, shifted)
    u = graph.cast(graph.cast(u, np.int32), np.int64)
    ends = [graph.constant(end) for end in (1 - LIMIT, LIMIT)]
    beyond = graph.op("Sign", graph.op("Sub", u, graph.op("Clip", u, *ends)))
    turn = graph.op("Mul", beyond, graph.constant(2 * LIMIT))
    return graph.op("Sub", u, turn, name="u_next")


def _update_v(
    graph: Graph, net: FixedPointNetwork, decayed: str, u: str, drive: str
) -> str:
    """Return decayed + u + drive, as int32 holds it, saturated (H7).

    After its wrap u is within ±(2^31 − 2^24), and v within 2^23: only a drive beyond
    2^23 can take the sum out of 32 bits.
    """
    v = graph.op("Add", decayed, u)
    if drive:
        v = graph.op("Add", v, drive)
    # How large the drive can become is known when the graph is made.
    bias = arithmetic.effective_bias(net.bias_mant, net.bias_exp)
    largest = int(np.abs(bias).max())
    largest += arithmetic.NOISE_MAX << max(int(net.noise_exp.max()) - 7, 0)
    if largest > LIMIT:
        v = graph.cast(graph.cast(v, np.int32), np.int64)
    ends = [graph.constant(end) for end in (1 - LIMIT, LIMIT - 1)]
    return graph.op("Clip", v, *ends)


def _arrivals(
    graph: Graph, net: FixedPointNetwork, ring: str
) -> tuple[str, dict[int, str]]:
    """Return what arrives now (H1), int64, and the remaining ring in pieces.

    The pieces are cut where something is added; each is under the number of steps,
    from the next on, after which its first slot arrives.
    """
    if net.slots == 1:
        return graph.cast(ring, np.int64), {}
    # Not at every slot: each piece is a value of its own in every step.
    delays = {block.delay for block in net.blocks if values_of(block.weights).any()}
    cuts = {d for delay in delays for d in (delay, delay + 1)} | {0}
    starts = sorted(cut for cut in cuts if cut < net.slots - 1)
    lengths = np.diff([*starts, net.slots - 1])
    parts = graph.ops(
        "Split",
        ring,
        graph.constant([1, *lengths]),
        names=["arriving", *(f"in_{start}_steps" for start in starts)],
        axis=0,
    )
    head = graph.op("Squeeze", parts[0], graph.constant([0]))
    return graph.cast(head, np.int64), dict(zip(starts, parts[1:], strict=True))


def _join(
    graph: Graph,
    net: FixedPointNetwork,
    coming: dict[int, str],
    sent: dict[int, delivery.Sent],
    *,
    like: str,
) -> str:
    """Return the ring of the next step: what was under way, and what is sent (H12)."""
    nothing = graph.constant(0)
    if net.slots == 1:
        if not sent:  # zeros of the right shape, which is known only when it runs
            return graph.cast(graph.op("Mul", like, nothing), np.int32)
        return delivery.wrapped(graph, sent[0])
    axis = graph.constant([0])
    # The slot that has just arrived comes last now, and is empty.
    if net.slots - 1 not in sent:
        empty = graph.op("Mul", like, nothing)
        sent = {**sent, net.slots - 1: delivery.Sent(empty, delivery.INT32)}
    reach = sum(part.bound for part in sent.values())
    pieces = []
    for start in sorted({*coming, *sent}):
        if start not in sent:
            pieces.append(coming[start])
            continue
        added = sent[start]
        if start in coming:
            before = graph.op("Squeeze", coming[start], axis)
            under_way = delivery.Sent(before, min(reach, delivery.INT32 - 1))
            added = delivery.total(graph, [added, under_way])
        pieces.append(graph.op("Unsqueeze", delivery.wrapped(graph, added), axis))
    return graph.op("Concat", *pieces, axis=0, name="ring_next")
