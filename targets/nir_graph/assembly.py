"""A flat, checked graph with a clock → `LIFNetwork` and its populations.

Spiking nodes and what reaches them make the recurrent part, outputs the linear readout.
An LI neuron low-passes what it gets, and the readout low-passes each neuron's spikes;
for a linear readout these are the same where all that read a neuron share one τ.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.errors import Finding, error, info, neuron_range, warning
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.lif import MEMORYLESS, LIFNetwork, decay_fraction
from isotau.convert.to_fixed.start_state import StartState, set_back
from isotau.targets.nir_graph import populations
from isotau.targets.nir_graph.affine import Arriving, arriving, dense
from isotau.targets.nir_graph.graph import SPIKING, Flat, Floats, Operation, refuse
from isotau.targets.nir_graph.units import Clock

Sinks = Mapping[str, Arriving]
"""What each neuron, LI and output gets, by the name of the node."""
Place = Mapping[str, slice]
"""Where the neurons of each population lie, or the channels of each Input."""
STARTS = ("reset", "leak", "zero")
"""Potentials before the first step, which NIR does not state."""
STATE = ("i0", "v0", "f0")
"""Start state that the metadata may tell: currents r·I, potentials, filtered spikes."""


class RecurrentPart(NamedTuple):
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
    v_rest: Floats
    """v_leak of the nodes, without the drive that biases add to `v_leak`."""


def neurons(
    flat: Flat, sinks: Sinks, place: Place, inputs: Place, clock: Clock
) -> RecurrentPart:
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
        place: of populations.
        inputs: of Input nodes.
        clock: from `units.clock`.
    """
    n = max(part.stop for part in place.values())
    n_in = max(part.stop for part in inputs.values())
    # Filled population by population, as each node has parameters of its own.
    part = RecurrentPart(np.zeros((n, n_in)), np.zeros((n, n)), *np.zeros((9, n)))
    for name, rows in place.items():
        op, sink = flat.nodes[name], sinks[name]
        cells = _cells(op, clock)
        for field, value in cells.items():
            getattr(part, field)[rows] = value
        gain = _gain(op, clock)
        for source, matrix in sink.weights.items():
            weights, columns = (
                (part.w_in, inputs[source])
                if source in inputs
                else (part.w_rec, place[source])
            )
            weights[rows, columns] = gain[:, None] * dense(matrix)
        constant = gain * sink.bias / cells["a_syn"]  # (N7)
        part.v_leak[rows] = cells["v_rest"] + constant
        part.i0[rows] = -(1 - cells["a_syn"]) * constant
    return part


def _cells(op: Operation, clock: Clock) -> dict[str, Floats]:
    """Return what the parameters of one node say."""
    value = op.values
    tau_mem = clock.tau(value["tau" if op.kind == "LIF" else "tau_mem"])
    # A LIF has no synapse: its current is gone after the step, (L10).
    tau_syn = np.full(op.n_out, clock.dt / MEMORYLESS)
    if op.kind != "LIF":
        tau_syn = clock.tau(value["tau_syn"])
    return {
        "tau_syn": tau_syn,
        "tau_mem": tau_mem,
        "a_syn": decay_fraction(tau_syn, clock.dt),
        "a_mem": decay_fraction(tau_mem, clock.dt),
        "v_th": value["v_threshold"],
        "v_reset": value["v_reset"],
        "v_rest": value["v_leak"],
    }


def _gain(op: Operation, clock: Clock) -> Floats:
    """Return the volts of i per unit of what reaches a node: r·w_in·dt/τ_syn (N6)."""
    value = op.values
    if op.kind == "LIF":
        return value["r"]
    return value["r"] * value["w_in"] * clock.steps(value["tau_syn"])


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
    findings = list(_wrong_readers(flat, sinks))
    outputs = flat.of_kind("Output")
    reading = _Reading(flat, sinks, place, clock)
    # What is wrong here would be summed up into nonsense below.
    if findings:
        return reading.readout, findings
    first = 0
    for name in outputs:
        rows = slice(first, first + flat.nodes[name].n_in)
        reading.add_output(name, rows)
        first = rows.stop
    if reading.clash.any():
        where = neuron_range(reading.clash)
        message = "read through filters of different τ, need one τ per neuron"
        action = "read each neuron through one LI, or give all LI neurons one τ"
        findings.append(error(f"output, {where}", message, action))
    message = "NIR states no start state for LI"
    action = "starts at v_leak plus its constant input"
    findings += [info(f"node {name}", message, action) for name in flat.of_kind("LI")]
    if len(outputs) > 1:
        message = f"got {len(outputs)} Output nodes ({', '.join(outputs)})"
        findings.append(info("output", message, "put one after the other"))
    return reading.readout, findings


