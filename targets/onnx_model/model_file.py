"""ONNX files: written whole or not at all, read with distrust.

What a file says of its making are properties of the model, each as JSON.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import atomic
from isotau.convert.records.storage import Record
from isotau.targets.onnx_model.graph import DIGEST, digest

FORMAT = 1
MAX_TEXT = 1 << 26
"""Longest property that is read, in characters."""


def properties(record: Record, graph: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return a model's properties: which network it is, and what its numbers mean.

    Args:
        record: what the model computes; its kind and fingerprint are among them.
        graph: "scan" for a model over time, "step" for one step.
        fields: more, by name: numbers, text, or arrays, of which one number stands for
            many that are equal.
    """
    values = {
        "format": FORMAT,
        "isotau": version("isotau"),
        "kind": type(record).__name__,
        "graph": graph,
        "fingerprint": record.fingerprint,
        **{name: _plain(value) for name, value in fields.items()},
    }
    return {
        name: json.dumps(value, ensure_ascii=False) for name, value in values.items()
    }


def read_properties(model: onnx.ModelProto) -> dict[str, Any]:
    """Return what `properties` made, from a model.

    Raises:
        UnreadableFile: the model was not made by isotau, or by a newer one, or its
            properties are damaged.
    """
    texts = {entry.key: entry.value for entry in model.metadata_props}
    # Any tool may write properties; these two only isotau does.
    if "format" not in texts or "fingerprint" not in texts:
        raise UnreadableFile(
            "metadata_props: got no format and fingerprint, need a model that isotau "
            "wrote"
        )
    # JSON takes many times a text's size in memory.
    longest = max(map(len, texts.values()))
    if longest > MAX_TEXT:
        raise UnreadableFile(
            f"metadata_props: got {longest} characters, need at most {MAX_TEXT}"
        )
    try:
        properties = {key: json.loads(text) for key, text in texts.items()}
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(
            f"metadata_props: got {error}, need JSON; the file is damaged"
        ) from error
    if properties["format"] != FORMAT:
        raise UnreadableFile(
            f"metadata_props: got format {properties['format']}, need {FORMAT}; "
            "update isotau to read it"
        )
    return properties


def _plain(value: Any) -> Any:
    """Return a value as JSON can say it."""
    if not isinstance(value, np.ndarray):
        return value
    # Mostly all neurons have the same τ or v_reset.
    flat = value.ravel()
    same = flat.size > 0 and bool((flat == flat[0]).all())
    return flat[0].item() if same else value.tolist()


MAX_BYTES = 1 << 30
"""Largest file that is read."""
MAX_DEPTH = 4
"""Deepest graph inside graphs; the body of a Scan is at depth 1."""
ELEMENTWISE = """Abs Add Cast Clip Cos Div Elu Equal Erf Exp Floor Greater
GreaterOrEqual Identity LeakyRelu Less LessOrEqual Log Max Min Mod Mul Neg Not Or And
Pow Relu Sigmoid Sign Sin Softplus Sqrt Sub Tanh Where BitShift BitwiseAnd BitwiseXor"""
OTHERS = """Concat Constant ConstantOfShape Expand Gather Gemm MatMul MatMulInteger
Range ReduceSum Reshape Scan Shape Slice Split Squeeze Transpose Unsqueeze"""
OPERATORS = frozenset((ELEMENTWISE + " " + OTHERS).split())
"""What a model may consist of: no open-ended loops, nothing random, no files."""


def write_onnx(model: onnx.ModelProto, path: str | os.PathLike[str]) -> Path:
    """Write a model to `path`, checked in full, and return the path.

    Raises:
        onnx.checker.ValidationError: it is no valid model.
    """
    # Checked again: a caller may have edited it.
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString(deterministic=True)
    with atomic(path) as stream:
        stream.write(content)
    return Path(path)


