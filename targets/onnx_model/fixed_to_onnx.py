"""A `FixedPointNetwork` as an ONNX model: one Scan over time, or a single step.

Both give the bits of the reference engine and hold integers alone, but for the readout,
which runs off the chip.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx

from isotau.convert.ground import validation
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import decay_fraction
from isotau.convert.records.weight_form import densified
from isotau.targets.onnx_model import delivery, integer_step
from isotau.targets.onnx_model.graph import Dims, Graph, to_model
from isotau.targets.onnx_model.integer_step import ChipValues, StateValues, StepInputs
from isotau.targets.onnx_model.model_file import properties

RECORDABLE = ("u", "v")
STATE = ("u", "v", "rest", "ring", "step")
"""Inputs of the state; the outputs have "_after" behind."""
DOC = (
    "A recurrent LIF network in Loihi's fixed point, made by isotau; time × batch × "
    "channel"
)
FIELDS = (
    *("dt", "state_scale", "v_reset", "input_scale", "tau_out", "made_from"),
    *("reset_interval", "reset_offset", "noise_exp", "current_noise_exp"),
    *("n", "n_in", "n_out", "slots"),
)
"""Fields that say what the numbers of a model mean: its properties."""


def fixed_to_onnx(
    net: FixedPointNetwork, *, record: Sequence[str] = (), readout: bool = False
) -> onnx.ModelProto:
    """Return a network as one ONNX model over any number of steps and trials.

    Inputs; all but the first may be left out, for a run from power-up:
        messages: steps × batch × channel, int64; beyond 32 bits they are wrapped.
        u, v, rest: batch × neuron, int64; either axis may have length 1. Without
            refractory periods nobody rests, and `rest` is handed on as it is.
        ring: slot × batch × neuron, int64, as in `ChipState`; likewise.
        step: steps since power-up, int64; the noise needs it below 2^32.
        seed: uint64, and first_trial, int64; where the network has noise.
        f: filtered spike trains in Hz, batch × neuron, float64; with the readout.
    Outputs:
        spikes: steps × batch × neuron, uint8.
        u_after, v_after, rest_after, ring_after, step_after: the state after the last
            step, int64; a run that is given it goes on exactly.
        f_after: likewise, with the readout.
        u_trace, v_trace: after every step, int32, if in `record`.
        outputs: w_out f + b_out after every step, float64, with the readout.

    Args:
        net: the network.
        record: "u", "v" or both.
        readout: whether the model has the readout.
    """
    # An unknown name would fail only in the middle of the graph.
    for name in record:
        validation.choice("record", name, RECORDABLE)
    source, net = net, densified(net, "an ONNX model")
    graph = Graph("network")
    graph.input("messages", np.int64, ["steps", "batch", net.n_in])
    start = begin(graph, net, axis=1, readout=readout)
    steps = graph.op("Squeeze", graph.op("Shape", "messages", start=0, end=1))
    end = graph.op("Add", "step", steps)
    numbers = graph.op("Range", "step", end, graph.constant(1), name="numbers")
    inputs = StepInputs(
        payloads=start.payloads,
        events=start.events,
        number=numbers if net.noisy else "",
        keep=unless_reset(graph, net, numbers) if net.reset_interval else "",
    )
    carried = _present(start.state._asdict() | {"f": start.filtered})
    # Without refractory periods it would go through every step unchanged.
    if not start.chip.refractory:
        del carried["rest"]
    # A Scan needs something to go along; a network without inputs counts.
    scanned = _present(inputs._asdict()) or {"number": numbers}
    body = Graph("step", around=graph)
    _fill(body, net, start.chip, list(carried), list(scanned), record)
    traces = ["spikes", *(f"{name}_trace" for name in record)]
    traces += ["outputs"] if readout else []
    # First what is carried, in order, then one array for each trace.
    results = graph.ops(
        "Scan",
        *carried.values(),
        *scanned.values(),
        names=[*(f"{name}_end" for name in carried), *traces],
        body=body.proto(),
        num_scan_inputs=len(scanned),
    )
    graph.output("spikes", np.uint8, ["steps", "batch", net.n])
    finish(graph, net, start, dict(zip(carried, results, strict=False)), end)
    for name in record:
        graph.output(f"{name}_trace", np.int32, ["steps", "batch", net.n])
    if readout:
        graph.output("outputs", np.float64, ["steps", "batch", net.n_out])
    return to_model(graph, properties(source, "scan", _fields(net)), DOC)


def fixed_step_to_onnx(
    net: FixedPointNetwork, *, readout: bool = False
) -> onnx.ModelProto:
    """Return a network as an ONNX model of one time step.

    Inputs and outputs are those of `fixed_to_onnx` without the axis of time, and
    without traces, which u_after and v_after are.
    """
    source, net = net, densified(net, "an ONNX model")
    graph = Graph("network")
    graph.input("messages", np.int64, ["batch", net.n_in])
    start = begin(graph, net, axis=0, readout=readout)
    keep = unless_reset(graph, net, "step") if net.reset_interval else ""
    now = StepInputs(start.payloads, start.events, "step", keep)
    state, spikes = integer_step.step(graph, net, start.chip, start.state, now)
    last, outputs = _present(state._asdict()), ""
    if readout:
        last["f"], outputs = read_out(graph, net, start.filtered, spikes)
    graph.output(spikes, np.uint8, ["batch", net.n], name="spikes")
    end = graph.op("Add", "step", graph.constant(1))
    finish(graph, net, start, last, end)
    if readout:
        graph.output(outputs, np.float64, ["batch", net.n_out], name="outputs")
    return to_model(graph, properties(source, "step", _fields(net)), DOC)


class GraphStart(NamedTuple):
    """What the outermost graph computes before the first step."""

    chip: ChipValues
    state: StateValues
    payloads: str
    events: str
    filtered: str
    """Filtered spike trains, float64; "" without a readout."""


def begin(
    graph: Graph, net: FixedPointNetwork, *, axis: int, readout: bool
) -> GraphStart:
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
    state = StateValues(
        u=_row(graph, "u", net.u0.astype(np.int64), shape),
        v=_row(graph, "v", net.v0.astype(np.int64), shape),
        rest=_row(graph, "rest", zero, shape),
        ring=_ring(graph, net, shape),
    )
    # Only what the network needs, so that a file asks for nothing in vain.
    seed = first_trial = payloads = events = ""
    if net.noisy:
        seed = graph.input("seed", np.uint64, (), 0)
        first_trial = graph.input("first_trial", np.int64, (), 0)
    if delivery.needs_payloads(net):
        # A cast keeps the low 32 bits, as the engines do (H14).
        wrapped = graph.cast("messages", np.int32)
        payloads = graph.cast(wrapped, np.int64, "payloads")
    if delivery.needs_events(net):
        events = graph.cast(graph.cast("messages", np.bool_), np.uint8, "events")
    return GraphStart(
        chip=integer_step.load_chip(graph, net, batch, seed, first_trial),
        state=state,
        payloads=payloads,
        events=events,
        filtered=_row(graph, "f", net.f0, shape) if readout else "",
    )


def finish(
    graph: Graph,
    net: FixedPointNetwork,
    start: GraphStart,
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
    # Inside it is turned so that the next arrival comes first, outside it is not.
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
    """Return 0 for the steps of these numbers that reset u and v first, else 1 (H2)."""
    # Lava counts steps from 1.
    due = graph.op("Add", numbers, graph.constant(1))
    due = graph.op("Mod", due, graph.constant(net.reset_interval))
    offset = graph.constant(net.reset_offset % net.reset_interval)
    reset = graph.cast(graph.op("Equal", due, offset), np.int64)
    return graph.op("Sub", graph.constant(1), reset, name="unless_reset")


def read_out(
    graph: Graph, net: FixedPointNetwork, filtered: str, spikes: str
) -> tuple[str, str]:
    """Return the filtered spike trains after a step (L12), and the outputs (L13)."""
    loss = decay_fraction(net.tau_out, net.dt)
    # In float64, as the readout of every engine.
    keep = graph.constant(1 - loss, np.float64, "keep_f")
    jump = graph.constant(loss / net.dt, np.float64, "jump_f")
    w_out = graph.constant(np.ascontiguousarray(net.w_out.T), np.float64, "w_out")
    decayed = graph.op("Mul", filtered, keep)
    fresh = graph.op("Mul", graph.cast(spikes, np.float64), jump)
    filtered = graph.op("Add", decayed, fresh, name="f_next")
    outputs = graph.op("MatMul", filtered, w_out)
    b_out = graph.constant(net.b_out, np.float64, "b_out")
    return filtered, graph.op("Add", outputs, b_out, name="output")


def _fields(net: FixedPointNetwork) -> dict[str, Any]:
    """Return what the numbers of a model mean: fields for its properties."""
    return {name: getattr(net, name) for name in FIELDS}


def _row(graph: Graph, name: str, value: np.ndarray, shape: str) -> str:
    """Return an input spread over the batch; one number stands for equal ones."""
    # One number takes no memory in the file, and a state that is given has n anyway.
    same = bool((value == value[0]).all())
    dims = (f"{name}_batch", f"{name}_n")
    default = value[None, : 1 if same else None]
    return graph.op(
        "Expand", graph.input(name, value.dtype, dims, default), shape, name=f"{name}_0"
    )


def _ring(graph: Graph, net: FixedPointNetwork, shape: str) -> str:
    """Return the ring by steps until arrival, int32; see `StateValues`."""
    dims = ("ring_slots", "ring_batch", "ring_n")
    ring = graph.input("ring", np.int64, dims, [[[0]]])
    graph.input("step", np.int64, (), 0)
    # From places in the ring to steps until arrival: the step decides the turn.
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


def _fill(
    body: Graph,
    net: FixedPointNetwork,
    chip: ChipValues,
    carried: list[str],
    scanned: list[str],
    record: Sequence[str],
) -> None:
    """Add inputs, one step and outputs to the body of a Scan."""
    trials: Dims = ["batch", net.n]
    ring: Dims = trials if net.slots == 1 else [net.slots, *trials]
    kinds = {"ring": np.int32, "f": np.float64, "events": np.uint8}
    shapes: dict[str, Dims] = {"ring": ring, "number": (), "keep": ()}
    shapes |= {name: ["batch", net.n_in] for name in ("payloads", "events")}

    def enter(name: str) -> str:
        kind, dims = kinds.get(name, np.int64), shapes.get(name, trials)
        return body.input(f"{name}_now", kind, dims)

    values = {name: enter(name) for name in (*carried, *scanned)}
    state = StateValues(*(values.get(name, "") for name in StateValues._fields))
    now = StepInputs(*(values.get(name, "") for name in StepInputs._fields))
    state, spikes = integer_step.step(body, net, chip, state, now)
    after, outputs = state._asdict(), ""
    if "f" in values:
        after["f"], outputs = read_out(body, net, values["f"], spikes)
    for name in carried:
        body.output(after[name], kinds.get(name, np.int64), shapes.get(name, trials))
    body.output(spikes, np.uint8, trials)
    # Traces are int32, half as large; the states themselves stay int64.
    for name in record:
        narrow = body.cast(after[name], np.int32, f"{name}_kept")
        body.output(narrow, np.int32, trials)
    if outputs:
        body.output(outputs, np.float64, ["batch", net.n_out])


def _present(values: dict[str, str]) -> dict[str, str]:
    """Return the values that the network has; the names of others are ""."""
    return {name: value for name, value in values.items() if value}
