"""`LIFNetwork` as ONNX graphs in floats: over time, and one step."""

from typing import NamedTuple

import numpy as np
import onnx

from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.weight_form import densified
from isotau.targets.onnx_model.float_inputs import (
    CURRENT_NOISE,
    NOISE,
    add_inputs,
    add_noise,
    add_state,
)
from isotau.targets.onnx_model.graph import Dims, Graph, to_model
from isotau.targets.onnx_model.model_file import properties

STATES = {name: f"{name}_after" for name in ("i", "v", "z", "rest", "f")}
"""What the graph remembers: each input, and the output that goes back into it."""
OUTPUTS = ("spikes", "outputs")
FIELDS = (
    "noise_std",
    "current_noise_std",
    "dt",
    "tau_syn",
    "tau_mem",
    "tau_out",
    "refractory",
    "population",
)
"""Fields that are in the metadata."""
DOC = (
    "Current-based LIF network: i <- i + w_in x + w_rec z; v <- v + a_mem (v_leak - v "
    "+ i) + noise; i <- i (1 - a_syn); z <- v > v_th; v <- v_reset where z, and held "
    "for the refractory steps; o = w_out f + b_out. Made by isotau."
)


class LIFValues(NamedTuple):
    """Names of what the network remembers between two steps, each batch × neuron."""

    i: str
    v: str
    z: str
    """Spikes of the step before, uint8."""
    rest: str
    """Steps left at reset, int64."""
    f: str
    """Filtered spike trains, in Hz."""


def lif_to_onnx(net: LIFNetwork, *, dtype: str = "float64") -> onnx.ModelProto:
    """Return the network as an ONNX model that runs whole trials.

    Inputs: `inputs`, steps × batch × channel; with noise_std > 0 `noise`, steps × batch
    × neuron, standard normal samples, none if left out; and the state before the first
    step, each batch × neuron, the network's own start if left out: `i` and `v` in
    volts, `z` the spikes under way (uint8), `rest` the steps left at reset (int64), `f`
    the filtered spikes in Hz. Outputs: `spikes`, steps × batch × neuron, uint8;
    `outputs`, steps × batch × output; and `i_after`, `v_after`, `z_after`,
    `rest_after`, `f_after`, to go on from.

    Args:
        net: the network.
        dtype: "float32" or "float64"; in float32 a spike may come a step earlier or
            later, after which a recurrent network goes another way.
    """
    return _model(net, dtype, step=False)


def lif_step_to_onnx(net: LIFNetwork, *, dtype: str = "float64") -> onnx.ModelProto:
    """Return the network as an ONNX model of one step.

    Inputs and outputs are those of `lif_to_onnx` without the axis of time.
    """
    return _model(net, dtype, step=True)


def start(net: LIFNetwork) -> dict[str, np.ndarray]:
    """Return the state before the first step, by the names of the inputs."""
    return {
        "i": net.i0,
        "v": net.v0,
        "z": np.zeros(net.n, dtype=np.uint8),
        "rest": np.zeros(net.n, dtype=np.int64),
        "f": net.f0,
    }


class LIFNoise(NamedTuple):
    """Standard normal samples of a step or a run, "" for none."""

    v: str = ""
    i: str = ""


def _model(net: LIFNetwork, dtype: str, *, step: bool) -> onnx.ModelProto:
    source, net = net, densified(net, "an ONNX model")
    graph = Graph("lif_step" if step else "lif")
    when, inputs = add_inputs(graph, dtype, net.n_in, step=step)
    kinds = {name: _kind(name, dtype) for name in STATES}
    state = LIFValues(
        **{
            name: add_state(graph, name, kinds[name], value)
            for name, value in start(net).items()
        }
    )
    noise = LIFNoise(
        *(
            add_noise(graph, dtype, step=step, name=name) if std.any() else ""
            for name, std in (
                (NOISE, net.noise_std),
                (CURRENT_NOISE, net.current_noise_std),
            )
        )
    )
    neurons = _Neurons(graph, net, dtype)
    jump = graph.op("MatMul", inputs, neurons.w_in)
    if step:
        state, output = neurons.advance(graph, state, jump, noise)
        spikes = state.z
    else:
        state, spikes, output = _scan(graph, neurons, state, jump, noise)
    graph.output(spikes, "uint8", [*when, net.n], name="spikes")
    graph.output(output, dtype, [*when, net.n_out], name="outputs")
    for name, value in state._asdict().items():
        graph.output(value, kinds[name], ["batch", net.n], name=STATES[name])
    fields = {name: getattr(net, name) for name in FIELDS} | {"dtype": dtype}
    return to_model(graph, properties(source, "step" if step else "scan", fields), DOC)


def _kind(name: str, dtype: str) -> str:
    return {"z": "uint8", "rest": "int64"}.get(name, dtype)


