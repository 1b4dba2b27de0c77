"""What came of comparing an ONNX file with a network, and the comparison itself."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[np.generic]]
STATE = "state."
"""Before the names of what the network remembers after the last step."""
TINY = float(np.finfo(np.float32).tiny)
"""Magnitude below which differences are not relative."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first value that differs: earliest step, then trial, then neuron or output.

    Attributes:
        step: number of the step, from 0; None for the state after the last.
        trial: number of the trial, from 0.
        neuron: number of the neuron or output.
        name: of the output.
        got: what the file gave.
        need: what the network gives.
    """

    step: int | None
    trial: int
    neuron: int
    name: str
    got: float
    need: float


@dataclass(frozen=True, slots=True)
class Compared:
    """How one output agreed.

    Attributes:
        name: of the output; with "state." before it, after the last step.
        values: how many were compared.
        different: how many differ by more than the tolerance.
        largest: largest |difference|; for floats as a part of the largest magnitude
            that the output has in the trial.
        tolerance: largest one that counts as none; 0 for exact.
    """

    name: str
    values: int
    different: int
    largest: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of running an ONNX file beside the network that it should hold.

    Attributes:
        path: of the file.
        kind: of the network, "FixedPointNetwork", "LIFNetwork" or "RateRNN".
        dtype: of the file's numbers, "int64", "float32" or "float64".
        trials: how many were run.
        steps: of each trial.
        seed: of inputs and noise.
        compared: one for each output.
        first: the first difference, None if there is none.
        spikes: how many spikes the network has; 0 for a rate network.
        agreement: share of the spikes of either that both have; 1 without spikes.
        marked: whether the file names the network that it was made from.
        runtime: version of onnxruntime.
    """

    path: str
    kind: str
    dtype: str
    trials: int
    steps: int
    seed: int
    compared: tuple[Compared, ...]
    first: Difference | None
    spikes: int
    agreement: float
    marked: bool
    runtime: str

    @property
    def identical(self) -> bool:
        """Whether nothing differs: not a bit, or for floats not by the tolerance."""
        return self.first is None


def describe(verified: Verified) -> str:
    """Return the result as text: the verdict, then one line for each output."""
    at = verified.first
    exact = verified.kind == "FixedPointNetwork"
    alike = "identical, bit for bit" if exact else "identical within the tolerance"
    lines = [
        f"{verified.path}: {alike if at is None else 'DIFFERENT'}; {verified.kind}, "
        f"{verified.dtype}, {verified.trials} trials of {verified.steps} steps, seed "
        f"{verified.seed}, onnxruntime {verified.runtime}"
    ]
    if at is not None:
        when = "after the last step" if at.step is None else f"step {at.step}"
        lines.append(
            f"first difference: {at.name} of {at.neuron}, {when}, trial {at.trial}: "
            f"got {at.got:.17g}, need {at.need:.17g}"
        )
    for one in verified.compared:
        told = f"{one.name}: {one.different} of {one.values} differ"
        if one.tolerance:
            told += f" by more than {one.tolerance:g} (largest {one.largest:.2g})"
            told += " of a trial's largest"
        lines.append(told)
    if verified.kind != "RateRNN":
        lines.append(
            f"spikes: {verified.spikes} in the network, {verified.agreement:.2%} of "
            "those of either are in both"
        )
        if not verified.spikes:
            lines.append("no neuron fired: raise steps, or give inputs that drive it")
    if not verified.marked:
        lines.append("the file does not say which network it was made from")
    return "\n".join(lines)


def as_json(verified: Verified) -> dict[str, Any]:
    """Return the result as plain data; infinities and NaN as text."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [plain(inner) for inner in value]
        odd = isinstance(value, float) and not math.isfinite(value)
        return str(value) if odd else value

    return {"identical": verified.identical, **plain(asdict(verified))}


def compare(
    got: Arrays, need: Arrays, tolerance: float
) -> tuple[tuple[Compared, ...], Difference | None]:
    """Return how each output agreed, and the first difference.

    Integers must be equal. Floats may differ by `tolerance` times the largest magnitude
    that the output has in the same trial. Once a trial's spikes differ it goes another
    way: its floats are compared up to that step.

    Args:
        got: what the file gave: steps × batch × unit, with "state." batch × unit.
        need: the same of the network.
        tolerance: relative, for floats.
    """
    same = _alike(got, need)
    compared, found = [], []
    for name, wanted in need.items():
        exact = wanted.dtype.kind in "biu"
        allowed = 0.0 if exact else tolerance
        off = _distance(got[name], wanted)
        if not exact:
            off = off / _size(wanted)
            if same is not None:
                still = same[-1] if name.startswith(STATE) else same
                off = np.where(still[..., None], off, 0.0)
        wrong = off > allowed
        compared.append(
            Compared(
                name=name,
                values=int(wanted.size),
                different=int(np.count_nonzero(wrong)),
                largest=float(off.max(initial=0)),
                tolerance=allowed,
            )
        )
        if wrong.any():
            found.append(_first(name, wrong, got[name], wanted))
    last = np.inf
    found.sort(key=lambda d: (last if d.step is None else d.step, d.trial, d.neuron))
    return tuple(compared), found[0] if found else None


def agreement(got: np.ndarray, need: np.ndarray) -> float:
    """Return the share of the spikes of either raster that both have; 1 for none."""
    either = int(np.count_nonzero((got != 0) | (need != 0)))
    both = int(np.count_nonzero((got != 0) & (need != 0)))
    return both / either if either else 1.0


def _alike(got: Arrays, need: Arrays) -> np.ndarray | None:
    """Return steps × batch, true until a trial's spikes differ; None without spikes."""
    if "spikes" not in need:
        return None
    off = (got["spikes"] != need["spikes"]).any(axis=-1)
    return ~np.logical_or.accumulate(off, axis=0)


def _distance(got: np.ndarray, need: np.ndarray) -> np.ndarray:
    """Return |got − need|; 0 where both are the same infinity or no number."""
    if need.dtype.kind in "biu":
        # A difference of 64-bit integers may wrap, but never to 0.
        off = np.abs(got.astype(np.float64) - need.astype(np.float64))
        return np.where(got != need, np.maximum(off, 1.0), 0.0)
    with np.errstate(invalid="ignore"):
        off = np.abs(got.astype(np.float64) - need)
    same = (got == need) | (np.isnan(got) & np.isnan(need))
    return np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))


def _size(need: np.ndarray) -> np.ndarray:
    """Return the largest finite magnitude of each trial, along its axis."""
    magnitude = np.where(np.isfinite(need), np.abs(need), 0.0)
    along = tuple(axis for axis in range(need.ndim) if axis != need.ndim - 2)
    return np.maximum(magnitude.max(axis=along, keepdims=True), TINY)


def _first(
    name: str, wrong: np.ndarray, got: np.ndarray, need: np.ndarray
) -> Difference:
    place = tuple(int(k) for k in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    within = (0, 0, 0, *place)  # a state may be a number
    return Difference(
        step=None if name.startswith(STATE) else within[-3],
        trial=within[-2],
        neuron=within[-1],
        name=name.removeprefix(STATE),
        got=float(got[place]),
        need=float(need[place]),
    )
