"""`Timescales`: each neuron's timescale, or why it has none."""

import csv
import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import write_table
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import Numbers, Size, check_fields

FORMAT = 2
NUMBERS = {
    "tau": "tau_s",
    "low": "low_s",
    "high": "high_s",
    "estimate": "estimate_s",
    "amplitude": "amplitude",
    "offset": "offset",
    "goodness": "goodness",
    "rate": "rate_hz",
}
"""Fields with a number per neuron, and their columns in a file."""
SETTINGS = ("method", "bin_width", "lags", "level")
"""Fields with one value for all neurons, in the first line of a file."""
RULES = {
    "bin_width": Numbers(positive=True),
    "lags": Numbers(dtype=np.int64, low=1),
}
COLUMNS = ("neuron", "status", *NUMBERS.values())


class Status(str, Enum):
    """Whether a neuron has a timescale, and what it failed if it has none."""

    OK = "ok"
    TOO_FEW_SPIKES = "too few spikes"
    UNDEFINED = "undefined correlation"
    """At some lag no two bins both vary over trials."""
    LATE_PEAK = "late peak"
    """The autocorrelation does not start to fall within the first lags."""
    FIT_FAILED = "fit failed"
    """The fit ended at infinity."""
    NO_DECAY = "no decay"
    """The fitted exponential grows, or stays level: τ is negative or infinite."""
    NEGATIVE_AMPLITUDE = "negative amplitude"
    TOO_LONG = "too long"
    """τ exceeds the longest one that is believed."""
    NOT_IDENTIFIABLE = "not identifiable"
    """The data do not tell a timescale from none."""
    AT_BOUND = "at bound"
    """The best τ is the shortest or longest one that was looked at."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Timescales:
    """The timescales of a population, one entry per neuron.

    Attributes:
        tau: timescale, in seconds; NaN where `status` is not "ok".
        status: whether the neuron has a timescale, or why not.
        amplitude: of the fitted decay, as the method defines it; NaN where none.
        offset: of the fitted decay, as the method defines it; NaN where none.
        rate: mean firing rate, in Hz; NaN for what has none, such as a signal.
        method: name of the estimator, as in `ESTIMATORS`.
        bin_width: width of a spike-count bin, in seconds.
        lags: number of lags of the autocorrelation, in bins.
        low: lower end of τ's interval, in seconds; NaN where the method has none.
        high: upper end of it, in seconds; infinite where the data set no limit.
        estimate: the best value whatever the status, in seconds; NaN where there is
            none. Left out, it is `tau`.
        goodness: of the fit, as the method defines it: R² of a fitted autocorrelation,
            the likelihood ratio against no timescale.
        level: confidence that the interval is meant to have.
    """

    tau: Float64[np.ndarray, " n"]
    status: tuple[Status, ...]
    amplitude: Float64[np.ndarray, " n"]
    offset: Float64[np.ndarray, " n"]
    rate: Float64[np.ndarray, " n"]
    method: str
    bin_width: float
    lags: int
    low: Float64[np.ndarray, " n"] | None = None
    high: Float64[np.ndarray, " n"] | None = None
    estimate: Float64[np.ndarray, " n"] | None = None
    goodness: Float64[np.ndarray, " n"] | None = None
    level: float = 0.95

    n = Size("tau")

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = validation.length("tau", self.tau, ndim=1)
        if len(self.status) != n:
            raise ValueError(f"status: got {len(self.status)} entries, need {n}")
        check_fields(self, RULES)
        names = [status.value for status in Status]
        fields: dict[str, Any] = {
            "status": tuple(
                status
                if isinstance(status, Status)
                else Status(validation.choice(f"status[{k}]", status, names))
                for k, status in enumerate(self.status)
            ),
            "method": str(self.method),
            "level": _share("level", self.level),
        }
        for name in NUMBERS:
            value = getattr(self, name)
            # What a method does not say is NaN, its best value τ itself.
            if value is None:
                value = self.tau if name == "estimate" else np.full(n, np.nan)
            lowest = 0.0 if name in ("low", "high", "estimate", "rate") else None
            # Only an upper end may be infinite: the data set no limit.
            fields[name] = _gappy(name, value, n, lowest, infinite=name == "high")
        validation.freeze(self, fields)
        self._check_agreement()

    def _check_agreement(self) -> None:
        """Refuse τ that contradict their status or their interval."""
        assert self.low is not None
        assert self.high is not None
        settled = np.fromiter((s is Status.OK for s in self.status), bool, self.n)
        wrong = settled != (self.tau > 0)  # a NaN is not greater than 0
        if wrong.any():
            (k,) = validation.first(wrong)
            raise ValueError(
                f"tau: got {self.tau[k]} at [{k}] with status "
                f"{self.status[k].value!r}, need a number greater than 0 where the "
                "status is 'ok' and NaN elsewhere"
            )
        crossed = self.low > self.high  # never with a NaN
        if crossed.any():
            (k,) = validation.first(crossed)
            raise ValueError(
                f"low: got {self.low[k]} s at [{k}], need at most high, {self.high[k]}"
            )


def summary(timescales: Timescales) -> dict[str, Any]:
    """Return what a report says of a population, ready for JSON.

    `median_tau_s` is None where no neuron has a timescale, `mean_rate_hz` where none
    has a rate; `status` counts the neurons of each status that occurs.
    """
    # JSON knows no NaN: what is not there is None.
    ok = timescales.tau[np.isfinite(timescales.tau)]
    rates = timescales.rate[np.isfinite(timescales.rate)]
    counts = {
        status.value: timescales.status.count(status)
        for status in Status
        if status in timescales.status
    }
    return {
        "method": timescales.method,
        "n_neurons": timescales.n,
        "n_timescales": int(ok.size),
        "median_tau_s": float(np.median(ok)) if ok.size else None,
        "mean_rate_hz": float(rates.mean()) if rates.size else None,
        "status": counts,
    }


def write_csv(timescales: Timescales, path: str | os.PathLike[str]) -> Path:
    """Write one line per neuron below a line of settings, and return the path.

    The first line starts with "#" and holds JSON, so `pandas.read_csv(path,
    comment="#")` reads the table; numbers keep all their digits.
    """
    settings = {"isotau": "Timescales", "format": FORMAT}
    settings |= {name: getattr(timescales, name) for name in SETTINGS}
    # transposed to neuron × number, all as floats
    numbers = np.array([getattr(timescales, name) for name in NUMBERS], float).T
    rows = (
        (k, status.value, *numbers[k].tolist())
        for k, status in enumerate(timescales.status)
    )
    return write_table(path, settings, COLUMNS, rows)


def read_csv(path: str | os.PathLike[str]) -> Timescales:
    """Return the timescales that `write_csv` wrote.

    Raises:
        UnreadableFile: no such file, or not one of these, or damaged.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{path}: not a readable .csv file ({error})") from error
    settings = _settings(lines[0] if lines else "", path)
    rows = list(csv.reader(lines[1:]))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise UnreadableFile(f"{path}: need a line with {','.join(COLUMNS)}")
    try:
        # strict: a row with a cell too few or too many is damage, not data.
        _, status, *columns = zip(*rows[1:], strict=True)
        numbers = {
            name: np.array(column, dtype=np.float64)
            for name, column in zip(NUMBERS, columns, strict=True)
        }
        fields: dict[str, Any] = {name: settings[name] for name in SETTINGS}
        return Timescales(status=status, **fields | numbers)
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableFile(f"{path}: the table is damaged ({error})") from error


