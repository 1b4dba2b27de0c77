"""Networks with sparse weights, and with dense ones for what needs those."""

from dataclasses import replace
from typing import TypeVar

from isotau.convert.ground.errors import Finding, error, info
from isotau.convert.ground.sparse import (
    DENSE_BYTES,
    SparseWeights,
    dense,
    sparse_weights,
)
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.stage import Network

N = TypeVar("N", bound=Network)


def densified(net: N, purpose: str) -> N:
    """Return the same network with dense weights; itself if it has no others.

    Args:
        net: of any stage.
        purpose: what needs them dense, for the message.

    Raises:
        ValueError: an array would be larger than `DENSE_BYTES`.
    """
    if not _sparse(net):
        return net
    if isinstance(net, LIFNetwork):
        return replace(net, w_rec=dense(net.w_rec, purpose))
    if isinstance(net, FixedPointNetwork):
        blocks = tuple(
            replace(block, weights=dense(block.weights, purpose))
            for block in net.blocks
        )
        return replace(net, blocks=blocks)
    return net


def sparsified(net: N) -> N:
    """Return the same network with sparse weights of its neurons on one another.

    A rate network, whose weights are always dense, comes back as it is.
    """
    if isinstance(net, LIFNetwork):
        return replace(net, w_rec=sparse_weights(net.w_rec))
    if isinstance(net, FixedPointNetwork):
        blocks = tuple(
            replace(block, weights=sparse_weights(block.weights))
            if block.source == "recurrent"
            else block
            for block in net.blocks
        )
        return replace(net, blocks=blocks)
    return net


def findings_of_form(net: Network) -> list[Finding]:
    """Return what becomes of sparse weights where a target has dense ones alone."""
    sparse = _sparse(net)
    if not sparse:
        return []
    size = max(w.shape[0] * w.shape[1] * w.data.itemsize for w in sparse)
    synapses = sum(w.data.size for w in sparse)
    message = f"weights: got {synapses} sparse ones of {net.n} neurons, need "
    if size > DENSE_BYTES:
        message += f"a dense array of at most {DENSE_BYTES >> 20} MiB, not {size >> 20}"
        return [error("weights", message, "export a smaller network")]
    return [info("weights", f"{message}a dense array", "zeros are written, too")]


def _sparse(net: Network) -> list[SparseWeights]:
    """Return the sparse weights of a network."""
    weights = []
    if isinstance(net, LIFNetwork):
        weights = [net.w_rec]
    elif isinstance(net, FixedPointNetwork):
        weights = [block.weights for block in net.blocks]
    return [w for w in weights if isinstance(w, SparseWeights)]
