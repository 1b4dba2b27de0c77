"""Makes and reads damaged files by number, in a process that may die of it.

Reads numbers from standard input, a line each, and answers with two lines of JSON: what
the file is, before it is read, and then what came of it.
"""

import gc
import json
import os
import re
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.command import command_parser
from benchmarks.damage.cases import make_case
from benchmarks.damage.seeds.records import N_IN
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.read_inputs import read_inputs
from isotau.convert.read.read_rate import read_rate
from isotau.convert.read.read_spikernn import read_spikernn_variables
from isotau.convert.read.read_timescales import read_timescales
from isotau.convert.records import storage
from isotau.sim.recorded.read_spike_times import read_spike_times

ALLOWED = 3 << 30
"""Of address space beyond what the process has when it begins to read, in bytes."""
LIMIT = 1 << 30
"""Of memory for one file, in bytes."""
POSITIVE = ("tau", "tau_syn", "tau_mem", "tau_out", "dt", "duration", "bin_width")
CLEAR, READ, UNCLEAR = "clear error", "read", "unclear error"
WRONG, MUCH = "wrongly read", "more than 1 GiB"
QUIET = "(norse|torch|torchvision|nir|nirtorch).*"
"""Modules whose warnings about their own older interfaces are no fault of a file."""


class ReadResult(NamedTuple):
    """What came of a file."""

    outcome: str
    error: str
    seconds: float
    peak: int
    """Of memory beyond what the process had before, in bytes."""


def read_nir(path: Path) -> object:
    """Return the network in a NIR file."""
    from isotau.targets.nir_graph.from_nir import from_nir

    return from_nir(path)


def open_own(path: Path) -> object:
    """Return whether onnxruntime takes a fixed-point model that nobody has changed."""
    from isotau.targets.onnx_model.session import open_model

    return len(open_model(path).gives)


def verify(path: Path) -> object:
    """Return what a model of a fixed-point or LIF network gave, whoever wrote it."""
    from benchmarks.damage.seeds.records import records
    from isotau.sim.engines import reference
    from isotau.targets.onnx_model.verify_onnx import verify_onnx

    kind = "LIFNetwork" if "lif" in path.name else "FixedPointNetwork"
    net, engine = records()[kind], reference.run
    result = verify_onnx(path, net, trials=2, steps=20, timeout_s=10, engine=engine)
    return result.kind


def readers() -> dict[str, Callable[[Path], object]]:
    """Return what reads a file, by the name that seeds have for it."""
    kinds = {
        name: (lambda path, kind=kind: storage.load(path, kind))
        for name, kind in storage.KINDS.items()
    }
    return {
        **kinds,
        "rate": read_rate,
        "inputs": lambda path: read_inputs(path, n_in=N_IN)._asdict(),
        # as a dict: NaN stands for neurons of which nothing is known
        "timescales": lambda path: {"wanted": read_timescales(path)},
        "variables": read_spikernn_variables,
        "spike times": read_spike_times,
        "nir": read_nir,
        "model": open_own,
        "any model": verify,
    }


def read_case(read: Callable[[Path], object], path: Path, refused: bool) -> ReadResult:
    """Return what a reader makes of a file."""
    limit_memory()
    before, children_before = memory("RSS"), children()
    start = time.perf_counter()
    stray: list[str] = []
    # An error in a destructor cannot be caught; a user would see it on the terminal.
    sys.unraisablehook = lambda entry: stray.append(repr(entry.exc_value))
    record: object = None
    error: BaseException | None = None
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=QUIET)
        warnings.filterwarnings("ignore", category=FutureWarning, module=QUIET)
        try:
            record = read(path)
        except BaseException as exception:  # whatever it is, it counts
            error = exception
        stray += [f"{entry.category.__name__}: {entry.message}" for entry in messages]
    seconds = time.perf_counter() - start
    # Children's peak is that of the largest ever: it counts when this file raised it.
    in_children = children() if children() > children_before else 0
    peak = max(memory("HWM") - before, in_children, 0)
    outcome, complaint = judge(record, error, stray, path, refused)
    if peak > LIMIT or ran_out(error):
        outcome = MUCH
    return ReadResult(outcome, complaint, seconds, peak)


