"""Tensors of torch by name: from modules, state dicts and the `.pt` files of either.

torch's own reader runs nothing of a file under `weights_only=True`, but takes memory
for what the file claims; here what is claimed is compared with what is there.
"""

import io
import math
import os
import pickle
import pickletools
import struct
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from isotau.convert.errors import UnreadableFile
from isotau.convert.read_matlab import MAX_ELEMENTS
from isotau.convert.read_plain import MAX_BYTES, Arrays

Source = str | os.PathLike[str] | nn.Module | Mapping[str, Any]
"""A `.pt` file, a module, or its state dict."""
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of torch before 1.6 begin."""
SMALL = 1 << 16
"""Numbers up to which nobody asks what they are."""
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
"""Under what checkpoints keep the state dict."""
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
    found: Mapping[Any, Any]
    if isinstance(source, nn.Module):
        label, found = type(source).__name__, source.state_dict()
    elif isinstance(source, Mapping):
        label, found = "state dict", source
    else:
        label, found = str(source), _load(source)
    ignored: list[str] = []
    for wrapper in WRAPPERS:
        inner = found.get(wrapper)
        if isinstance(inner, Mapping):
            ignored += [str(key) for key in found if key != wrapper]
            found = inner
    tensors = {}
    for key, value in found.items():
        if isinstance(value, torch.Tensor | np.ndarray):
            tensors[str(key)] = value
        else:
            ignored.append(str(key))
    values = _arrays(label, tensors)
    if not values:
        raise UnreadableFile(
            f"{label}: got no tensors ({', '.join(map(str, found)) or 'empty'}), need "
            "a state dict; save module.state_dict()"
        )
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
            elif content.startswith(LEGACY):
                _check_numbers(content)
            else:
                raise UnreadableFile(
                    f"{path}: got another kind of file, need one of torch.save; "
                    "pickles are not read"
                )
            found = torch.load(
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
    if not isinstance(found, Mapping):
        raise UnreadableFile(
            f"{path}: got a {type(found).__name__}, need a state dict; save "
            "module.state_dict()"
        )
    return found


def _check_zip(content: bytes, path: str | os.PathLike[str]) -> None:
    """Refuse programs, and what is larger than its file: torch does not compress."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    if any(info.filename.rpartition("/")[2] == "constants.pkl" for info in members):
        raise UnreadableFile(
            f"{path}: got TorchScript, which is a program, need a state dict; "
            "save module.state_dict()"
        )
    size = sum(info.file_size for info in members)
    if size > len(content):
        raise ValueError(f"its members claim {size} bytes of {len(content)}")


def _check_numbers(content: bytes) -> None:
    """Refuse an older file with a number, such as a size, beyond its own bytes.

    torch takes memory for what tensors claim before it looks for their content.
    """
    stream, most = io.BytesIO(content[len(LEGACY) :]), max(len(content), SMALL)
    for _ in range(3):  # pickles: two with versions, one with the tensors
        for _, value, _ in pickletools.genops(stream):
            if isinstance(value, int) and value > most:
                raise ValueError(f"it claims {value} of something in {most} bytes")


def _arrays(label: str, tensors: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Return tensors as arrays after checking their sizes, which strides can fake."""
    left, values = MAX_ELEMENTS, {}
    for key, value in tensors.items():
        left -= math.prod(value.shape)
        if left < 0:
            raise UnreadableFile(
                f"{label}: {key}: got shape {tuple(value.shape)}, need at most "
                f"{MAX_ELEMENTS} elements of all tensors together"
            )
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
    dense = value.detach().cpu().resolve_conj().resolve_neg()
    return (dense.double() if dense.is_floating_point() else dense).numpy()
