"""Reading rate networks back from the ONNX models that isotau writes.

Reading ONNX models that hold one `RNN` node and a linear readout.
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

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import MAX_ELEMENTS
from isotau.convert.read.conventions import (
    Convention,
    Conventions,
    Read,
    settle_timing,
    span,
    start_state,
    whose,
)
from isotau.convert.read.read_plain import MAX_BYTES, Arrays
from isotau.convert.read.read_torch_rnn import DT
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.storage import fingerprint

ACTIVATIONS = ("tanh", "relu", "sigmoid", "softplus")
"""ONNX's names in small letters, which are also isotau's."""
ATTRIBUTES = ("activations", "direction", "hidden_size", "layout")
"""Those of the node that can be carried over."""
_DAMAGE: tuple[type[Exception], ...] = (DecodeError, AttributeError, LookupError)
_DAMAGE += (TypeError, ValueError, OverflowError, RecursionError, MemoryError)
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h")
Matrix = npt.NDArray[np.float64]


class Linear(NamedTuple):
    """A result in the graph that is linear in the units' rates."""

    name: str
    axes: tuple[str, ...]
    w_out: Matrix
    b_out: Matrix
    one_step: bool = False


def read_onnx_rnn(
    path: str | os.PathLike[str],
    *,
    alpha: float | None = None,
    dt: float | None = None,
    tau: float | None = None,
    noise_std: float | None = None,
) -> Read:
    """Return the network of an ONNX model with one forward `RNN` node.

    H_t = φ(W X_t + R H_{t−1} + Wb + Rb); x is what φ is applied to, alpha as for
    `read_torch_rnn`. What follows the node (ONNX operator RNN, versions 7 to 22) is the
    readout: Squeeze, Transpose, Identity or one step taken by Gather, then MatMul, Add
    or Gemm; if nothing linear does, the outputs are the units. All else is refused.

    Args:
        path: of the file, which has to hold its weights itself.
        alpha: dt/tau; 1 where fewer than two of alpha, dt and tau are given.
        dt: step, in seconds; 20 ms where not given.
        tau: time constant, in seconds.
        noise_std: standard deviation of the noise added to x in every step; 0 if None.

    Raises:
        UnreadableFile: no ONNX model, damaged, too large, or no rate network.
    """
    timing = settle_timing(alpha=alpha, dt=dt, tau=tau, usual_alpha=1.0, usual_dt=DT)
    noise = 0.0 if noise_std is None else noise_std
    try:
        fields, found = _parts(Path(path), timing.dt / timing.tau)
    except UnreadableFile:
        raise
    except _DAMAGE as error:
        raise UnreadableFile(f"{path}: got {error}, need an ONNX model") from error
    taus = np.full_like(fields["bias"], timing.tau)
    net = Arrays(str(path), {}).network(
        **fields, tau=taus, noise_std=noise, dt=timing.dt, x0_std=0.0
    )
    said = Convention("noise", f"{noise:g} per step", whose(noise_std))
    items = (*timing.items, said, *found)
    return Read(net, Conventions(family="ONNX RNN", items=items))


@np.errstate(all="ignore")  # damaged weights; what is not finite is refused later
def _parts(path: Path, alpha: float) -> tuple[dict[str, Any], tuple[Convention, ...]]:
    """Return the fields that a model states, and what was found where."""
    graph = _Graph(path)
    node = graph.rnn()
    phi, layout = graph.settings(node)
    names = dict(zip(INPUTS, [*node.input, *[""] * 6], strict=False))
    graph.check_input(names)
    at = Arrays(str(path), {k: graph.constant(names[k]) for k in "WRB" if names[k]})
    n = at.take("R", (1, None, None), "1 × post × pre").shape[1]
    bias = at.take("B", (1, 2 * n), "1 × both biases") if "B" in at else np.zeros(2 * n)
    h0, start = graph.initial(names["initial_h"], n)
    read = graph.readout(node, layout, n)
    fields = {
        "w_rec": at.take("R", (1, n, n), "1 × post × pre")[0],
        "w_in": at.take("W", (1, n, None), "1 × post × input")[0],
        "w_out": read.w_out,
        "bias": bias.reshape(2, n).sum(axis=0),
        "b_out": read.b_out,
        "dale": np.zeros(n, dtype=np.int8),
        "activation": phi,
        "x0": start_state(h0, phi, alpha),
    }
    said = "none: the outputs are the units" if "unit" in read.axes else read.name
    step = "the model returns one step only" if read.one_step else ""
    return fields, (
        Convention("transposes", "W and R post × pre, the readout turned", "file"),
        Convention("activation", phi, "file"),
        Convention("readout", said, "file", step),
        start,
    )


