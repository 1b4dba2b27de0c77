"""`NoisyLIF`: Lava's fixed-point LIF with noise, refractory periods and resets."""

from typing import Any

import numpy as np

from isotau.convert import arithmetic
from isotau.convert.philox import membrane_samples
from isotau.targets.lava_compat import load

LIF: Any = load("lava.proc.lif.process").LIF
PyLifModelBitAcc: Any = load("lava.proc.lif.models").PyLifModelBitAcc
LavaPyType = load("lava.magma.core.model.py.type").LavaPyType
Var = load("lava.magma.core.process.variable").Var


class NoisyLIF(LIF):
    """Lava's LIF and what the chip has beyond it; several trials side by side.

    Neuron k·n + i is neuron i of copy k, which draws the noise of trial
    `first_trial` + k. `noise_exp` is None for no noise; `refractory`, one number per
    neuron of all copies, counts the steps at reset after a spike; `reset_interval` and
    `reset_offset` mean what they do in Lava's LIFReset, except that 0 is for never.
    """

    def __init__(
        self,
        *,
        shape: tuple[int],
        copies: int,
        refractory: np.ndarray,
        noise_exp: int | None,
        seed: int,
        first_trial: int,
        reset_interval: int = 0,
        reset_offset: int = 0,
        **registers: object,
    ) -> None:
        """Declare two more variables: the refractory period and what is left of it."""
        super().__init__(
            shape=shape,
            copies=copies,
            noise_exp=noise_exp,
            seed=seed,
            first_trial=first_trial,
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            **registers,
        )
        self.refractory = Var(shape=shape, init=refractory)
        self.rest = Var(shape=shape, init=0)


class NoisyLIFModel(PyLifModelBitAcc):
    """Lava's own model with four additions; its time step `run_spk` is unchanged."""

    # Lava's decorator refuses to change what an inherited model implements; the
    # protocol, the resources and the tags are inherited as they are.
    implements_process = NoisyLIF
    effective_bias: np.ndarray
    refractory = LavaPyType(np.ndarray, np.int32)
    rest = LavaPyType(np.ndarray, np.int32)

    def scale_bias(self) -> None:
        """Add the noise of the step to the bias, so that v saturates on their sum."""
        super().scale_bias()
        chosen = self.proc_params
        if chosen["noise_exp"] is None:
            return
        first, copies = chosen["first_trial"], chosen["copies"]
        sample = membrane_samples(
            chosen["seed"],
            self.time_step - 1,
            np.arange(first, first + copies),
            self.v.size // copies,
        )
        noise = arithmetic.scale_noise(sample, chosen["noise_exp"]).ravel()
        self.effective_bias = self.effective_bias + noise.astype(np.int32)

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        """Reset u and v first if it is time; hold v where it is refractory."""
        interval, offset = (
            self.proc_params[name] for name in ("reset_interval", "reset_offset")
        )
        if interval and self.time_step % interval == offset % interval:
            self.u[:] = 0
            self.v[:] = 0
        super().subthr_dynamics(activation_in)
        self.v[self.rest > 0] = 0

    def spiking_activation(self) -> np.ndarray:
        """Return who spikes, and start or count down refractory periods."""
        fired: np.ndarray = super().spiking_activation()
        self.rest[:] = np.where(fired, self.refractory, np.maximum(self.rest - 1, 0))
        return fired
