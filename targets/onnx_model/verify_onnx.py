"""Comparing an ONNX file with the network that it should hold."""

import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isotau.convert.ground import npz, validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.supervision import Unfinished, supervise
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.stage import Network
from isotau.targets.onnx_model import verify_child
from isotau.targets.onnx_model.expected_run import Engine, ExpectedRun, expected_run
from isotau.targets.onnx_model.session import need_onnxruntime

MAX_BYTES = 1 << 28
"""Largest file that is looked at."""
TOLERANCES = {"int64": 1e-9, "float32": 1e-4, "float64": 1e-9}
"""Difference that counts as none, as a part of an output's largest magnitude in the
trial; of a fixed-point network's file it concerns the readout alone."""
TYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}
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


def verify_onnx(
    path: str | os.PathLike[str],
    net: Network,
    *,
    trials: int = 8,
    steps: int = 200,
    seed: int = 0,
    timeout_s: float = 60.0,
    tolerance: float | None = None,
    engine: Engine | None = None,
) -> Verified:
    """Return how an ONNX file's results compare with those of a network.

    Random inputs, noise and start states pass through both. Of a `FixedPointNetwork`
    every spike, every u and v and the state at the end must be the same bits; of a
    `LIFNetwork` every spike, and the rest up to the tolerance; of a `RateRNN` all up
    to the tolerance. The file runs in two pieces, the second from the state that the
    first left, and once more step by step. It may be anything: it is read and run in a
    child process under limits on time and memory.

    Args:
        path: of the file, over time or of one step.
        net: the network.
        trials: how many; the amplitude of their inputs is 1, 4, 16, 64, 1, 4 …
        steps: of each trial.
        seed: of everything random.
        timeout_s: seconds after which the file is given up.
        tolerance: instead of `TOLERANCES`; a chaotic network needs a larger one.
        engine: `run` of `isotau.sim.engines.reference` or of another engine; needed for
            a `FixedPointNetwork`, for others not used.

    Raises:
        ImportError: onnxruntime is not installed.
        UnreadableFile: no ONNX model, damaged, too large, made from another network,
            with data elsewhere or operators of its own; or it fails, crashes, hangs or
            takes too much memory.
        ValueError: an argument out of range, or no engine for a `FixedPointNetwork`.
    """
    # Cheap mistakes first, then the network's own run, then the file.
    limit = _check(Path(path), trials, steps, seed, timeout_s, tolerance)
    expected = expected_run(net, trials=trials, steps=steps, seed=seed, engine=engine)
    got, account = _run(Path(path), net, expected, steps, limit)
    # Of its first input: messages are int64.
    dtype = TYPES.get(account["dtype"], "int64")
    # What is optional and not there cannot differ.
    need = {name: value for name, value in expected.need.items() if name in got}
    allowed = TOLERANCES[dtype] if tolerance is None else tolerance
    compared, first = compare(got, need, allowed)
    raster = need.get("spikes", np.zeros(1))
    return Verified(
        path=str(path),
        kind=type(net).__name__,
        dtype=dtype,
        trials=trials,
        steps=steps,
        seed=seed,
        compared=compared,
        first=first,
        spikes=int(np.count_nonzero(raster)),
        agreement=agreement(got.get("spikes", raster), raster),
        marked=bool(account["maker"]),
        runtime=str(account["runtime"]),
    )


def _check(
    path: Path,
    trials: int,
    steps: int,
    seed: int,
    timeout_s: float,
    tolerance: float | None,
) -> float:
    """Return the time limit once everything is there that a comparison needs."""
    validation.whole("trials", trials, 1, 1 << 16)
    validation.whole("steps", steps, 2, 1 << 20)
    validation.whole("seed", seed, 0, 2**63 - 1)
    if tolerance is not None:
        validation.number("tolerance", tolerance, minimum=0)
    need_onnxruntime("files")
    if not path.is_file():
        raise UnreadableFile(f"{path}: no such file")
    return validation.number("timeout_s", timeout_s, positive=True)


