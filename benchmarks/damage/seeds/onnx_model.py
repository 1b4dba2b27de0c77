"""Whole ONNX models: one RNN node and a readout, and those that isotau writes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.damage.seeds.records import N_IN, N_OUT, N, records
from isotau.targets.onnx_model.fixed_to_onnx import fixed_to_onnx
from isotau.targets.onnx_model.lif_to_onnx import lif_to_onnx
from isotau.targets.onnx_model.model_file import write_onnx
from isotau.targets.onnx_model.rate_to_onnx import rate_to_onnx

MAKERS: dict[str, Callable[..., onnx.ModelProto]] = {
    "RateRNN": rate_to_onnx,
    "LIFNetwork": lif_to_onnx,
    "FixedPointNetwork": fixed_to_onnx,
}


def onnx_rnn(path: Path) -> None:
    """Write a model of one RNN node and a linear readout."""
    rng = np.random.default_rng(3)
    shapes = {"W": (1, N, N_IN), "R": (1, N, N), "B": (1, 2 * N)}
    shapes |= {"V": (N, N_OUT), "c": (N_OUT,)}
    values = {k: rng.normal(size=v).astype(np.float32) for k, v in shapes.items()}
    nodes = [
        helper.make_node("RNN", ["x", "W", "R", "B"], ["Y", "last"], hidden_size=N),
        helper.make_node("Squeeze", ["Y", "one"], ["h"]),
        helper.make_node("MatMul", ["h", "V"], ["p"]),
        helper.make_node("Add", ["c", "p"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(value, name)
            for name, value in (values | {"one": np.array([1])}).items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path)


def own_model(kind: str) -> Callable[[Path], object]:
    """Return what writes the model of a record of a kind."""
    return lambda path: write_onnx(MAKERS[kind](records()[kind]), path)