class _Neurons:
    """The parameters of a network as its step needs them, and the step."""

    def __init__(self, graph: Graph, net: LIFNetwork, dtype: str) -> None:
        self.net, self.dtype = net, dtype
        lost_syn, lost_mem, lost_out = (  # (L7)
            decay_fraction(tau, net.dt)
            for tau in (net.tau_syn, net.tau_mem, net.tau_out)
        )
        # As in Norse's step, noise enters with v_leak and is scaled with it (L9).
        values = {
            "a_mem": lost_mem,
            "a_syn": -lost_syn,
            "noise_lift": net.noise_per_step / lost_mem,
            "current_noise_per_step": net.current_noise_per_step,
            "f_kept": 1 - lost_out,
            "f_jump": lost_out / net.dt,
            "v_leak": net.v_leak,
            "v_th": net.v_th,
            "v_reset": net.v_reset,
            "b_out": net.b_out,
        }
        # A graph names no parameter that nothing reads.
        if not net.noise_std.any():
            del values["noise_lift"]
        if not net.current_noise_std.any():
            del values["current_noise_per_step"]
        self.constants = {k: graph.parameter(k, v, dtype) for k, v in values.items()}
        steps = net.refractory_steps
        self.constants["rest_steps"] = graph.parameter("rest_steps", steps)
        self.w_in, self.w_rec, self.w_out = (
            graph.op("Transpose", graph.parameter(k, getattr(net, k), dtype))
            for k in ("w_in", "w_rec", "w_out")
        )

    def advance(
        self, graph: Graph, state: LIFValues, jump: str, noise: LIFNoise
    ) -> tuple[LIFValues, str]:
        """Return the state one dt later and the output, in the record's order."""
        constants, op = self.constants, graph.op
        z = graph.cast(state.z, self.dtype)
        i = state.i
        if noise.i:
            i = op("Add", i, op("Mul", constants["current_noise_per_step"], noise.i))
        i = op("Add", op("Add", i, jump), op("MatMul", z, self.w_rec))  # (L1)
        goal = constants["v_leak"]
        if noise.v:
            goal = op("Add", goal, op("Mul", constants["noise_lift"], noise.v))
        pull = op("Add", op("Sub", goal, state.v), i)
        v = op("Add", state.v, op("Mul", constants["a_mem"], pull))  # (L2)
        i = op("Add", i, op("Mul", constants["a_syn"], i))  # (L3)
        zero = graph.constant(0)
        resting = op("Greater", state.rest, zero)
        above = op("Greater", v, constants["v_th"])
        spikes = op("And", above, op("Not", resting))  # (L4)
        v = op("Where", op("Or", resting, spikes), constants["v_reset"], v)  # (L5)
        less = op("Max", op("Sub", state.rest, graph.constant(1)), zero)
        rest = op("Where", spikes, constants["rest_steps"], less)  # (L6)
        jumped = op("Mul", graph.cast(spikes, self.dtype), constants["f_jump"])
        f = op("Add", op("Mul", state.f, constants["f_kept"]), jumped)  # (L12)
        output = op("Add", op("MatMul", f, self.w_out), constants["b_out"])  # (L13)
        return LIFValues(i, v, graph.cast(spikes, np.uint8), rest, f), output


def _scan(
    graph: Graph, neurons: _Neurons, state: LIFValues, jump: str, noise: LIFNoise
) -> tuple[LIFValues, str, str]:
    """Return the last state, all spikes and all outputs."""
    body = Graph("lif_body", around=graph)
    dtype = neurons.dtype
    dims: Dims = ["batch", neurons.net.n]
    before = LIFValues(
        *(body.input(f"{k}_before", _kind(k, dtype), dims) for k in LIFValues._fields)
    )
    now = [body.input("jump_now", dtype, dims)]
    samples = {}
    for name in [name for name, outer in noise._asdict().items() if outer]:
        axes: Dims = [f"noise_{name}_batch", f"noise_{name}_n"]
        samples[name] = body.input(f"noise_{name}_now", dtype, axes)
    now += samples.values()
    after, output = neurons.advance(body, before, now[0], LIFNoise(**samples))
    for name, value in after._asdict().items():
        body.output(value, _kind(name, dtype), dims)
    body.output(after.z, "uint8", dims, name="spikes_now")
    body.output(output, dtype, ["batch", neurons.net.n_out], name="outputs_now")
    *end, spikes, outputs = graph.ops(
        "Scan",
        *state,
        jump,
        *(outer for outer in noise if outer),
        names=[*(f"{k}_end" for k in LIFValues._fields), "all_spikes", "all_outputs"],
        body=body.proto(),
        num_scan_inputs=len(now),
    )
    return LIFValues(*end), spikes, outputs