def _wrong_readers(flat: Flat, sinks: Sinks) -> Iterator[Finding]:
    """Yield errors for LI nodes and outputs that no linear readout can stand for."""
    for name, sink in sinks.items():
        kind, place = flat.nodes[name].kind, f"node {name}"
        for source in sink.weights:
            feeds = flat.nodes[source].kind
            if (kind in SPIKING and feeds == "LI") or (
                kind == "LI" and feeds not in SPIKING
            ):
                # The record has no filtered currents, and no filters of filters.
                message = f"got {feeds} {source} as its input, need neurons that spike"
                action = "let LI nodes read neurons and feed outputs alone"
                yield error(place, message, action)
            elif kind == "Output" and feeds == "Input":
                message = f"got Input {source} past all neurons, need neurons"
                yield error(place, message, "remove the path")


class _Reading:
    """Sums up the readout, one path after the other."""

    def __init__(self, flat: Flat, sinks: Sinks, place: Place, clock: Clock) -> None:
        n = max(part.stop for part in place.values())
        n_out = sum(flat.nodes[name].n_in for name in flat.of_kind("Output"))
        self.flat, self.sinks, self.place, self.clock = flat, sinks, place, clock
        taus = np.full(n, np.nan)
        self.readout = Readout(np.zeros((n_out, n)), np.zeros(n_out), taus)
        self.clash = np.zeros(n, dtype=bool)

    def add_output(self, name: str, rows: slice) -> None:
        """Add one Output node; without a filter f is z/dt, so weights get ·dt (N8)."""
        self.readout.b_out[rows] += self.sinks[name].bias
        for source, matrix in self.sinks[name].weights.items():
            weights = dense(matrix)
            if self.flat.nodes[source].kind == "LI":
                self._add_leaky(source, weights, rows)
                continue
            part = self.place[source]
            self.readout.w_out[rows, part] += weights * self.clock.dt
            tau = self.clock.dt / MEMORYLESS
            self._note(part, (weights != 0).any(axis=0), tau)

    def _add_leaky(self, name: str, after: Floats, rows: slice) -> None:
        """Add what an LI node gives: v ← v + a (v_leak − v + r·(W z + b)), (N8)."""
        value, sink = self.flat.nodes[name].values, self.sinks[name]
        taus, used = self.clock.tau(value["tau"]), (after != 0).any(axis=0)
        drive = value["v_leak"] + value["r"] * sink.bias
        self.readout.b_out[rows] += after @ drive
        for source, matrix in sink.weights.items():
            before, part = value["r"][:, None] * dense(matrix), self.place[source]
            self.readout.w_out[rows, part] += after @ before * self.clock.dt
            # A neuron may be read by several units of one LI, if their τ agree.
            for tau in np.unique(taus[used]):
                read = (before[used & (taus == tau)] != 0).any(axis=0)
                self._note(part, read, float(tau))

    def _note(self, part: slice, read: np.ndarray, tau: float) -> None:
        """Write down the filter of neurons that are read; mark a second one."""
        noted = self.readout.tau_out[part]
        self.clash[part] |= read & ~np.isnan(noted) & (noted != tau)
        self.readout.tau_out[part] = np.where(read, tau, noted)


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
    metadata: Mapping[str, Any],
    max_bytes: int,
    findings: list[Finding],
) -> tuple[LIFNetwork, tuple[Population, ...], list[Finding]]:
    """Return the network of a graph, its populations, and all findings so far.

    Args:
        flat: with widths, and nothing wrong in it.
        clock: from `units.clock`.
        source: what messages call the graph.
        start: one of `STARTS`.
        metadata: of it, `STATE` is used.
        max_bytes: of composed matrices, and of the network's own.
        findings: what is known already.

    Raises:
        CannotImport: one of the findings is an error.
    """
    # Before anything of that size is made.
    refuse(source, findings + _too_large(flat, max_bytes))
    sinks, wrong = arriving(flat, max_bytes=2 * max_bytes)
    refuse(source, findings + wrong)
    order, late = _ordered(flat, sinks)
    # By lag, so that layers lie one after the other; the sort keeps the graph's order.
    names = sorted(order.lags, key=lambda name: order.lags[name])
    place = _slices(flat, names)
    read, unread = readout(flat, sinks, place, clock)
    findings = findings + wrong + late + unread
    refuse(source, findings)
    cells = neurons(flat, sinks, place, _inputs(flat, findings), clock)
    parts = tuple(
        Population(name, np.arange(part.start, part.stop), order.lags[name])
        for name, part in place.items()
    )
    lag = np.concatenate([np.full(len(p.indices), p.lag) for p in parts])
    state = {name: _state(metadata, name, len(lag), findings) for name in STATE}
    begin = _begin(cells, lag, start, state, findings)
    net = LIFNetwork(
        w_in=cells.w_in,
        w_rec=cells.w_rec,
        w_out=read.w_out,
        b_out=read.b_out,
        tau_syn=cells.tau_syn,
        tau_mem=cells.tau_mem,
        # Where nothing reads a neuron any filter will do.
        tau_out=np.where(np.isnan(read.tau_out), cells.tau_syn, read.tau_out),
        v_th=cells.v_th,
        v_leak=cells.v_leak,
        v_reset=cells.v_reset,
        refractory=0.0 * lag,
        noise_std=0.0 * lag,
        dt=clock.dt,
        i0=begin.i0,
        v0=begin.v0,
        f0=0.0 * lag if state["f0"] is None else state["f0"],
        population=np.repeat(np.arange(len(parts)), [len(p.indices) for p in parts]),
    )
    return net, parts, findings


