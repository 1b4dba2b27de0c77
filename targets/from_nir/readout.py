"""Outputs of a flat graph → the linear readout of a `LIFNetwork`.

An LI neuron low-passes what it gets, and the readout low-passes each neuron's spikes;
for a linear readout these are the same where all that read a neuron share one τ.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from isotau.convert.findings import Finding, neuron_range
from isotau.convert.lif import MEMORYLESS
from isotau.targets.from_nir.affine import Arriving, dense
from isotau.targets.from_nir.graph import Flat
from isotau.targets.from_nir.operations import SPIKING, Floats
from isotau.targets.from_nir.refusal import error, info
from isotau.targets.from_nir.units import Clock

Sinks = Mapping[str, Arriving]
Place = Mapping[str, slice]


class Readout(NamedTuple):
    """What `LIFNetwork` calls w_out, b_out and tau_out; NaN where nothing reads."""

    w_out: Floats
    b_out: Floats
    tau_out: Floats


def readout(
    flat: Flat, sinks: Sinks, place: Place, clock: Clock
) -> tuple[Readout, list[Finding]]:
    """Return the readout of all Output nodes, one after the other, and what is wrong.

    Args:
        flat: with widths.
        sinks: from `arriving`.
        place: where the neurons of each population lie.
        clock: from `units.clock`.
    """
    found = _wrong_readers(flat, sinks)
    outputs = flat.of_kind("Output")
    reading = _Reading(flat, sinks, place, clock)
    if found:
        return reading.made, found
    first = 0
    for name in outputs:
        rows = slice(first, first + flat.nodes[name].n_in)
        reading.add_output(name, rows)
        first = rows.stop
    if reading.clash.any():
        where = neuron_range(reading.clash)
        message = "read through filters of different τ, need one τ per neuron"
        action = "read each neuron through one LI, or give all LI neurons one τ"
        found.append(error(f"output, {where}", message, action))
    found += [
        info(
            f"node {name}",
            "NIR states no start state for LI",
            "starts at v_leak plus its constant input",
        )
        for name in flat.of_kind("LI")
    ]
    if len(outputs) > 1:
        names = ", ".join(outputs)
        message = f"got {len(outputs)} Output nodes ({names})"
        found.append(info("output", message, "put one after the other"))
    return reading.made, found


def _wrong_readers(flat: Flat, sinks: Sinks) -> list[Finding]:
    """Return errors for LI nodes and outputs that no linear readout can stand for."""
    found = []
    action = "let LI nodes read neurons and feed outputs alone"
    for name, sink in sinks.items():
        kind = flat.nodes[name].kind
        for source in sink.weights:
            got = flat.nodes[source].kind
            if (kind in SPIKING and got == "LI") or (
                kind == "LI" and got not in SPIKING
            ):
                message = f"got {got} {source} as its input, need neurons that spike"
                found.append(error(f"node {name}", message, action))
            elif kind == "Output" and got == "Input":
                message = f"got Input {source} past all neurons, need neurons"
                found.append(error(f"node {name}", message, "remove the path"))
    return found


class _Reading:
    """Sums up the readout, one path after the other."""

    def __init__(self, flat: Flat, sinks: Sinks, place: Place, clock: Clock) -> None:
        n = max(part.stop for part in place.values())
        n_out = sum(flat.nodes[name].n_in for name in flat.of_kind("Output"))
        self.flat, self.sinks, self.place, self.clock = flat, sinks, place, clock
        self.made = Readout(np.zeros((n_out, n)), np.zeros(n_out), np.full(n, np.nan))
        self.clash = np.zeros(n, dtype=bool)

    def add_output(self, name: str, rows: slice) -> None:
        """Add one Output node; without a filter f is z/dt, so weights get ·dt."""
        self.made.b_out[rows] += self.sinks[name].bias
        for source, matrix in self.sinks[name].weights.items():
            weights = dense(matrix)
            if self.flat.nodes[source].kind == "LI":
                self._add_leaky(source, weights, rows)
                continue
            part = self.place[source]
            self.made.w_out[rows, part] += weights * self.clock.dt
            tau = self.clock.dt / MEMORYLESS
            self._note(part, (weights != 0).any(axis=0), tau)

    def _add_leaky(self, name: str, after: Floats, rows: slice) -> None:
        """Add what an LI node gives: v ← v + a (v_leak − v + r·(W z + b))."""
        value, sink = self.flat.nodes[name].values, self.sinks[name]
        taus, used = self.clock.tau(value["tau"]), (after != 0).any(axis=0)
        self.made.b_out[rows] += after @ (value["v_leak"] + value["r"] * sink.bias)
        for source, matrix in sink.weights.items():
            before, part = value["r"][:, None] * dense(matrix), self.place[source]
            self.made.w_out[rows, part] += after @ before * self.clock.dt
            for tau in np.unique(taus[used]):
                read = (before[used & (taus == tau)] != 0).any(axis=0)
                self._note(part, read, float(tau))

    def _note(self, part: slice, read: np.ndarray, tau: float) -> None:
        """Write down the filter of neurons that are read; mark a second one."""
        had = self.made.tau_out[part]
        self.clash[part] |= read & ~np.isnan(had) & (had != tau)
        self.made.tau_out[part] = np.where(read, tau, had)
