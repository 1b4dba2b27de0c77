"""Reading `torch.nn.RNN`: modules, state dicts, and the `.pt` files that hold them.

torch's own reader runs nothing of a file under `weights_only=True`, but takes memory
for what the file claims; here what is claimed is compared with what is there.
"""

import io
import math
import os
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from typing_extensions import Unpack

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import MAX_ELEMENTS
from isotau.convert.read.conventions import (
    Convention,
    Conventions,
    Read,
    StateAssumptions,
    check_assumptions,
    settle_noise,
    settle_timing,
    start_state,
    whose,
)
from isotau.convert.read.kinds import OLD_TORCH
from isotau.convert.read.read_plain import MAX_BYTES, Arrays, is_part

Source = str | os.PathLike[str] | nn.Module | Mapping[str, Any]
"""A `.pt` file, a module, or its state dict."""
DT = 0.020
"""Step in seconds where nobody says; such networks count steps."""
SMALL = 1 << 16
"""Numbers up to which nobody asks what they are."""
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
"""Under what checkpoints keep the state dict."""
_WEIGHT = re.compile(r"(.*?)((?:weight|bias)_(?:ih|hh|hr))(_l\d+)?(_reverse)?")
_DAMAGE = (
    *(OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError),
    *(IndexError, EOFError, AssertionError, OverflowError, MemoryError),
    *(pickle.UnpicklingError, zipfile.BadZipFile, struct.error),
)


def read_state(source: Source) -> Arrays:
    """Return the tensors of a state dict as arrays, wherever they are.

    Files are loaded with `weights_only=True`, so nothing in them is executed. What a
    checkpoint holds beside its state dict is among `ignored`, and a prefix that all
    names share, such as "module.", is taken off.

    Raises:
        UnreadableFile: no such file, damaged, too large, a whole module or TorchScript,
            or tensors that are no plain arrays.
    """
    state: Mapping[Any, Any]
    if isinstance(source, nn.Module):
        label, state = type(source).__name__, source.state_dict()
    elif isinstance(source, Mapping):
        label, state = "state dict", source
    else:
        label, state = str(source), _load(source)
    # Checkpoints keep it beside the optimizer's state and what else was of use.
    ignored: list[str] = []
    for wrapper in WRAPPERS:
        inner = state.get(wrapper)
        if isinstance(inner, Mapping):
            ignored += [str(key) for key in state if key != wrapper]
            state = inner
    tensors = {}
    for key, value in state.items():
        if isinstance(value, torch.Tensor | np.ndarray):
            tensors[str(key)] = value
        else:
            ignored.append(str(key))
    values = _arrays(label, tensors)
    if not values:
        raise UnreadableFile(
            f"{label}: got no tensors ({', '.join(map(str, state)) or 'empty'}), need "
            "a state dict; save module.state_dict()"
        )
    # DataParallel and Lightning put every name into a module of theirs.
    while len({key.partition(".")[0] for key in values}) == 1 and all(
        "." in key for key in values
    ):
        values = {key.partition(".")[2]: value for key, value in values.items()}
    return Arrays(label, values, ignored)


def _load(path: str | os.PathLike[str]) -> Mapping[Any, Any]:
    """Return the mapping in a `.pt` file, zipped or of the older kind."""
    try:
        size = os.path.getsize(path)
        if size > MAX_BYTES:
            raise UnreadableFile(f"{path}: got {size} bytes, need at most {MAX_BYTES}")
        # From memory: a stream that ends before what a pickle claims takes no room.
        with open(path, "rb") as stream:
            content = stream.read()
        with warnings.catch_warnings():
            # What torch says of its own older classes and of pickle's protocols.
            warnings.simplefilter("ignore")
            if content.startswith(b"PK"):
                _check_zip(content, path)
            elif content.startswith(OLD_TORCH):
                _check_numbers(content)
            else:
                raise UnreadableFile(
                    f"{path}: got another kind of file, need one of torch.save; "
                    "pickles are not read"
                )
            state = torch.load(
                io.BytesIO(content), map_location="cpu", weights_only=True
            )
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except UnreadableFile:
        raise
    except _DAMAGE as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise UnreadableFile(
            f"{path}: got a .pt file that cannot be read without running what is in it "
            f"({lines[0]}), need a state dict; save module.state_dict()"
        ) from error
    if not isinstance(state, Mapping):
        raise UnreadableFile(
            f"{path}: got a {type(state).__name__}, need a state dict; save "
            "module.state_dict()"
        )
    return state


