"""The loop gain: what it leaves at rest, and that slow modes follow it."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.to_lif.loop_gain import with_gain

CONSTANTS = LIFConstants(unit=2e-3, v_leak=-0.05)


@pytest.mark.parametrize("copies", [1, 2])
def test_what_comes_to_a_neuron_at_rest_stays(silent_neurons, copies):
    """In closed form: c w r + v_leak, of whatever rates give the resting current."""
    rng = np.random.default_rng(0)
    n = 3 * copies
    net = silent_neurons(
        np.full(n, 0.03),
        w_rec=rng.standard_normal((n, n)),
        v_leak=-0.05 + 1e-3 * np.repeat(rng.standard_normal(3), copies),
        i0=rng.standard_normal(n),
    )
    resting = rng.standard_normal(3)
    current = np.repeat(2e-3 * resting, copies) - (net.v_leak + 0.05)
    rates = np.linalg.solve(net.w_rec, current)
    other = with_gain(net, 0.9, resting=resting, constants=CONSTANTS)
    drive = other.w_rec @ rates + other.v_leak
    np.testing.assert_allclose(drive, current + net.v_leak, atol=1e-12)
    np.testing.assert_allclose(other.w_rec, 0.9 * net.w_rec)
    # x before the first step is what it was
    np.testing.assert_allclose(other.i0 + other.v_leak, net.i0 + net.v_leak)
    back = dataclasses.replace(other, w_rec=net.w_rec, v_leak=net.v_leak, i0=net.i0)
    assert back.fingerprint == net.fingerprint
    same = with_gain(net, 1.0, resting=resting, constants=CONSTANTS)
    assert same.fingerprint == net.fingerprint
