"""Inputs that the graphs of both float networks have: trials, states and noise."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isotau.convert import validation
from isotau.targets.to_onnx.graph import Graph

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