def _settings(line: str, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the settings in the first line of a file, of the right kind and format."""
    try:
        settings = json.loads(line.removeprefix("# "))
        kind, format_ = settings["isotau"], settings["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(
            f"{path}: got no line of settings at the top, need the one that write_csv "
            "makes"
        ) from error
    if kind != "Timescales" or format_ not in (1, FORMAT):
        raise UnreadableFile(
            f"{path}: got {kind} of format {format_}, need Timescales of format "
            f"{FORMAT}; update isotau to read it"
        )
    # Format 1 had no interval, and cannot be filled in.
    if format_ == 1:
        raise UnreadableFile(
            f"{path}: got Timescales of format 1, need {FORMAT}; measure them again"
        )
    return dict(settings)


def _share(name: str, value: float) -> float:
    """Return `value` if it lies between 0 and 1."""
    share = validation.number(name, value, positive=True)
    if share >= 1:  # 95 for 95 % is the likely slip
        raise ValueError(f"{name}: got {value}, need less than 1")
    return share


def _gappy(
    name: str, value: Any, n: int, minimum: float | None, *, infinite: bool
) -> np.ndarray:
    """Return a read-only copy of one number per neuron, NaN allowed."""
    value = np.asarray(value)
    # Gaps are filled for the check of all else, and put back.
    missing = np.isnan(value) | (np.isposinf(value) if infinite else False)
    filled = validation.floats(
        name, np.where(missing, 0.0, value), (n,), "neuron", minimum=minimum
    )
    array = np.where(missing, value, filled)
    array.setflags(write=False)
    return array
