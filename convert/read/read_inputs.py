"""Inputs that a user shows a network: calibration or test data from a file."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.ground import validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.npz import DAMAGED, read_array, read_header, read_npz
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.storage import MAX_BYTES, load
from isotau.convert.records.trials import Trials

FIELDS = ("inputs", "labels", "dt")
MAGIC = b"\x93NUMPY"


@short_repr
class Inputs(NamedTuple):
    """What a network is shown, and what is known of each trial."""

    values: Float64[np.ndarray, "steps batch n_in"]
    labels: Int64[np.ndarray, " batch"] | None
    """The class of each trial, from 0; None if the file has none."""
    dt: float | None
    """Length of a step, in seconds; None if the file does not say."""


def read_inputs(path: str | os.PathLike[str], *, n_in: int) -> Inputs:
    """Return inputs from an `.npz` or `.npy` file.

    An `.npz` holds `inputs` (steps × trials × channels) and may hold `labels` (a whole
    number per trial) and `dt` (seconds), or is a file of isotau's `Trials`. An `.npy`
    holds the inputs alone. Inputs may be of any real or boolean type.

    Args:
        path: of the file.
        n_in: the network's input channels.

    Raises:
        UnreadableFile: another kind of file, a damaged one, or arrays of another shape.
    """
    arrays = _arrays(Path(path))
    if "isotau" in arrays:
        # Checked as a record, from which only what a network is shown is taken.
        trials = load(path, Trials)
        arrays = {"inputs": trials.inputs, "labels": trials.labels}
        arrays["dt"] = np.asarray(trials.dt)
    # Of another name it may be the inputs, misspelt, or labels that would be lost.
    unknown = sorted(set(arrays) - set(FIELDS))
    if unknown or "inputs" not in arrays:
        raise UnreadableFile(
            f"{path}: got the arrays {', '.join(sorted(arrays)) or 'none'}, need "
            "inputs and, if you have them, labels and dt; rename or remove the others"
        )
    # The checks below do not know the file; its name is put before what they say.
    try:
        values = _values(arrays["inputs"], n_in)
        labels = arrays.get("labels")
        checked = None if labels is None else _labels(labels, values.shape[1])
        dt = arrays.get("dt")
        step = None if dt is None else _step(dt)
    except (TypeError, ValueError) as error:
        raise UnreadableFile(f"{path}: {error}") from error
    return Inputs(values, checked, step)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name, checked against its size before reading."""
    try:
        with path.open("rb") as stream:
            # By content: an .npy may be called .npz, and the other way round.
            magic = stream.read(len(MAGIC))
            if magic != MAGIC:
                return read_npz(path, max_bytes=MAX_BYTES)
            stream.seek(0)
            # numpy takes the memory that a header claims before it reads.
            claimed = read_header(stream).bytes
            held = path.stat().st_size - stream.tell()
            if claimed > min(held, MAX_BYTES):
                raise UnreadableFile(
                    f"{path}: claims {claimed} bytes and holds {held}, need at most "
                    f"{MAX_BYTES}; the file is damaged"
                )
            stream.seek(0)
            return {"inputs": read_array(stream)}
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file") from None
    except UnreadableFile:
        raise
    except DAMAGED as error:
        raise UnreadableFile(f"{path}: not a readable .npy file ({error})") from error


def _values(inputs: np.ndarray, n_in: int) -> np.ndarray:
    if inputs.ndim != 3:
        raise ValueError(
            f"inputs: got shape {inputs.shape}, need 3 axes (steps × trials × channels)"
        )
    shape = (*inputs.shape[:2], n_in)
    if 0 in inputs.shape[:2]:
        raise ValueError(f"inputs: got shape {inputs.shape}, need a step and a trial")
    return validation.floats("inputs", inputs, shape, "steps × trials × channels")


def _labels(labels: np.ndarray, batch: int) -> np.ndarray:
    return validation.integers(
        "labels", labels, (batch,), "trial", dtype=np.int64, low=0, high=2**31 - 1
    )


def _step(dt: np.ndarray) -> float:
    if dt.shape:
        raise ValueError(f"dt: got shape {dt.shape}, need one number, in seconds")
    return validation.number("dt", dt.item(), positive=True)
