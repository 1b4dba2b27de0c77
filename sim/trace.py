"""A recorded neuron against the chip's arithmetic: how a chip's trace is checked.

A trace has one row per step: input (number of spikes, or graded message, sent in it), v
and spike. The input is given to a neuron of the reference engine, whose spikes and v
are compared with the recorded. The lag is the number of rows from an input to the first
v that it changes: 1 in Lava, whose connections hold what they are sent for a step, and
in the traces of Loihi 2 in Pedersen et al., doi:10.1038/s41467-024-52259-9. Another lag
shifts all that the engine computes; beyond the recording there is no input.
"""

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32

from isotau.convert import arithmetic, validation
from isotau.convert.arithmetic import SignMode
from isotau.convert.errors import UnreadableFile
from isotau.convert.fixedpoint import FixedPointNetwork, WeightBlock, resets
from isotau.convert.storage import write_text
from isotau.sim.engines import reference
from isotau.sim.engines.run import initial_state

COLUMNS = {"input": (-(2**31), 2**31 - 1), "v": (-(10**12), 10**12), "spike": (0, 1)}
"""What a trace has, and between which numbers; v alone need not be whole."""
MAX_BYTES = 16 << 20
"""Largest file that is read."""
ENGINE_LAG = 1
LAGS = range(-2, 5)
"""Lags that are tried: three either side of the engine's and Lava's."""
AT_SPIKE = ("reset", "unreset", "unclear")
"""What v a trace has in rows with a spike: after the reset, before it, or neither."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trace:
    """One neuron's recording, a row per step.

    Attributes:
        input: what was sent to the neuron; 32 bits.
        v: its membrane potential, in any unit, 0 at reset.
        spike: whether it spiked.
        ignored: further columns that the file had.
    """

    input: Int32[np.ndarray, " steps"]
    v: Float64[np.ndarray, " steps"]
    spike: Bool[np.ndarray, " steps"]
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        shape = (validation.length("input", self.input, ndim=1),)
        whole: dict[str, Any] = {}
        for name in ("input", "spike"):
            low, high = COLUMNS[name]
            whole[name] = validation.integers(
                name,
                getattr(self, name),
                shape,
                "step",
                dtype=np.int32,
                low=low,
                high=high,
            )
        spike = whole["spike"].astype(bool)
        spike.setflags(write=False)
        v = validation.floats("v", self.v, shape, "step")
        validation.freeze(self, whole | {"v": v, "spike": spike})


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceComparison:
    """How a recorded neuron and the computed one agree; rows count from 0.

    Attributes:
        rows: length of the recording.
        lag: rows from an input to the first v that it changes.
        lag_errors: root mean square difference of v for each lag that was tried; empty
            if the lag was given.
        recorded, computed: number of spikes.
        exact: spikes in the same row.
        near: pairs of spikes at most `tolerance` rows apart, each spike in one pair.
        tolerance: see there.
        v_at_spike: one of `AT_SPIKE`; if unclear, rows with a spike do not count for v.
        v_rows: rows that count for v.
        v_equal: fraction of them in which v, rounded, is the computed v.
        v_worst, v_rms: largest and root mean square difference of v, in chip units.
        first_spike: first row in which only one of the two spiked, None for no row.
        first_v: first row in which v differs, None for no row.
    """

    rows: int
    lag: int
    lag_errors: tuple[tuple[int, float], ...]
    recorded: int
    computed: int
    exact: int
    near: int
    tolerance: int
    v_at_spike: str
    v_rows: int
    v_equal: float
    v_worst: float
    v_rms: float
    first_spike: int | None
    first_v: int | None

    @property
    def agrees(self) -> bool:
        """Whether all spikes, and all v that were compared, are the same."""
        return self.first_spike is None and self.first_v is None


def read_trace(path: str | os.PathLike[str]) -> Trace:
    """Return the trace in a CSV file.

    The first line names the columns, in any order and case; those other than `COLUMNS`
    are ignored, and named in `Trace.ignored`. If it has numbers only, as in published
    traces of Loihi 2, the columns are `COLUMNS`.

    Raises:
        UnreadableFile: no file, a larger one than `MAX_BYTES`, a column missing or
            twice, a cell that is no such number; the message names line and column.
    """
    names: list[str] = []
    cells: dict[str, list[float]] = {name: [] for name in COLUMNS}
    lines = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        for line in filter(None, lines):
            if not names:
                names = [cell.strip().lower() for cell in line]
                headed = bool(COLUMNS.keys() & set(names))
                names = names if headed or len(names) != 3 else list(COLUMNS)
                if [names.count(name) for name in COLUMNS] != [1, 1, 1]:
                    got = ", ".join(names)[:80]
                    raise ValueError(f"got columns {got}, need {', '.join(COLUMNS)}")
                if headed:
                    continue
            if len(line) != len(names):
                raise ValueError(f"got {len(line)} columns, need {len(names)}")
            for name, cell in zip(names, line, strict=True):
                if name in cells:
                    cells[name].append(_number(name, cell))
    except (ValueError, csv.Error) as error:
        raise UnreadableFile(f"{path}: line {lines.line_num}: {error}") from error
    if not cells["v"]:
        raise UnreadableFile(f"{path}: got no rows, need one per step")
    columns: dict[str, Any] = {name: np.array(cells[name]) for name in COLUMNS}
    return Trace(**columns, ignored=tuple(x for x in names if x not in COLUMNS))


def write_trace(trace: Trace, path: str | os.PathLike[str]) -> Path:
    """Write a trace as CSV and return the path; reading it gives the same numbers."""
    columns = (trace.input, trace.v, trace.spike.astype(int))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    lines = [f"{sent},{repr(v).removesuffix('.0')},{spike}" for sent, v, spike in rows]
    return write_text(path, "\n".join([",".join(COLUMNS), *lines]) + "\n")


def single_neuron(
    *,
    du: int,
    dv: int,
    vth: int,
    weight: int,
    weight_exp: int = 0,
    bias_mant: int = 0,
    bias_exp: int = 0,
    refractory: int = 0,
) -> FixedPointNetwork:
    """Return a network of one neuron and one input channel.

    Its connection has only the sign of `weight`, −255 … 255: a mixed one would round it
    to an even number.
    """
    mantissa = validation.whole("weight", weight, -255, 255)
    block = WeightBlock(
        source="input",
        pre=np.zeros(1, dtype=int),
        weights=np.array([[mantissa]]),
        weight_exp=weight_exp,
        num_weight_bits=arithmetic.WEIGHT_BITS_MAX,
        sign_mode=SignMode.INHIBITORY if mantissa < 0 else SignMode.EXCITATORY,
    )
    return FixedPointNetwork(
        blocks=(block,),
        n_in=1,
        du=np.array([du]),
        dv=np.array([dv]),
        vth=np.array([vth]),
        bias_mant=np.array([bias_mant]),
        bias_exp=np.array([bias_exp]),
        refractory=np.array([refractory]),
        noise_exp=None,
        state_scale=1.0,
        v_reset=np.zeros(1),
        input_scale=1.0,
        dt=1e-3,
        w_out=np.zeros((1, 1)),
        b_out=np.zeros(1),
        tau_out=np.ones(1),
    )


def replay(
    trace: Trace,
    neuron: FixedPointNetwork,
    *,
    lag: int | None = None,
    tolerance: int = 2,
    v_scale: float = 1.0,
    v_at_spike: str | None = None,
) -> TraceComparison:
    """Return how a neuron that is given a trace's input agrees with the trace.

    Args:
        trace: what was recorded.
        neuron: what should have been: a network of one neuron, see `single_neuron`.
        lag: rows from an input to the first v that it changes; None to take the one of
            `LAGS` at which v differs least.
        tolerance: rows by which spikes may be apart to count as near.
        v_scale: chip units per unit of the recorded v.
        v_at_spike: one of `AT_SPIKE`; None to see from the rows with a recorded spike.
    """
    if (neuron.n, neuron.n_in) != (1, 1):
        got = f"{neuron.n} neurons and {neuron.n_in} inputs"
        raise ValueError(f"neuron: got {got}, need 1 each; use single_neuron")
    v, spike = trace.v * validation.number("v_scale", v_scale), trace.spike
    middle = np.median(np.abs(v[spike])) if spike.any() else 0.0
    seen = int(middle > 0.5) + int(0.5 < middle <= int(neuron.vth[0]) << 6)
    kind = validation.choice("v_at_spike", v_at_spike or AT_SPIKE[seen], AT_SPIKE)
    margin = max(abs(k - ENGINE_LAG) for k in (LAGS if lag is None else [lag]))
    our_v, our_spike = _compute(neuron, trace.input, margin, before=kind == "unreset")

    def rows(lag: int) -> slice:
        """Return the computed rows that belong to the recorded."""
        return slice(margin + ENGINE_LAG - lag, margin + ENGINE_LAG - lag + len(v))

    def apart(lag: int) -> np.ndarray:
        """Return |Δv|, NaN in rows that do not count."""
        hidden = (kind == "unclear") & (spike | our_spike[rows(lag)])
        return np.where(hidden, np.nan, np.abs(v - our_v[rows(lag)]))

    errors = [(k, _rms(apart(k))) for k in LAGS if lag is None]
    if lag is None:
        lag = min(errors, key=lambda tried: (tried[1], abs(tried[0] - ENGINE_LAG)))[0]
    ours, off = our_spike[rows(lag)], apart(lag)
    return TraceComparison(
        rows=len(v),
        lag=lag,
        lag_errors=tuple(errors),
        recorded=int(spike.sum()),
        computed=int(ours.sum()),
        exact=int((spike & ours).sum()),
        near=_pairs(np.flatnonzero(spike), np.flatnonzero(ours), tolerance),
        tolerance=tolerance,
        v_at_spike=kind,
        v_rows=int((off >= 0).sum()),
        v_equal=float((off <= 0.5).sum() / max(1, (off >= 0).sum())),
        v_worst=float(np.nan_to_num(off).max()),
        v_rms=_rms(off),
        first_spike=_first(spike ^ ours),
        first_v=_first(off > 0.5),
    )


def describe(comparison: TraceComparison) -> str:
    """Return the comparison in a paragraph."""
    c = comparison
    found = "which fits best" if c.lag_errors else "as given"
    return (
        f"Spikes: {c.recorded} recorded, {c.computed} computed, {c.exact} in the same "
        f"row, {c.near} within {c.tolerance}; first difference: row {c.first_spike}. "
        f"v: {c.v_equal:.2%} of {c.v_rows} rows equal, largest difference "
        f"{c.v_worst:.6g}, RMS {c.v_rms:.4g} chip units; first difference: row "
        f"{c.first_v}. Lag {c.lag}, {found}; v at a spike: {c.v_at_spike}."
    )


def _compute(
    neuron: FixedPointNetwork, sent: np.ndarray, margin: int, *, before: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return v, before or after the reset, and spikes; `margin` more rows each end."""
    v, spike = np.zeros(len(sent) + 2 * margin), np.zeros(len(sent) + 2 * margin, bool)
    chip, state = reference.registers(neuron), initial_state(neuron, 1)
    for t, message in enumerate([*sent.tolist(), *[0] * margin]):
        reset = resets(neuron, t)
        done = reference.step(chip, state, np.array([[message]]), reset=reset)
        state, spike[margin + t] = done.state, done.fired[0, 0]
        kept = arithmetic.clip_v(done.v_unclipped) if before and done.fired else state.v
        v[margin + t] = kept[0, 0]
    return v, spike


