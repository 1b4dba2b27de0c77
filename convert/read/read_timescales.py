"""Timescales that a user wants neurons to have, such as those of recorded ones."""

import csv
import os
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.npz import read_npz
from isotau.convert.records.storage import MAX_BYTES
from isotau.convert.records.wanted_timescales import WantedTimescales

COLUMNS = {"tau_s": 1.0, "tau_ms": 1e-3}
"""Columns of a table that may hold τ, and their units in seconds."""
SHAPES = ("tau", "autocorrelation", "autocovariance")
"""Arrays of an `.npz` of which there is one."""
ARRAYS = (*SHAPES, "lags", "variance")
LARGEST = 64 << 20
"""Bytes of a table."""


def read_timescales(path: str | os.PathLike[str]) -> WantedTimescales:
    """Return the timescales in a `.csv` or `.npz` file.

    A table has a column `tau_s` or `tau_ms`, a line for each neuron, and may have one
    `variance`; other columns and lines that begin with "#" are left out, so that the
    tables of `isotau timescales` are read as they are. An `.npz` holds `tau` (seconds),
    or `autocorrelation` or `autocovariance` (lag × neuron) and `lags` (seconds), and
    may hold `variance`, of the state in the network's units. A neuron with an empty
    cell or NaN is not looked at.

    Raises:
        UnreadableFile: no such file, another kind of file, or a damaged one.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"PK"
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error
        raise UnreadableFile(f"{path}: {reason}") from None
    arrays = read_npz(path, max_bytes=MAX_BYTES) if packed else _table(path)
    shapes = [name for name in SHAPES if name in arrays]
    unknown = sorted(set(arrays) - set(ARRAYS))
    if unknown or len(shapes) != 1:
        raise UnreadableFile(
            f"{path}: got {', '.join(sorted(arrays)) or 'nothing'}, need one of "
            f"{', '.join(SHAPES)}, with it lags unless it is tau, and, if you have it, "
            "variance"
        )
    # The record's checks do not know the file; its name is put before what they say.
    try:
        return _wanted(arrays)
    except (TypeError, ValueError) as error:
        raise UnreadableFile(f"{path}: {error}") from error


def _wanted(arrays: dict[str, np.ndarray]) -> WantedTimescales:
    """Return the record of a file's arrays."""
    variance = arrays.get("variance")
    if "tau" in arrays:
        if "lags" in arrays:
            raise ValueError("lags: got some with tau, need none; leave them out")
        return WantedTimescales(tau=arrays["tau"], variance=variance)
    if "lags" not in arrays:
        raise ValueError("lags: got none, need those of the curves, in seconds")
    if "autocorrelation" in arrays:
        return WantedTimescales(
            correlation=arrays["autocorrelation"],
            lags=arrays["lags"],
            variance=variance,
        )
    covariance = arrays["autocovariance"]
    if variance is not None:
        raise ValueError("variance: got one with an autocovariance, need none")
    if covariance.ndim != 2 or not covariance.size or arrays["lags"].flat[0] != 0:
        raise ValueError("autocovariance: need lag × neuron, lag 0 first")
    variance = np.where(covariance[0] > 0, covariance[0], np.nan)
    return WantedTimescales(
        correlation=covariance / variance, lags=arrays["lags"], variance=variance
    )


def _table(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a table that are looked at, in SI units."""
    if path.stat().st_size > LARGEST:
        raise UnreadableFile(
            f"{path}: got {path.stat().st_size} bytes, need at most {LARGEST}; is it a "
            "table of timescales?"
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        kept = [line for line in lines if line.strip() and not line.startswith("#")]
        head, *rows = csv.reader(kept, strict=True)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise UnreadableFile(f"{path}: not a readable .csv file ({error})") from error
    names = [name.strip() for name in head]
    # A row with a cell too few or too many is damage, not data.
    if not rows or any(len(row) != len(names) for row in rows):
        raise UnreadableFile(
            f"{path}: need a line of names and lines of {len(names)} cells below it"
        )
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    chosen = [name for name in COLUMNS if name in columns]
    if len(chosen) != 1:
        raise UnreadableFile(
            f"{path}: got the columns {', '.join(names)}, need tau_s or tau_ms"
        )
    numbers = {"tau": COLUMNS[chosen[0]] * _numbers(path, columns[chosen[0]])}
    if "variance" in columns:
        numbers["variance"] = _numbers(path, columns["variance"])
    return numbers


def _numbers(path: Path, cells: tuple[str, ...]) -> Float64[np.ndarray, " n"]:
    """Return a column's numbers, NaN for empty cells."""
    try:
        return np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except ValueError as error:
        raise UnreadableFile(f"{path}: the table is damaged ({error})") from error
