"""Commands in processes of their own, and what they cost."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class ChildCost(NamedTuple):
    """What a process and all that it waited for took.

    Attributes:
        wall_s: from its start to its end.
        cpu_s: of all its threads and children, user and system.
        peak_mb: the largest resident set of any one process among them, in MB.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float


class Machine(NamedTuple):
    """What runs a command.

    Attributes:
        root: checkout whose isotau it is.
        cache: where numba keeps what it compiled; empty for a first run.
    """

    root: Path
    cache: Path


def cost_of(command: Sequence[str], machine: Machine) -> ChildCost:
    """Run `python -m isotau` with some arguments and return what it took.

    Raises:
        RuntimeError: it ended with an error; the message has its last lines.
    """
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "isotau", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=machine.root,
            # The checkout's isotau before what is installed.
            env=os.environ
            | {
                "PYTHONPATH": str(machine.root / "src"),
                "NUMBA_CACHE_DIR": str(machine.cache),
            },
        )
        # Popen reaps without the resources; the kernel hands them out once.
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            log.seek(0)
            tail = log.read().decode(errors="replace")[-2000:]
            raise RuntimeError(
                f"isotau {' '.join(command)[:80]}: got exit status "
                f"{child.returncode}, need 0:\n{tail}"
            )
    # Linux counts kilobytes.
    return ChildCost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)
