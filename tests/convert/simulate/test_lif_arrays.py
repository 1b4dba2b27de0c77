"""A network's numbers in the loops' order, rounded as Norse has them."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.records.weight_form import sparsified
from isotau.convert.simulate.lif_arrays import arrange


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_rows_are_filled_up_with_neurons_that_do_nothing(lif_net, kind):
    arrays = arrange(lif_net, np.dtype(kind))
    assert arrays.w_rec.shape == (20, 32) and arrays.w_in.shape == (2, 32)
    assert not arrays.w_rec[:, 20:].any() and not arrays.w_in[:, 20:].any()
    assert np.isinf(arrays.v_th[20:]).all()  # no potential reaches it
    assert (arrays.a_mem[20:] == 1).all()  # it is divided by
    assert arrays.rest_steps.dtype == np.int32
    assert all(row.dtype == kind for row in arrays[:6])
    np.testing.assert_array_equal(arrays.w_rec[:, :20], lif_net.w_rec.T.astype(kind))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_noise_of_a_step_is_that_of_the_record(lif_net, kind):
    net = dataclasses.replace(lif_net, current_noise_std=np.linspace(0, 2e-3, 20))
    arrays = arrange(net, np.dtype(kind))
    close = 1e-6 if kind == "float32" else 1e-14
    sizes = (arrays.per_step, net.noise_per_step)
    currents = (arrays.i_per_step, net.current_noise_per_step)
    for row, wanted in (sizes, currents):
        np.testing.assert_allclose(row[:20], wanted, rtol=close)
        assert not row[20:].any()


def test_of_dense_and_sparse_weights_one_is_empty(lif_net):
    sparse = arrange(sparsified(lif_net), np.dtype(np.float64))
    dense = arrange(lif_net, np.dtype(np.float64))
    assert len(sparse.w_rec) == 0 and len(dense.synapses[0]) == 0
    starts, targets, weights = sparse.synapses
    rebuilt = np.zeros((20, 20))
    for source in range(20):
        span = slice(starts[source], starts[source + 1])
        rebuilt[targets[span], source] = weights[span]
    np.testing.assert_array_equal(rebuilt, lif_net.w_rec)
