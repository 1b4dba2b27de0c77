"""Inputs that the graphs of both float networks have: trials, states and noise.

The activations of a `RateRNN` as ONNX operators.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isotau.convert.ground import validation
from isotau.convert.neuron.activation import ACTIVATIONS
from isotau.convert.neuron.fi_curve import lif_table
from isotau.targets.onnx_model.graph import Graph

OPERATORS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
"""Those that are one operator, which onnxruntime has in float32 and float64."""


def add_activation(
    graph: Graph, x: str, activation: str, ceiling: float | None, dtype: str
) -> str:
    """Return the name of r = min(φ(x), ceiling) in a graph.

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
    below = graph.op("Min", below, graph.constant(size - 2))
    part = graph.op("Sub", along, graph.cast(below, dtype))
    values = graph.constant(table.values, dtype, "lif_values")
    rises = table.values[1:] - table.values[:-1]
    rise = graph.op("Gather", graph.constant(rises, dtype, "lif_rises"), below)
    gained = graph.op("Mul", part, rise)
    return graph.op("Add", graph.op("Gather", values, below), gained)


DTYPES = ("float32", "float64")
INPUTS, NOISE = "inputs", "noise"
TIMES: tuple[str, ...] = ("steps", "batch")
"""Names of the axes whose lengths are known only when the model runs."""


def axes(step: bool) -> tuple[str, ...]:
    """Return the axes that precede the neurons: batch, or steps and batch."""
    return TIMES[1:] if step else TIMES


def check_dtype(dtype: str) -> str:
    """Return `dtype` if it is one of `DTYPES`."""
    return validation.choice("dtype", dtype, DTYPES)


def add_state(
    graph: Graph, name: str, dtype: npt.DTypeLike, start: npt.ArrayLike, batch: str
) -> str:
    """Add the input of a state and return it for every trial, batch × neuron.

    Left out, it is the start state.

    Args:
        graph: to which it is added.
        name: of the input.
        dtype: of its numbers.
        start: the state before the first step, one value for each neuron.
        batch: name of the number of trials, an array of one element.
    """
    row = np.asarray(start)[None]
    given = graph.input(name, dtype, [f"{name}_batch", row.shape[1]], default=row)
    shape = graph.op("Concat", batch, graph.constant([1]), axis=0)
    return graph.op("Expand", given, shape)


def add_noise(graph: Graph, dtype: str, n: int, steps: str | None) -> str:
    """Add the input of the noise and return it, ready to be broadcast.

    It takes samples of the standard normal distribution. Left out it is one zero, which
    costs no memory.

    Args:
        graph: to which it is added.
        dtype: of its numbers.
        n: how many neurons there are.
        steps: name of the number of steps, an array of one element; None for a graph
            of one step.
    """
    dims: Sequence[str] = [f"{NOISE}_{axis}" for axis in axes(steps is None)]
    none = np.zeros([1] * (len(dims) + 1))
    given = graph.input(NOISE, dtype, [*dims, f"{NOISE}_n"], default=none)
    if steps is None:
        return given
    # Along time alone: a Scan takes it apart there.
    return graph.op(
        "Expand", given, graph.op("Concat", steps, graph.constant([1, 1]), axis=0)
    )


def lengths(graph: Graph, inputs: str) -> tuple[str, str]:
    """Return the names of the numbers of steps and of trials, for a graph over time."""
    return (
        graph.op("Shape", inputs, start=0, end=1, name="steps"),
        graph.op("Shape", inputs, start=1, end=2, name="batch"),
    )
