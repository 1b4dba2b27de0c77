"""`NoisyLIF`: Lava's fixed-point LIF with noise, refractory periods and resets.

Import it after Lava itself: on Python 3.11 and newer Lava needs `lava_compat.load`, or
what the exported script does in its place. It needs nothing else of isotau, because
`export_lava` copies it. Equations are those of isotau's `docs/equations.md`.
"""

from collections.abc import Callable

import numpy as np
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.variable import Var
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF

INPUT_SHIFT = 6
"""Bits by which what arrives is shifted."""
Noise = Callable[[int], np.ndarray]


class NoisyLIF(LIF):
    """Lava's LIF and what the chip has beyond it.

    `noise` returns for a step, counted from 0, what is added to v of each neuron, as
    int32, and `current_noise` what is added to u; None for no noise. `refractory`
    counts each neuron's steps at reset after a spike; `reset_interval` and
    `reset_offset` mean what they do in Lava's LIFReset, except that 0 is for never.
    """

    def __init__(
        self,
        *,
        shape: tuple[int],
        refractory: np.ndarray,
        noise: Noise | None = None,
        current_noise: Noise | None = None,
        reset_interval: int = 0,
        reset_offset: int = 0,
        **registers: object,
    ) -> None:
        """Declare two more variables: the refractory period and what is left of it."""
        super().__init__(
            shape=shape,
            noise=noise,
            current_noise=current_noise,
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            **registers,
        )
        self.refractory = Var(shape=shape, init=refractory)
        self.refractory_left = Var(shape=shape, init=0)


class NoisyLIFModel(PyLifModelBitAcc):
    """Lava's own model with five additions; its time step `run_spk` is unchanged."""

    # Lava's decorator refuses to change what an inherited model implements; the
    # protocol, the resources and the tags are inherited as they are.
    implements_process = NoisyLIF
    effective_bias: np.ndarray
    refractory = LavaPyType(np.ndarray, np.int32)
    refractory_left = LavaPyType(np.ndarray, np.int32)

    def scale_bias(self) -> None:
        """Add the noise of the step to the bias, so that v saturates on their sum."""
        super().scale_bias()
        noise: Noise | None = self.proc_params["noise"]
        if noise is not None:  # (H6); Lava counts steps from 1, noise from 0
            self.effective_bias = self.effective_bias + noise(self.time_step - 1)

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        """Reset u and v if it is time, add noise to u; hold v where refractory."""
        interval, offset = (
            self.proc_params[name] for name in ("reset_interval", "reset_offset")
        )
        if interval and self.time_step % interval == offset % interval:  # (H2)
            self.u[:] = 0
            self.v[:] = 0
        noise: Noise | None = self.proc_params["current_noise"]
        if noise is not None:  # (H3): it joins what has been shifted, before u wraps
            shifted = np.left_shift(activation_in.astype(np.int32), INPUT_SHIFT)
            activation_in = shifted + noise(self.time_step - 1)
        self.act_shift = INPUT_SHIFT if noise is None else 0
        super().subthr_dynamics(activation_in)
        self.v[self.refractory_left > 0] = 0  # (H8)

    def spiking_activation(self) -> np.ndarray:
        """Return who spikes, and start or count down refractory periods."""
        spikes: np.ndarray = super().spiking_activation()
        less = np.maximum(self.refractory_left - 1, 0)
        self.refractory_left[:] = np.where(spikes, self.refractory, less)  # (H10)
        return spikes
