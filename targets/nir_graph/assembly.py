"""A flat, checked graph with a clock → `LIFNetwork` and its populations.

Spiking nodes and what reaches them → the recurrent part of a `LIFNetwork`.

Outputs of a flat graph → the linear readout of a `LIFNetwork`.

An LI neuron low-passes what it gets, and the readout low-passes each neuron's spikes;
for a linear readout these are the same where all that read a neuron share one τ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.errors import Finding, neuron_range
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.lif import MEMORYLESS, LIFNetwork, decay_fraction
from isotau.convert.to_fixed.start_state import StartState, set_back
from isotau.targets.nir_graph import populations
from isotau.targets.nir_graph.affine import Arriving, arriving, dense
from isotau.targets.nir_graph.graph import Flat
from isotau.targets.nir_graph.operations import (
    SPIKING,
    Floats,
    Operation,
    error,
    info,
    refuse,
    warning,
)
from isotau.targets.nir_graph.units import Clock


class Neurons(NamedTuple):
    """Fields of a `LIFNetwork` under their names, and decays per step."""

    w_in: Floats
    w_rec: Floats
    tau_syn: Floats
    tau_mem: Floats
    v_th: Floats
    v_leak: Floats
    v_reset: Floats
    i0: Floats
    a_syn: Floats
    a_mem: Floats
    rest: Floats
    """v_leak of the nodes, without the drive that biases add to `v_leak`."""


def neurons(
    flat: Flat,
    sinks: Mapping[str, Arriving],
    place: Mapping[str, slice],
    inputs: Mapping[str, slice],
    clock: Clock,
) -> Neurons:
    """Return all neurons, in volts of i as `LIFNetwork` counts it.

    With one order of operations for NIR's equations, the one of Norse and snnTorch,

        I ← (1 − a_syn) I + (w_in dt/τ_syn) S     v ← v + a_mem (v_leak − v + r I),

    i is r·I, so that a weight W becomes r (w_in dt/τ_syn) W. A constant c that reaches
    i in every step is the same as the steady current c/a_syn, which adds to v_leak,
    and a current that starts at −(1 − a_syn) c/a_syn: i + c/a_syn starts at 0 and
    gets c in every step.

    Args:
        flat: with widths.
        sinks: from `arriving`.
        place: where the neurons of each population lie.
        inputs: where the channels of each Input lie.
        clock: from `units.clock`.
    """
    n = max(part.stop for part in place.values())
    n_in = max(part.stop for part in inputs.values())
    made = Neurons(np.zeros((n, n_in)), np.zeros((n, n)), *np.zeros((9, n)))
    for name, part in place.items():
        op, sink = flat.nodes[name], sinks[name]
        cells = _cells(op, clock)
        for field, value in cells.items():
            getattr(made, field)[part] = value
        gain = _gain(op, clock)
        for source, matrix in sink.weights.items():
            weights, columns = (
                (made.w_in, inputs[source])
                if source in inputs
                else (made.w_rec, place[source])
            )
            weights[part, columns] = gain[:, None] * dense(matrix)
        constant = gain * sink.bias / cells["a_syn"]
        made.v_leak[part] = cells["rest"] + constant
        made.i0[part] = -(1 - cells["a_syn"]) * constant
    return made


def _cells(op: Operation, clock: Clock) -> dict[str, Floats]:
    """Return what the parameters of one node say."""
    value = op.values
    tau_mem = clock.tau(value["tau" if op.kind == "LIF" else "tau_mem"])
    if op.kind == "LIF":
        tau_syn = np.full(op.n_out, clock.dt / MEMORYLESS)
    else:
        tau_syn = clock.tau(value["tau_syn"])
    return {
        "tau_syn": tau_syn,
        "tau_mem": tau_mem,
        "a_syn": decay_fraction(tau_syn, clock.dt),
        "a_mem": decay_fraction(tau_mem, clock.dt),
        "v_th": value["v_threshold"],
        "v_reset": value["v_reset"],
        "rest": value["v_leak"],
    }


def _gain(op: Operation, clock: Clock) -> Floats:
    """Return the volts of i per unit of what reaches a node: r·w_in·dt/τ_syn."""
    value = op.values
    if op.kind == "LIF":
        return value["r"]
    return value["r"] * value["w_in"] * clock.steps(value["tau_syn"])


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


STARTS = ("reset", "leak", "zero")
"""Potentials before the first step, which NIR does not state."""
STATE = ("i0", "v0", "f0")
"""Start state that the metadata may tell: currents r·I, potentials, filtered spikes."""


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """One spiking node of the graph.

    Attributes:
        name: of the node, with those of the graphs that it lies in.
        indices: its neurons in the network.
        lag: steps by which its spikes come later than in the graph.
    """

    name: str
    indices: npt.NDArray[np.int64]
    lag: int


def assemble(
    flat: Flat,
    clock: Clock,
    source: str,
    *,
    start: str,
    told: Mapping[str, Any],
    max_bytes: int,
    found: list[Finding],
) -> tuple[LIFNetwork, tuple[Population, ...], list[Finding]]:
    """Return the network of a graph, its populations, and all findings so far.

    Args:
        flat: with widths, and nothing wrong in it.
        clock: from `units.clock`.
        source: what messages call the graph.
        start: one of `STARTS`.
        told: metadata; of it, `STATE` is used.
        max_bytes: of composed matrices, and of the network's own.
        found: what is known already.

    Raises:
        CannotImport: one of the findings is an error.
    """
    refuse(source, found + _too_large(flat, max_bytes))
    sinks, wrong = arriving(flat, max_bytes=2 * max_bytes)
    refuse(source, found + wrong)
    order, late = _ordered(flat, sinks)
    names = sorted(order.lags, key=lambda name: order.lags[name])
    place = _slices(flat, names)
    read, more = readout(flat, sinks, place, clock)
    found = found + wrong + late + more
    refuse(source, found)
    cells = neurons(flat, sinks, place, _inputs(flat, found), clock)
    parts = _populations(order, place)
    lag = np.concatenate([np.full(len(p.indices), p.lag) for p in parts])
    state = {name: _state(told, name, len(lag), found) for name in STATE}
    begin = _begin(cells, lag, start, state, found)
    net = LIFNetwork(
        w_in=cells.w_in,
        w_rec=cells.w_rec,
        w_out=read.w_out,
        b_out=read.b_out,
        tau_syn=cells.tau_syn,
        tau_mem=cells.tau_mem,
        tau_out=np.where(np.isnan(read.tau_out), cells.tau_syn, read.tau_out),
        v_th=cells.v_th,
        v_leak=cells.v_leak,
        v_reset=cells.v_reset,
        refractory=0.0 * lag,
        noise_std=0.0,
        dt=clock.dt,
        i0=begin.i0,
        v0=begin.v0,
        f0=0.0 * lag if state["f0"] is None else state["f0"],
        population=np.repeat(np.arange(len(parts)), [len(p.indices) for p in parts]),
    )
    return net, parts, found


def _inputs(flat: Flat, found: list[Finding]) -> dict[str, slice]:
    """Return where the channels of each Input node lie."""
    inputs = _slices(flat, flat.of_kind("Input"))
    if len(inputs) > 1:
        parts = ", ".join(f"{k} {p.start}-{p.stop - 1}" for k, p in inputs.items())
        message = f"got {len(inputs)} Input nodes (channels: {parts})"
        found.append(info("input", message, "put one after the other"))
    return inputs


def _populations(
    order: populations.Order, place: Mapping[str, slice]
) -> tuple[Population, ...]:
    return tuple(
        Population(name, np.arange(part.start, part.stop), order.lags[name])
        for name, part in place.items()
    )


def _state(
    told: Mapping[str, Any], name: str, n: int, found: list[Finding]
) -> Floats | None:
    """Return a part of the start state that the metadata tells, None if it does not."""
    if name not in told:
        return None
    value = np.asarray(told[name])
    if value.shape != (n,) or value.dtype.kind not in "fiu":
        message = f"{name}: got shape {value.shape}, need ({n},)"
        found.append(warning("metadata", message, "not used"))
        return None
    return value.astype(np.float64)


def _too_large(flat: Flat, max_bytes: int) -> list[Finding]:
    """Return an error if the network's matrices would not fit."""
    n, n_in, n_out = (
        sum(flat.nodes[name].n_out for name in flat.of_kind(*kinds))
        for kinds in (SPIKING, ("Input",), ("Output",))
    )
    size = 8 * n * (n + n_in + n_out)
    if size <= max_bytes:
        return []
    message = f"got {n} neurons, whose matrices take {size} bytes, need {max_bytes}"
    return [error("graph", message, "give a larger max_bytes if you trust it")]


