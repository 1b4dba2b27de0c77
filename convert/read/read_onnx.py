"""Reading ONNX: one `RNN` node and a linear readout, or what isotau itself wrote.

The first is read from the graph, by what its nodes compute; the second from parameters
and metadata alone.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from typing_extensions import Unpack

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import MAX_ELEMENTS
from isotau.convert.read.conventions import (
    Assumptions,
    Convention,
    Conventions,
    Read,
    check_assumptions,
    conventions_of,
    settle_noise,
    settle_timing,
    start_state,
)
from isotau.convert.read.read_plain import MAX_BYTES, Arrays
from isotau.convert.read.read_torch_rnn import DT
from isotau.convert.records.rate import RateRNN

ACTIVATIONS = ("tanh", "relu", "sigmoid", "softplus")
"""ONNX's names in small letters, which are also isotau's."""
ATTRIBUTES = ("activations", "direction", "hidden_size", "layout")
"""Those of the node that can be carried over."""
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h")
"""Of the node, in the operator's order; those that are left out are empty."""
FORMAT = 1
"""Of isotau's metadata."""
MAX_SCAN_BYTES = 1 << 28
"""Largest model of isotau's that is read."""
KIND = b'"RateRNN"'
"""Value of the property `kind` of a rate network's model."""
PARAMETERS = ("w_in", "w_rec", "w_out", "bias", "b_out", "tau", "readout_bias", "x")
"""Initializers that hold the network; x is the start state."""
FACTORS = ("m_vectors", "n_vectors")
SCALARS = ("dt", "noise_std", "x0_std")
_DAMAGE = (
    *(AttributeError, LookupError, TypeError, ValueError),
    *(OverflowError, RecursionError, MemoryError),
)
Matrix = npt.NDArray[np.float64]


class Linear(NamedTuple):
    """A result in the graph that is linear in the units' rates."""

    name: str
    axes: tuple[str, ...]
    w_out: Matrix
    b_out: Matrix
    one_step: bool = False


def read_onnx_rnn(path: str | os.PathLike[str], **assumed: Unpack[Assumptions]) -> Read:
    """Return the network of an ONNX model with one forward `RNN` node.

    H_t = φ(W X_t + R H_{t−1} + Wb + Rb); x is what φ is applied to, alpha as for
    `read_torch_rnn`. What follows the node (ONNX operator RNN, versions 7 to 22) is the
    readout: Squeeze, Transpose, Identity or one step taken by Gather, then MatMul, Add
    or Gemm; if nothing linear does, the outputs are the units. All else is refused.

    Args:
        path: of the file, which has to hold its weights itself.
        assumed: alpha (1 where fewer than two of alpha, dt and tau are given), dt
            (20 ms where not given), tau and noise_std (0 if None).

    Raises:
        UnreadableFile: no ONNX model, damaged, too large, or no rate network.
    """
    check_assumptions(assumed, Assumptions)
    timing = settle_timing(assumed, usual_alpha=1.0, usual_dt=DT)
    noise, noise_item = settle_noise(assumed, 0.0)
    try:
        fields, items = _parts(path, timing.dt / timing.tau)
    except UnreadableFile:
        raise
    except _DAMAGE as error:
        raise UnreadableFile(f"{path}: got {error}, need an ONNX model") from error
    net = Arrays(str(path), {}).network(timing, **fields, noise_std=noise)
    items = (*timing.items, noise_item, *items)
    return Read(net, Conventions(family="ONNX RNN", items=items))


@np.errstate(all="ignore")  # damaged weights; what is not finite is refused later
def _parts(
    path: str | os.PathLike[str], alpha: float
) -> tuple[dict[str, Any], tuple[Convention, ...]]:
    """Return the fields that a model states, and what was found where."""
    graph = _Graph(path)
    node = graph.rnn()
    phi, layout = graph.settings(node)
    names = dict(zip(INPUTS, [*node.input, *[""] * 6], strict=False))
    graph.check_input(names)
    at = Arrays(str(path), {k: graph.constant(names[k]) for k in "WRB" if names[k]})
    n = at.take("R", (1, None, None), "1 × post × pre").shape[1]
    # B holds the biases of input and recurrence in a row; only their sum acts.
    bias = at.take("B", (1, 2 * n), "1 × both biases") if "B" in at else np.zeros(2 * n)
    h0, start = graph.initial(names["initial_h"], n)
    read = graph.readout(node, layout, n)
    fields = {
        "w_rec": at.take("R", (1, n, n), "1 × post × pre")[0],
        "w_in": at.take("W", (1, n, None), "1 × post × input")[0],
        "w_out": read.w_out,
        "bias": bias.reshape(2, n).sum(axis=0),
        "b_out": read.b_out,
        "activation": phi,
        "x0": start_state(h0, phi, alpha),
    }
    linear = "none: the outputs are the units" if "unit" in read.axes else read.name
    step = "the model returns one step only" if read.one_step else ""
    return fields, (
        Convention("transposes", "W and R post × pre, the readout turned", "file"),
        Convention("activation", phi, "file"),
        Convention("readout", linear, "file", step),
        start,
    )


