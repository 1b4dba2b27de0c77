"""Time constants and the 12-bit registers that stand for them."""

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.chip import arithmetic as chip
from isotau.convert.records.lif import decay_fraction

TAU_CLOSE = 0.05
"""Relative error of a time constant that is worth saying."""


def nearest_register(
    tau: Float64[np.ndarray, " n"], dt: float, offset: int
) -> Int64[np.ndarray, " n"]:
    """Return the decay registers nearest to time constants, (F2) and (F3).

    The last one stands for those too long for any.

    Args:
        tau: in seconds.
        dt: step, in seconds.
        offset: what the chip adds to the register: `DU_OFFSET`, or 0 for dv.
    """
    exact = chip.DECAY_UNITY * decay_fraction(tau, dt)
    return np.clip(np.rint(exact) - offset, 0, chip.DECAY_MAX).astype(np.int64)


def tau_of_loss(loss: Float64[np.ndarray, " n"], dt: float) -> np.ndarray:
    """Return the time constant of a loss per step, in seconds, (F24).

    0 where all is lost, infinite where nothing is.
    """
    with np.errstate(divide="ignore"):
        return -dt / np.log1p(-loss)


def nearest_tau(
    tau: Float64[np.ndarray, " n"], dt: float, offset: int = chip.DU_OFFSET
) -> Float64[np.ndarray, " n"]:
    """Return the time constants that the chip has in the place of others, in seconds.

    Those of a step or less are no memory and stay as they are.
    """
    register = nearest_register(tau, dt, offset)
    held = tau_of_loss((register + offset) / chip.DECAY_UNITY, dt)  # (F4)
    return np.where(tau > dt, held, tau)


def too_long(tau: Float64[np.ndarray, " n"], dt: float) -> np.ndarray:
    """Return which time constants no register stands for."""
    # Below half a step the nearest register is 0: no decay at all.
    return chip.DECAY_UNITY * decay_fraction(tau, dt) < 0.5


def missed(
    tau: Float64[np.ndarray, " n"], held: Float64[np.ndarray, " n"], dt: float
) -> np.ndarray:
    """Return which time constants are not within `TAU_CLOSE` of those held instead."""
    return (tau > dt) & (np.abs(held / tau - 1) > TAU_CLOSE)
