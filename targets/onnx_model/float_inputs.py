"""What the graphs of both float networks have: inputs, states, noise; activations."""

import numpy as np
import numpy.typing as npt

from isotau.convert.ground import validation
from isotau.convert.neuron.activation import ACTIVATIONS
from isotau.convert.neuron.fi_curve import lif_table
from isotau.targets.onnx_model.graph import Graph

DTYPES = ("float32", "float64")
INPUTS, NOISE, CURRENT_NOISE = "inputs", "noise", "current_noise"
STEPS, BATCH = "steps", "batch"
"""Axes whose lengths are known only when the model runs, and the values that hold
these, as arrays of one element."""
OPERATORS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
"""Activations that are one operator, which onnxruntime has in both types."""


def add_activation(
    graph: Graph, x: str, activation: str, ceiling: float | None, dtype: str
) -> str:
    """Return the name of r = min(φ(x), ceiling) in a graph (R6).

    Args:
        graph: to which the operators are added.
        x: name of the states.
        activation: one of `ACTIVATIONS`; "lif" becomes a table.
        ceiling: largest r, None for none.
        dtype: of the states.
    """
    match validation.choice("activation", activation, ACTIVATIONS):
        case "lif":
            r = _table(graph, x, dtype)
        case "softplus":
            r = _softplus(graph, x, dtype)
        case name:
            r = graph.op(OPERATORS[name], x)
    if ceiling is None:
        return r
    return graph.op("Min", r, graph.constant(ceiling, dtype, "ceiling"))


def _softplus(graph: Graph, x: str, dtype: str) -> str:
    """Return the name of max(x, 0) + log(1 + e^−|x|).

    ONNX has Softplus, but onnxruntime (1.31) makes infinity of it beyond x = 709 in
    float64.
    """
    small = graph.op("Exp", graph.op("Neg", graph.op("Abs", x)))
    more = graph.op("Log", graph.op("Add", small, graph.constant(1, dtype)))
    return graph.op("Add", graph.op("Relu", x), more)


def _table(graph: Graph, x: str, dtype: str) -> str:
    """Return the name of the "lif" activation: linear between the table's points."""
    table = lif_table()

    def number(value: float) -> str:
        return graph.constant(value, dtype)

    size = table.values.size
    along = graph.op("Sub", x, number(table.start))
    along = graph.op("Mul", along, number(1 / table.step))
    along = graph.op("Clip", along, number(0), number(size - 1))
    below = graph.cast(along, "int64")
    # The last point ends the last piece; it begins none.
    below = graph.op("Min", below, graph.constant(size - 2))
    part = graph.op("Sub", along, graph.cast(below, dtype))
    values = graph.constant(table.values, dtype, "lif_values")
    # Differences are taken here, once, not in every step.
    rises = table.values[1:] - table.values[:-1]
    rise = graph.op("Gather", graph.constant(rises, dtype, "lif_rises"), below)
    gained = graph.op("Mul", part, rise)
    return graph.op("Add", graph.op("Gather", values, below), gained)


def add_inputs(
    graph: Graph, dtype: str, n_in: int, *, step: bool
) -> tuple[tuple[str, ...], str]:
    """Add the trials; return the axes before the channels, and the name of the input.

    Args:
        graph: to which it is added.
        dtype: of its numbers.
        n_in: number of channels.
        step: whether the graph is of one step, without the axis of time.
    """
    validation.choice("dtype", dtype, DTYPES)
    # Values of these names follow, so that other inputs can be spread over them.
    axes = (BATCH,) if step else (STEPS, BATCH)
    inputs = graph.input(INPUTS, dtype, [*axes, n_in])
    for k, axis in enumerate(axes):
        graph.op("Shape", inputs, start=k, end=k + 1, name=axis)
    return axes, inputs


def add_state(
    graph: Graph, name: str, dtype: npt.DTypeLike, start: npt.ArrayLike
) -> str:
    """Add the input of a state and return it for every trial, batch × neuron.

    Left out, it is the start state.

    Args:
        graph: to which it is added, with the trials.
        name: of the input.
        dtype: of its numbers.
        start: the state before the first step, one value for each neuron.
    """
    # One row as the default, which a state with as many rows as trials replaces.
    row = np.asarray(start)[None]
    state = graph.input(name, dtype, [f"{name}_batch", row.shape[1]], default=row)
    shape = graph.op("Concat", BATCH, graph.constant([1]), axis=0)
    return graph.op("Expand", state, shape)


def add_noise(graph: Graph, dtype: str, *, step: bool, name: str = NOISE) -> str:
    """Add the input of the noise and return it, ready to be broadcast.

    It takes samples of the standard normal distribution. Left out it is one zero, which
    costs no memory.

    Args:
        graph: to which it is added, with the trials.
        dtype: of its numbers.
        step: whether the graph is of one step.
        name: of the input.
    """
    axes = (BATCH, "n") if step else (STEPS, BATCH, "n")
    dims = [f"{name}_{axis}" for axis in axes]
    noise = graph.input(name, dtype, dims, default=np.zeros([1] * len(dims)))
    if step:
        return noise
    # Along time alone: a Scan takes it apart there.
    shape = graph.op("Concat", STEPS, graph.constant([1, 1]), axis=0)
    return graph.op("Expand", noise, shape)
