"""The step follows the longest time constant, and nothing else."""

import numpy as np
import pytest

from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.to_fixed.decay_registers import nearest_tau
from isotau.convert.to_lif.chip_step import fitting_step, with_step


@pytest.fixture
def network(uncoupled):
    """A function of time constants and a step."""
    return lambda *tau, dt=0.005: uncoupled(np.array(tau), dt)


def test_time_constants_that_fit_leave_the_neurons_alone(network):
    assert fitting_step(network(0.004, 0.03, 0.5, 2.0), PUBLISHED) is PUBLISHED


@pytest.mark.parametrize(
    ("tau", "rate_dt", "step"),
    [
        (8.0, 0.02, 0.002),
        (10.0, 0.005, 0.0025),
        (20.0, 0.005, 0.005),
        # 6 s is between two registers at every step that divides 5 ms.
        (10.0, 0.02, 0.0025),
    ],
)
def test_longer_ones_get_the_shortest_step_that_holds_them(network, tau, rate_dt, step):
    chosen = fitting_step(network(0.03, tau, dt=rate_dt), PUBLISHED)
    assert chosen.dt == pytest.approx(step)
    held = nearest_tau(np.array([tau]), chosen.dt)[0]
    assert held == pytest.approx(tau, rel=0.05)
    # What divides the rate network's step, and the refractory period its own.
    assert rate_dt / chosen.dt == pytest.approx(round(rate_dt / chosen.dt))
    assert chosen.refractory == pytest.approx(chosen.dt * round(0.002 / chosen.dt))


def test_what_no_step_holds_gets_the_nearest(network):
    """40 s: at 5 ms, half the membrane's memory, a register holds 20.5 s."""
    chosen = fitting_step(network(40.0, dt=0.02), PUBLISHED)
    assert chosen.dt == pytest.approx(0.005)
    # 7 s: between the two longest of every step that divides 5 ms.
    chosen = fitting_step(network(7.3), PUBLISHED)
    errors = [
        abs(nearest_tau(np.array([7.3]), 0.005 / k)[0] / 7.3 - 1)
        for k in (1, 2, 3, 4, 5)
    ]
    assert min(errors) > 0.05
    found = abs(nearest_tau(np.array([7.3]), chosen.dt)[0] / 7.3 - 1)
    assert found == pytest.approx(min(errors))


def test_a_lag_counts(network):
    near = network(8.2, dt=0.02)
    assert fitting_step(near, PUBLISHED, lag=8.1) is PUBLISHED
    assert fitting_step(near, PUBLISHED).dt > PUBLISHED.dt


def test_a_step_is_that_of_the_refractory_period_too(network):
    assert with_step(PUBLISHED, PUBLISHED.dt) is PUBLISHED
    assert with_step(PUBLISHED, 0.0015).refractory == 0.0015
    assert with_step(PUBLISHED, 0.005).refractory == 0.0
