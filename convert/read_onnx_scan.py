"""Reading rate networks back from the ONNX models that isotau writes."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError

from isotau.convert.conventions import Convention, Conventions, Read, span
from isotau.convert.errors import UnreadableFile
from isotau.convert.rate import RateRNN
from isotau.convert.read_matlab import MAX_ELEMENTS
from isotau.convert.read_plain import Arrays
from isotau.convert.storage import fingerprint

FORMAT = 1
MAX_BYTES = 1 << 28
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
        if source.stat().st_size > MAX_BYTES:
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
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise UnreadableFile(
            f"{path}: got more than {MAX_BYTES} bytes, need at most that"
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
            "are read by isotau.convert.read_onnx_rnn"
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