def judge(
    record: object,
    error: BaseException | None,
    stray: list[str],
    path: Path,
    trap: bool,
) -> tuple[str, str]:
    """Return the outcome, and an error's text or what is wrong with what was read.

    Args:
        record: what was read.
        error: what was raised instead.
        stray: warnings, and errors that nobody could catch.
        path: of the file.
        trap: whether no reader may take the file for whole.
    """
    if stray:
        return UNCLEAR, "; ".join(stray)
    if error is not None:
        text = f"{type(error).__name__}: {error}".replace(str(path), path.name)
        helpful = isinstance(error, ValueError) and "need" in str(error)
        clear = isinstance(error, UnreadableFile) or helpful
        clear = clear and str(path) in str(error)
        return (CLEAR if clear else UNCLEAR), text
    fault = find_fault("", record) or ("it is a trap" if trap else "")
    return (WRONG if fault else READ), fault


def ran_out(error: BaseException | None) -> bool:
    """Return whether an error comes from one of no memory."""
    while error is not None:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def find_fault(name: str, value: Any) -> str:
    """Return what is wrong with a record that was read, "" for nothing."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and name[:1] != "*":
        if not np.isfinite(value).all():
            return f"{name} is not finite"
        if name in POSITIVE and (value <= 0).any():
            return f"{name} is not positive"
    if isinstance(value, float) and name in POSITIVE and not 0 < value < np.inf:
        return f"{name} is {value}"
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, dict):  # variables as they are, whatever they are
        parts = {f"*{key}": part for key, part in value.items()}
    elif isinstance(value, tuple | list):
        parts = {f"{name}[{k}]": part for k, part in enumerate(value)}
    else:
        return ""
    return next(filter(None, map(find_fault, parts, parts.values())), "")


def memory(kind: str) -> int:
    """Return this process's memory, "RSS" now or "HWM" at most, in bytes."""
    text = Path("/proc/self/status").read_text()
    match = re.search(rf"Vm{kind}:\s*(\d+) kB", text)
    return int(match[1]) << 10 if match else 0


def children() -> int:
    """Return the most that any process took that this one has started, in bytes."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


def limit_memory() -> None:
    """Begin to measure the peak anew, and allow so much address space beyond now."""
    gc.collect()
    # 5 sets the peak of resident memory (VmHWM) to what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
    size = memory("Size") + ALLOWED
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def main() -> None:
    """Answer numbers until there are none."""
    parser = command_parser("benchmarks.damage.worker", __doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seeds", type=Path, required=True)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    readers_by_name = readers()
    imported = 0
    for line in sys.stdin:
        number = int(line)
        # What is imported, much of it for the first file of its kind, need not be
        # looked through for every file.
        if len(sys.modules) > imported:
            gc.collect()
            gc.freeze()
            imported = len(sys.modules)
        # The limit is for reading; making the damage may take what it needs.
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        case = make_case(options.seed, number, options.seeds)
        path = Path(f"case-{number}-{case.name}")
        path.write_bytes(case.content)
        header = {
            "number": number,
            "format": case.format,
            "file": case.name,
            "damage": case.damage,
        }
        say(header)
        result = read_case(readers_by_name[case.reader], path, case.refused)
        if Path("trapped").exists():
            result = result._replace(outcome=UNCLEAR, error="the trap was sprung")
            Path("trapped").unlink()
        if options.keep and result.outcome not in (CLEAR, READ):
            (options.keep / path.name).write_bytes(case.content)
        path.unlink()
        del case
        say(result._asdict())


def say(entries: dict[str, Any]) -> None:
    """Write a line of JSON at once."""
    # Past Python's own buffers, which a crash would take along.
    os.write(sys.__stdout__.fileno(), json.dumps(entries).encode() + b"\n")


if __name__ == "__main__":
    main()
