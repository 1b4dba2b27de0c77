"""Words of synapses read back to the weights they were made from."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.engine.random_networks import conformance_case
from isotau.convert.ground.sparse import dense
from isotau.convert.records.weight_form import sparsified
from isotau.sim.engines.sparse_kernels import OFFSET, WEIGHT_BITS
from isotau.sim.engines.synapses import pack_synapses


@pytest.mark.parametrize("number", range(4))
def test_there_and_back(number):
    net = sparsified(conformance_case(number, 5)[0])
    packed = pack_synapses(net.blocks, net.n)
    assert packed.words.dtype == np.uint32 and packed.words.nbytes == 4 * sum(
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
            matrix[words >> WEIGHT_BITS, source] = words % (2 * OFFSET) - OFFSET
        expected = np.zeros_like(matrix)
        expected[:, block.pre] = dense(block.weights, "a test")
        np.testing.assert_array_equal(matrix, expected)


def test_dense_networks_have_none():
    net = conformance_case(0, 5)[0]
    assert pack_synapses(net.blocks, net.n) is None


def test_more_neurons_than_a_word_can_name():
    block = next(
        b for b in sparsified(conformance_case(0, 5)[0]).blocks if b.source != "input"
    )
    large = SimpleNamespace(source="recurrent", weights=block.weights, pre=block.pre)
    text = "got 8388609 neurons with sparse weights, need at most 8388608; take the ref"
    with pytest.raises(ValueError, match=text):
        pack_synapses([large], (1 << 23) + 1)
