"""Running a command in a process group of its own, of which nothing survives."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

POLL_S = 0.05
GRACE_S = 5.0
"""How long processes may take to end before they are killed, in seconds."""
TAIL_LINES = 8


class Unfinished(RuntimeError):
    """A command took too long, or ended with a status other than 0.

    Attributes:
        status: its exit status, −k if signal k ended it; None if it took too long.
        tail: the last lines of what it wrote.
    """

    def __init__(self, status: int | None, tail: str) -> None:
        """Keep both."""
        super().__init__(f"status {status}\n{tail}")
        self.status = status
        self.tail = tail


@dataclass(frozen=True, slots=True, eq=False)
class RunningCommand:
    """A command that was started by `running`.

    Attributes:
        leader: its process, which leads a group.
        log: everything that it wrote.
        started: when, by the monotonic clock.
    """

    leader: "subprocess.Popen[bytes]"
    log: IO[bytes]
    started: float

    def wait(
        self, timeout_s: float, *, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for its end and return if it succeeded.

        Args:
            timeout_s: how long it may take since it was started, in seconds.
            meanwhile: called again and again until then, once at least.

        Raises:
            Unfinished: it failed, was ended by a signal, or took too long.
        """
        deadline = self.started + timeout_s
        while True:
            status = None
            with suppress(subprocess.TimeoutExpired):
                status = self.leader.wait(POLL_S)
            meanwhile()
            # A command that ended in time may be asked for after it.
            if status is not None or time.monotonic() > deadline:
                break
        if status != 0:
            raise Unfinished(status, _tail(self.log))


@contextmanager
def running(command: Sequence[str]) -> Iterator[RunningCommand]:
    """Start a command, of which nothing is left when the context is.

    However it is left, every process that the command started has ended then, unless
    it left the process group by itself.

    Args:
        command: program and arguments.
    """
    with tempfile.TemporaryFile() as log:
        # To a file: a pipe that nobody reads would stop what writes to it.
        leader = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield RunningCommand(leader, log, time.monotonic())
        finally:
            end_group(leader)


def supervise(
    command: Sequence[str],
    timeout_s: float,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Run a command to its end and return if it succeeded; nothing of it is left.

    Args:
        command: program and arguments.
        timeout_s: how long it may take, in seconds.
        meanwhile: called again and again while it runs.

    Raises:
        Unfinished: it failed, was ended by a signal, or took too long.
    """
    with running(command) as job:
        job.wait(timeout_s, meanwhile=meanwhile)


def end_group(leader: "subprocess.Popen[bytes]") -> None:
    """End and reap a process that leads a group, and end all others in it.

    SIGTERM comes first: Python's resource tracker ignores it, outlives the others and
    removes the shared memory that they leave. What is still there after `GRACE_S` is
    killed.
    """
    # The group has its leader's number, as the session was started with it.
    _signal(leader.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while leader.poll() is None or any(members(leader.pid)):
        if time.monotonic() > deadline:
            _signal(leader.pid, signal.SIGKILL)
        time.sleep(POLL_S / 5)


def members(group: int) -> Iterator[int]:
    """Yield the processes of a group that live: neither dead nor waiting to be reaped.

    Signals cannot tell: a dead process that nobody reaps counts as there.
    """
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name, in parentheses, may hold spaces and parentheses itself.
            state, _, its_group = entry.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                yield int(entry.parent.name)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _tail(log: IO[bytes]) -> str:
    # Not `seek`: the writers share the position in the file.
    written = os.pread(log.fileno(), os.fstat(log.fileno()).st_size, 0)
    lines = written.decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])
