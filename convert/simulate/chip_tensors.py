"""A fixed-point network on a device, as `isotau.convert.chip.torch_step` takes it.

Spikes times weights are summed in float32 where that is exact in any order: while the
absolute weights of a neuron sum to less than 2^24. It stays exact at reduced precision
(TF32, bfloat16, if a program has asked torch for them): 0, 1 and weights of 8
significant bits fit either format, and sums are kept in float32.
"""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from isotau.convert.chip import arithmetic
from isotau.convert.chip.torch_step import ChipTensors
from isotau.convert.ground.sparse import (
    SparseWeights,
    added,
    as_scipy,
    dense,
    sparse_weights,
    spread,
)
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock

EXACT_FLOAT32 = 1 << 24
SPARSE = 4
"""On a CPU, weights are added spike by spike if fewer than 1 in 4 neurons spike."""


class Connection(NamedTuple):
    """Weight blocks that are summed as one."""

    source: str
    binary: bool
    delay: int
    pre: Tensor | slice
    """Which channels of the source; a slice, which copies nothing, where it can be."""
    weights: Tensor
    """Pre × post; float32 where that is exact. Sparse ones are post × pre, as CSR."""
    exponent: int
    """By which the sum has yet to be shifted."""


def load_neurons(
    net: FixedPointNetwork, device: torch.device, *, wide: bool, resting: bool
) -> ChipTensors:
    """Return a network's neurons on a device.

    Args:
        net: the network.
        device: where to.
        wide: whether any sum of a run may leave 32 bits.
        resting: whether a neuron rests before the first step.
    """

    def tensor(x: np.ndarray) -> Tensor:
        return torch.tensor(x, dtype=torch.float64, device=device)

    # float64 holds every integer of the step, products by 12-bit decays too, exactly.
    du, dv = net.du.astype(np.int64), net.dv.astype(np.int64)
    return ChipTensors(
        keep_u=tensor(arithmetic.DECAY_UNITY - du - arithmetic.DU_OFFSET),
        keep_v=tensor(arithmetic.DECAY_UNITY - dv),
        bias=tensor(arithmetic.effective_bias(net.bias_mant, net.bias_exp)),
        threshold=tensor(net.vth.astype(np.int64) << arithmetic.INPUT_SHIFT),
        refractory=tensor(net.refractory) if resting or net.refractory.any() else None,
        noise_exp=tensor(net.noise_exp) if net.noise_exp.any() else None,
        current_noise_exp=tensor(net.current_noise_exp)
        if net.current_noise_exp.any()
        else None,
        wide=wide,
    )


def load_connections(
    net: FixedPointNetwork, device: torch.device, *, wide: bool
) -> list[Connection]:
    """Return a network's connections on a device, as few as bits allow."""
    groups: dict[object, list[WeightBlock]] = {}
    for k, block in enumerate(net.blocks):
        # Sums are taken together where none is floored, and none wraps before it is
        # shifted.
        alone = wide or block.weight_exp < 0
        binary = block.binary or block.source == "recurrent"
        key = k if alone else (block.source, binary, block.delay)
        groups.setdefault(key, []).append(block)
    return [_connect(blocks, net.n, device) for blocks in groups.values()]


def sum_spikes(link: Connection, raster: Tensor) -> Tensor:
    """Return the sums of the weights of neurons that spiked, batch × post.

    Args:
        link: the connection.
        raster: batch × neuron, of any type; nonzero where a neuron spiked.
    """
    source = raster[:, link.pre]
    if link.weights.layout == torch.sparse_csr:
        return (link.weights @ source.to(link.weights.dtype).T).T
    if source.device.type == "cpu":
        trial, pre = source.nonzero().T.contiguous()
        if len(pre) * SPARSE < source.numel():
            starts = torch.searchsorted(trial, torch.arange(len(source)))
            return embedding_bag(pre, link.weights, starts, mode="sum")
    return source.to(link.weights.dtype) @ link.weights


def hear_messages(link: Connection, messages: Tensor) -> Tensor:
    """Return what a connection hears of messages, … × channel, float64: (H13)."""
    sources = messages[..., link.pre]
    return (sources != 0 if link.binary else sources).to(torch.float64)


def pick(indices: np.ndarray, device: torch.device) -> Tensor | slice:
    """Return what selects some indices of an axis: a slice if they have no gaps."""
    start, count = int(indices[0]) if len(indices) else 0, len(indices)
    if np.array_equal(indices, np.arange(start, start + count)):
        return slice(start, start + count)
    return torch.tensor(indices, device=device)


def exact_in_float32(weights: np.ndarray) -> bool:
    """Return whether float32 sums any of the rows exactly, pre × post, in any order.

    Also where torch is allowed to round the weights to TF32 or bfloat16 before.
    """
    # bfloat16 has the fewest bits: what it holds, TF32 holds as well.
    short = torch.tensor(weights).to(torch.bfloat16).to(torch.float64).numpy()
    total = np.abs(weights).sum(axis=0).max()
    return bool((short == weights).all() and total < EXACT_FLOAT32)


def _connect(blocks: list[WeightBlock], n: int, device: torch.device) -> Connection:
    """Return blocks of one source and delay as one; together they are shifted here."""
    first = blocks[0]
    recurrent = first.source == "recurrent"
    pre = np.unique(np.concatenate([block.pre for block in blocks]))
    together = len(blocks) > 1
    if recurrent and any(isinstance(b.weights, SparseWeights) for b in blocks):
        return Connection(
            source=first.source,
            binary=first.binary,
            delay=first.delay,
            pre=pick(np.arange(n), device),
            weights=_sparse(blocks, n, device, together=together),
            exponent=0 if together else first.weight_exp,
        )
    weights = np.zeros((len(pre), n))
    for block in blocks:
        rows = np.searchsorted(pre, block.pre)
        mantissas = dense(block.weights, "torch tensors")
        weights[rows] += mantissas.T * 2.0 ** (together * block.weight_exp)
    # Messages are up to 32 bits wide: only sums of spikes have a bound by the weights.
    single = recurrent and exact_in_float32(weights)
    return Connection(
        source=first.source,
        binary=first.binary,
        delay=first.delay,
        pre=pick(pre, device),
        weights=torch.tensor(
            weights, dtype=torch.float32 if single else torch.float64, device=device
        ),
        exponent=0 if together else first.weight_exp,
    )


def _sparse(
    blocks: list[WeightBlock], n: int, device: torch.device, *, together: bool
) -> Tensor:
    """Return blocks, shifted if they are several, as one sparse matrix, post × pre.

    In float64, which holds every sum of weights exactly, in any order.
    """
    parts = []
    for block in blocks:
        own = sparse_weights(block.weights)
        weights = own.data * 2.0 ** (together * block.weight_exp)
        parts.append(spread(own, weights, block.pre, n))
    rows = as_scipy(added(parts), np.float64).tocsr()
    starts, columns, values = map(torch.tensor, (rows.indptr, rows.indices, rows.data))
    with warnings.catch_warnings():
        # That their interface may change.
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            starts, columns, values, (n, n), device=device, check_invariants=True
        )
