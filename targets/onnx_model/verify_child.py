"""The child process in which an untrusted ONNX file runs; `verify_onnx` starts it.

onnxruntime may crash, hang or take all memory on a damaged file. Here it has limits on
memory and on what it writes, and whoever started it has a clock.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import EncodeError

from isotau.convert.ground import npz
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records import storage
from isotau.targets.onnx_model.model_file import read_model
from isotau.targets.onnx_model.session import refusals, start_session

JOB, FEEDS, RESULTS = "job.json", "feeds.npz", "results.npz"
"""Files in the job's folder: what to do, what to feed, and what came of it."""
ACCOUNT = "account.json"
"""What the file says of itself, and how it was run."""
REFUSED = 4
"""Exit status where the file is at fault; its last line says how."""
SPARE_BYTES = 1 << 30
"""Memory that a file may take beyond what the job needs."""
MOST = 400
"""Longest reason that is given, in characters."""
FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64}


class Refused(UnreadableFile):
    """The file cannot be run, or is not the network's."""


class VerifyJob(NamedTuple):
    """What to run and how.

    Attributes:
        path: of the file.
        max_bytes: largest file that is read.
        fingerprint: of the network that the file should be made from.
        pieces: lengths of the runs in which the steps pass, each from the state that
            the one before left.
        sequences: inputs that are cut along time.
        states: output by the input that takes it up in the next piece.
        traced: those of these inputs whose state is kept after every step.
        outputs: outputs that are kept, one value for each step.
        optional: states and outputs that a file need not have.
        need_bytes: memory that inputs and results take.
    """

    path: str
    max_bytes: int
    fingerprint: str
    pieces: list[int]
    sequences: list[str]
    states: dict[str, str]
    traced: list[str]
    outputs: list[str]
    optional: list[str]
    need_bytes: int


def main(folder: Path) -> None:
    """Run the job in `folder` and leave its results there."""
    job = VerifyJob(**json.loads((folder / JOB).read_text()))
    feeds = npz.read_npz(folder / FEEDS, max_bytes=storage.MAX_BYTES)
    # Loaded before the limit, as its own size is no fault of the file's.
    refusals()
    limit_memory(job.need_bytes)
    # Edited files are read too: whether they still do the same is the question.
    model = read_model(job.path, max_bytes=job.max_bytes, unchanged=False)
    results, account = run(check_maker(model, job.fingerprint), job, feeds)
    arrays: dict[str, Any] = dict(results)
    np.savez(folder / RESULTS, **arrays)
    (folder / ACCOUNT).write_text(json.dumps(account))


def limit_memory(need_bytes: int) -> None:
    """Let this process take no more than is needed and `SPARE_BYTES`, nor write it."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 4 * need_bytes + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # Results in an archive, each with a head of its own.
    written = need_bytes + (64 << 20)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
    # A crash is expected, and its memory of no interest.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def check_maker(model: Any, fingerprint: str) -> Any:
    """Return the model if it does not name another network than this one.

    Raises:
        Refused: it does.
    """
    named = maker(model) or fingerprint
    if named != fingerprint:
        raise Refused(
            f"got a file made from another network ({named[:12]!r}), need one made "
            f"from this one ({fingerprint[:12]!r}); export it again"
        )
    return model


def maker(model: Any) -> str:
    """Return the fingerprint of the network that a model names; "" for none."""
    texts = {entry.key: entry.value for entry in model.metadata_props}
    # In a damaged file it may be bytes.
    return str(texts.get("fingerprint", "")).strip('"')


def run(
    model: Any, job: VerifyJob, feeds: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return every kept output, the state at the end, and how the file was run.

    Raises:
        Refused: onnxruntime refuses it, or inputs or outputs are others.
    """
    # Imported here, because the caller reads this module's names without it.
    import onnxruntime

    try:
        # Without the arena, which takes more than is needed, and at once.
        session = start_session(model, 1, enable_cpu_mem_arena=False)
        return _run(session, job, feeds), {
            "dtype": session.get_inputs()[0].type,
            "maker": maker(model),
            "runtime": onnxruntime.__version__,
        }
    except Refused:
        raise
    except (*refusals(), EncodeError, MemoryError, RuntimeError, TypeError) as error:
        raise Refused(
            f"got an error of onnxruntime ({error}), need a graph that it runs"
        ) from error


def _run(
    session: Any, job: VerifyJob, feeds: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    types = {entry.name: entry.type for entry in session.get_inputs()}
    defaults = {e.name: e.type for e in session.get_overridable_initializers()}
    gives = {entry.name for entry in session.get_outputs()}
    job = job._replace(
        outputs=[k for k in job.outputs if k in gives or k not in job.optional],
        states={
            k: v for k, v in job.states.items() if v in gives or k not in job.optional
        },
    )
    _need("inputs", set(types), set(types) & set(feeds))
    _need("inputs", set(feeds) | set(job.states), set(types) | set(defaults))
    _need("outputs", {*job.outputs, *job.states.values()}, gives)
    # A file of whatever precision gets floats of its own.
    ready = {
        name: value.astype(FLOATS.get((types | defaults)[name], value.dtype))
        if value.dtype.kind == "f"
        else value
        for name, value in feeds.items()
    }
    steps = sum(job.pieces)
    if len(session.get_inputs()[0].shape) != 3:
        return _in_pieces(session, job, ready, [1] * steps, by_step=True)
    # Twice: as it is meant to run, and step by step to see every state.
    traced = _in_pieces(session, job, ready, [1] * steps)
    return traced | _in_pieces(session, job._replace(traced=[]), ready, job.pieces)


def _in_pieces(
    session: Any,
    job: VerifyJob,
    feeds: Mapping[str, np.ndarray],
    pieces: list[int],
    *,
    by_step: bool = False,
) -> dict[str, np.ndarray]:
    """Return outputs, traced states and the last state of runs one after another."""
    state = {name: value for name, value in feeds.items() if name not in job.sequences}
    parts: dict[str, list[np.ndarray]] = {k: [] for k in (*job.outputs, *job.traced)}
    names, begin = [*job.outputs, *job.states.values()], 0
    for length in pieces:
        cut = begin if by_step else slice(begin, begin + length)
        piece = {name: feeds[name][cut] for name in job.sequences}
        values = dict(zip(names, session.run(names, state | piece), strict=True))
        state |= {name: values[output] for name, output in job.states.items()}
        for name in job.outputs:
            parts[name].append(values[name][None] if by_step else values[name])
        for name in job.traced:
            parts[name].append(state[name][None])
        begin += length
        # In every piece, as a hostile graph may make more and more.
        size = sum(part.nbytes for arrays in parts.values() for part in arrays)
        if size > job.need_bytes:
            raise Refused(f"outputs: got {size} bytes, need at most {job.need_bytes}")
    results = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return results | {f"state.{name}": state[name] for name in job.states}


def _need(what: str, need: set[str], present: set[str]) -> None:
    if need - present:
        raise Refused(
            f"{what}: got {', '.join(sorted(present)) or 'none'}, need "
            f"{', '.join(sorted(need))}"
        )


def _leave(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say in one line what went wrong and end at once."""
    text = str(error) if issubclass(kind, UnreadableFile) else ""
    line = " ".join((text or f"{kind.__name__}: {error}").split())
    if len(line) > MOST:
        line = f"{line[: MOST // 2]} … {line[-MOST // 2 :]}"
    print(line, file=sys.stderr, flush=True)
    refused = issubclass(kind, UnreadableFile | MemoryError)
    os._exit(REFUSED if refused else 1)


if __name__ == "__main__":
    sys.excepthook = _leave
    main(Path(sys.argv[1]))
