"""`LIFConstants`: the one neuron that every unit of a rate network becomes."""

from dataclasses import dataclass

from isotau.convert.ground import validation


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
        validation.freeze(
            self,
            {
                **{
                    name: validation.number(name, getattr(self, name), positive=True)
                    for name in ("tau_mem", "unit", "dt")
                },
                **{
                    name: validation.number(name, getattr(self, name), minimum=0)
                    for name in ("refractory", "noise_std", "burn_in")
                },
                **{
                    name: validation.number(name, getattr(self, name))
                    for name in ("v_th", "v_reset", "v_leak")
                },
            },
        )
        if self.v_reset >= self.v_th:
            raise ValueError(
                f"v_reset: got {self.v_reset} V, need less than v_th = {self.v_th} V"
            )
        steps = self.refractory / self.dt
        if abs(steps - round(steps)) > 1e-6:
            raise ValueError(
                f"refractory: got {self.refractory} s, need a multiple of "
                f"dt = {self.dt} s"
            )

    @property
    def burn_in_steps(self) -> int:
        """Steps of zero input before every trial."""
        return round(self.burn_in / self.dt)

    @property
    def refractory_steps(self) -> int:
        """Steps that a neuron stays at reset after a spike."""
        return round(self.refractory / self.dt)


PUBLISHED = LIFConstants()
"""The defaults."""