def _check_zip(content: bytes, path: str | os.PathLike[str]) -> None:
    """Refuse programs, and what is larger than its file: torch does not compress."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    if any(info.filename.rpartition("/")[2] == "constants.pkl" for info in members):
        raise UnreadableFile(
            f"{path}: got TorchScript, which is a program, need a state dict; "
            "save module.state_dict()"
        )
    # Sizes are claims of the archive's table, which a damaged file can have at will.
    size = sum(info.file_size for info in members)
    if size > len(content):
        raise ValueError(f"its members claim {size} bytes of {len(content)}")


def _check_numbers(content: bytes) -> None:
    """Refuse an older file with a number, such as a size, beyond its own bytes.

    torch takes memory for what tensors claim before it looks for their content.
    """
    # A number below the file's own size cannot claim more memory than the file takes.
    stream, most = io.BytesIO(content[len(OLD_TORCH) :]), max(len(content), SMALL)
    for _ in range(3):  # pickles: two with versions, one with the tensors
        for _, value, _ in pickletools.genops(stream):
            if isinstance(value, int) and value > most:
                raise ValueError(f"it claims {value} of something in {most} bytes")


def _arrays(label: str, tensors: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Return tensors as arrays after checking their sizes, which strides can fake."""
    elements, values = 0, {}
    for key, value in tensors.items():
        elements += math.prod(value.shape)
        if elements > MAX_ELEMENTS:
            raise UnreadableFile(
                f"{label}: {key}: got shape {tuple(value.shape)}, need at most "
                f"{MAX_ELEMENTS} elements of all tensors together"
            )
        # Strides can repeat a number a million times: shapes, not bytes, are counted.
        try:
            values[key] = _array(f"{label}: {key}", value)
        except (RuntimeError, TypeError) as error:
            raise UnreadableFile(f"{label}: {key}: {error}") from error
    return values


def _array(label: str, value: Any) -> npt.NDArray[Any]:
    """Return a tensor as an array; floating-point numbers as float64."""
    if isinstance(value, np.ndarray):
        return value
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        raise UnreadableFile(f"{label}: got a {value.layout} tensor, need a dense one")
    # Lazy conjugates and negatives are views that numpy does not know.
    dense = value.detach().cpu().resolve_conj().resolve_neg()
    return (dense.double() if dense.is_floating_point() else dense).numpy()


class TorchAssumptions(StateAssumptions, total=False):
    """What a caller may say of a state dict of torch.

    Attributes:
        readout: name of the linear readout, such as "fc".
    """

    readout: str | None


def read_torch_rnn(source: Source, **assumed: Unpack[TorchAssumptions]) -> Read:
    """Return the network of a one-layer `torch.nn.RNN` or RNNCell and a linear readout.

    h_t = φ(W_ih u_t + b_ih + W_hh h_{t−1} + b_hh), o_t = W_out h_t + b_out from h = 0:
    x is what φ is applied to, and alpha = dt/tau = 1, no leak. For alpha < 1 the leak
    acts on x: x ← (1 − alpha) x + alpha (W_hh φ(x) + W_ih u + b).

    Args:
        source: a `.pt` file, a module, or its state dict.
        assumed: alpha (1 where fewer than two of alpha, dt and tau are given), dt
            (20 ms where not given), tau, noise_std (0 if None) and activation, which
            state dicts do not name (tanh if None, or a module's own). If `readout` is
            None it is the only matrix with as many columns as there are units, and
            without one the outputs are the units, as nn.RNN itself returns them.
            `ignore` names parameters, or whole submodules, to leave out.

    Raises:
        UnreadableFile: damaged, too large, another kind of network (LSTM, GRU, several
            layers, bidirectional), several readouts, or parameters that are not used.
    """
    check_assumptions(assumed, TorchAssumptions)
    at, ignore = read_state(source), assumed.get("ignore") or ()
    prefix, layer = _only_layer(at)
    names = {k: f"{prefix}{k}{layer}" for k in ("weight_ih", "weight_hh")}
    n = _units(at, names["weight_hh"])
    w_in = at.take(names["weight_ih"], (n, None), "unit × input")
    bias = np.zeros(n)  # torch keeps two, which only ever act as a sum
    for key in (f"{prefix}bias_ih{layer}", f"{prefix}bias_hh{layer}"):
        bias += at.take(key, (n,), "unit") if key in at else 0.0
    name, linear = _readout(at, n, assumed.get("readout"), ignore)
    w_out, b_out = np.eye(n), np.zeros(n)
    if name:
        w_out = at.take(f"{name}weight", (None, n), "output × unit")
        b_out = np.zeros(len(w_out))
        if f"{name}bias" in at:
            b_out = at.take(f"{name}bias", b_out.shape, "output")
    phi = _activation(source, assumed.get("activation"))
    timing = settle_timing(assumed, usual_alpha=1.0, usual_dt=DT)
    noise, noise_item = settle_noise(assumed, 0.0)
    net = at.network(
        timing,
        w_rec=at.take(names["weight_hh"], (n, n), "post × pre"),
        w_in=w_in,
        w_out=w_out,
        bias=bias,
        b_out=b_out,
        activation=phi.value,
        noise_std=noise,
        x0=start_state(np.zeros(n), phi.value, timing.dt / timing.tau),
    )
    items = (
        *timing.items,
        Convention("transposes", "none: all weights are post × pre", "default"),
        phi,
        noise_item,
        linear,
        Convention("start", "h = 0", "default"),
    )
    ignored = at.unused(ignore)
    return Read(net, Conventions(family="torch.nn.RNN", items=items, ignored=ignored))


