"""A recorded neuron against the chip's arithmetic: how a chip's trace is checked.

The lag is the number of rows from an input to the first v that it changes: 1 in Lava,
where connections wait a step, and in the traces of Loihi 2 of Pedersen et al.,
doi:10.1038/s41467-024-52259-9. Another lag shifts all that the engine computes.
"""

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32

from isotau.convert.chip import arithmetic
from isotau.convert.ground import validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import values_of
from isotau.convert.records.chip_state import initial_state
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock, resets
from isotau.sim.engines import reference

COLUMNS = {"input": (-(2**31), 2**31 - 1), "v": (-(10**12), 10**12), "spike": (0, 1)}
"""What a trace has, and between which numbers; v alone need not be whole."""
MAX_BYTES = 16 << 20
ENGINE_LAG = 1
LAGS = range(-2, 5)
"""Lags that are tried: three either side of the engine's and Lava's."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NeuronTrace:
    """One neuron's recording, a row per step.

    Attributes:
        input: number of spikes, or graded message, sent in the step; 32 bits.
        v: membrane potential, in any unit, 0 at reset.
        spike: whether the neuron spiked.
        ignored: names of further columns in the file.
    """

    input: Int32[np.ndarray, " steps"]
    v: Float64[np.ndarray, " steps"]
    spike: Bool[np.ndarray, " steps"]
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        shape = (validation.length("input", self.input, ndim=1),)
        fields: dict[str, Any] = {"v": validation.floats("v", self.v, shape, "step")}
        for name, dtype in (("input", np.int32), ("spike", np.int8)):
            value, (low, high) = getattr(self, name), COLUMNS[name]
            fields[name] = validation.integers(
                name, value, shape, "step", dtype=dtype, low=low, high=high
            )
        # checked as 0 or 1, which bool itself would not refuse
        fields["spike"] = fields["spike"].view(np.bool_)
        validation.freeze(self, fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceComparison:
    """How a recorded neuron and the computed one agree; rows count from 0.

    Attributes:
        agrees: whether all spikes, and all v that are compared, are the same.
        lag: rows from an input to the first v that it changes.
        lag_errors: root mean square difference of v for each lag that was tried.
        recorded, computed: number of spikes.
        exact, near: pairs of spikes in the same row, and within `tolerance` rows.
        v_at_spike: v at spikes is "reset", "unreset", or "unclear" and not compared.
        v_equal: fraction of the rows compared in which v, rounded, is the computed v.
        v_worst, v_rms: largest and root mean square difference of v, in chip units.
        first_spike, first_v: first row in which they differ, None for no row.
    """

    agrees: bool
    lag: int
    lag_errors: tuple[tuple[int, float], ...]
    recorded: int
    computed: int
    exact: int
    near: int
    tolerance: int
    v_at_spike: str
    v_equal: float
    v_worst: float
    v_rms: float
    first_spike: int | None
    first_v: int | None


def read_trace(path: str | os.PathLike[str]) -> NeuronTrace:
    """Return the trace in a CSV file.

    The first line names the columns; others than `COLUMNS` go to `ignored`. In files
    without names, as published traces of Loihi 2 are, the columns are `COLUMNS`.

    Raises:
        UnreadableFile: no file, a larger one than `MAX_BYTES`, a column missing or
            twice, a cell that holds no such number; the message names line and column.
    """
    names: list[str] = []
    rows: list[list[float]] = []
    lines = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        for line in filter(None, lines):
            if not names:  # the first line that is not empty
                names = [cell.strip().lower() for cell in line]
                headed = len(names) != 3 or bool(COLUMNS.keys() & set(names))
                names = names if headed else list(COLUMNS)
                if [names.count(name) for name in COLUMNS] != [1, 1, 1]:
                    raise ValueError(f"got {str(names)[:80]}, need {list(COLUMNS)}")
                if headed:
                    continue
            if len(line) != len(names):
                raise ValueError(f"got {len(line)} columns, need {len(names)}")
            cells = [x for x in zip(names, line, strict=True) if x[0] in COLUMNS]
            rows.append([_number(name, cell) for name, cell in cells])
        if not rows:
            raise ValueError("got no rows, need one per step")
    except (ValueError, csv.Error) as error:
        raise UnreadableFile(f"{path}: line {lines.line_num}: {error}") from error
    order = [name for name in names if name in COLUMNS]
    columns: dict[str, Any] = dict(zip(order, np.array(rows).T, strict=True))
    return NeuronTrace(**columns, ignored=tuple(x for x in names if x not in COLUMNS))


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
    """Return a neuron with one input, of one sign: a mixed one would be made even."""
    block = WeightBlock(
        source="input",
        pre=np.array([0]),
        weights=np.array([[weight]]),
        weight_exp=weight_exp,
        num_weight_bits=arithmetic.WEIGHT_BITS_MAX,
        sign_mode=arithmetic.SignMode("inhibitory" if weight < 0 else "excitatory"),
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
        noise_exp=np.zeros(1, np.uint8),
        state_scale=np.ones(1),
        v_reset=np.zeros(1),
        input_scale=1.0,
        dt=1e-3,
        w_out=np.zeros((1, 1)),
        b_out=np.zeros(1),
        tau_out=np.ones(1),
    )


def replay(
    trace: NeuronTrace,
    neuron: FixedPointNetwork,
    *,
    lag: int | None = None,
    tolerance: int = 2,
    v_scale: float = 1.0,
) -> TraceComparison:
    """Return how a neuron that is given a trace's input agrees with the trace.

    Args:
        neuron: a network of one neuron and one input, see `single_neuron`.
        lag: None to take the best of `LAGS`.
        tolerance: rows by which spikes may be apart to count as near.
        v_scale: chip units per unit of the recorded v.
    """
    if (neuron.n, neuron.n_in, neuron.noisy) != (1, 1, False):
        raise ValueError(f"neuron: got n={neuron.n}, need what single_neuron makes")
    v = trace.v * validation.number("v_scale", v_scale, positive=True)
    spike = trace.spike
    # Recordings hold v at a spike before or after the reset; the median decides.
    top = np.median(np.abs(v[spike])) if spike.any() else 0.0
    threshold = int(neuron.vth[0]) << arithmetic.INPUT_SHIFT
    kind = "reset" if top <= 0.5 else "unreset" if top > threshold else "unclear"
    lags = LAGS if lag is None else [validation.whole("lag", lag, -len(v), len(v))]
    # Beyond both ends of the trace, so that every lag compares all of its rows.
    margin = max(abs(k - ENGINE_LAG) for k in lags)
    chip_v, chip_spike = _compute(neuron, trace.input, margin, peak=kind == "unreset")
    # One run of the engine serves all lags: each looks at other rows of it.
    rows = np.arange(len(v)) + margin + ENGINE_LAG - np.array(lags)[:, None]
    computed = chip_spike[rows]
    compared = ~((kind == "unclear") & (spike | computed))
    off = np.abs(v - chip_v[rows]) * compared
    rms = np.sqrt((off**2).sum(axis=1) / np.maximum(1, compared.sum(axis=1)))
    best = _best(trace, neuron, lags, rms)
    computed, compared, off = computed[best], compared[best], off[best]
    # 0.5: a recorded v is whole, but may come scaled, so that it is rounded first.
    return TraceComparison(
        agrees=bool((spike == computed).all() and (off <= 0.5).all()),
        lag=lags[best],
        lag_errors=tuple(zip(lags, rms.tolist(), strict=True)),
        recorded=int(spike.sum()),
        computed=int(computed.sum()),
        exact=int((spike & computed).sum()),
        near=_pairs(np.flatnonzero(spike), np.flatnonzero(computed), tolerance),
        tolerance=tolerance,
        v_at_spike=kind,
        v_equal=float((off <= 0.5)[compared].sum() / max(1, compared.sum())),
        v_worst=float(off.max()),
        v_rms=float(rms[best]),
        first_spike=next(iter(np.flatnonzero(spike ^ computed).tolist()), None),
        first_v=next(iter(np.flatnonzero(off > 0.5).tolist()), None),
    )


def describe_replay(comparison: TraceComparison) -> str:
    """Return the comparison in a paragraph."""
    c = comparison
    return (
        f"Spikes: {c.recorded} recorded, {c.computed} computed, {c.exact} in the same "
        f"row, {c.near} within {c.tolerance}; first row to differ: {c.first_spike}. "
        f"v: {c.v_equal:.2%} of rows equal, largest difference {c.v_worst:.6g}, RMS "
        f"{c.v_rms:.4g}; first row to differ: {c.first_v}. Lag in rows: {c.lag}. v at "
        f"spikes: {c.v_at_spike}."
    )


def _compute(
    neuron: FixedPointNetwork, sent: np.ndarray, margin: int, *, peak: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return v, before (`peak`) or after the reset, and spikes; rows more each end."""
    v, spike = np.zeros((2, len(sent) + 2 * margin))
    chip, state = reference.registers(neuron), initial_state(neuron, 1)
    for t, message in enumerate(np.pad(sent, (0, margin))[:, None, None]):
        reset = resets(neuron, t)
        state, fired, _, _, unclipped = reference.step(
            chip, state, message, reset=reset
        )
        at_spike = arithmetic.clip_v(unclipped) if peak and fired else state.v
        spike[margin + t], v[margin + t] = fired[0, 0], at_spike[0, 0]
    return v, spike > 0


