"""An oracle for quantized networks: the chip's step without rounding or wrapping."""

import numpy as np
import pytest

from isotau.convert.records.fixedpoint import FixedPointNetwork


def spikes_in_floats(net: FixedPointNetwork, messages: np.ndarray) -> np.ndarray:
    """Return who spikes, steps × batch × n, if the chip computed with real numbers.

    One block after the other in plain numpy, for networks without noise, resets and
    delays; messages arrive a step after they are sent, as on the chip.
    """
    steps, batch, _ = messages.shape
    keep_u, keep_v = 1 - (net.du + 1.0) / 4096, 1 - net.dv / 4096
    bias = net.bias_mant * 2.0 ** net.bias_exp.astype(float)
    u, v = np.tile(net.u0, (batch, 1)) * 1.0, np.tile(net.v0, (batch, 1)) * 1.0
    rest = np.zeros((batch, net.n), dtype=int)
    arriving = np.zeros((batch, net.n))
    spikes = np.zeros((steps, batch, net.n), dtype=bool)
    for t in range(steps):
        u = u * keep_u + 64 * arriving
        v = v * keep_v + u + bias
        v[rest > 0] = 0
        rest = np.maximum(rest - 1, 0)
        spikes[t] = v > 64 * net.vth
        v[spikes[t]] = 0
        rest = np.where(spikes[t], net.refractory, rest)
        arriving = np.zeros((batch, net.n))
        for block in net.blocks:
            source = spikes[t] if block.source == "recurrent" else messages[t]
            sent = source[:, block.pre].astype(float)
            arriving += sent @ (block.weights.T * 2.0**block.weight_exp)
    return spikes


@pytest.fixture
def run_in_floats():
    return spikes_in_floats
