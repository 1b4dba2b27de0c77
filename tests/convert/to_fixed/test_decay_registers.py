"""Registers against what a decay on the chip really keeps."""

import numpy as np
import pytest

from isotau.convert.chip import arithmetic
from isotau.convert.to_fixed.decay_registers import (
    missed,
    nearest_register,
    nearest_tau,
    tau_of_loss,
    too_long,
)


@pytest.mark.parametrize("tau", [0.02, 0.5, 2.0])
def test_the_chip_keeps_what_a_register_is_said_to(tau):
    """The arithmetic itself, from a state so large that no cut is felt."""
    dt = 1e-3
    du = nearest_register(np.array([tau]), dt, arithmetic.DU_OFFSET)
    held = nearest_tau(np.array([tau]), dt)[0]
    u = start = np.array([1 << 50])
    steps = 100
    for _ in range(steps):
        u = arithmetic.decay(u, du + arithmetic.DU_OFFSET)
    assert u[0] / start[0] == pytest.approx(np.exp(-steps * dt / held), rel=1e-6)
    # No neighbour is nearer.
    for other in (du - 1, du + 1):
        loss = (other[other >= 0] + 1) / 4096
        for neighbour in tau_of_loss(loss, dt):
            assert abs(1 / neighbour - 1 / tau) >= abs(1 / held - 1 / tau)


def test_what_no_register_holds():
    tau = np.array([8.1, 8.3])
    np.testing.assert_array_equal(too_long(tau, 1e-3), [False, True])
    # Half as long: it is held, but missed.
    np.testing.assert_allclose(nearest_tau(tau, 1e-3), 4.0955, rtol=1e-4)
    assert missed(tau, nearest_tau(tau, 1e-3), 1e-3).all()
    # A membrane has no offset: without leak it forgets nothing.
    np.testing.assert_array_equal(nearest_tau(np.array([9.0]), 1e-3, 0), np.inf)


def test_no_memory_is_not_missed():
    tau = np.array([1e-3 / 50, 1e-3])
    np.testing.assert_array_equal(nearest_tau(tau, 1e-3), tau)
    assert not missed(tau, np.zeros(2), 1e-3).any()
    assert missed(np.array([0.1]), np.array([0.106]), 1e-3).all()
    assert not missed(np.array([0.1]), np.array([0.104]), 1e-3).any()
