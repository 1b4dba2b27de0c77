"""The readout against a direct convolution."""

import numpy as np
import pytest

from isotau.convert.readout import read_out
from isotau.convert.spikes import Spikes, pack


def test_output_is_the_convolution_with_the_kernel():
    rng = np.random.default_rng(0)
    raster = rng.random((120, 3, 11)) < 0.1
    tau, w_out = rng.uniform(0.01, 0.1, 11), rng.standard_normal((2, 11))
    spikes = Spikes(bits=pack(raster), n=11, dt=1e-3, engine="test")
    outputs = read_out(spikes, w_out=w_out, b_out=np.array([1.0, -1.0]), tau=tau)
    lags = np.arange(120)
    for trial in range(3):
        filtered = np.zeros((120, 11))
        for k in range(11):
            q = 1 - np.exp(-1e-3 / tau[k])
            kernel = q / 1e-3 * np.exp(-lags * 1e-3 / tau[k])
            filtered[:, k] = np.convolve(raster[:, trial, k], kernel)[:120]
        expected = filtered @ w_out.T + [1.0, -1.0]
        np.testing.assert_allclose(outputs[:, trial], expected, atol=1e-10)


def test_wrong_shapes_are_named():
    spikes = Spikes(bits=np.zeros((5, 1, 1), np.uint8), n=3, dt=1e-3, engine="test")
    with pytest.raises(ValueError, match=r"w_out: got shape \(1, 4\), need \(1, 3\)"):
        read_out(spikes, w_out=np.ones((1, 4)), b_out=np.zeros(1), tau=np.ones(3))
    with pytest.raises(ValueError, match=r"tau: got 0\.0 at"):
        read_out(spikes, w_out=np.ones((1, 3)), b_out=np.zeros(1), tau=np.zeros(3))
