"""Comparing an ONNX file with the network that it should hold."""

import json
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isotau.convert.ground import npz, validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.supervision import Unfinished, supervise
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.stage import Network
from isotau.convert.records.storage import fingerprint
from isotau.targets.onnx_model import verify_child
from isotau.targets.onnx_model.verify_result import (
    Engine,
    Trial,
    Verified,
    agreement,
    compare,
    trial_of,
)
from isotau.targets.onnx_model.verify_result import describe as describe

MAX_BYTES = 1 << 28
"""Largest file that is looked at."""
TOLERANCES = {"int64": 1e-9, "float32": 1e-4, "float64": 1e-9}
"""Difference that counts as none, as a part of an output's largest magnitude in the
trial; of a fixed-point network's file it concerns the readout alone."""
TYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}


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
    limit = _check(Path(path), trials, steps, seed, timeout_s, tolerance)
    trial = trial_of(net, trials=trials, steps=steps, seed=seed, engine=engine)
    got, said = _run(Path(path), net, trial, steps, limit)
    dtype = TYPES.get(said["dtype"], "int64")
    need = {name: value for name, value in trial.need.items() if name in got}
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
        marked=bool(said["maker"]),
        runtime=str(said["runtime"]),
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
    if find_spec("onnxruntime") is None:
        raise ImportError(
            "onnxruntime: got no such package, need it to run ONNX files; pip install "
            "onnxruntime"
        )
    if not path.is_file():
        raise UnreadableFile(f"{path}: no such file")
    return validation.number("timeout_s", timeout_s, positive=True)


def _run(
    path: Path, net: Network, trial: Trial, steps: int, limit: float
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Run a file in a child process; return what it gave and said, shapes checked."""
    values = (*trial.feeds.values(), *trial.need.values())
    # Spikes and counters may come as wide as int64.
    need_bytes = sum(8 * value.size for value in values) + 8 * _parameters(net)
    job = verify_child.Job(
        path=str(path.absolute()),
        max_bytes=MAX_BYTES,
        fingerprint=fingerprint(net),
        pieces=[steps // 2, steps - steps // 2],
        sequences=list(trial.sequences),
        states=trial.states,
        traced=list(trial.traced),
        outputs=list(trial.outputs),
        optional=list(trial.optional),
        need_bytes=need_bytes,
    )
    with tempfile.TemporaryDirectory(prefix="isotau-verify-") as scratch:
        folder = Path(scratch)
        (folder / verify_child.JOB).write_text(json.dumps(job._asdict()))
        np.savez(folder / verify_child.FEEDS, **trial.feeds)  # type: ignore[arg-type]
        _watch(folder, path, limit)
        most = need_bytes + (1 << 20)
        got = npz.read_npz(folder / verify_child.RESULTS, max_bytes=most)
        said = json.loads((folder / verify_child.SAID).read_text())
    for name, value in trial.need.items():
        known = name in got or name.removeprefix("state.") in trial.optional
        if not known or (name in got and got[name].shape != value.shape):
            told = f"shape {got[name].shape}" if name in got else "nothing"
            raise UnreadableFile(
                f"{path}: {name}: got {told}, need shape {value.shape}"
            )
    return got, said


def _parameters(net: Network) -> int:
    """Return how many numbers a network has, about."""
    if isinstance(net, FixedPointNetwork):
        return sum(block.weights.size for block in net.blocks) + 20 * net.n
    return net.w_rec.size + net.w_in.size + net.w_out.size + 20 * net.n


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
            told = f"got no result after {limit:g} s, need one; raise timeout_s"
        elif end.status == verify_child.REFUSED:
            told = end.tail.splitlines()[-1].removeprefix(f"{path.absolute()}: ")
        else:
            how = f"signal {-end.status}" if end.status < 0 else f"status {end.status}"
            last = end.tail.splitlines()[-1:] or ["it said nothing"]
            told = f"got a crash ({how}: {last[0]}), need a file that runs"
        raise UnreadableFile(f"{path}: {told}") from end