def _only_layer(at: Arrays) -> tuple[str, str]:
    """Return prefix and suffix of the recurrent layer; there has to be one."""
    # torch's names: weight_ih_l0 of a layer, weight_ih of a cell, behind any prefix.
    matches = [match for key in at.values if (match := _WEIGHT.fullmatch(key))]
    parts = [match.groups(default="") for match in matches]
    layers = sorted({(prefix, layer) for prefix, _, layer, _ in parts})
    if not layers:
        raise at.fail(
            "weight_hh_l0", f"only {', '.join(at.values)}", "a torch.nn.RNN's names"
        )
    # Faults by kind, since "several layers" would be true of most of them.
    if any(direction for *_, direction in parts):
        raise at.fail(
            "bidirectional", "a reverse direction", "one direction; train it forward"
        )
    if any(kind == "weight_hr" for _, kind, _, _ in parts):
        raise at.fail("weight_hr", "an LSTM with projection", "a plain RNN")
    if len(layers) > 1:
        names = ", ".join(prefix + layer for prefix, layer in layers)
        raise at.fail(
            "layers", f"{len(layers)} ({names})", "one; train a single recurrent layer"
        )
    return layers[0]


def _units(at: Arrays, key: str) -> int:
    """Return the number of units; rows of weights tell gated cells."""
    shape = at.shape(key)
    gated = {3: "GRU", 4: "LSTM"}  # rows per unit: torch stacks the gates
    if len(shape) == 2 and shape[1] and shape[0] / shape[1] in gated:
        kind = gated[shape[0] // shape[1]]
        raise at.fail(
            key,
            f"the gates of {kind} cells",
            "a plain RNN, which has no gates; train one",
        )
    at.take(key, (None, shape[-1] if shape else None), "post × pre, square")
    if shape[0] != shape[1]:
        raise at.fail(key, f"shape {shape}", "a square matrix, post × pre")
    return shape[0]


def _readout(
    at: Arrays, n: int, named: str | None, ignore: Collection[str]
) -> tuple[str, Convention]:
    """Return the start of the readout's names, "" for none, and how it was found."""
    # State dicts do not say what follows what: only shapes tell the readout.
    fitting = [
        key.removesuffix("weight")
        for key, value in at.values.items()
        if key.endswith("weight")
        and value.ndim == 2
        and value.shape[1] == n
        and not any(is_part(key, name) for name in ignore)
    ]
    names = ", ".join(name.rstrip(".") for name in fitting)
    # The caller's word first: a head for another task may fit as well.
    if named is not None:
        if f"{named}." not in fitting:
            need = f"a linear layer on the units: {names or 'none'}"
            raise at.fail("readout", named, need)
        return f"{named}.", Convention("readout", named, "argument")
    if len(fitting) > 1:
        raise at.fail("readout", names, "one; name it, and the others in ignore")
    if fitting:
        label = names or "weight"
        return fitting[0], Convention("readout", label, "file", "found by its shape")
    identity = "none: the outputs are the units"
    return "", Convention("readout", identity, "default", "as nn.RNN returns them")


def _activation(source: Source, argument: str | None) -> Convention:
    """Return φ: a module's own, else the caller's, else tanh."""
    stated = None
    if isinstance(source, nn.Module):
        # nn.RNN and RNNCell have it, layers around them have not.
        parts = [getattr(part, "nonlinearity", None) for part in source.modules()]
        stated = next((name for name in parts if isinstance(name, str)), None)
    if stated is None:
        note = "" if argument else "state dicts do not name it"
        return Convention("activation", argument or "tanh", whose(argument), note)
    if argument not in (None, stated):
        raise ValueError(
            f"activation: got {argument!r}, need {stated!r}, the module's own"
        )
    return Convention("activation", stated, "file")