class _Graph:
    """A model's graph, whose parts are handed out only as a rate network has them."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.label = str(path)
        self.fail = Arrays(self.label, {}).fail
        graph = _load(path, MAX_BYTES).graph
        self.nodes = list(graph.node)
        self.inputs = {entry.name for entry in graph.input}
        self.outputs = {entry.name for entry in graph.output}
        self.initializers = {entry.name: entry for entry in graph.initializer}
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            # A shape is read off rates without reading them.
            for name in set(node.input) if node.op_type != "Shape" else ():
                self.users.setdefault(name, []).append(node)

    def rnn(self) -> onnx.NodeProto:
        """Return the only RNN node."""
        kinds = [node.op_type for node in self.nodes]
        # Named before the count, which would only say that there is no RNN node.
        for gated in {"LSTM", "GRU"} & set(kinds):
            raise self.fail("node", gated, "an RNN node, which has no gates")
        if kinds.count("RNN") != 1:
            kinds_text = f"{kinds.count('RNN')} among {', '.join(sorted(set(kinds)))}"
            raise self.fail("RNN nodes", kinds_text, "one; export with dynamo=False")
        return self.nodes[kinds.index("RNN")]

    def settings(self, node: onnx.NodeProto) -> tuple[str, int]:
        """Return activation and layout of an RNN node that has nothing unusual."""
        # An empty list, such as activation_alpha's, is how exporters write a default.
        stated = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        for name, value in stated.items():
            if name not in ATTRIBUTES and value != []:
                raise self.fail(name, value, "an RNN node without it")
        direction = stated.get("direction", b"forward")
        if direction != b"forward":
            raise self.fail("direction", direction.decode(), "forward; train it so")
        names = [name.decode() for name in stated.get("activations", [b"Tanh"])]
        if len(names) != 1 or names[0].lower() not in ACTIVATIONS:
            raise self.fail("activations", names, f"one of {', '.join(ACTIVATIONS)}")
        return names[0].lower(), int(stated.get("layout", 0))

    def origin(self, name: str, *through: str) -> tuple[str, onnx.NodeProto | None]:
        """Return where a value comes from behind nodes of these kinds, and its node."""
        for _ in self.nodes:
            maker = self.makers.get(name)
            if maker is None or maker.op_type not in through:
                break
            name = maker.input[0]
        # As often as there are nodes: a damaged graph may go round in a circle.
        return name, self.makers.get(name)

    def check_input(self, names: Mapping[str, str]) -> None:
        """Check that an input of the model reaches the node as it is."""
        if names["sequence_lens"]:
            # Trials that end early; a rate network runs all to the end.
            raise self.fail("sequence_lens", "lengths of trials", "none")
        # A transpose only swaps time and batch; anything else would be a layer.
        name, maker = self.origin(names["X"], "Identity", "Transpose")
        if name not in self.inputs:
            source = repr(name) if maker is None else maker.op_type
            raise self.fail("before the RNN node", source, "the model's input itself")

    def constant(self, name: str) -> npt.NDArray[Any]:
        """Return the value of an initializer or of a Constant node."""
        name, maker = self.origin(name, "Identity")
        if maker is None and name in self.initializers:
            return _tensor(self.label, self.initializers[name])
        value = None if maker is None else _attribute(maker, "value", None)
        if maker is None or maker.op_type != "Constant" or value is None:
            source = "an input" if maker is None else f"the result of {maker.op_type}"
            raise self.fail(repr(name), source, "a constant; fold constants")
        return _tensor(self.label, value)

    def initial(self, name: str, n: int) -> tuple[Matrix, Convention]:
        """Return H before the first step, and what was assumed of it."""
        name, maker = self.origin(name, "Identity", "Expand")
        if not name:
            return np.zeros(n), Convention("start", "H = 0", "file")
        if name in self.inputs and name not in self.initializers:
            note = f"not the input {name}"
            return np.zeros(n), Convention("start", "H = 0", "default", note)
        if maker is not None and maker.op_type == "ConstantOfShape":
            value = _attribute(maker, "value", None)
            h = np.zeros(1) if value is None else _tensor(self.label, value)
        else:
            h = self.constant(name)
        # One number stands for all units; else it is direction × batch × unit.
        fits = h.ndim == 3 and h.shape[2] == n and h.size
        if h.size != 1 and not fits:
            raise self.fail("initial_h", f"shape {h.shape}", f"{n} units")
        rows = np.full((1, n), h.item()) if h.size == 1 else h.reshape(-1, n)
        if (rows != rows[0]).any():
            raise self.fail("initial_h", "one state per trial", "the same in all")
        return rows[0].astype(np.float64), Convention("start", "H = initial_h", "file")

    def readout(self, node: onnx.NodeProto, layout: int, n: int) -> Linear:
        """Return the model's output as a linear map of the rates."""
        batch_first = ("batch", "time", "direction", "unit")
        full = batch_first if layout else ("time", "direction", "batch", "unit")
        last = tuple(axis for axis in full if axis != "time")
        names, unit = [*node.output, "", ""], (np.eye(n), np.zeros(n))
        # Y has the rates of all steps, Y_h those of the last.
        ends = [*self.follow(Linear(names[0], full, *unit))]
        ends += self.follow(Linear(names[1], last, *unit, one_step=True))
        read = [end for end in ends if "unit" not in end.axes]
        # What still has the axis of units is the rates themselves, returned beside.
        if len(read) > 1 or not ends:
            names_read = ", ".join(end.name for end in read) or "none"
            raise self.fail("outputs read from the units", names_read, "one")
        return (read or ends)[0]

    def follow(self, start: Linear) -> Iterator[Linear]:
        """Yield what the model returns of a result."""
        waiting, visited = [start] if start.name else [], 0
        while waiting:
            at = waiting.pop()
            visited += 1
            # Each node has one result: more visits than nodes go round a circle.
            if visited > len(self.nodes) + 1:
                raise self.fail("graph", "a circle", "results that follow each other")
            if at.name in self.outputs:
                yield at
            waiting += [self.step(at, node) for node in self.users.get(at.name, ())]

    def step(self, at: Linear, node: onnx.NodeProto) -> Linear:
        """Return what a node of a linear readout makes of a result."""
        after, axes = at._replace(name=node.output[0]), at.axes
        operands = [self.constant(k) for k in node.input if k and k != at.name]
        # The rates have to be the left factor, their last axis the one summed over.
        turned = _attribute(node, "transA", 0)
        reads = axes[-1] == "unit" and node.input[0] == at.name and not turned
        match node.op_type, len(operands):
            case "Identity", 0:
                return after
            case "Transpose", 0:
                perm = _attribute(node, "perm", range(len(axes))[::-1])
                if sorted(perm) == list(range(len(axes))):
                    return after._replace(axes=tuple(axes[k] for k in perm))
            case "Squeeze", _:
                # Its axes became an input with version 13 of the operator.
                places = operands[0] if operands else _attribute(node, "axes", ())
                remaining = _without(axes, np.ravel(places))
                # A single output may lose its axis; the units' must stay.
                if axes[-1] in remaining or len(at.b_out) == 1:
                    return after._replace(axes=remaining)
            case "Gather", 1:
                remaining = _without(axes, [_attribute(node, "axis", 0)])
                if operands[0].ndim == 0 and remaining[-1:] == axes[-1:]:
                    one_step = "time" not in remaining
                    return after._replace(axes=remaining, one_step=one_step)
            case "Add", 1 if axes[-1] == "out" and operands[0].size == len(at.b_out):
                return after._replace(b_out=at.b_out + operands[0].ravel())
            case ("MatMul", 1) | ("Gemm", 1 | 2) if reads and operands[0].ndim == 2:
                w = operands[0].astype(np.float64) * _attribute(node, "alpha", 1.0)
                # W_out is output × unit; MatMul's right factor lies the other way.
                w = w if _attribute(node, "transB", 0) else w.T
                b = operands[1].ravel() if operands[1:] else np.zeros(1)
                b = b.astype(np.float64) * _attribute(node, "beta", 1.0)
                if w.shape[1] == len(at.b_out) and b.size in (1, len(w)):
                    b, read = np.broadcast_to(b, len(w)), (*axes[:-1], "out")
                    return after._replace(axes=read, w_out=w, b_out=b)
        raise self.fail("after the RNN node", node.op_type, "a linear readout")


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Return an attribute's value, or the default."""
    entries = (entry for entry in node.attribute if entry.name == name)
    return next(map(onnx.helper.get_attribute_value, entries), default)


