"""A fixed-point network in NeuroBench's metrics, under the names of its harness.

Definitions: Yik et al. 2025, doi:10.1038/s41467-025-56739-4, and the harness
`neurobench` 2.3.0, whose results are keyed by these names. Means are per trial.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Int32, Integer

from isotau.convert.ground.sparse import (
    SparseWeights,
    Weights,
    added,
    column_counts,
    sparse_weights,
    spread,
)
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.spikes import Spikes
from isotau.targets.loihi.traffic import spike_counts

WEIGHT_BYTES = 1
REGISTER_BYTES = {
    "du": 2,
    "dv": 2,
    "vth": 4,
    "bias_exp": 1,
    "refractory": 1,
    "state u": 4,
    "state v": 4,
    "steps left at reset": 1,
}
"""Bytes of what a neuron has beside weights and bias: the smallest integer types."""
BIAS_BYTES, PENDING_BYTES, READOUT_BYTES = 2, 4, 8


def neurobench(
    net: FixedPointNetwork,
    spikes: Spikes,
    messages: Integer[np.ndarray, "steps batch n_in"],
    *,
    v: Int32[np.ndarray, "steps batch n"] | None = None,
    readout: bool = True,
) -> dict[str, Any]:
    """Return the harness' static and workload metrics.

    Footprint: bytes of parameters and buffers, in the smallest integer types that hold
        them; float64 for the readout.
    ParameterCount: weights and biases.
    ConnectionSparsity: share of weights that are 0, to four digits.
    ActivationSparsity: share of neuron-steps without a spike.
    SynapticOperations: input events times nonzero weights, as "Effective_ACs" where
        the inputs of a layer are only −1, 0 and 1, else as "Effective_MACs"; "Dense":
        all weights in every step.
    MembraneUpdates: changes of v, all in the first step; every neuron in every step,
        as the chip does it, if `v` is not given.

    A layer is one matrix of weights: input and recurrent, one for each delay, and the
    readout, which here is taken as acting on spikes (its filter comes after it).

    Args:
        net: the network.
        spikes: what it did.
        messages: what the input channels sent.
        v: membrane potentials after each step, as engines record them.
        readout: whether the readout counts as a part of the network.

    Raises:
        ValueError: spikes, messages or v of another network or run.
    """
    _check(net, spikes, messages, v)
    rates = spike_counts(spikes)
    graded = _graded(net, messages)
    # Events, not sizes: a message is one operation, however large.
    channels = np.count_nonzero(messages, axis=(0, 1)) / spikes.batch
    operations = {"Effective_MACs": 0.0, "Effective_ACs": 0.0, "Dense": 0.0}
    zeros = weights = 0
    for (source, delay), present in _layers(net, readout).items():
        events = channels if source == "input" else rates
        # Unlike 1 an input has to be multiplied.
        kind = "MACs" if (source, delay) in graded else "ACs"
        # An event adds the nonzero weights of its column.
        operations[f"Effective_{kind}"] += float(column_counts(present) @ events)
        entries = math.prod(present.shape)
        operations["Dense"] += float(entries * spikes.steps)
        zeros += entries - int(column_counts(present).sum())
        weights += entries
    return {
        "Footprint": _footprint(net, weights, readout),
        "ParameterCount": weights + net.n + net.n_out * readout,
        "ConnectionSparsity": round(zeros / weights, 4),
        "ActivationSparsity": 1 - float(rates.sum()) / (net.n * spikes.steps),  # (D8)
        "SynapticOperations": operations,
        "MembraneUpdates": _membrane_updates(net, spikes, v),
    }


def _layers(net: FixedPointNetwork, readout: bool) -> dict[tuple[str, int], Weights]:
    """Return which weights of each layer are not 0, by source and delay."""
    parts: dict[tuple[str, int], list[WeightBlock]] = {}
    for block in net.blocks:
        # Blocks of one source and delay are parts of one matrix.
        parts.setdefault((block.source, block.delay), []).append(block)
    layers = {key: _present(net, key[0], blocks) for key, blocks in parts.items()}
    if readout:
        layers["readout", 0] = net.w_out != 0
    return layers


def _present(net: FixedPointNetwork, source: str, blocks: list[WeightBlock]) -> Weights:
    """Return which weights of some blocks of one source are not 0."""
    width = net.n_in if source == "input" else net.n
    if any(isinstance(block.weights, SparseWeights) for block in blocks):
        # Ones, not weights, so that no two of them add up to 0.
        sparse = [(sparse_weights(block.weights), block.pre) for block in blocks]
        return added([spread(w, np.ones(w.data.size), pre, width) for w, pre in sparse])
    present = np.zeros((net.n, width), dtype=bool)
    for block in blocks:
        present[:, block.pre] |= block.weights != 0
    return present


def _graded(net: FixedPointNetwork, messages: np.ndarray) -> set[tuple[str, int]]:
    """Return the layers whose inputs are more than −1, 0 and 1."""
    return {
        (block.source, block.delay)
        for block in net.blocks
        if block.source == "input"
        and not block.binary
        and (np.abs(messages[..., block.pre]) > 1).any()
    }


def _footprint(net: FixedPointNetwork, weights: int, readout: bool) -> int:
    """Return bytes of parameters and buffers, from the number of all weights."""
    neurons = net.n * (sum(REGISTER_BYTES.values()) + BIAS_BYTES)
    # What waits in delays is memory, too.
    pending = net.n * net.slots * PENDING_BYTES
    outside = (net.w_out.size + net.n_out) * READOUT_BYTES * readout
    # The readout's weights are among the weights, and wider than the chip's.
    inside = weights - net.w_out.size * readout
    return neurons + pending + outside + inside * WEIGHT_BYTES


def _membrane_updates(
    net: FixedPointNetwork, spikes: Spikes, v: np.ndarray | None
) -> float:
    if v is None:
        return float(net.n * spikes.steps)
    # The harness compares with a state of zeros, and so counts all of the first step.
    return net.n + float(np.count_nonzero(v[1:] != v[:-1])) / spikes.batch


def _check(
    net: FixedPointNetwork, spikes: Spikes, messages: np.ndarray, v: np.ndarray | None
) -> None:
    if spikes.n != net.n:
        raise ValueError(f"spikes: got {spikes.n} neurons, need {net.n}")
    needs = {"messages": (messages, net.n_in), "v": (v, net.n)}
    for name, (values, width) in needs.items():
        need = (spikes.steps, spikes.batch, width)
        if values is not None and values.shape != need:
            raise ValueError(f"{name}: got shape {values.shape}, need {need}")
