"""The readout's rows by hand."""

import numpy as np

from isotau.convert.tuning.forward import readout_kernels


def test_filter_then_weigh():
    f, z = np.array([4.0, 8.0]), np.array([1.0, 0.0])
    readout_kernels.filter_spikes(f, z, np.array([0.5, 0.25]), np.array([3.0, 3.0]))
    assert f.tolist() == [5.0, 2.0]
    assert readout_kernels.weigh(np.array([2.0, -1.0]), f, 0.5) == 8.5


def test_one_spike_back_through_two_steps():
    """f[1] = kept·gain·z[0] + gain·z[1]; the loss is twice the output of step 1."""
    spikes = np.array([1.0, 0.0]).reshape(2, 1, 1)
    wanted = np.array([0.0, 2.0]).reshape(2, 1, 1)
    w, kept, gain = np.array([[7.0], [1.0]]), np.array([0.5]), np.array([3.0])
    q, grad, dw = np.zeros((1, 2, 1)), np.empty((2, 1, 1)), np.zeros((2, 1))
    readout_kernels.read_back(0, 1, spikes, wanted, w, kept, gain, q, grad, dw)
    assert grad.ravel().tolist() == [2 * 7 * 0.5 * 3, 2 * 7 * 3]
    assert dw[0].tolist() == [2 * 0.5]
    assert q[0, 0].tolist() == [2 * 0.5 * 0.5]