def read_model(
    path: str | os.PathLike[str],
    *,
    max_bytes: int = MAX_BYTES,
    unchanged: bool = True,
) -> onnx.ModelProto:
    """Return the model in an untrusted file.

    Nothing is computed and nothing outside the file is looked at. What a model
    allocates when it runs is up to it: run one of unknown origin in a child process.

    Args:
        path: of the file.
        max_bytes: largest file that is read.
        unchanged: refuse a model whose graph is not the one that isotau wrote; another
            program may have changed it, and so may damage.

    Raises:
        UnreadableFile: no ONNX model, damaged or changed, too large, with data in
            other files, or with operators that isotau does not write.
    """
    # The size before the content, which may not fit into memory.
    try:
        size = Path(path).stat().st_size
        content = Path(path).read_bytes() if size <= max_bytes else b""
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror}") from None
    if size > max_bytes:
        raise UnreadableFile(f"{path}: got {size} bytes, need at most {max_bytes}")
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise UnreadableFile(f"{path}: got {error}, need an ONNX model") from error
    if not model.graph.node:
        raise UnreadableFile(f"{path}: got no nodes, need an ONNX model")
    # By hand, before the library follows the graph.
    if unchanged:
        _check_digest(str(path), model)
    _check_graph(str(path), model)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        RuntimeError,
        ValueError,
    ) as error:
        raise UnreadableFile(f"{path}: got {error}, need a valid model") from error
    return model


def _check_digest(path: str, model: onnx.ModelProto) -> None:
    stated = {entry.key: entry.value for entry in model.metadata_props}.get(DIGEST)
    if stated is None:
        raise UnreadableFile(
            f"{path}: got no {DIGEST} in metadata_props, need a model that isotau wrote"
        )
    if stated != digest(model):
        raise UnreadableFile(
            f"{path}: got a graph that is not the one isotau wrote, need it unchanged; "
            "the file is damaged, or another program edited it"
        )


def _check_graph(path: str, model: onnx.ModelProto) -> None:
    """Refuse what isotau does not write, before any library looks at it closely."""
    # Functions and other domains can hide operators under any name.
    domains = {entry.domain for entry in model.opset_import} - {"", "ai.onnx"}
    if domains or model.functions:
        foreign = ", ".join(sorted(domains)) or "functions"
        raise UnreadableFile(f"{path}: got {foreign}, need ONNX's own operators alone")
    # Another file could be named as the place of data, and be read.
    for tensor in _tensors(path, model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise UnreadableFile(
                f"{path}: {tensor.name} has its data elsewhere, need it in this file"
            )
        try:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableFile(
                f"{path}: {tensor.name} has type {tensor.data_type}, need numbers"
            ) from error
        # In Python's integers, which a hostile shape cannot overflow.
        need = math.prod(tensor.dims) * np.dtype(dtype).itemsize
        size = len(tensor.raw_data)
        if min(tensor.dims, default=0) < 0 or (size != need and tensor.raw_data):
            raise UnreadableFile(
                f"{path}: {tensor.name} holds {size} bytes, need {need} for shape "
                f"{list(tensor.dims)}; the file is damaged"
            )
        if need > MAX_BYTES:
            raise UnreadableFile(
                f"{path}: {tensor.name} claims {need} bytes, need at most {MAX_BYTES}"
            )


def _tensors(
    path: str, graph: onnx.GraphProto, depth: int = 0
) -> Iterator[onnx.TensorProto]:
    """Yield every tensor of a graph and of those in it, checking operators."""
    if depth > MAX_DEPTH:
        raise UnreadableFile(f"{path}: got graphs deeper than {MAX_DEPTH}, need fewer")
    # A sparse tensor may claim any shape with few bytes.
    if graph.sparse_initializer:
        raise UnreadableFile(f"{path}: got sparse tensors, need dense ones")
    yield from graph.initializer
    for node in graph.node:
        if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
            raise UnreadableFile(
                f"{path}: got operator {node.domain}:{node.op_type} in {node.name}, "
                f"need one of {', '.join(sorted(OPERATORS))}"
            )
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                if inner.ByteSize():
                    yield from _tensors(path, inner, depth + 1)