def _slices(flat: Flat, names: list[str]) -> dict[str, slice]:
    """Return where the values of each node lie if put one after the other."""
    stops = np.cumsum([flat.nodes[name].n_out for name in names]).tolist()
    starts = [0, *stops[:-1]]
    return {name: slice(a, b) for name, a, b in zip(names, starts, stops, strict=True)}


def _ordered(
    flat: Flat, sinks: Mapping[str, Arriving]
) -> tuple[populations.Order, list[Finding]]:
    """Return the order of the populations and what comes too early or too late."""
    names = flat.of_kind(*SPIKING)
    feeds: dict[str, set[str]] = {name: set() for name in names}
    fed = set()
    for name in names:
        for source in sinks[name].weights:
            if source in feeds:
                feeds[source].add(name)
            elif flat.nodes[source].kind == "Input":
                fed.add(name)
    outputs = [sinks[name] for name in flat.of_kind("Output", "LI")]
    read_out = {
        source for sink in outputs for source in sink.weights if source in feeds
    }
    made = populations.order(names, feeds, fed)
    return made, populations.mistimed(made, fed, sorted(read_out))


def _begin(
    cells: Neurons,
    lag: npt.NDArray[np.int64],
    start: str,
    state: Mapping[str, Floats | None],
    found: list[Finding],
) -> StartState:
    """Return the start state, set back by each neuron's lag."""
    v0 = {"reset": cells.v_reset, "leak": cells.rest, "zero": 0 * cells.rest}[start]
    if state["v0"] is not None:
        v0 = state["v0"]
        found.append(info("start", "the metadata holds a start state", "taken"))
    elif (cells.v_reset != cells.rest).any() or (v0 != cells.v_reset).any():
        message = "NIR states no start state, and v_leak is not v_reset everywhere"
        found.append(info("start", message, f"starts at {start}, without current"))
    begin = set_back(
        cells.i0 if state["i0"] is None else cells.i0 + state["i0"],
        v0,
        lag,
        a_syn=cells.a_syn,
        a_mem=cells.a_mem,
        v_leak=cells.v_leak,
        v_th=cells.v_th,
    )
    if begin.early.any():
        message = "their start state cannot be set back by their lag without a spike"
        found.append(warning(neuron_range(begin.early), message, "they start early"))
    return begin
