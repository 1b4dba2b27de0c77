"""The step at which the chip's decay registers hold a rate network's time constants.

A register of 12 bits loses a whole number of 4096ths a step: its longest memory is 4096
steps, and the next shorter one half as long. In longer steps it holds longer ones.
"""

import dataclasses

import numpy as np
from jaxtyping import Float64

from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.rate import RateRNN
from isotau.convert.to_fixed.decay_registers import TAU_CLOSE, nearest_tau, too_long

MEMBRANE_STEPS = 2.0
"""Steps that a membrane's time constant has at least: the neuron is to stay one."""


def fitting_step(
    rate: RateRNN, constants: LIFConstants, *, lag: float = 0.0
) -> LIFConstants:
    """Return neurons with the step at which the chip holds every τ: (C33).

    The shortest that is not shorter than the constants' own, divides the rate network's
    step and holds each time constant within `TAU_CLOSE`; where none does, the one whose
    worst is nearest. The refractory period becomes the nearest whole number of steps.
    Time constants that the constants' own step holds leave it as it is.

    Args:
        rate: the network.
        constants: of the neurons.
        lag: time that τ_syn is shortened by, in seconds.
    """
    steps = _steps(rate.dt, constants)
    errors = [_worst(np.maximum(rate.tau - lag, dt), dt) for dt in steps]
    fits = [k for k, error in enumerate(errors) if error <= TAU_CLOSE]
    return with_step(constants, steps[fits[0] if fits else int(np.argmin(errors))])


def with_step(constants: LIFConstants, dt: float) -> LIFConstants:
    """Return neurons with another step, the refractory period in whole ones.

    Args:
        constants: of the neurons.
        dt: step, in seconds.
    """
    if dt == constants.dt:
        return constants
    refractory = dt * round(constants.refractory / dt)
    return dataclasses.replace(constants, dt=dt, refractory=refractory)


def _steps(rate_dt: float, constants: LIFConstants) -> list[float]:
    """Return the steps to choose from, the shortest first."""
    longest = min(rate_dt, constants.tau_mem / MEMBRANE_STEPS)
    # The first is as given, to the last digit: it need not divide anything here.
    parts = range(int(rate_dt / constants.dt), 0, -1)
    longer = [rate_dt / k for k in parts if rate_dt / k > constants.dt * (1 + 1e-9)]
    return [constants.dt, *(dt for dt in longer if dt <= longest * (1 + 1e-9))]


def _worst(tau: Float64[np.ndarray, " n"], dt: float) -> float:
    """Return the largest relative error of the registers nearest to time constants."""
    # Too long for any is further off than all that have a register.
    error = np.where(
        too_long(tau, dt), tau / dt, np.abs(nearest_tau(tau, dt) / tau - 1)
    )
    return float(error.max())
