"""`LIFConstants`: the one neuron that every unit of a rate network becomes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.validation import Numbers, at, check_fields, first


@dataclass(frozen=True, kw_only=True, slots=True)
class LIFConstants:
    """The neuron that a rate unit becomes; defaults as published, except `dt`.

    Source: Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, table S1 and code.

    Attributes:
        tau_mem: membrane time constant, in seconds.
        v_th: threshold, in volts.
        v_reset: reset, in volts; below `v_th`.
        v_leak: rest plus constant drive, in volts; the published one is the threshold.
        refractory: absolute refractory period, in seconds; a multiple of dt.
        noise_std: stationary SD of the membrane noise, in volts.
        unit: volts that stand for 1 of the rate network's x.
        dt: step, in seconds.
        burn_in: zero input before every trial, in seconds, from rest.
    """

    tau_mem: float = 10e-3
    v_th: float = -40e-3
    v_reset: float = -65e-3
    v_leak: float = -40e-3
    refractory: float = 2e-3
    noise_std: float = 1e-3
    unit: float = 1e-3
    dt: float = 1e-3
    burn_in: float = 0.2

    def __post_init__(self) -> None:
        """Check every number."""
        check_fields(self, RULES)
        check_neurons(self.v_reset, self.v_th, self.refractory, self.dt)

    @property
    def burn_in_steps(self) -> int:
        """Steps of zero input before every trial."""
        return round(self.burn_in / self.dt)

    @property
    def refractory_steps(self) -> int:
        """Steps that a neuron stays at reset after a spike."""
        return round(self.refractory / self.dt)


# `burn_in` may be 0 and need not be whole steps: it is rounded where it is used.
RULES = {
    **dict.fromkeys(("tau_mem", "unit", "dt"), Numbers(positive=True)),
    **dict.fromkeys(("refractory", "noise_std", "burn_in"), Numbers(minimum=0)),
    **dict.fromkeys(("v_th", "v_reset", "v_leak"), Numbers()),
}
"""What the numbers of `LIFConstants` have to be."""


def check_neurons(
    v_reset: npt.ArrayLike, v_th: npt.ArrayLike, refractory: npt.ArrayLike, dt: float
) -> None:
    """Check what has to hold between the constants of one neuron or of many.

    Args:
        v_reset: potential after a spike, in volts.
        v_th: threshold, in volts.
        refractory: absolute refractory period, in seconds.
        dt: step, in seconds.

    Raises:
        ValueError: a neuron is reset to its threshold or above, or its refractory
            period is no whole number of steps; the message names the first.
    """
    # 0-d for one neuron, so that messages name no index.
    reset, threshold, period = np.broadcast_arrays(v_reset, v_th, refractory)
    above = reset >= threshold
    if above.any():
        k = first(above)
        raise ValueError(
            f"v_reset: got {reset[k]} V{at(k)}, need less than v_th = {threshold[k]} V"
        )
    steps = period / dt
    # Periods come from files in decimal seconds: 0.002/0.001 need not be 2 exactly.
    partial = np.abs(steps - np.rint(steps)) > 1e-6
    if partial.any():
        k = first(partial)
        raise ValueError(
            f"refractory: got {period[k]} s{at(k)}, need a multiple of dt = {dt} s"
        )


PUBLISHED = LIFConstants()
"""The defaults."""
