"""Words of synapses read back to the weights they were made from."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.engine.random_networks import conformance_case
from isotau.convert.ground.sparse import dense, sparse_weights
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.convert.records.weight_form import sparsified
from isotau.sim.engines import synapses
from isotau.sim.engines.sparse_kernels import TARGET_BITS
from isotau.sim.engines.synapses import pack_synapses, pays


@pytest.mark.parametrize("number", range(4))
def test_there_and_back(number, monkeypatch):
    net = sparsified(conformance_case(number, 5)[0])
    monkeypatch.setattr(synapses, "SMALL", 0)
    monkeypatch.setattr(synapses, "CROWDED", 2)
    packed = pack_synapses(net)
    assert packed.words.dtype == np.int32 and packed.words.nbytes == 4 * sum(
        b.weights.synapses for b in net.blocks if b.source == "recurrent"
    )
    for block, place in zip(net.blocks, packed.place, strict=True):
        if block.source == "input":
            assert place == -1
            continue
        matrix = np.zeros((net.n, net.n), dtype=np.int64)
        starts = packed.starts[place]
        for source in range(net.n):
            words = packed.words[starts[source] : starts[source + 1]].astype(np.int64)
            targets = words & ((1 << TARGET_BITS) - 1)
            matrix[targets, source] = words >> TARGET_BITS
        expected = np.zeros_like(matrix)
        expected[:, block.pre] = dense(block.weights, "a test")
        np.testing.assert_array_equal(matrix, expected)


def block_of(n, share):
    """Return a block of n × n weights, a share of them not 0."""
    rng = np.random.default_rng(2)
    present = rng.random((n, n)) < share
    return WeightBlock(
        source="recurrent",
        pre=np.arange(n),
        weights=(2 * present).astype(np.int16),
        weight_exp=0,
        num_weight_bits=8,
        sign_mode="mixed",
    )


def test_few_weights_of_a_large_block_are_synapses(monkeypatch):
    assert not pays(block_of(1000, 0.01))  # rows stay in the cache
    for share, synapses_pay in ((0.03, True), (0.1, False)):
        block = block_of(1100, share)
        sparse = replace(block, weights=sparse_weights(block.weights))
        assert pays(block) == pays(sparse) == synapses_pay
    monkeypatch.setattr(synapses, "LARGE", 1100**2 - 1)
    assert pays(block)


def test_a_network_of_small_blocks_has_none():
    assert pack_synapses(sparsified(conformance_case(0, 5)[0])) is None


def test_more_neurons_than_a_word_can_name(monkeypatch):
    monkeypatch.setattr(synapses, "SMALL", 0)
    monkeypatch.setattr(synapses, "CROWDED", 2)
    blocks = sparsified(conformance_case(0, 5)[0]).blocks
    large = SimpleNamespace(n=(1 << 23) + 1, blocks=blocks)
    text = "got 8388609 neurons with sparse weights, need at most 8388608; take the ref"
    with pytest.raises(ValueError, match=text):
        pack_synapses(large)
