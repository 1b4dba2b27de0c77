"""A `FixedPointNetwork` as an ONNX model: one Scan over time, or a single step.

Both give the bits of the reference engine and hold integers alone, but for the readout,
which runs off the chip.
"""

from collections.abc import Sequence

import numpy as np
import onnx

from isotau.convert.ground import validation
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.targets.onnx_model import integer_step, interface
from isotau.targets.onnx_model.graph import Dims, Graph, to_model
from isotau.targets.onnx_model.integer_step import Chip, Moment, State
from isotau.targets.onnx_model.model_file import properties

RECORDABLE = ("u", "v")
DOC = (
    "A recurrent LIF network in Loihi's fixed point, made by isotau; time × batch × "
    "channel"
)


def fixed_to_onnx(
    net: FixedPointNetwork, *, record: Sequence[str] = (), readout: bool = False
) -> onnx.ModelProto:
    """Return a network as one ONNX model over any number of steps and trials.

    Inputs; all but the first may be left out, for a run from power-up:
        messages: steps × batch × channel, int64; beyond 32 bits they are wrapped.
        u, v, rest: batch × neuron, int64; either axis may have length 1. Without
            refractory periods nobody rests, and `rest` is handed on as it is.
        ring: slot × batch × neuron, int64, as in the engines' `State`; likewise.
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
    for name in record:
        validation.choice("record", name, RECORDABLE)
    graph = Graph("network")
    graph.input("messages", np.int64, ["steps", "batch", net.n_in])
    start = interface.begin(graph, net, axis=1, readout=readout)
    steps = graph.op("Squeeze", graph.op("Shape", "messages", start=0, end=1))
    end = graph.op("Add", start.step, steps)
    numbers = graph.op("Range", start.step, end, graph.constant(1), name="numbers")
    given = Moment(
        payloads=start.payloads,
        events=start.events,
        number=numbers if net.noise_exp is not None else "",
        keep=interface.unless_reset(graph, net, numbers) if net.reset_interval else "",
    )
    carried = _held(start.state._asdict() | {"f": start.filtered})
    if not start.chip.refractory:
        del carried["rest"]
    # A Scan needs something to go along; a network without inputs counts.
    scanned = _held(given._asdict()) or {"number": numbers}
    body = Graph("step", around=graph)
    _fill(body, net, start.chip, list(carried), list(scanned), record)
    traces = ["spikes", *(f"{name}_trace" for name in record)]
    traces += ["outputs"] if readout else []
    results = graph.ops(
        "Scan",
        *carried.values(),
        *scanned.values(),
        names=[*(f"{name}_end" for name in carried), *traces],
        body=body.proto(),
        num_scan_inputs=len(scanned),
    )
    graph.output("spikes", np.uint8, ["steps", "batch", net.n])
    interface.finish(graph, net, start, dict(zip(carried, results, strict=False)), end)
    for name in record:
        graph.output(f"{name}_trace", np.int32, ["steps", "batch", net.n])
    if readout:
        graph.output("outputs", np.float64, ["steps", "batch", net.n_out])
    return to_model(graph, properties(net, "scan", interface.said(net)), DOC)


def fixed_step_to_onnx(
    net: FixedPointNetwork, *, readout: bool = False
) -> onnx.ModelProto:
    """Return a network as an ONNX model of one time step.

    Inputs and outputs are those of `fixed_to_onnx` without the axis of time, and
    without traces, which u_after and v_after are.
    """
    graph = Graph("network")
    graph.input("messages", np.int64, ["batch", net.n_in])
    start = interface.begin(graph, net, axis=0, readout=readout)
    keep = ""
    if net.reset_interval:
        keep = interface.unless_reset(graph, net, start.step)
    now = Moment(start.payloads, start.events, start.step, keep)
    done = integer_step.step(graph, net, start.chip, start.state, now)
    last, outputs = _held(done.state._asdict()), ""
    if readout:
        last["f"], outputs = interface.read_out(graph, net, start.filtered, done.spikes)
    graph.output(done.spikes, np.uint8, ["batch", net.n], name="spikes")
    end = graph.op("Add", start.step, graph.constant(1))
    interface.finish(graph, net, start, last, end)
    if readout:
        graph.output(outputs, np.float64, ["batch", net.n_out], name="outputs")
    return to_model(graph, properties(net, "step", interface.said(net)), DOC)


def _fill(
    body: Graph,
    net: FixedPointNetwork,
    chip: Chip,
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

    have = {name: enter(name) for name in (*carried, *scanned)}
    state = State(*(have.get(name, "") for name in State._fields))
    now = Moment(*(have.get(name, "") for name in Moment._fields))
    done = integer_step.step(body, net, chip, state, now)
    after, outputs = done.state._asdict(), ""
    if "f" in have:
        after["f"], outputs = interface.read_out(body, net, have["f"], done.spikes)
    for name in carried:
        body.output(after[name], kinds.get(name, np.int64), shapes.get(name, trials))
    body.output(done.spikes, np.uint8, trials)
    for name in record:
        narrow = body.cast(after[name], np.int32, f"{name}_kept")
        body.output(narrow, np.int32, trials)
    if outputs:
        body.output(outputs, np.float64, ["batch", net.n_out])


def _held(values: dict[str, str]) -> dict[str, str]:
    """Return the values that there are."""
    return {name: value for name, value in values.items() if value}
