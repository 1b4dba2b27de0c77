"""`RateRNN` as ONNX graphs: over time, and one step."""

from typing import Any

import numpy as np

from isotau.convert.records.rate import RateRNN
from isotau.targets.onnx_model.float_inputs import (
    INPUTS,
    add_activation,
    add_noise,
    add_state,
    axes,
    check_dtype,
    lengths,
)
from isotau.targets.onnx_model.graph import Graph, to_model
from isotau.targets.onnx_model.model_file import properties

STATES = {"x": "x_after"}
"""What the graph remembers: each input, and the output that goes back into it."""
OUTPUTS = ("outputs", "rates")
ARRAYS = ("w_in", "w_rec", "w_out", "bias", "b_out", "tau", "readout_bias")
"""Fields of the record that are parameters of the graph, under their own names."""
SAID = ("activation", "ceiling", "noise_std", "x0_std", "dt", "dale")
"""Fields that are in the metadata, with the factors of a low-rank network."""
DOC = (
    "Rate network: x <- (1 - dt/tau) x + (dt/tau)(w_rec r + w_in u + b) + noise_std xi,"
    " r = phi(x), o = w_out phi(x + readout_bias) + b_out. Made by isotau."
)


def rate_to_onnx(net: RateRNN, *, dtype: str = "float32") -> Any:
    """Return the network as an ONNX model that runs whole trials.

    Inputs: `inputs`, steps × batch × channel; `x`, batch × unit, the state before the
    first step, net.x0 if left out; with noise_std > 0 `noise`, steps × batch × unit,
    standard normal samples, none if left out. Outputs: `outputs`, steps × batch ×
    output; `rates`, steps × batch × unit; `x_after`, the state to go on from. Element t
    is the state after input t was taken, as in `simulate_rate`.

    Args:
        net: the network.
        dtype: "float32" or "float64", of all inputs, parameters and outputs.
    """
    return _model(net, check_dtype(dtype), step=False)


def rate_step_to_onnx(net: RateRNN, *, dtype: str = "float32") -> Any:
    """Return the network as an ONNX model of one step.

    Inputs and outputs are those of `rate_to_onnx` without the axis of time.
    """
    return _model(net, check_dtype(dtype), step=True)


def _model(net: RateRNN, dtype: str, *, step: bool) -> Any:
    graph = Graph("rate_step" if step else "rate")
    when = axes(step)
    inputs = graph.input(INPUTS, dtype, [*when, net.n_in])
    for name in ARRAYS:
        if name != "readout_bias" or _reads_apart(net):
            graph.parameter(name, getattr(net, name), dtype)
    if step:
        batch = graph.op("Shape", inputs, start=0, end=1, name="batch")
        steps = None
    else:
        steps, batch = lengths(graph, inputs)
    x = add_state(graph, "x", dtype, net.x0, batch)
    noise = add_noise(graph, dtype, net.n, steps) if net.noise_std else ""
    unit = _Unit(graph, net, dtype)
    drive = graph.op("Add", graph.op("MatMul", inputs, unit.w_in), unit.bias)
    r = add_activation(graph, x, net.activation, net.ceiling, dtype)
    if step:
        x, r = unit.advance(graph, x, r, drive, noise)
        x_end, states = x, x
    else:
        x_end, states, r = _scan(graph, unit, x, r, drive, noise)
    graph.output(unit.read_out(states, r), dtype, [*when, net.n_out], name="outputs")
    graph.output(r, dtype, [*when, net.n], name="rates")
    graph.output(x_end, dtype, ["batch", net.n], name=STATES["x"])
    said = {name: getattr(net, name) for name in SAID} | {"dtype": dtype}
    if net.rank:
        for name in ("m_vectors", "n_vectors"):
            said[name] = getattr(net, name).tolist()
    return to_model(graph, properties(net, "step" if step else "scan", said), DOC)


def _reads_apart(net: RateRNN) -> bool:
    """Return whether there is a readout bias; −0 is one, to be read back as it was."""
    return bool(net.readout_bias.any() or np.signbit(net.readout_bias).any())


class _Unit:
    """The parameters of a network as its step needs them, and the step."""

    def __init__(self, graph: Graph, net: RateRNN, dtype: str) -> None:
        self.graph, self.net, self.dtype = graph, net, dtype
        gain = graph.op("Div", graph.constant(net.dt, dtype, "dt"), "tau", name="gain")
        self.kept = graph.op("Sub", graph.constant(1, dtype), gain, name="kept")
        column = graph.op("Unsqueeze", gain, graph.constant([1]))
        self.w_in = self._turned(graph.op("Mul", "w_in", column))
        self.w_rec = self._turned(graph.op("Mul", "w_rec", column))
        self.w_out = self._turned("w_out")
        self.bias = graph.op("Mul", "bias", gain)

    def _turned(self, name: str) -> str:
        return self.graph.op("Transpose", name, perm=[1, 0])

    def advance(
        self, graph: Graph, x: str, r: str, drive: str, noise: str
    ) -> tuple[str, str]:
        """Return the state and the rates one dt later, in the record's order."""
        moved = graph.op("MatMul", r, self.w_rec)
        x = graph.op("Add", graph.op("Mul", self.kept, x), moved)
        x = graph.op("Add", x, drive)
        if noise:
            amplitude = graph.constant(self.net.noise_std, self.dtype, "noise_std")
            x = graph.op("Add", x, graph.op("Mul", amplitude, noise))
        net = self.net
        return x, add_activation(graph, x, net.activation, net.ceiling, self.dtype)

    def read_out(self, x: str, r: str) -> str:
        """Return the outputs of states and rates."""
        if _reads_apart(self.net):
            shifted = self.graph.op("Add", x, "readout_bias")
            net = self.net
            r = add_activation(
                self.graph, shifted, net.activation, net.ceiling, self.dtype
            )
        return self.graph.op("Add", self.graph.op("MatMul", r, self.w_out), "b_out")


def _scan(
    graph: Graph, unit: _Unit, x: str, r: str, drive: str, noise: str
) -> tuple[str, str, str]:
    """Return the last state, all states and all rates."""
    body = Graph("rate_body", around=graph)
    n, dtype = unit.net.n, unit.dtype
    before = [body.input(k, dtype, ["batch", n]) for k in ("x_before", "r_before")]
    now = [body.input("drive_now", dtype, ["batch", n])]
    if noise:
        now.append(body.input("noise_now", dtype, ["noise_batch", "noise_n"]))
    noise_now = now[1] if noise else ""
    after = unit.advance(body, before[0], before[1], now[0], noise_now)
    for value in after:
        body.output(value, dtype, ["batch", n])
    keep_x = _reads_apart(unit.net)
    kept = [after[1], after[0]] if keep_x else [after[1]]
    for k, value in enumerate(kept):
        body.output(value, dtype, ["batch", n], name=f"kept_{k}")
    x_end, _, rates, *states = graph.ops(
        "Scan",
        x,
        r,
        drive,
        *([noise] if noise else []),
        names=["x_end", "r_end", "all_rates", *(["all_x"] if keep_x else [])],
        body=body.proto(),
        num_scan_inputs=len(now),
    )
    return x_end, states[0] if states else "", rates