def _without(axes: tuple[str, ...], places: Iterable[Any]) -> tuple[str, ...]:
    """Return axes without those at some places, which count from either end."""
    dropped = {int(k) % len(axes) for k in places}
    return tuple(axis for k, axis in enumerate(axes) if k not in dropped)


def _load(path: str | os.PathLike[str], most: int) -> Any:
    """Return the model in a file of at most so many bytes.

    Raises:
        UnreadableFile: it cannot be opened, is larger, or no model.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror}") from None
    if len(content) > most:
        raise UnreadableFile(f"{path}: got more than {most} bytes, need at most that")
    try:
        return onnx.load_model_from_string(content)
    except DecodeError as error:
        raise UnreadableFile(f"{path}: got {error}, need an ONNX model") from error


def _tensor(label: str, tensor: onnx.TensorProto) -> npt.NDArray[Any]:
    """Return a tensor that the file holds, after checking its size."""
    # Data in other files could be any file of the machine.
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise UnreadableFile(
            f"{label}: {tensor.name}: got data in another file, need it in this one"
        )
    size = math.prod(tensor.dims)
    if size > MAX_ELEMENTS:
        raise UnreadableFile(
            f"{label}: {tensor.name}: got {size} elements, need at most {MAX_ELEMENTS}"
        )
    return onnx.numpy_helper.to_array(tensor)


def is_own(path: str | os.PathLike[str]) -> bool:
    """Return whether a file looks like the model of a rate network by isotau.

    Nothing is parsed: it holds the name of the record, as only such models do.
    """
    source = Path(path)
    try:
        small = source.stat().st_size <= MAX_SCAN_BYTES
        return small and KIND in source.read_bytes()
    except OSError:
        return False


def read_onnx_scan(path: str | os.PathLike[str]) -> Read:
    """Return the network of a model that `rate_to_onnx` or `rate_step_to_onnx` wrote.

    Weights, time constants and start state are the model's parameters, everything else
    is in its metadata. A float64 model gives the record back bit for bit; a float32 one
    rounded. The nodes are not read: `isotau verify` says whether they compute this.

    Raises:
        UnreadableFile: no such model, damaged, too large, or keeps data elsewhere.
    """
    try:
        return _read(str(path), _load(path, MAX_SCAN_BYTES))
    except UnreadableFile:
        raise
    except _DAMAGE as error:
        raise UnreadableFile(
            f"{path}: got {error}, need a rate network's model as isotau writes it"
        ) from error


def _read(label: str, model: Any) -> Read:
    """Return the network of a parsed model, and where everything came from."""
    stated = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    if stated.get("kind") != "RateRNN":
        raise UnreadableFile(
            f"{label}: kind: got {stated.get('kind')!r}, need 'RateRNN'; other models "
            "are read by isotau.convert.read.read_onnx"
        )
    if stated["format"] != FORMAT:
        raise UnreadableFile(
            f"{label}: got format {stated['format']}, need {FORMAT}; update isotau to "
            "read it"
        )
    arrays = {
        tensor.name: _tensor(label, tensor)
        for tensor in model.graph.initializer
        if tensor.name in PARAMETERS
    }
    arrays |= {key: np.array(stated[key]) for key in FACTORS if key in stated}
    # JSON's numbers become arrays, which are then checked like all others.
    arrays |= {key: np.array(stated[key]) for key in (*SCALARS, "dale")}
    net = _network(Arrays(label, arrays), stated)
    record, note = "the record that was written, bit for bit", ""
    if net.fingerprint != stated.get("fingerprint"):
        rounded = stated.get("dtype") == "float32"
        record = "not the record that was written"
        note = (
            "its numbers are rounded to float32"
            if rounded
            else "rounded, or changed since"
        )
    more = (Convention("record", record, "file", note),)
    return Read(net, conventions_of(net, "isotau .onnx", more=more))


def _network(at: Arrays, stated: dict[str, Any]) -> RateRNN:
    """Return the network of a model's parameters and properties."""
    n = at.shape("w_rec")[0]
    w_out = at.take("w_out", (None, n), "output × unit")
    # One number stands for many that are equal, as the writer has it.
    signs = (
        at.number("dale") if at.shape("dale") == () else at.take("dale", (n,), "unit")
    )
    # A network without factors or a readout bias has none of their names.
    factors = {k: at.take(k, (n, None), "unit × rank") for k in FACTORS if k in at}
    return at.network(
        w_rec=at.take("w_rec", (n, n), "post × pre"),
        w_in=at.take("w_in", (n, None), "post × input"),
        w_out=w_out,
        bias=at.take("bias", (n,), "unit"),
        b_out=at.take("b_out", (len(w_out),), "output"),
        tau=at.take("tau", (n,), "unit"),
        x0=at.take("x", (1, n), "1 × unit")[0],
        activation=stated["activation"],
        ceiling=stated["ceiling"],
        readout_bias=at.vector("readout_bias", n),
        dale=np.broadcast_to(np.asarray(signs), (n,)),
        **factors,
        **{key: at.number(key) for key in SCALARS},
    )