class _Graph:
    """A model's graph, whose parts are handed out only as a rate network has them."""

    def __init__(self, path: Path) -> None:
        self.fail = Arrays(str(path), {}).fail
        try:
            size = path.stat().st_size
            content = path.read_bytes() if size <= MAX_BYTES else b""
        except OSError as error:
            raise UnreadableFile(f"{path}: {error.strerror}") from None
        if size > MAX_BYTES:
            raise self.fail("size", size, f"at most {MAX_BYTES} bytes")
        graph = onnx.load_model_from_string(content).graph
        self.nodes = list(graph.node)
        self.inputs = {entry.name for entry in graph.input}
        self.outputs = {entry.name for entry in graph.output}
        self.initializers = {entry.name: entry for entry in graph.initializer}
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in set(node.input) if node.op_type != "Shape" else ():
                self.users.setdefault(name, []).append(node)

    def rnn(self) -> onnx.NodeProto:
        """Return the only RNN node."""
        kinds = [node.op_type for node in self.nodes]
        for gated in {"LSTM", "GRU"} & set(kinds):
            raise self.fail("node", gated, "an RNN node, which has no gates")
        if kinds.count("RNN") != 1:
            told = f"{kinds.count('RNN')} among {', '.join(sorted(set(kinds)))}"
            raise self.fail("RNN nodes", told, "one; export with dynamo=False")
        return self.nodes[kinds.index("RNN")]

    def settings(self, node: onnx.NodeProto) -> tuple[str, int]:
        """Return activation and layout of an RNN node that has nothing unusual."""
        found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        for name, value in found.items():
            if name not in ATTRIBUTES and value != []:
                raise self.fail(name, value, "an RNN node without it")
        direction = found.get("direction", b"forward")
        if direction != b"forward":
            raise self.fail("direction", direction.decode(), "forward; train it so")
        names = [name.decode() for name in found.get("activations", [b"Tanh"])]
        if len(names) != 1 or names[0].lower() not in ACTIVATIONS:
            raise self.fail("activations", names, f"one of {', '.join(ACTIVATIONS)}")
        return names[0].lower(), int(found.get("layout", 0))

    def origin(self, name: str, *through: str) -> tuple[str, onnx.NodeProto | None]:
        """Return where a value comes from behind nodes of these kinds, and its node."""
        for _ in self.nodes:
            maker = self.makers.get(name)
            if maker is None or maker.op_type not in through:
                break
            name = maker.input[0]
        return name, self.makers.get(name)

    def check_input(self, names: Mapping[str, str]) -> None:
        """Check that an input of the model reaches the node as it is."""
        if names["sequence_lens"]:
            raise self.fail("sequence_lens", "lengths of trials", "none")
        name, maker = self.origin(names["X"], "Identity", "Transpose")
        if name not in self.inputs:
            told = repr(name) if maker is None else maker.op_type
            raise self.fail("before the RNN node", told, "the model's input itself")

    def constant(self, name: str) -> npt.NDArray[Any]:
        """Return the value of an initializer or of a Constant node."""
        name, maker = self.origin(name, "Identity")
        if maker is None and name in self.initializers:
            return self.array(self.initializers[name])
        value = None if maker is None else _attribute(maker, "value", None)
        if maker is None or maker.op_type != "Constant" or value is None:
            told = "an input" if maker is None else f"the result of {maker.op_type}"
            raise self.fail(repr(name), told, "a constant; fold constants")
        return self.array(value)

    def array(self, proto: onnx.TensorProto) -> npt.NDArray[Any]:
        """Return a tensor that the file holds, after checking its size."""
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            raise self.fail(proto.name, "data elsewhere", "it in this file")
        size = math.prod(proto.dims)
        if size > MAX_ELEMENTS:
            raise self.fail(proto.name, size, f"at most {MAX_ELEMENTS} elements")
        return onnx.numpy_helper.to_array(proto)

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
            found = np.zeros(1) if value is None else self.array(value)
        else:
            found = self.constant(name)
        fits = found.ndim == 3 and found.shape[2] == n and found.size
        if found.size != 1 and not fits:
            raise self.fail("initial_h", f"shape {found.shape}", f"{n} units")
        rows = (
            np.full((1, n), found.item()) if found.size == 1 else found.reshape(-1, n)
        )
        if (rows != rows[0]).any():
            raise self.fail("initial_h", "one state per trial", "the same in all")
        return rows[0].astype(np.float64), Convention("start", "H = initial_h", "file")

    def readout(self, node: onnx.NodeProto, layout: int, n: int) -> Linear:
        """Return the model's output as a linear map of the rates."""
        batch_first = ("batch", "time", "direction", "unit")
        full = batch_first if layout else ("time", "direction", "batch", "unit")
        last = tuple(axis for axis in full if axis != "time")
        names, unit = [*node.output, "", ""], (np.eye(n), np.zeros(n))
        ends = [*self.follow(Linear(names[0], full, *unit))]
        ends += self.follow(Linear(names[1], last, *unit, one_step=True))
        read = [end for end in ends if "unit" not in end.axes]
        if len(read) > 1 or not ends:
            told = ", ".join(end.name for end in read) or "none"
            raise self.fail("outputs read from the units", told, "one")
        return (read or ends)[0]

    def follow(self, start: Linear) -> Iterator[Linear]:
        """Yield what the model returns of a result."""
        waiting, passed = [start] if start.name else [], 0
        while waiting:
            at = waiting.pop()
            passed += 1
            if passed > len(self.nodes) + 1:
                raise self.fail("graph", "a circle", "results that follow each other")
            if at.name in self.outputs:
                yield at
            waiting += [self.step(at, node) for node in self.users.get(at.name, ())]

    def step(self, at: Linear, node: onnx.NodeProto) -> Linear:
        """Return what a node of a linear readout makes of a result."""
        after, axes = at._replace(name=node.output[0]), at.axes
        others = [self.constant(k) for k in node.input if k and k != at.name]
        turned = _attribute(node, "transA", 0)
        reads = axes[-1] == "unit" and node.input[0] == at.name and not turned
        match node.op_type, len(others):
            case "Identity", 0:
                return after
            case "Transpose", 0:
                perm = _attribute(node, "perm", range(len(axes))[::-1])
                if sorted(perm) == list(range(len(axes))):
                    return after._replace(axes=tuple(axes[k] for k in perm))
            case "Squeeze", _:
                gone = others[0] if others else _attribute(node, "axes", ())
                kept = _without(axes, np.ravel(gone))
                if axes[-1] in kept or len(at.b_out) == 1:
                    return after._replace(axes=kept)
            case "Gather", 1:
                kept = _without(axes, [_attribute(node, "axis", 0)])
                if others[0].ndim == 0 and kept[-1:] == axes[-1:]:
                    return after._replace(axes=kept, one_step="time" not in kept)
            case "Add", 1 if axes[-1] == "out" and others[0].size == len(at.b_out):
                return after._replace(b_out=at.b_out + others[0].ravel())
            case ("MatMul", 1) | ("Gemm", 1 | 2) if reads and others[0].ndim == 2:
                w = others[0].astype(np.float64) * _attribute(node, "alpha", 1.0)
                w = w if _attribute(node, "transB", 0) else w.T
                b = others[1].ravel() if others[1:] else np.zeros(1)
                b = b.astype(np.float64) * _attribute(node, "beta", 1.0)
                if w.shape[1] == len(at.b_out) and b.size in (1, len(w)):
                    b, read = np.broadcast_to(b, len(w)), (*axes[:-1], "out")
                    return after._replace(axes=read, w_out=w, b_out=b)
        raise self.fail("after the RNN node", node.op_type, "a linear readout")


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Return an attribute's value, or the default."""
    found = (entry for entry in node.attribute if entry.name == name)
    return next(map(onnx.helper.get_attribute_value, found), default)


