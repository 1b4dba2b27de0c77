"""A flat, checked graph with a clock → `LIFNetwork` and its populations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isotau.convert.findings import Finding, neuron_range
from isotau.convert.lif import LIFNetwork
from isotau.convert.start_state import Start, set_back
from isotau.targets.from_nir import populations
from isotau.targets.from_nir.affine import Arriving, arriving
from isotau.targets.from_nir.graph import Flat
from isotau.targets.from_nir.neurons import Neurons, neurons
from isotau.targets.from_nir.operations import SPIKING, Floats
from isotau.targets.from_nir.readout import readout
from isotau.targets.from_nir.refusal import error, info, refuse, warning
from isotau.targets.from_nir.units import Clock

STARTS = ("reset", "leak", "zero")
"""Potentials before the first step, which NIR does not state."""
STATE = ("i0", "v0", "f0")
"""Start state that the metadata may tell: currents r·I, potentials, filtered spikes."""


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
) -> Start:
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
