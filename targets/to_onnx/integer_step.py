"""One time step of the chip as ONNX nodes, in integers alone.

The rules are those of `convert/arithmetic.py`. They use that ONNX divides integers
with truncation toward zero, as the chip's decay does, and that a cast to int32 keeps
the low 32 bits, as the chip's registers do. Shifts of signed numbers do not exist.
"""

from typing import NamedTuple

import numpy as np

from isotau.convert import arithmetic
from isotau.convert.fixedpoint import FixedPointNetwork
from isotau.targets.to_onnx import delivery, philox_graph
from isotau.targets.to_onnx.delivery import Sources
from isotau.targets.to_onnx.graph import Graph

LIMIT = arithmetic.STATE_LIMIT


class Chip(NamedTuple):
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


class State(NamedTuple):
    """What passes from step to step, trial × neuron."""

    u: str
    v: str
    rest: str
    """Carried only where a neuron has a refractory period, else ""."""
    ring: str
    """What is under way, int32, by steps until it arrives: slot × trial × neuron; with
    one slot trial × neuron."""


class Moment(NamedTuple):
    """What a step is given besides the state."""

    payloads: str
    events: str
    number: str
    """Steps since power-up, an int64 scalar; "" where nothing depends on it."""
    keep: str
    """0 where u and v are reset first, else 1; "" where they never are."""


class Stepped(NamedTuple):
    """The state after a step, and who spiked, as uint8."""

    state: State
    spikes: str


def load_chip(
    graph: Graph, net: FixedPointNetwork, batch: str, seed: str, first_trial: str
) -> Chip:
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
    noisy = net.noise_exp is not None
    return Chip(
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
        counters=philox_graph.counters(graph, first_trial, batch, net.n)
        if noisy
        else "",
        keys=philox_graph.round_keys(graph, seed) if noisy else [],
    )


def step(
    graph: Graph, net: FixedPointNetwork, chip: Chip, state: State, now: Moment
) -> Stepped:
    """Return the outcome of one time step, in the order of the reference engine."""
    arriving, coming = _arrivals(graph, net, state.ring)
    u = _update_u(graph, _decayed(graph, state.u, chip.keep_u, now.keep), arriving)
    drive = chip.bias
    if net.noise_exp is not None:
        args = (chip.counters, chip.keys, now.number, net.n, net.noise_exp)
        noise = philox_graph.noise(graph, *args)
        drive = graph.op("Add", noise, drive) if drive else noise
    kept = _decayed(graph, state.v, chip.keep_v, now.keep)
    v = _update_v(graph, net, kept, u, drive)
    zero, rest = graph.constant(0), ""
    if chip.refractory:
        v = graph.op("Where", graph.op("Greater", state.rest, zero), zero, v)
    fired = graph.op("Greater", v, chip.threshold, name="fired")
    v = graph.op("Where", fired, zero, v, name="v_next")
    if chip.refractory:
        less = graph.op("Sub", state.rest, graph.constant(1))
        less = graph.op("Max", less, zero)
        rest = graph.op("Where", fired, chip.refractory, less, name="rest_next")
    spikes = graph.cast(fired, np.uint8, "spike")
    sources = Sources(now.payloads, now.events, spikes)
    sent = delivery.deliver(graph, net, chip.weights, sources)
    ring = _join(graph, net, coming, sent, like=arriving)
    return Stepped(State(u, v, rest, ring), spikes)


def _decayed(graph: Graph, x: str, keep: str, unless_reset: str) -> str:
    """Return decay(x), of 0 if there is a reset."""
    if unless_reset:
        keep = graph.op("Mul", keep, unless_reset)
    product = graph.op("Mul", x, keep)
    return graph.op("Div", product, graph.constant(arithmetic.DECAY_UNITY))


def _update_u(graph: Graph, decayed: str, arriving: str) -> str:
    """Return wrap_u of decayed + (arriving << 6) as int32 holds it.

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
    """Return decayed + u + drive, as int32 holds it, saturated.

    After its wrap u is within ±(2^31 − 2^24), and v within 2^23: only a drive beyond
    2^23 can take the sum out of 32 bits.
    """
    v = graph.op("Add", decayed, u)
    if drive:
        v = graph.op("Add", v, drive)
    bias = arithmetic.effective_bias(net.bias_mant, net.bias_exp)
    largest = int(np.abs(bias).max())
    if net.noise_exp is not None:
        largest += arithmetic.NOISE_MAX << max(net.noise_exp - 7, 0)
    if largest > LIMIT:
        v = graph.cast(graph.cast(v, np.int32), np.int64)
    ends = [graph.constant(end) for end in (1 - LIMIT, LIMIT - 1)]
    return graph.op("Clip", v, *ends)


def _arrivals(
    graph: Graph, net: FixedPointNetwork, ring: str
) -> tuple[str, dict[int, str]]:
    """Return what arrives now, int64, and the rest of the ring in pieces.

    The pieces are cut where something is added; each is under the number of steps,
    from the next on, after which its first slot arrives.
    """
    if net.slots == 1:
        return graph.cast(ring, np.int64), {}
    delays = {block.delay for block in net.blocks if block.weights.any()}
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
    """Return the ring of the next step: what was under way, and what is sent now."""
    nothing = graph.constant(0)
    if net.slots == 1:
        if not sent:
            return graph.cast(graph.op("Mul", like, nothing), np.int32)
        return delivery.wrapped(graph, sent[0])
    axis = graph.constant([0])
    if net.slots - 1 not in sent:
        empty = graph.op("Mul", like, nothing)
        sent = {**sent, net.slots - 1: delivery.Sent(empty, delivery.INT32)}
    reach = sum(part.bound for part in sent.values())
    pieces = []
    for start in sorted({*coming, *sent}):
        if start not in sent:
            pieces.append(coming[start])
            continue
        fresh, bound = sent[start]
        if start in coming:
            added = delivery.Sent(fresh, bound)
            before = graph.op("Squeeze", coming[start], axis)
            under_way = delivery.Sent(before, min(reach, delivery.INT32 - 1))
            added = delivery.total(graph, [added, under_way])
        else:
            added = delivery.Sent(fresh, bound)
        pieces.append(graph.op("Unsqueeze", delivery.wrapped(graph, added), axis))
    return graph.op("Concat", *pieces, axis=0, name="ring_next")
