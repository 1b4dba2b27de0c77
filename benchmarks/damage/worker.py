"""Makes and reads damaged files by number, in a process that may die of it.

Reads numbers from standard input, a line each, and answers with two lines of JSON: what
the file is, before it is read, and then what came of it.
"""

import argparse
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

from benchmarks.damage.cases import make_case
from benchmarks.damage.seeds.records import N_IN
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.read_inputs import read_inputs
from isotau.convert.read.read_rate import read_rate
from isotau.convert.read.read_spikernn import read_spikernn_variables
from isotau.convert.records import storage
from isotau.sim.recorded.read_spike_times import read_spike_times

ALLOWED = 3 << 30
"""Of address space beyond what the process has when it begins to read, in bytes."""
LIMIT = 1 << 30
"""Of memory for one file, in bytes."""
POSITIVE = ("tau", "tau_syn", "tau_mem", "tau_out", "dt", "duration", "bin_width")
CLEAR, READ, UNCLEAR = "clear error", "read", "unclear error"
WRONG, MUCH = "wrongly read", "more than 1 GiB"


class Result(NamedTuple):
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
    found = verify_onnx(path, net, trials=2, steps=20, timeout_s=10, engine=engine)
    return found.kind


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
        "variables": read_spikernn_variables,
        "spike times": read_spike_times,
        "nir": read_nir,
        "model": open_own,
        "any model": verify,
    }


def read_case(read: Callable[[Path], object], path: Path, refused: bool) -> Result:
    """Return what a reader makes of a file."""
    limit_memory()
    before, born = memory("RSS"), children()
    started = time.perf_counter()
    lost: list[str] = []
    sys.unraisablehook = lambda entry: lost.append(repr(entry.exc_value))
    found: object = None
    error: BaseException | None = None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=QUIET)
        warnings.filterwarnings("ignore", category=FutureWarning, module=QUIET)
        try:
            found = read(path)
        except BaseException as raised:  # whatever it is, it is told
            error = raised
        lost += [f"{entry.category.__name__}: {entry.message}" for entry in said]
    seconds = time.perf_counter() - started
    peak = max(memory("HWM") - before, children() if children() > born else 0, 0)
    outcome, told = judge(found, error, lost, path, refused)
    if peak > LIMIT or ran_out(error):
        outcome = MUCH
    return Result(outcome, told, seconds, peak)


QUIET = "(norse|torch|torchvision|nir|nirtorch).*"


def judge(
    found: object, error: BaseException | None, lost: list[str], path: Path, trap: bool
) -> tuple[str, str]:
    """Return the outcome, and what an error said or is wrong with what was read."""
    if lost:
        return UNCLEAR, "; ".join(lost)
    if error is not None:
        told = f"{type(error).__name__}: {error}".replace(str(path), path.name)
        worded = isinstance(error, ValueError) and "need" in str(error)
        good = isinstance(error, UnreadableFile) or worded
        good = good and str(path) in str(error)
        return (CLEAR if good else UNCLEAR), told
    wrong = complaint("", found) or ("it is a trap" if trap else "")
    return (WRONG if wrong else READ), wrong


def ran_out(error: BaseException | None) -> bool:
    """Return whether an error comes from one of no memory."""
    while error is not None:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def complaint(name: str, found: Any) -> str:
    """Return what is wrong with a record that was read, "" for nothing."""
    if isinstance(found, np.ndarray) and found.dtype.kind == "f" and name[:1] != "*":
        if not np.isfinite(found).all():
            return f"{name} is not finite"
        if name in POSITIVE and (found <= 0).any():
            return f"{name} is not positive"
    if isinstance(found, float) and name in POSITIVE and not 0 < found < np.inf:
        return f"{name} is {found}"
    if is_dataclass(found):
        parts = {field.name: getattr(found, field.name) for field in fields(found)}
    elif isinstance(found, dict):  # variables as they are, whatever they are
        parts = {f"*{key}": value for key, value in found.items()}
    elif isinstance(found, tuple | list):
        parts = {f"{name}[{k}]": value for k, value in enumerate(found)}
    else:
        return ""
    return next(filter(None, map(complaint, parts, parts.values())), "")


def memory(what: str) -> int:
    """Return this process's memory, "RSS" now or "HWM" at most, in bytes."""
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"Vm{what}:\s*(\d+) kB", text)
    return int(found[1]) << 10 if found else 0


def children() -> int:
    """Return the most that any process took that this one has started, in bytes."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


def limit_memory() -> None:
    """Begin to measure the peak anew, and allow so much address space beyond now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    size = memory("Size") + ALLOWED
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def main() -> None:
    """Answer numbers until there are none."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seeds", type=Path, required=True)
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args()
    known = readers()
    gc.collect()
    gc.freeze()  # what is imported need not be looked through for every file
    for line in sys.stdin:
        number = int(line)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        case = make_case(chosen.seed, number, chosen.seeds)
        path = Path(f"case-{number}-{case.name}")
        path.write_bytes(case.content)
        told = {
            "number": number,
            "format": case.format,
            "file": case.name,
            "damage": case.damage,
        }
        say(told)
        result = read_case(known[case.reader], path, case.refused)
        if Path("trapped").exists():
            result = result._replace(outcome=UNCLEAR, error="the trap was sprung")
            Path("trapped").unlink()
        if chosen.keep and result.outcome not in (CLEAR, READ):
            (chosen.keep / path.name).write_bytes(case.content)
        path.unlink()
        del case
        say(result._asdict())


def say(told: dict[str, Any]) -> None:
    """Write a line of JSON at once."""
    os.write(sys.__stdout__.fileno(), json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()
