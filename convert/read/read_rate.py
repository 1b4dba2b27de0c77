"""Reading a rate network from any file: the content decides which reader takes it."""

import os
import zipfile
from collections.abc import Callable, Collection
from typing import Any

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.npz import DAMAGED
from isotau.convert.read.conventions import Convention, Conventions, Read, span
from isotau.convert.read.read_lowrank import read_lowrank
from isotau.convert.read.read_plain import read_plain
from isotau.convert.read.read_psychrnn import read_psychrnn
from isotau.convert.read.read_spikernn import read_spikernn
from isotau.convert.read.read_torch_rnn import LEGACY, read_state, read_torch_rnn
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.storage import load

KINDS = (
    "isotau .rate.npz, plain .npz, PsychRNN .npz, spikeRNN .mat, a state dict of "
    "torch.nn.RNN or of the low-rank papers (.pt), ONNX"
)
HDF5 = b"\x89HDF\r\n\x1a\n"
MATLAB_ORDER = (b"\x00\x01IM", b"\x01\x00MI")
"""At byte 124 of a MATLAB 5 file."""
ONNX_START = b"\x08"
"""Field 1 of a model, its version, which writers put first."""
TIMES = ("alpha", "dt", "tau")
ACCEPTED: dict[str, tuple[str, ...]] = {
    "isotau .rate.npz": (),
    "plain .npz": ("dt", "tau", "noise_std", "activation"),
    "PsychRNN .npz": (*TIMES, "noise_std", "rec_noise", "activation", "ignore"),
    "spikeRNN .mat": ("dt", "noise_std"),
    "torch.nn.RNN": (*TIMES, "noise_std", "activation", "readout", "ignore"),
    "low-rank": (*TIMES, "noise_std", "activation", "scaled", "ignore"),
    "ONNX": (*TIMES, "noise_std"),
    "isotau .onnx": (),
}
"""Which assumptions the files of each family leave open."""


def read_rate(
    path: str | os.PathLike[str],
    *,
    alpha: float | None = None,
    dt: float | None = None,
    tau: float | None = None,
    noise_std: float | None = None,
    rec_noise: float | None = None,
    activation: str | None = None,
    readout: str | None = None,
    scaled: bool | None = None,
    ignore: Collection[str] | None = None,
) -> Read:
    """Return the rate network in a file of any family, and what was assumed of it.

    The content decides which reader it is, not the name; `ACCEPTED` tells which
    arguments the family takes, its reader what they mean.

    Args:
        path: of the file.
        alpha: dt/tau.
        dt: step, in seconds.
        tau: time constant of every unit, in seconds.
        noise_std: standard deviation of the noise added to x in every step.
        rec_noise: PsychRNN's parameter, in place of `noise_std`.
        activation: one of `isotau.convert.records.rate.ACTIVATIONS`.
        readout: name of the linear readout in a torch state dict.
        scaled: whether full-rank weights of the low-rank papers are divided by N.
        ignore: names in the file to leave out.

    Raises:
        UnreadableFile: none of these files, damaged, or not as its reader needs it.
        ValueError: an assumption that the file leaves no room for, or several that
            contradict each other.
    """
    arguments = {
        "alpha": alpha,
        "dt": dt,
        "tau": tau,
        "noise_std": noise_std,
        "rec_noise": rec_noise,
        "activation": activation,
        "readout": readout,
        "scaled": scaled,
        "ignore": ignore,
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    family = find_family(path)
    refused = [name for name in given if name not in ACCEPTED[family]]
    if refused:
        raise ValueError(
            f"{path}: got {', '.join(refused)}, need {family} files read with "
            f"{', '.join(ACCEPTED[family]) or 'no argument'}; they state the rest, or "
            "have no such thing"
        )
    return _reader(family)(path, **given)


def find_family(path: str | os.PathLike[str]) -> str:
    """Return which of the families in `ACCEPTED` a file belongs to.

    Raises:
        UnreadableFile: to none, or it cannot be opened.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(128)
        names = set()
        if head.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                names = {name.rpartition("/")[2] for name in archive.namelist()}
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except (*DAMAGED, zipfile.BadZipFile) as error:
        raise UnreadableFile(f"{path}: {error}") from error
    if "data.pkl" in names or head.startswith(LEGACY):
        state = read_state(path)
        recurrent = any(
            "weight_hh" in key or "weight_ih" in key for key in state.values
        )
        return "torch.nn.RNN" if recurrent else "low-rank"
    if names:
        return _npz_family(path, names)
    if head.startswith(HDF5) or head[124:128] in MATLAB_ORDER or b"MATLAB 7.3" in head:
        return "spikeRNN .mat"
    if head.startswith(ONNX_START):
        return _onnx_family(path)
    if head.startswith(b"\x80"):
        raise UnreadableFile(
            f"{path}: got a pickle, which can run anything when read, need one of "
            f"{KINDS}; save its arrays with numpy.savez"
        )
    raise UnreadableFile(
        f"{path}: got a file that begins with {head[:8]!r}, need one of {KINDS}"
    )


def _npz_family(path: str | os.PathLike[str], names: set[str]) -> str:
    """Return which family's names are in an `.npz`."""
    keys = {name.removesuffix(".npy") for name in names}
    if "isotau" in keys:
        return "isotau .rate.npz"
    if keys & {"w_rec", "m_vectors", "n_vectors"}:
        return "plain .npz"
    if keys & {"W_rec", "W_f", "b_rec"}:
        return "PsychRNN .npz"
    raise UnreadableFile(
        f"{path}: got a zip file with {', '.join(sorted(keys)[:20])}, need w_rec for a "
        "plain .npz or W_rec for PsychRNN's; see isotau.convert.read.read_plain"
    )


def _onnx_family(path: str | os.PathLike[str]) -> str:
    """Return whether isotau wrote an ONNX file, and so says all in its metadata."""
    from isotau.convert.read.read_onnx import is_own

    return "isotau .onnx" if is_own(path) else "ONNX"


def _reader(family: str) -> Callable[..., Read]:
    """Return the function that reads a family's files."""
    readers: dict[str, Callable[..., Read]] = {
        "isotau .rate.npz": _read_record,
        "plain .npz": read_plain,
        "PsychRNN .npz": read_psychrnn,
        "spikeRNN .mat": read_spikernn,
        "torch.nn.RNN": read_torch_rnn,
        "low-rank": read_lowrank,
    }
    # onnx is imported by nothing else that `import isotau` may need.
    if family == "ONNX":
        from isotau.convert.read.read_onnx import read_onnx_rnn

        return read_onnx_rnn
    if family == "isotau .onnx":
        from isotau.convert.read.read_onnx import read_onnx_scan

        return read_onnx_scan
    return readers[family]


def _read_record(path: str | os.PathLike[str]) -> Read:
    """Return the network of isotau's own file, which states everything."""
    net = load(path, RateRNN)
    said: dict[str, Any] = {
        "alpha": span(net.dt / net.tau),
        "dt": f"{net.dt:g} s",
        "tau": span(net.tau, " s"),
        "transposes": "none: all weights are post × pre",
        "activation": net.activation,
        "noise": f"{net.noise_std:g} per step",
    }
    items = tuple(Convention(name, value, "file") for name, value in said.items())
    return Read(net, Conventions(family="isotau .rate.npz", items=items))
