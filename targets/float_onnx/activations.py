"""The activations of a `RateRNN` as ONNX operators."""

from isotau.convert import validation
from isotau.convert.activation import ACTIVATIONS
from isotau.convert.fi_curve import lif_table
from isotau.targets.to_onnx.graph import Graph

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
