"""What connections hand over in a step, as ONNX nodes.

Spikes are summed by `MatMulInteger`, whose weights are bytes: excitatory ones and the
magnitudes of inhibitory ones are uint8, mixed ones are even (the chip's grid) and
halved into int8. One factor of each product is a spike, 0 or 1: the kernels of older
processors, which add pairs of products in 16 bits, cannot saturate. Payloads are
summed by MatMul in int64.
"""

from typing import NamedTuple

import numpy as np

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground.sparse import row_sums, values_of
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.targets.onnx_model.graph import Graph

INT32 = 1 << 31
"""Magnitude from which on a value needs more than 32 bits."""


class Sources(NamedTuple):
    """The values that a step's connections listen to, trial × channel or neuron."""

    payloads: str
    """Messages as int64 within 32 bits; "" where no block takes them."""
    events: str
    """Whether a message was sent, as uint8; "" where no block takes it."""
    spikes: str
    """Of this step, as uint8."""


class Sent(NamedTuple):
    """A value under way and how large it can become."""

    value: str
    bound: int
    """At most this magnitude: int32 if below 2^31, else int64 yet to be wrapped."""


def needs_payloads(net: FixedPointNetwork) -> bool:
    """Return whether a block multiplies weights by messages."""
    return any(b.source == "input" and not b.binary for b in net.blocks)


def needs_events(net: FixedPointNetwork) -> bool:
    """Return whether a block counts messages as spikes."""
    return any(b.source == "input" and b.binary for b in net.blocks)


def load_weights(graph: Graph, net: FixedPointNetwork) -> list[str]:
    """Return each block's weights as its sum takes them; "" where all are 0.

    The file holds the columns of `pre` alone; rows of zeros are put between them when
    the model is loaded, as picking columns of the spikes in every step costs more.
    """
    loaded = []
    for k, block in enumerate(net.blocks):
        if not values_of(block.weights).any():
            loaded.append("")  # it would deliver zeros
            continue
        # Bytes in the file for both kinds of block; payloads widen them when loaded.
        weights = graph.parameter(f"w_{k}", _bytes(block))
        width = net.n if block.source == "recurrent" else net.n_in
        columns = len(block.pre)
        if columns < width:
            zeros = graph.constant(np.zeros((1, net.n)), _bytes(block).dtype)
            padded = graph.op("Concat", weights, zeros, axis=0)
            rows = np.full(width, columns)
            rows[block.pre] = np.arange(columns)
            place = graph.parameter(f"pre_{k}", rows, np.int32)
            weights = graph.op("Gather", padded, place, axis=0)
        if _graded(block):
            weights = graph.cast(weights, np.int64)
            factor = graph.constant(_factor(block))
            weights = graph.op("Mul", weights, factor, name=f"weights_{k}")
        loaded.append(weights)
    return loaded


def deliver(
    graph: Graph, net: FixedPointNetwork, weights: list[str], sources: Sources
) -> dict[int, Sent]:
    """Return, by delay, what the connections of that delay hand over, (H12), (H13)."""
    by_delay: dict[int, list[Sent]] = {}
    for block, loaded in zip(net.blocks, weights, strict=True):
        if not loaded:
            continue
        if _graded(block):
            sent = _payload_sum(graph, block, loaded, sources.payloads)
        else:
            recurrent = block.source == "recurrent"
            spikes = sources.spikes if recurrent else sources.events
            sent = _spike_sum(graph, block, loaded, spikes)
        by_delay.setdefault(block.delay, []).append(sent)
    return {delay: total(graph, parts) for delay, parts in by_delay.items()}


def total(graph: Graph, parts: list[Sent]) -> Sent:
    """Return a sum, in int32 as far as that surely holds it."""
    # What may leave 32 bits is summed in 64, and wrapped once at the end.
    small = [part for part in parts if part.bound < INT32]
    large = [part for part in parts if part.bound >= INT32]
    if sum(part.bound for part in small) >= INT32:
        large, small = parts, []
    values = []
    if small:
        bound = sum(part.bound for part in small)
        value = _add(graph, [part.value for part in small])
        if not large:
            return Sent(value, bound)
        values = [graph.cast(value, np.int64)]
    for part in large:
        narrow = part.bound < INT32
        values.append(graph.cast(part.value, np.int64) if narrow else part.value)
    return Sent(_add(graph, values), sum(part.bound for part in parts))