def _without(axes: tuple[str, ...], gone: Iterable[Any]) -> tuple[str, ...]:
    """Return axes without those at some places, which count from either end."""
    places = {int(k) % len(axes) for k in gone}
    return tuple(axis for k, axis in enumerate(axes) if k not in places)


FORMAT = 1
MAX_SCAN_BYTES = 1 << 28
"""Largest file that is read."""
KIND = b'"RateRNN"'
"""Value of the property `kind` of a rate network's model."""
PARAMETERS = ("w_in", "w_rec", "w_out", "bias", "b_out", "tau", "readout_bias", "x")
"""Initializers that hold the network; x is the start state."""
FACTORS = ("m_vectors", "n_vectors")
SCALARS = ("dt", "noise_std", "x0_std")


def is_own(path: str | os.PathLike[str]) -> bool:
    """Return whether a file looks like the model of a rate network by isotau.

    Nothing is parsed: it holds the name of the record, as only such models do.
    """
    source = Path(path)
    try:
        if source.stat().st_size > MAX_SCAN_BYTES:
            return False
        return KIND in source.read_bytes()
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
        return _read(str(path), _model(path))
    except UnreadableFile:
        raise
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as bad:
        raise UnreadableFile(
            f"{path}: got {bad}, need a rate network's model as isotau writes it"
        ) from bad


