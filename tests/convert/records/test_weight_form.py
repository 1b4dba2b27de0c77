"""Dense and sparse forms of one network hold the same numbers."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse

from benchmarks.engine.random_networks import conformance_case
from isotau.convert.ground import sparse
from isotau.convert.ground.errors import Severity
from isotau.convert.ground.sparse import SparseWeights
from isotau.convert.records.weight_form import (
    densified,
    findings_of_form,
    sparsified,
)


def test_there_and_back(lif_net, rate_net):
    fixed = conformance_case(3, 5)[0]
    for net in (lif_net, fixed):
        there = sparsified(net)
        assert there.fingerprint != net.fingerprint
        assert densified(there, "a test").fingerprint == net.fingerprint
    assert isinstance(sparsified(lif_net).w_rec, SparseWeights)
    # Nothing to do: no copy.
    assert densified(lif_net, "a test") is lif_net
    assert sparsified(rate_net) is rate_net is densified(rate_net, "a test")


def test_only_weights_on_neurons_become_sparse():
    fixed = sparsified(conformance_case(3, 5)[0])
    assert {block.source for block in fixed.blocks} == {"input", "recurrent"}
    for block in fixed.blocks:
        recurrent = block.source == "recurrent"
        assert isinstance(block.weights, SparseWeights) == recurrent


def test_a_target_with_dense_weights_is_told(lif_net, monkeypatch):
    assert findings_of_form(lif_net) == []
    small = sparsified(lif_net)
    (told,) = findings_of_form(small)
    assert told.severity is Severity.INFO
    assert f"got {small.w_rec.synapses} sparse ones of 20 neurons" in told.message
    for module in (sparse, findings_of_form.__globals__):
        if isinstance(module, dict):
            monkeypatch.setitem(module, "DENSE_BYTES", 100)
        else:
            monkeypatch.setattr(module, "DENSE_BYTES", 100)
    (told,) = findings_of_form(small)
    assert told.severity is Severity.ERROR and "need a dense array" in told.message
    with pytest.raises(ValueError, match="need a dense array of 0 MiB for a graph"):
        densified(small, "a graph")


def test_scipys_arrays_in_a_network(lif_net):
    given = scipy.sparse.csr_array(lif_net.w_rec)
    net = dataclasses.replace(lif_net, w_rec=given)
    assert net.fingerprint == sparsified(lif_net).fingerprint
    assert net.n == 20
    assert "w_rec=SparseWeights(synapses=400, shape=(20, 20))" in repr(net)
    # The record's own: whoever made the array may go on writing to it.
    given.data[:] = 7
    np.testing.assert_array_equal(net.w_rec, lif_net.w_rec)


def test_numbers_are_checked_in_either_form(lif_net):
    wrong = lif_net.w_rec.copy()
    wrong[3, 4] = np.nan
    with pytest.raises(ValueError, match=r"w_rec\.data: got nan at \[83\], need fin"):
        dataclasses.replace(lif_net, w_rec=scipy.sparse.csc_array(wrong))
    with pytest.raises(ValueError, match=r"w_rec: got shape \(20, 19\), need \(20, 20"):
        dataclasses.replace(lif_net, w_rec=scipy.sparse.csc_array(wrong[:, 1:]))
    with pytest.raises(TypeError, match="w_in: got sparse weights, need a dense array"):
        dataclasses.replace(lif_net, w_in=scipy.sparse.csc_array(lif_net.w_in))


def test_mantissas_are_checked_in_either_form():
    blocks = sparsified(conformance_case(3, 5)[0]).blocks
    block = next(b for b in blocks if b.source == "recurrent")
    for number, text in ((300, "need -?[0-9]+ to"), (0.5, "need whole numbers")):
        data = block.weights.data.astype(float)
        data[0] = number
        weights = dataclasses.replace(block.weights, data=data)
        with pytest.raises((ValueError, TypeError), match=rf"weights\.data: .*{text}"):
            dataclasses.replace(block, weights=weights)
    one = dataclasses.replace(block.weights, data=0 * block.weights.data + 1)
    with pytest.raises(ValueError, match=r"weights: got 1 at \[0\], need multiples of"):
        dataclasses.replace(
            block, weights=one, num_weight_bits=4, sign_mode="excitatory"
        )