def wrapped(graph: Graph, sent: Sent) -> str:
    """Return a value as int32 keeps it."""
    return sent.value if sent.bound < INT32 else graph.cast(sent.value, np.int32)


def _bytes(block: WeightBlock) -> np.ndarray:
    """Return a block's weights as bytes, source × neuron; see `_factor`."""
    divided = values_of(block.weights).T // _factor(block)
    return divided.astype(np.int8 if block.sign_mode is SignMode.MIXED else np.uint8)


def _factor(block: WeightBlock) -> int:
    """Return what the bytes of a block are multiplied by."""
    factors = {SignMode.MIXED: 2, SignMode.EXCITATORY: 1, SignMode.INHIBITORY: -1}
    return factors[block.sign_mode]


def _graded(block: WeightBlock) -> bool:
    return block.source == "input" and not block.binary


def _spike_sum(graph: Graph, block: WeightBlock, weights: str, spikes: str) -> Sent:
    """Return factor·Σ·2^weight_exp, floored, in int32 or, if need be, int64."""
    value = graph.op("MatMulInteger", spikes, weights)
    # The largest sum there can be: of a neuron to which all sources send a spike.
    magnitudes = np.abs(values_of(block.weights).astype(np.int64))
    reach = int(row_sums(block.weights, magnitudes).max())
    factor, exponent = _factor(block), block.weight_exp
    if block.sign_mode is SignMode.MIXED:  # the factor of 2 goes into the exponent
        factor, exponent, reach = 1, exponent + 1, reach // 2
    if exponent >= 0:
        bound = reach << exponent
        kind = np.int32 if bound < INT32 else np.int64
        if kind is np.int64:
            value = graph.cast(value, kind)
        by = factor << exponent
        if by != 1:
            value = graph.op("Mul", value, graph.constant(by, kind))
        return Sent(value, bound)
    # ONNX divides toward zero; what is to be floored is first made positive.
    unit = 1 << -exponent
    rounded = -(-reach // unit)
    if block.sign_mode is SignMode.EXCITATORY:
        value = graph.op("Div", value, graph.constant(unit, np.int32))
    elif block.sign_mode is SignMode.INHIBITORY:
        value = graph.op("Add", value, graph.constant(unit - 1, np.int32))
        value = graph.op("Div", value, graph.constant(-unit, np.int32))
    else:
        value = graph.op("Add", value, graph.constant(rounded * unit, np.int32))
        value = graph.op("Div", value, graph.constant(unit, np.int32))
        value = graph.op("Sub", value, graph.constant(rounded, np.int32))
    return Sent(value, rounded)


def _payload_sum(graph: Graph, block: WeightBlock, weights: str, sent: str) -> Sent:
    """Return Σ·2^weight_exp of weights times payloads, floored, in int64.

    A left shift is wrapped later, which comes to the same; before a right shift the
    sum is wrapped into int32.
    """
    value = graph.op("MatMul", sent, weights)
    if block.weight_exp >= 0:
        if block.weight_exp:
            value = graph.op("Mul", value, graph.constant(1 << block.weight_exp))
        # Payloads of 32 bits leave no bound of use; this one stands for none.
        return Sent(value, 1 << 60)
    value = graph.cast(graph.cast(value, np.int32), np.int64)
    # 2^31 is a multiple of the unit, and makes every int32 positive.
    unit = 1 << -block.weight_exp
    value = graph.op("Add", value, graph.constant(INT32))
    value = graph.op("Div", value, graph.constant(unit))
    value = graph.op("Sub", value, graph.constant(INT32 // unit))
    return Sent(value, INT32)


def _add(graph: Graph, values: list[str]) -> str:
    result = values[0]
    for value in values[1:]:
        result = graph.op("Add", result, value)
    return result