def _run(
    path: Path, net: Network, expected: ExpectedRun, steps: int, limit: float
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Run a file in a child process; return what it gave and said, shapes checked."""
    values = (*expected.feeds.values(), *expected.need.values())
    # Spikes and counters may come as wide as int64.
    need_bytes = sum(8 * value.size for value in values) + 8 * _parameters(net)
    job = verify_child.VerifyJob(
        path=str(path.absolute()),
        max_bytes=MAX_BYTES,
        fingerprint=net.fingerprint,
        # The second starts from the state that the first left.
        pieces=[steps // 2, steps - steps // 2],
        sequences=list(expected.sequences),
        states=expected.states,
        traced=list(expected.traced),
        outputs=list(expected.outputs),
        optional=list(expected.optional),
        need_bytes=need_bytes,
    )
    with tempfile.TemporaryDirectory(prefix="isotau-verify-") as scratch:
        folder = Path(scratch)
        (folder / verify_child.JOB).write_text(json.dumps(job._asdict()))
        np.savez(folder / verify_child.FEEDS, **expected.feeds)  # type: ignore[arg-type]
        _watch(folder, path, limit)
        # The child is not trusted either: what it wrote came of the file.
        most = need_bytes + (1 << 20)
        got = npz.read_npz(folder / verify_child.RESULTS, max_bytes=most)
        account = json.loads((folder / verify_child.ACCOUNT).read_text())
    for name, value in expected.need.items():
        # Here, too, as a shape of one would be broadcast below.
        present = name in got or name.removeprefix(STATE) in expected.optional
        if not present or (name in got and got[name].shape != value.shape):
            result = f"shape {got[name].shape}" if name in got else "nothing"
            raise UnreadableFile(
                f"{path}: {name}: got {result}, need shape {value.shape}"
            )
    return got, account


def _parameters(net: Network) -> int:
    """Return how many numbers a network has, about."""
    # Of each neuron less than 20 numbers, in every kind.
    if isinstance(net, FixedPointNetwork):
        numbers = sum(math.prod(block.weights.shape) for block in net.blocks)
        return numbers + 20 * net.n
    return net.n * net.n + net.w_in.size + net.w_out.size + 20 * net.n


def _watch(folder: Path, path: Path, limit: float) -> None:
    """Run the job in `folder` to its end.

    Raises:
        UnreadableFile: it did not come to a good one.
    """
    command = [sys.executable, "-m", verify_child.__name__, str(folder)]
    try:
        supervise(command, limit)
    except Unfinished as end:
        if end.status is None:
            fault = f"got no result after {limit:g} s, need one; raise timeout_s"
        elif end.status == verify_child.REFUSED:
            # The path is named below, as the caller gave it.
            fault = end.tail.splitlines()[-1].removeprefix(f"{path.absolute()}: ")
        else:
            how = f"signal {-end.status}" if end.status < 0 else f"status {end.status}"
            last = end.tail.splitlines()[-1:] or ["it said nothing"]
            fault = f"got a crash ({how}: {last[0]}), need a file that runs"
        raise UnreadableFile(f"{path}: {fault}") from end


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
    for row in verified.compared:
        line = f"{row.name}: {row.different} of {row.values} differ"
        if row.tolerance:
            line += f" by more than {row.tolerance:g} (largest {row.largest:.2g})"
            line += " of a trial's largest"
        lines.append(line)
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
        # JSON has no word for them.
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
    compared, differences = [], []
    for name, expected in need.items():
        exact = expected.dtype.kind in "biu"
        allowed = 0.0 if exact else tolerance
        off = _distance(got[name], expected)
        # Relative to the trial: beside large values small ones are rounded as they are.
        if not exact:
            off = off / _size(expected)
            # After another spike it is another network: no rounding error is meant.
            if same is not None:
                still = same[-1] if name.startswith(STATE) else same
                off = np.where(still[..., None], off, 0.0)
        wrong = off > allowed
        compared.append(
            Compared(
                name=name,
                values=int(expected.size),
                different=int(np.count_nonzero(wrong)),
                largest=float(off.max(initial=0)),
                tolerance=allowed,
            )
        )
        if wrong.any():
            differences.append(_first(name, wrong, got[name], expected))

    def when(d: Difference) -> tuple[float, int, int]:
        # The state after the last step comes last.
        return math.inf if d.step is None else d.step, d.trial, d.neuron

    return tuple(compared), min(differences, key=when, default=None)


def agreement(got: np.ndarray, need: np.ndarray) -> float:
    """Return the share of the spikes of either raster that both have; 1 for none."""
    union = int(np.count_nonzero((got != 0) | (need != 0)))
    common = int(np.count_nonzero((got != 0) & (need != 0)))
    return common / union if union else 1.0


def _alike(got: Arrays, need: Arrays) -> np.ndarray | None:
    """Return steps × batch, true until a trial's spikes differ; None without spikes."""
    if "spikes" not in need:
        return None
    # One neuron is enough, and it stays so for the trial.
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
    # An overflow of the network's own must not make every difference small.
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
