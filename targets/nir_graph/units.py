"""Step, unit of time and scheme of a NIR graph, which states none of them.

NIR describes continuous time; what a step does with it is up to each framework.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.errors import Finding, error, info, neuron_range, warning
from isotau.convert.records.lif import MEMORYLESS
from isotau.targets.nir_graph.graph import SPIKING, TAUS, Flat, Floats
from isotau.targets.nir_graph.nir_metadata import SCHEMES

UNITS = {"s": 1.0, "ms": 1e-3}
STEPS = "steps"
TIME_UNITS = (*UNITS, STEPS)
ASSUMED_DT = 1e-3
"""Seconds, where nothing tells the step."""
SAME = 1e-4
"""Relative difference below which two steps are the same: parameters are float32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """How the time constants of nodes become decays.

    Attributes:
        dt: step, in seconds.
        unit: seconds of one unit of the nodes' time.
        scheme: one of `SCHEMES`: a step loses dt/τ, or 1 − exp(−dt/τ).
    """

    dt: float
    unit: float
    scheme: str

    def steps(self, tau: Floats) -> Floats:
        """Return dt/τ for time constants as nodes hold them."""
        return self.dt / (tau * self.unit)

    def loss(self, tau: Floats) -> Floats:
        """Return the part that is lost in a step."""
        steps = self.steps(tau)
        if self.scheme == "exact":  # (N5)
            return -np.expm1(-steps)
        # τ of a node without memory is dt, and was written in single precision.
        return np.where(np.abs(steps - 1) < 1e-6, 1.0, steps)

    def tau(self, tau: Floats) -> Floats:
        """Return the time constants, in seconds, whose exact decay that is."""
        if self.scheme == "exact":
            return np.maximum(tau * self.unit, self.dt / MEMORYLESS)
        loss = self.loss(tau)
        whole = loss >= 1
        slow = -self.dt / np.log1p(-np.where(whole, 0.5, loss))  # (L11)
        return np.where(whole, self.dt / MEMORYLESS, slow)  # (L10)


def clock(
    flat: Flat,
    metadata: Mapping[str, Any],
    *,
    dt: float | None,
    time_unit: str | None,
    scheme: str | None,
) -> tuple[Clock, list[Finding]]:
    """Return the clock of a graph: as asked for, as its metadata says, or inferred.

    The step is inferred where every spiking node has r = τ_mem/dt > 1 and, with a
    synapse, w_in = τ_syn/dt for one dt, the convention of snnTorch.
    """
    findings: list[Finding] = []
    implied = step_of_gains(flat)
    name = _unit(flat, metadata, time_unit, implied, findings)
    step, stated = _step(metadata, dt, name, implied, findings)
    unit = UNITS.get(name, step)
    # A step that was inferred from the gains cannot contradict them.
    if implied is not None and name != STEPS and stated:
        if abs(implied * unit / step - 1) > SAME:
            message = f"got dt = {step:g} s, while r and w_in say {implied * unit:g} s"
            action = "decays follow dt, gains are (w_in·dt/τ_syn)·(r·dt/τ_mem)"
            findings.append(warning("dt", message, action))
    if scheme is None and isinstance(metadata.get("scheme"), str):
        scheme = metadata["scheme"]
        findings.append(info("scheme", f"the metadata says {scheme}", "taken"))
    elif scheme is None:
        scheme = "euler"
        findings.append(info("scheme", "nothing tells it", "a step loses dt/τ (euler)"))
    validation.choice("scheme", scheme, SCHEMES)
    clock = Clock(dt=step, unit=unit, scheme=scheme)
    return clock, [*findings, *_too_long(flat, clock)]


def step_of_gains(flat: Flat) -> float | None:
    """Return the step, in the nodes' time, that all r and w_in imply if they do."""
    steps = []
    for name in flat.of_kind(*SPIKING):
        value = flat.nodes[name].values
        pairs = [(value["tau" if "tau" in value else "tau_mem"], value["r"])]
        if "w_in" in value:
            pairs.append((value["tau_syn"], value["w_in"]))
        for tau, gain in pairs:
            if (gain <= 0).any():
                return None
            steps.append(tau / gain)
        if (value["r"] <= 1 + SAME).all():  # r = 1 is a unit, no convention
            return None
    implied = np.concatenate(steps)
    step = float(np.median(implied))
    if np.any(np.abs(implied - step) > SAME * step):
        return None
    # What was rounded to single precision is mostly a short number.
    short = float(f"{step:.4g}")
    return short if abs(short - step) <= 0.1 * SAME * step else step


def _unit(
    flat: Flat,
    metadata: Mapping[str, Any],
    given: str | None,
    implied: float | None,
    findings: list[Finding],
) -> str:
    """Return the unit of the nodes' time constants, by name."""
    if given is not None:
        return validation.choice("time_unit", given, TIME_UNITS)
    if metadata.get("time_unit") in TIME_UNITS:
        return str(metadata["time_unit"])
    taus = [
        value
        for node in flat.nodes.values()
        for name, value in node.values.items()
        if name in TAUS
    ]
    low = min(float(tau.min()) for tau in taus)
    high = max(float(tau.max()) for tau in taus)
    span = f"got τ from {low:g} to {high:g} without a unit"
    if high < 1:  # no neuron has a τ of less than 1 ms throughout
        findings.append(info("time unit", span, "taken as seconds"))
        return "s"
    # A few slow neurons beside others of less than 1 s; ms would make those too fast.
    word, name = "seconds", "s"
    if low >= 1:
        word, name = "milliseconds", "ms"
        if implied is not None and abs(implied - 1) <= SAME:
            word, name = "steps, since r and w_in say dt = 1", STEPS
    action = f"taken as {word}; pass time_unit if it is another"
    findings.append(warning("time unit", span, action))
    return name


def _step(
    metadata: Mapping[str, Any],
    given: float | None,
    unit: str,
    implied: float | None,
    findings: list[Finding],
) -> tuple[float, bool]:
    """Return the step in seconds, and whether it is stated, not inferred."""
    if given is not None:
        return validation.number("dt", given, positive=True), True
    if "dt" in metadata:
        step = validation.number("metadata: dt", metadata["dt"], positive=True)
        findings.append(info("dt", f"the metadata says {step:g} s", "taken"))
        return step, True
    if implied is not None and unit != STEPS:
        step = implied * UNITS[unit]
        message = f"r = τ_mem/dt and w_in = τ_syn/dt hold for dt = {step:g} s"
        findings.append(info("dt", message, "taken; pass dt if it is another"))
        return step, False
    action = f"assumed {ASSUMED_DT:g} s; pass dt if it is another"
    findings.append(warning("dt", "nothing tells the step", action))
    return ASSUMED_DT, False


def _too_long(flat: Flat, clock: Clock) -> Iterator[Finding]:
    """Yield errors for neurons that lose more in a step than they have."""
    if clock.scheme == "exact":
        return
    for name, node in flat.nodes.items():
        for field, tau in node.values.items():
            if field not in TAUS:
                continue
            wrong = clock.loss(tau) > 1
            if wrong.any():
                low = float(tau[wrong].min()) * clock.unit
                yield error(
                    f"node {name}, {neuron_range(wrong)}",
                    f"{field}: got {low:g} s, need at least dt = {clock.dt:g} s",
                    "pass a smaller dt, the right time_unit, or scheme='exact'",
                )