def _model(path: str | os.PathLike[str]) -> Any:
    """Return the model in a file, whose size is checked before it is read."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_SCAN_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror}") from None
    if len(content) > MAX_SCAN_BYTES:
        raise UnreadableFile(
            f"{path}: got more than {MAX_SCAN_BYTES} bytes, need at most that"
        )
    try:
        return onnx.load_model_from_string(content)
    except DecodeError as error:
        raise UnreadableFile(f"{path}: got {error}, need an ONNX model") from error


def _read(label: str, model: Any) -> Read:
    """Return the network of a parsed model, and what was found where."""
    said = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    if said.get("kind") != "RateRNN":
        raise UnreadableFile(
            f"{label}: kind: got {said.get('kind')!r}, need 'RateRNN'; other models "
            "are read by isotau.convert.read.read_onnx"
        )
    if said["format"] != FORMAT:
        raise UnreadableFile(
            f"{label}: got format {said['format']}, need {FORMAT}; update isotau to "
            "read it"
        )
    arrays = {
        tensor.name: _array(label, tensor)
        for tensor in model.graph.initializer
        if tensor.name in PARAMETERS
    }
    arrays |= {key: np.array(said[key]) for key in FACTORS if key in said}
    arrays |= {key: np.array(said[key]) for key in (*SCALARS, "dale")}
    net = _network(Arrays(label, arrays), said)
    return Read(net, _conventions(net, said))


def _array(label: str, tensor: Any) -> npt.NDArray[Any]:
    """Return a tensor that the file holds, after checking its size."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise UnreadableFile(
            f"{label}: {tensor.name}: got data in another file, need it in this one"
        )
    size = 1
    for length in tensor.dims:
        size *= max(length, 0)
    if size > MAX_ELEMENTS:
        raise UnreadableFile(
            f"{label}: {tensor.name}: got {size} elements, need at most {MAX_ELEMENTS}"
        )
    return onnx.numpy_helper.to_array(tensor)


def _network(at: Arrays, said: dict[str, Any]) -> RateRNN:
    """Return the network of a model's parameters and properties."""
    n = at.shape("w_rec")[0]
    w_out = at.take("w_out", (None, n), "output × unit")
    fields: dict[str, Any] = {
        "w_rec": at.take("w_rec", (n, n), "post × pre"),
        "w_in": at.take("w_in", (n, None), "post × input"),
        "w_out": w_out,
        "bias": at.take("bias", (n,), "unit"),
        "b_out": at.take("b_out", (len(w_out),), "output"),
        "tau": at.take("tau", (n,), "unit"),
        "x0": at.take("x", (1, n), "1 × unit")[0],
        "activation": said["activation"],
        "ceiling": said["ceiling"],
    }
    if "readout_bias" in at:
        fields["readout_bias"] = at.take("readout_bias", (n,), "unit")
    # One number stands for many that are equal.
    signs = (
        at.number("dale") if at.shape("dale") == () else at.take("dale", (n,), "unit")
    )
    fields["dale"] = np.broadcast_to(np.asarray(signs), (n,))
    for key in FACTORS:
        if key in at:
            fields[key] = at.take(key, (n, None), "unit × rank")
    return at.network(**fields, **{key: at.number(key) for key in SCALARS})


def _conventions(net: RateRNN, said: dict[str, Any]) -> Conventions:
    """Return where everything came from, and whether it is the record of then."""
    if fingerprint(net) == said.get("fingerprint"):
        told, note = "the record that was written, bit for bit", ""
    else:
        told, note = "not the record that was written", "rounded, or changed since"
        if said.get("dtype") == "float32":
            note = "its numbers are rounded to float32"
    items = {
        "alpha": span(net.dt / net.tau),
        "dt": f"{net.dt:g} s",
        "tau": span(net.tau, " s"),
        "transposes": "none: all weights are post × pre",
        "activation": net.activation,
        "noise": f"{net.noise_std:g} per step",
    }
    return Conventions(
        family="isotau .onnx",
        items=(
            *(Convention(name, value, "file") for name, value in items.items()),
            Convention("record", told, "file", note),
        ),
    )