def _rms(off: np.ndarray) -> float:
    return float(np.sqrt(np.nansum(off**2) / max(1, (off >= 0).sum())))


def _first(where: np.ndarray) -> int | None:
    return int(np.argmax(where)) if where.any() else None


def _pairs(a: np.ndarray, b: np.ndarray, tolerance: int) -> int:
    """Return how many pairs of rows at most are within the tolerance."""
    i = j = pairs = 0
    while i < len(a) and j < len(b):
        near = abs(a[i] - b[j]) <= tolerance
        pairs += near
        i, j = i + (near or a[i] < b[j]), j + (near or b[j] < a[i])
    return pairs


def _text(path: str | os.PathLike[str]) -> str:
    """Return a file's text; of a regular file, as others might never end."""
    try:
        if not Path(path).is_file() or os.path.getsize(path) > MAX_BYTES:
            raise UnreadableFile(f"{path}: need a file of at most {MAX_BYTES} bytes")
        return Path(path).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{path}: no readable text ({error})") from error


def _number(name: str, cell: str) -> float:
    """Return what a cell of a column holds."""
    low, high = COLUMNS[name]
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not low <= value <= high or (name != "v" and value % 1):
        need = f"a {'' if name == 'v' else 'whole '}number from {low} to {high}"
        raise ValueError(f"column {name}: got {cell[:40]!r}, need {need}")
    return value
