"""What isotau makes of damaged files: a clear error, or something worse?

    python -m benchmarks.damage --count 10000 --seed 0
    python -m benchmarks.damage --case 4711 --keep FOLDER   one file, kept

Whole files of every kind are damaged, by number, so that every file can be made again.
Workers read them, a file in at most 20 s, and are replaced when they die of it. With
--page docs/results the figures are written as targets-damaged.json and .md.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.damage.cases import FORMATS
from benchmarks.damage.page import GOOD, table, write_page
from benchmarks.damage.seeds.catalogue import write_seeds
from benchmarks.provenance import provenance
from benchmarks.repository import ROOT

PATIENCE_S = 20.0
"""How long a file may take."""
START_S = 120.0
"""How long a worker may take to import what it needs and make its first file."""


def environment() -> dict[str, str]:
    """Return the environment in which a worker finds this package from any folder."""
    path = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    return os.environ | {"PYTHONPATH": os.pathsep.join(path)}


class Worker:
    """A process that reads files, and the next one when it has died of one."""

    def __init__(self, seed: int, seeds: Path, keep: Path | None) -> None:
        """Keep what a process needs to begin."""
        self.command = [sys.executable, "-m", "benchmarks.damage.worker"]
        self.command += ["--seed", str(seed), "--seeds", str(seeds)]
        self.command += ["--keep", str(keep)] if keep else []
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.rest = b""

    def read(self, number: int) -> dict[str, Any]:
        """Return what came of a file."""
        if self.process is None:
            self.folder = tempfile.TemporaryDirectory()
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self.folder.name,
                env=environment(),
            )
        assert self.process.stdin is not None
        self.process.stdin.write(b"%d\n" % number)
        self.process.stdin.flush()
        case = self._line(START_S)
        started = time.monotonic()
        result = self._line(PATIENCE_S) if case is not None else None
        if result is not None and case is not None:
            return case | result
        took = time.monotonic() - started
        ended = self.end()
        outcome = "crash" if ended is not None else "hang"
        if case is None:
            raise RuntimeError(f"the damage of file {number} ended with {outcome}")
        told = {"outcome": outcome, "error": f"status {ended}", "seconds": took}
        return case | told | {"peak": 0}

    def _line(self, patience: float) -> dict[str, Any] | None:
        """Return the worker's next line, None if it ends or takes too long."""
        assert self.process is not None and self.process.stdout is not None
        deadline = time.monotonic() + patience
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            if not select.select([self.process.stdout], [], [], max(left, 0))[0]:
                return None
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                return None
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return dict(json.loads(line))

    def end(self) -> int | None:
        """End the process, if there is one; return its status if it ended by itself."""
        if self.process is None or self.folder is None:
            return None
        try:
            status: int | None = self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            status = None
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.folder.cleanup()
        self.process, self.rest = None, b""
        return status


def read_all(
    numbers: list[int], seed: int, workers: int, keep: Path | None
) -> list[dict[str, Any]]:
    """Return what came of every file, in order."""
    waiting, results = iter(numbers), []
    lock = threading.Lock()

    def work(worker: Worker) -> None:
        while True:
            with lock:
                number = next(waiting, None)
            if number is None:
                worker.end()
                return
            result = worker.read(number)
            with lock:
                results.append(result)
                report(result, len(results), len(numbers))

    with tempfile.TemporaryDirectory() as folder:
        write_seeds(Path(folder))
        crew = [
            threading.Thread(target=work, args=(Worker(seed, Path(folder), keep),))
            for _ in range(min(workers, len(numbers)))
        ]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
    if len(results) != len(numbers):
        raise RuntimeError("a worker could not go on")
    return sorted(results, key=lambda result: result["number"])


def report(result: dict[str, Any], done: int, count: int) -> None:
    """Print a file that did not go well, and how far the run is."""
    if result["outcome"] not in GOOD:
        words = ("number", "outcome", "file", "damage")
        told = ", ".join(str(result[word]) for word in words)
        print(f"{told}: {result['error'][:300]}", flush=True)
    if done % 500 == 0:
        print(f"{done} of {count}", file=sys.stderr, flush=True)


def main() -> int:
    """Read the files that were asked for; return 1 if one did not go well."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, nargs="*")
    parser.add_argument("--format", nargs="*", choices=FORMATS, default=FORMATS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for files that went wrong")
    parser.add_argument("--page", type=Path, help="folder for the .json and .md")
    parser.add_argument("--json", type=Path, help="file for what came of each file")
    chosen = parser.parse_args()
    numbers = chosen.case or [
        number
        for number in range(chosen.first, chosen.first + chosen.count)
        if FORMATS[number % len(FORMATS)] in chosen.format
    ]
    keep = chosen.keep.resolve() if chosen.keep else None
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    results = read_all(numbers, chosen.seed, chosen.workers, keep)
    seconds = time.perf_counter() - started
    print(table(results))
    if chosen.json:
        chosen.json.write_text(json.dumps(results))
    if chosen.page:
        made = provenance("benchmarks.damage") | {
            "seed": chosen.seed,
            "seconds": seconds,
        }
        write_page(chosen.page, results, made)
    outcomes = Counter(result["outcome"] for result in results)
    return int(any(outcome not in GOOD for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
