"""A graph of ONNX operators under construction, and its model, checked."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from isotau.targets.onnx_model.check_onnx import IR_VERSION, OPSET

DIGEST = "graph_sha256"
"""The property that tells a model's `digest`."""
Dims = Sequence[int | str]
"""Lengths of axes; a text names one that is only known when the model runs."""


class Graph:
    """Nodes, parameters, inputs and outputs; values are handed around by name.

    The body of a Scan is a Graph `around` which there is another: its constants and
    parameters go to the outermost, where every body sees them.
    """

    def __init__(self, name: str, *, around: "Graph | None" = None) -> None:
        """Begin an empty graph."""
        self.name = name
        self.root: Graph = self if around is None else around.root
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._names: dict[str, int] = {}

    def input(
        self,
        name: str,
        dtype: npt.DTypeLike,
        dims: Dims,
        default: npt.ArrayLike | None = None,
    ) -> str:
        """Add an input and return its name; with a default it may be left out."""
        self.inputs.append(_value(name, dtype, dims))
        return name if default is None else self.parameter(name, default, dtype)

    def parameter(
        self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike | None = None
    ) -> str:
        """Add an array under a name of its own and return the name."""
        array = np.ascontiguousarray(np.asarray(value, dtype=dtype))
        # A number has become an axis of one by that.
        array = array.reshape(np.shape(value))
        self.root.initializers.append(numpy_helper.from_array(array, name))
        return name

    def constant(
        self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.int64, name: str = ""
    ) -> str:
        """Return the name of a constant, which all who ask for the same share."""
        array = np.asarray(value, dtype=dtype)
        # By its bytes, so that −0 and 0 stay apart.
        key = (array.dtype.str, array.shape, array.tobytes())
        constants = self.root._constants
        if key not in constants:
            constants[key] = self.parameter(self._fresh(name or "constant"), array)
        return constants[key]

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node and return its only result, called `name` or after the node."""
        return self.ops(kind, *inputs, names=[name or kind.lower()], **attributes)[0]

    def ops(
        self, kind: str, *inputs: str, names: Sequence[str], **attributes: Any
    ) -> list[str]:
        """Add a node and return its results; a name taken before gets a number."""
        results = [self._fresh(name) for name in names]
        self.nodes.append(
            helper.make_node(kind, inputs, results, name=results[0], **attributes)
        )
        return results

    def cast(self, value: str, dtype: npt.DTypeLike, name: str = "") -> str:
        """Return a value as another type; to a narrower integer it wraps."""
        return self.op("Cast", value, name=name, to=_kind(dtype))

    def output(
        self, value: str, dtype: npt.DTypeLike, dims: Dims, name: str = ""
    ) -> None:
        """Make a value an output, under another name if one is given."""
        if name:
            # ONNX cannot rename a value.
            self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self.outputs.append(_value(name or value, dtype, dims))

    def proto(self) -> onnx.GraphProto:
        """Return the graph as ONNX has it."""
        return helper.make_graph(
            self.nodes, self.name, self.inputs, self.outputs, self.initializers
        )

    def _fresh(self, name: str) -> str:
        # A body reads values of the graphs around it: no name may stand for two.
        names = self.root._names
        names[name] = names.get(name, 0) + 1
        return name if names[name] == 1 else f"{name}_{names[name]}"


def to_model(
    graph: Graph, metadata: Mapping[str, str], doc: str = ""
) -> onnx.ModelProto:
    """Return a graph as a model that passed ONNX's own full check."""
    model = helper.make_model(
        graph.proto(),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="isotau",
        doc_string=doc,
    )
    # The digest is of the graph alone, and so may stand beside it.
    helper.set_model_props(model, {**metadata, DIGEST: digest(model)})
    onnx.checker.check_model(model, full_check=True)
    return model


def digest(model: onnx.ModelProto) -> str:
    """Return the SHA-256 of a model's graph as JSON text, to see that it is whole."""
    # Else protobuf may order maps as it likes.
    content = model.graph.SerializeToString(deterministic=True)
    return f'"{hashlib.sha256(content).hexdigest()}"'


def _kind(dtype: npt.DTypeLike) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _value(name: str, dtype: npt.DTypeLike, dims: Dims) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _kind(dtype), list(dims))