def _best(
    trace: NeuronTrace,
    neuron: FixedPointNetwork,
    lags: range | list[int],
    rms: np.ndarray,
) -> int:
    """Return the place of the lag at which v differs far less than at any other.

    If none, registers are wrong: of that after which v has a kink where input came.
    """
    order = sorted(range(len(lags)), key=lambda i: (rms[i], abs(lags[i] - ENGINE_LAG)))
    if len(order) == 1 or rms[order[0]] <= 0.5 * rms[order[1]]:
        return order[0]
    # Input bends v where nothing else does: the second difference follows it, but for
    # rows near a spike and its reset.
    calm = np.convolve(trace.spike, np.ones(int(neuron.refractory[0]) + 3)) == 0
    kinks = np.diff(trace.v, 2, prepend=(0, 0)) * calm[: len(trace.v)]
    sign = np.sign(sum(int(values_of(b.weights).sum()) for b in neuron.blocks))
    sent = sign * (trace.input - trace.input.mean())
    matches = [float(kinks @ np.roll(sent, lag)) for lag in lags]
    scale = max(map(abs, matches)) or 1.0
    # Rounded, so that of nearly equal ones the first in `order` is taken.
    return max(order, key=lambda i: round(matches[i] / scale, 2))


def _pairs(a: np.ndarray, b: np.ndarray, tolerance: int) -> int:
    """Return how many pairs of rows at most are within the tolerance."""
    i = j = pairs = 0
    # Both are in order: the earlier one of two that are too far apart has no partner.
    while i < len(a) and j < len(b):
        apart = a[i] - b[j]
        pairs += abs(apart) <= tolerance
        i, j = i + (apart <= tolerance), j + (apart >= -tolerance)
    return int(pairs)


def _text(path: str | os.PathLike[str]) -> str:
    """Return a regular file's text."""
    # A pipe or a device would be read for ever.
    if not Path(path).is_file() or os.path.getsize(path) > MAX_BYTES:
        raise UnreadableFile(f"{path}: need a file of at most {MAX_BYTES} bytes")
    return Path(path).read_bytes().decode("utf-8-sig", errors="replace")


def _number(name: str, cell: str) -> float:
    """Return what a cell of a column holds."""
    low, high = COLUMNS[name]
    try:
        value = float(cell)
    except ValueError:
        value = np.nan  # within no range
    if not low <= value <= high or (name != "v" and value % 1):
        need = f"a {'' if name == 'v' else 'whole '}number from {low} to {high}"
        raise ValueError(f"column {name}: got {cell[:40]!r}, need {need}")
    return value
