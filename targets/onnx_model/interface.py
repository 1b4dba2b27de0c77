"""The inputs, outputs and start of a fixed-point model, over time or of one step."""

from typing import Any, NamedTuple

import numpy as np

from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import decay_fraction
from isotau.targets.onnx_model import delivery, integer_step
from isotau.targets.onnx_model.graph import Graph
from isotau.targets.onnx_model.integer_step import Chip, State

STATE = ("u", "v", "rest", "ring", "step")
"""Inputs of the state; the outputs have "_after" behind."""


class Start(NamedTuple):
    """What the outermost graph computes before the first step."""

    chip: Chip
    state: State
    step: str
    payloads: str
    events: str
    filtered: str
    """Filtered spike trains, float64; "" without a readout."""


def begin(graph: Graph, net: FixedPointNetwork, *, axis: int, readout: bool) -> Start:
    """Return what comes before the first step: inputs, parameters and state.

    Args:
        graph: the outermost one, which has the input "messages".
        net: the network.
        axis: of the messages that counts trials.
        readout: whether there is one.
    """
    batch = graph.op("Shape", "messages", start=axis, end=axis + 1, name="batch")
    shape = graph.op("Concat", batch, graph.constant([net.n]), axis=0)
    zero = np.zeros(net.n, np.int64)
    state = State(
        u=_row(graph, "u", net.u0.astype(np.int64), shape),
        v=_row(graph, "v", net.v0.astype(np.int64), shape),
        rest=_row(graph, "rest", zero, shape),
        ring=_ring(graph, net, shape),
    )
    seed = first_trial = payloads = events = ""
    if net.noise_exp is not None:
        seed = graph.input("seed", np.uint64, (), 0)
        first_trial = graph.input("first_trial", np.int64, (), 0)
    if delivery.needs_payloads(net):
        wrapped = graph.cast("messages", np.int32)
        payloads = graph.cast(wrapped, np.int64, "payloads")
    if delivery.needs_events(net):
        events = graph.cast(graph.cast("messages", np.bool_), np.uint8, "events")
    return Start(
        chip=integer_step.load_chip(graph, net, batch, seed, first_trial),
        state=state,
        step="step",
        payloads=payloads,
        events=events,
        filtered=_row(graph, "f", net.f0, shape) if readout else "",
    )


def finish(
    graph: Graph,
    net: FixedPointNetwork,
    start: Start,
    last: dict[str, str],
    step: str,
) -> None:
    """Add the state after the last step to the outputs.

    Args:
        graph: the outermost one.
        net: the network.
        start: from `begin`.
        last: values of the state by name; what is missing is as at the start.
        step: its number after the last step.
    """
    values = start.state._asdict() | {"f": start.filtered} | last
    for name in ("u", "v", "rest"):
        graph.output(values[name], np.int64, ["batch", net.n], name=f"{name}_after")
    ring = values["ring"]
    if net.slots == 1:
        ring = graph.op("Unsqueeze", ring, graph.constant([0]))
    else:
        ring = _turned(graph, net, ring, graph.op("Sub", _slots(graph, net), step))
    ring = graph.cast(ring, np.int64)
    graph.output(ring, np.int64, [net.slots, "batch", net.n], name="ring_after")
    graph.output(step, np.int64, (), name="step_after")
    if values["f"]:
        graph.output(values["f"], np.float64, ["batch", net.n], name="f_after")


def unless_reset(graph: Graph, net: FixedPointNetwork, numbers: str) -> str:
    """Return 0 for the steps of these numbers that reset u and v first, else 1."""
    due = graph.op("Add", numbers, graph.constant(1))
    due = graph.op("Mod", due, graph.constant(net.reset_interval))
    offset = graph.constant(net.reset_offset % net.reset_interval)
    reset = graph.cast(graph.op("Equal", due, offset), np.int64)
    return graph.op("Sub", graph.constant(1), reset, name="unless_reset")


def read_out(
    graph: Graph, net: FixedPointNetwork, filtered: str, spikes: str
) -> tuple[str, str]:
    """Return the filtered spike trains after a step, and the outputs.

    The equation is in `isotau.convert.simulate.readout.read_out`.
    """
    loss = decay_fraction(net.tau_out, net.dt)
    keep = graph.constant(1 - loss, np.float64, "keep_f")
    jump = graph.constant(loss / net.dt, np.float64, "jump_f")
    w_out = graph.constant(np.ascontiguousarray(net.w_out.T), np.float64, "w_out")
    kept = graph.op("Mul", filtered, keep)
    fresh = graph.op("Mul", graph.cast(spikes, np.float64), jump)
    filtered = graph.op("Add", kept, fresh, name="f_next")
    outputs = graph.op("MatMul", filtered, w_out)
    b_out = graph.constant(net.b_out, np.float64, "b_out")
    return filtered, graph.op("Add", outputs, b_out, name="output")


def said(net: FixedPointNetwork) -> dict[str, Any]:
    """Return what the numbers of a model mean: fields for its properties."""
    names = ("dt", "state_scale", "v_reset", "input_scale", "tau_out", "made_from")
    more = ("reset_interval", "reset_offset", "noise_exp")
    sizes = {"n": net.n, "n_in": net.n_in, "n_out": net.n_out, "slots": net.slots}
    return {name: getattr(net, name) for name in (*names, *more)} | sizes


def _row(graph: Graph, name: str, value: np.ndarray, shape: str) -> str:
    """Return an input spread over the batch; one number stands for equal ones."""
    same = bool((value == value[0]).all())
    dims = (f"{name}_batch", f"{name}_n")
    default = value[None, : 1 if same else None]
    return graph.op(
        "Expand", graph.input(name, value.dtype, dims, default), shape, name=f"{name}_0"
    )


def _ring(graph: Graph, net: FixedPointNetwork, shape: str) -> str:
    """Return the ring by steps until arrival, int32; see `State`."""
    dims = ("ring_slots", "ring_batch", "ring_n")
    ring = graph.input("ring", np.int64, dims, [[[0]]])
    graph.input("step", np.int64, (), 0)
    full = graph.op("Concat", graph.constant([net.slots]), shape, axis=0)
    ring = graph.cast(graph.op("Expand", ring, full), np.int32, "ring_0")
    if net.slots == 1:
        return graph.op("Squeeze", ring, graph.constant([0]))
    return _turned(graph, net, ring, graph.op("Add", _slots(graph, net), "step"))


def _slots(graph: Graph, net: FixedPointNetwork) -> str:
    return graph.constant(np.arange(net.slots))


def _turned(graph: Graph, net: FixedPointNetwork, ring: str, places: str) -> str:
    """Return the ring's slots in another order; places are taken modulo the slots."""
    places = graph.op("Mod", places, graph.constant(net.slots))
    return graph.op("Gather", ring, places, axis=0)
