"""What isotau makes of damaged files: a clear error, or something worse?

    python -m benchmarks.damage --count 10000 --seed 0
    python -m benchmarks.damage --case 4711 --keep FOLDER   one file, kept
    python -m benchmarks.damage --render                    the page, from its .json

Whole files of every kind are damaged, by number, so that every file can be made again.
Workers read them, a file in at most 20 s, and are replaced when they die of it. With
--page docs/results the figures are written as targets-damaged.json and .md.
"""

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

from benchmarks.command import add_page_options, command_parser
from benchmarks.damage.cases import FORMATS
from benchmarks.damage.page import GOOD, damage_page, damage_table, table_rows
from benchmarks.damage.seeds.catalogue import write_seeds
from benchmarks.page import plain_table
from benchmarks.provenance import provenance
from benchmarks.repository import ROOT
from benchmarks.results import write_page, write_results

PATIENCE_S = 20.0
"""Processor time that a file may take."""
START_S = 120.0
"""What a worker may take to import what it needs and make its first file."""
STARVED = 5.0
"""Times either that may pass in all, at work or waiting on a busy machine."""


def environment() -> dict[str, str]:
    """Return the environment in which a worker finds this package from any folder."""
    path = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    return os.environ | {"PYTHONPATH": os.pathsep.join(path)}


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process so far; 0 where that is not told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # user and system time, fields 14 and 15 of all, the name in brackets the second
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class Worker:
    """A process that reads files, and the next one when it has died of one."""

    def __init__(self, seed: int, seeds: Path, keep: Path | None) -> None:
        """Keep what a process needs to begin."""
        self.command = [sys.executable, "-m", "benchmarks.damage.worker"]
        self.command += ["--seed", str(seed), "--seeds", str(seeds)]
        self.command += ["--keep", str(keep)] if keep else []
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.unread = b""

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
        # The clock starts when the file is ready: to make it is no reader's fault.
        start = time.monotonic()
        result = self._line(PATIENCE_S) if case is not None else None
        if result is not None and case is not None:
            return case | result
        seconds = time.monotonic() - start
        status = self.end()
        outcome = "crash" if status is not None else "hang"
        if case is None:
            raise RuntimeError(f"the damage of file {number} ended with {outcome}")
        result = {"outcome": outcome, "error": f"status {status}", "seconds": seconds}
        return case | result | {"peak": 0}

    def _line(self, patience: float) -> dict[str, Any] | None:
        """Return the worker's next line, None if it ends or takes too long."""
        assert self.process is not None and self.process.stdout is not None
        start, worked = time.monotonic(), processor_seconds(self.process.pid)
        while b"\n" not in self.unread:
            if not select.select([self.process.stdout], [], [], 0.5)[0]:
                # of its own time: on a busy machine it may wait long for its turn
                busy = processor_seconds(self.process.pid) - worked
                idle = time.monotonic() - start
                if busy > patience or idle > STARVED * patience:
                    return None
                continue
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            if not chunk:  # its end of the pipe is closed: it has died
                return None
            self.unread += chunk
        line, _, self.unread = self.unread.partition(b"\n")
        return dict(json.loads(line))

    def end(self) -> int | None:
        """End the process, if there is one; return its status if it ended by itself."""
        if self.process is None or self.folder is None:
            return None
        try:
            # A process that has died needs a moment until its status can be read.
            status: int | None = self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            status = None
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.folder.cleanup()
        self.process, self.unread = None, b""
        return status


def read_all(
    numbers: list[int], seed: int, workers: int, keep: Path | None
) -> list[dict[str, Any]]:
    """Return what came of every file, in order."""
    queue, results = iter(numbers), []
    lock = threading.Lock()

    def work(worker: Worker) -> None:
        while True:
            with lock:
                number = next(queue, None)
            if number is None:
                worker.end()
                return
            result = worker.read(number)
            with lock:
                results.append(result)
                report(result, len(results), len(numbers))

    with tempfile.TemporaryDirectory() as folder:
        write_seeds(Path(folder))
        threads = [
            threading.Thread(target=work, args=(Worker(seed, Path(folder), keep),))
            for _ in range(min(workers, len(numbers)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if len(results) != len(numbers):
        raise RuntimeError("a worker could not go on")
    return sorted(results, key=lambda result: result["number"])


def report(result: dict[str, Any], finished: int, count: int) -> None:
    """Print a file that did not go well, and how far the run is."""
    if result["outcome"] not in GOOD:
        entries = ("number", "outcome", "file", "damage")
        case = ", ".join(str(result[entry]) for entry in entries)
        print(f"{case}: {result['error'][:300]}", flush=True)
    if finished % 500 == 0:
        print(f"{finished} of {count}", file=sys.stderr, flush=True)


def main() -> int:
    """Read the files that were asked for; return 1 if one did not go well."""
    parser = command_parser("benchmarks.damage", __doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, nargs="*")
    parser.add_argument("--format", nargs="*", choices=FORMATS, default=FORMATS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for files that went wrong")
    add_page_options(parser, default=None)
    parser.add_argument("--json", type=Path, help="file for what came of each file")
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "targets-damaged", damage_page)
        return 0
    numbers = options.case or [
        number
        for number in range(options.first, options.first + options.count)
        if FORMATS[number % len(FORMATS)] in options.format
    ]
    keep = options.keep.resolve() if options.keep else None
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    results = read_all(numbers, options.seed, options.workers, keep)
    seconds = time.perf_counter() - start
    table = damage_table(results)
    print(plain_table(table))
    if options.json:
        options.json.write_text(json.dumps(results))
    if options.page:
        origin = provenance("benchmarks.damage")
        content = {
            "made": origin | {"seed": options.seed, "seconds": seconds},
            "rows": table_rows(table),
        }
        write_results(options.page, "targets-damaged", content, damage_page)
    outcomes = Counter(result["outcome"] for result in results)
    return int(any(outcome not in GOOD for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
