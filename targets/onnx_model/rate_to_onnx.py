"""`RateRNN` as ONNX graphs: over time, and one step."""

import numpy as np
import onnx

from isotau.convert.records.rate import RateRNN
from isotau.targets.onnx_model.float_inputs import (
    add_activation,
    add_inputs,
    add_noise,
    add_state,
)
from isotau.targets.onnx_model.graph import Graph, to_model
from isotau.targets.onnx_model.model_file import properties

STATES = {"x": "x_after"}
"""What the graph remembers: each input, and the output that goes back into it."""
OUTPUTS = ("outputs", "rates")
ARRAYS = ("w_in", "w_rec", "w_out", "bias", "b_out", "tau", "readout_bias")
"""Fields of the record that are parameters of the graph, under their own names."""
FIELDS = ("activation", "ceiling", "noise_std", "x0_std", "dt", "dale")
"""Fields that are in the metadata, with the factors of a low-rank network."""
DOC = (
    "Rate network: x <- (1 - dt/tau) x + (dt/tau)(w_rec r + w_in u + b) + noise_std xi,"
    " r = phi(x), o = w_out phi(x + readout_bias) + b_out. Made by isotau."
)


def rate_to_onnx(net: RateRNN, *, dtype: str = "float32") -> onnx.ModelProto:
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
    return _model(net, dtype, step=False)


def rate_step_to_onnx(net: RateRNN, *, dtype: str = "float32") -> onnx.ModelProto:
    """Return the network as an ONNX model of one step.

    Inputs and outputs are those of `rate_to_onnx` without the axis of time.
    """
    return _model(net, dtype, step=True)


def _model(net: RateRNN, dtype: str, *, step: bool) -> onnx.ModelProto:
    graph = Graph("rate_step" if step else "rate")
    # As they are, under their own names, so that the record can be read back.
    for name in ARRAYS:
        if name != "readout_bias" or _reads_apart(net):
            graph.parameter(name, getattr(net, name), dtype)
    when, inputs = add_inputs(graph, dtype, net.n_in, step=step)
    x = add_state(graph, "x", dtype, net.x0)
    noise = add_noise(graph, dtype, step=step) if net.noise_std else ""
    unit = _Unit(graph, net, dtype)
    drive = graph.op("Add", graph.op("MatMul", inputs, unit.w_in), unit.bias)
    # Rates of the state before the step: they are what recurs.
    r = unit.rates(graph, x)
    if step:
        x_end, r = unit.advance(graph, x, r, drive, noise)
        states = x_end
    else:
        x_end, states, r = _scan(graph, unit, x, r, drive, noise)
    graph.output(unit.read_out(states, r), dtype, [*when, net.n_out], name="outputs")
    graph.output(r, dtype, [*when, net.n], name="rates")
    graph.output(x_end, dtype, ["batch", net.n], name=STATES["x"])
    fields = {name: getattr(net, name) for name in FIELDS} | {"dtype": dtype}
    if net.rank:
        for name in ("m_vectors", "n_vectors"):
            fields[name] = getattr(net, name).tolist()
    return to_model(graph, properties(net, "step" if step else "scan", fields), DOC)


def _reads_apart(net: RateRNN) -> bool:
    """Return whether there is a readout bias; −0 is one, to be read back as it was."""
    return bool(net.readout_bias.any() or np.signbit(net.readout_bias).any())


class _Unit:
    """The parameters of a network as its step needs them, and the step."""

    def __init__(self, graph: Graph, net: RateRNN, dtype: str) -> None:
        self.graph, self.net, self.dtype = graph, net, dtype
        # α = dt/τ, and weights times it: no step changes them.
        gain = graph.op("Div", graph.constant(net.dt, dtype, "dt"), "tau", name="gain")
        self.kept = graph.op("Sub", graph.constant(1, dtype), gain, name="kept")
        # Rows of post × pre are scaled, then turned, as trials stand in rows.
        column = graph.op("Unsqueeze", gain, graph.constant([1]))
        self.w_in = self._turned(graph.op("Mul", "w_in", column))
        self.w_rec = self._turned(graph.op("Mul", "w_rec", column))
        self.w_out = self._turned("w_out")
        self.bias = graph.op("Mul", "bias", gain)

    def _turned(self, name: str) -> str:
        return self.graph.op("Transpose", name, perm=[1, 0])

    def rates(self, graph: Graph, x: str) -> str:
        """Return r of states (R3)."""
        net = self.net
        return add_activation(graph, x, net.activation, net.ceiling, self.dtype)

    def advance(
        self, graph: Graph, x: str, r: str, drive: str, noise: str
    ) -> tuple[str, str]:
        """Return the state and the rates one dt later, in the record's order (R2)."""
        moved = graph.op("MatMul", r, self.w_rec)
        x = graph.op("Add", graph.op("Mul", self.kept, x), moved)
        x = graph.op("Add", x, drive)
        if noise:  # it comes last, and is not scaled with dt/τ
            amplitude = graph.constant(self.net.noise_std, self.dtype, "noise_std")
            x = graph.op("Add", x, graph.op("Mul", amplitude, noise))
        return x, self.rates(graph, x)

    def read_out(self, x: str, r: str) -> str:
        """Return the outputs of states and rates (R4)."""
        if _reads_apart(self.net):
            r = self.rates(self.graph, self.graph.op("Add", x, "readout_bias"))
        return self.graph.op("Add", self.graph.op("MatMul", r, self.w_out), "b_out")


def _scan(
    graph: Graph, unit: _Unit, x: str, r: str, drive: str, noise: str
) -> tuple[str, str, str]:
    """Return the last state, all states and all rates."""
    body = Graph("rate_body", around=graph)
    n, dtype = unit.net.n, unit.dtype
    before = [body.input(k, dtype, ["batch", n]) for k in ("x_before", "r_before")]
    # What the inputs bring is summed outside, for all steps at once.
    now = [body.input("drive_now", dtype, ["batch", n])]
    if noise:
        now.append(body.input("noise_now", dtype, ["noise_batch", "noise_n"]))
    noise_now = now[1] if noise else ""
    after = unit.advance(body, before[0], before[1], now[0], noise_now)
    for value in after:
        body.output(value, dtype, ["batch", n])
    # States take as much memory as rates: only where the readout needs them.
    keep_x = _reads_apart(unit.net)
    traces = [after[1], after[0]] if keep_x else [after[1]]
    for k, value in enumerate(traces):
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
