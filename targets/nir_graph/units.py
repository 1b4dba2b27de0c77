"""Step, unit of time and scheme of a NIR graph, which states none of them.

NIR describes continuous time; what a step does with it is up to each framework.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.errors import Finding, neuron_range
from isotau.convert.records.lif import MEMORYLESS
from isotau.targets.nir_graph.graph import Flat
from isotau.targets.nir_graph.operations import (
    SPIKING,
    TAUS,
    Floats,
    error,
    info,
    warning,
)

UNITS = {"s": 1.0, "ms": 1e-3}
STEPS = "steps"
TIME_UNITS = (*UNITS, STEPS)
SCHEMES = ("euler", "exact")
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
        if self.scheme == "exact":
            return -np.expm1(-steps)
        return np.where(np.abs(steps - 1) < 1e-6, 1.0, steps)

    def tau(self, tau: Floats) -> Floats:
        """Return the time constants, in seconds, whose exact decay that is."""
        if self.scheme == "exact":
            return np.maximum(tau * self.unit, self.dt / MEMORYLESS)
        loss = self.loss(tau)
        whole = loss >= 1
        slow = -self.dt / np.log1p(-np.where(whole, 0.5, loss))
        return np.where(whole, self.dt / MEMORYLESS, slow)


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
    found: list[Finding] = []
    own = step_of_gains(flat)
    name = _unit(flat, metadata, time_unit, own, found)
    step, told = _step(metadata, dt, name, own, found)
    unit = UNITS.get(name, step)
    if own is not None and name != STEPS and told:
        differs = abs(own * unit / step - 1) > SAME
        if differs:
            message = f"got dt = {step:g} s, while r and w_in say {own * unit:g} s"
            action = "decays follow dt, gains are (w_in·dt/τ_syn)·(r·dt/τ_mem)"
            found.append(warning("dt", message, action))
    if scheme is None and isinstance(metadata.get("scheme"), str):
        scheme = metadata["scheme"]
        found.append(info("scheme", f"the metadata says {scheme}", "taken"))
    elif scheme is None:
        scheme = "euler"
        found.append(info("scheme", "nothing tells it", "a step loses dt/τ (euler)"))
    made = Clock(
        dt=step, unit=unit, scheme=validation.choice("scheme", scheme, SCHEMES)
    )
    return made, found + _too_long(flat, made)


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
        if (value["r"] <= 1 + SAME).all():
            return None
    every = np.concatenate(steps)
    step = float(np.median(every))
    if np.any(np.abs(every - step) > SAME * step):
        return None
    plain = float(f"{step:.4g}")
    return plain if abs(plain - step) <= 0.1 * SAME * step else step


def _unit(
    flat: Flat,
    metadata: Mapping[str, Any],
    asked: str | None,
    own: float | None,
    found: list[Finding],
) -> str:
    """Return the unit of the nodes' time constants, by name."""
    if asked is not None:
        return validation.choice("time_unit", asked, TIME_UNITS)
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
    if high < 1:
        found.append(info("time unit", span, "taken as seconds"))
        return "s"
    if low < 1:
        action = "taken as seconds; pass time_unit if it is another"
        found.append(warning("time unit", span, action))
        return "s"
    steps = own is not None and abs(own - 1) <= SAME
    word = "steps, since r and w_in say dt = 1" if steps else "milliseconds"
    action = f"taken as {word}; pass time_unit if it is another"
    found.append(warning("time unit", span, action))
    return STEPS if steps else "ms"


def _step(
    metadata: Mapping[str, Any],
    asked: float | None,
    unit: str,
    own: float | None,
    found: list[Finding],
) -> tuple[float, bool]:
    """Return the step in seconds, and whether somebody told it."""
    if asked is not None:
        return validation.number("dt", asked, positive=True), True
    if "dt" in metadata:
        step = validation.number("metadata: dt", metadata["dt"], positive=True)
        found.append(info("dt", f"the metadata says {step:g} s", "taken"))
        return step, True
    if own is not None and unit != STEPS:
        step = own * UNITS[unit]
        message = f"r = τ_mem/dt and w_in = τ_syn/dt hold for dt = {step:g} s"
        found.append(info("dt", message, "taken; pass dt if it is another"))
        return step, False
    action = f"assumed {ASSUMED_DT:g} s; pass dt if it is another"
    found.append(warning("dt", "nothing tells the step", action))
    return ASSUMED_DT, False


def _too_long(flat: Flat, made: Clock) -> list[Finding]:
    """Return errors for neurons that lose more in a step than they have."""
    found = []
    for name, node in flat.nodes.items():
        for field in TAUS:
            if field not in node.values or made.scheme == "exact":
                continue
            wrong = made.loss(node.values[field]) > 1
            if wrong.any():
                low = float(node.values[field][wrong].min()) * made.unit
                found.append(
                    error(
                        f"node {name}, {neuron_range(wrong)}",
                        f"{field}: got {low:g} s, need at least dt = {made.dt:g} s",
                        "pass a smaller dt, the right time_unit, or scheme='exact'",
                    )
                )
    return found