def _inputs(flat: Flat, findings: list[Finding]) -> dict[str, slice]:
    """Return where the channels of each Input node lie."""
    inputs = _slices(flat, flat.of_kind("Input"))
    if len(inputs) > 1:
        parts = ", ".join(f"{k} {p.start}-{p.stop - 1}" for k, p in inputs.items())
        message = f"got {len(inputs)} Input nodes (channels: {parts})"
        findings.append(info("input", message, "put one after the other"))
    return inputs


def _state(
    metadata: Mapping[str, Any], name: str, n: int, findings: list[Finding]
) -> Floats | None:
    """Return a part of the start state that the metadata tells, None if it does not."""
    if name not in metadata:
        return None
    value = np.asarray(metadata[name])
    # Metadata are another's text: what does not fit is left, not refused.
    if value.shape != (n,) or value.dtype.kind not in "fiu":
        message = f"{name}: got shape {value.shape}, need ({n},)"
        findings.append(warning("metadata", message, "not used"))
        return None
    return value.astype(np.float64)


def _too_large(flat: Flat, max_bytes: int) -> list[Finding]:
    """Return an error if the network's matrices would not fit."""
    n, n_in, n_out = (
        sum(flat.nodes[name].n_out for name in flat.of_kind(*kinds))
        for kinds in (SPIKING, ("Input",), ("Output",))
    )
    # W_in, W_rec and W_out in float64, however sparse the graph.
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


def _ordered(flat: Flat, sinks: Sinks) -> tuple[populations.Order, list[Finding]]:
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
    # LI nodes are part of the readout, and take no step of their own.
    readers = [sinks[name] for name in flat.of_kind("Output", "LI")]
    read_out = {
        source for sink in readers for source in sink.weights if source in feeds
    }
    order = populations.order(names, feeds, fed)
    return order, list(populations.mistimed(order, fed, sorted(read_out)))


def _begin(
    cells: RecurrentPart,
    lag: npt.NDArray[np.int64],
    start: str,
    state: Mapping[str, Floats | None],
    findings: list[Finding],
) -> StartState:
    """Return the start state, set back by each neuron's lag."""
    starts = {"reset": cells.v_reset, "leak": cells.v_rest, "zero": 0 * cells.v_rest}
    i0, v0 = cells.i0, starts[start]
    if state["i0"] is not None:
        i0 = cells.i0 + state["i0"]
    if state["v0"] is not None:
        v0 = state["v0"]
        findings.append(info("start", "the metadata holds a start state", "taken"))
    elif (cells.v_reset != cells.v_rest).any() or (v0 != cells.v_reset).any():
        message = "NIR states no start state, and v_leak is not v_reset everywhere"
        findings.append(info("start", message, f"starts at {start}, without current"))
    decays = {"a_syn": cells.a_syn, "a_mem": cells.a_mem}
    begin = set_back(i0, v0, lag, v_leak=cells.v_leak, v_th=cells.v_th, **decays)
    # Without input such a neuron would have spiked before the first step.
    if begin.early.any():
        message = "their start state cannot be set back by their lag without a spike"
        findings.append(warning(begin.early, message, "they start early"))
    return begin
