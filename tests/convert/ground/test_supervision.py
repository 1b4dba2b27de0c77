import signal
import sys
import time
from pathlib import Path

import pytest

from isotau.convert.ground import supervision as supervise
from isotau.convert.ground.supervision import Unfinished

HANG = "import time; time.sleep(60)"


def python(*script):
    return [sys.executable, "-c", "\n".join(script)]


def starting(*grandchildren):
    """Return lines that start other Pythons in the same process group."""
    return [
        "import subprocess, sys",
        *(f"subprocess.Popen([sys.executable, '-c', {g!r}])" for g in grandchildren),
    ]


class Group:
    """Notes, while a command runs, which processes its group has at most."""

    def __init__(self, expected, then=lambda: None):
        self.expected = expected
        self.then = then
        self.seen = []

    def __call__(self):
        if len(self.seen) < self.expected:
            leaders = [p for p in children() if list(supervise.members(p))]
            self.seen = [m for p in leaders for m in supervise.members(p)]
        if len(self.seen) == self.expected:
            self.then()

    def gone(self):
        return len(self.seen) == self.expected and not any(map(alive, self.seen))


def children():
    task = Path("/proc/self/task").glob("*/children")
    return [int(pid) for entry in task for pid in entry.read_text().split()]


def alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def interrupt():
    raise KeyboardInterrupt


def test_success_returns_and_the_hook_is_called():
    calls = []
    supervise.supervise(python("pass"), 20, meanwhile=lambda: calls.append(1))
    assert calls


def test_a_command_that_ended_in_time_may_be_asked_for_later():
    with supervise.running(python("pass")) as job:
        job.leader.wait(20)
        job.wait(0.0)
        assert job.leader.returncode == 0


def test_work_beside_a_command_that_fails_leaves_nothing_running():
    with pytest.raises(ZeroDivisionError), supervise.running(python(HANG)) as job:
        1 / 0  # noqa: B018
    assert job.leader.returncode == -signal.SIGTERM


def test_failure_carries_the_status_and_the_last_lines():
    lines = ["import sys", "print(*range(20), sep='\\n', file=sys.stderr)"]
    with pytest.raises(Unfinished, match="status 4\n12\n13") as failure:
        supervise.supervise(python(*lines, "sys.stderr.flush()", "sys.exit(4)"), 20)
    assert failure.value.status == 4
    assert failure.value.tail.split() == [str(k) for k in range(12, 20)]


def test_a_signal_gives_a_negative_status():
    with pytest.raises(Unfinished) as failure:
        supervise.supervise(python("import os", "os.kill(os.getpid(), 9)"), 20)
    assert failure.value.status == -9


def test_a_hanging_command_is_ended_with_all_that_it_started():
    group = Group(3)
    begun = time.monotonic()
    with pytest.raises(Unfinished) as failure:
        supervise.supervise(python(*starting(HANG, HANG), HANG), 1.0, meanwhile=group)
    assert failure.value.status is None
    assert group.gone()
    assert time.monotonic() - begun < 4


def test_what_ignores_the_first_signal_is_killed(monkeypatch):
    monkeypatch.setattr(supervise, "GRACE_S", 0.2)
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {HANG}"
    group = Group(2)
    with pytest.raises(Unfinished):
        supervise.supervise(python(*starting(deaf), HANG), 1.0, meanwhile=group)
    assert group.gone()


def test_what_outlives_a_successful_command_is_ended():
    group = Group(2)
    supervise.supervise(
        python(*starting(HANG), "import time", "time.sleep(0.5)"), 20, meanwhile=group
    )
    assert group.gone()


def test_an_interrupt_ends_the_group():
    group = Group(2, then=interrupt)
    with pytest.raises(KeyboardInterrupt):
        supervise.supervise(python(*starting(HANG), HANG), 20, meanwhile=group)
    assert group.gone()


def test_shared_memory_of_a_hanging_command_is_removed(tmp_path):
    name = tmp_path / "name"
    script = python(
        "from multiprocessing.shared_memory import SharedMemory",
        "from pathlib import Path",
        "segment = SharedMemory(create=True, size=64)",
        f"Path({str(name)!r}).write_text(segment.name)",
        HANG,
    )
    there = []

    def look():
        if name.exists() and not there:
            there.append(Path("/dev/shm", name.read_text()).exists())

    with pytest.raises(Unfinished):
        supervise.supervise(script, 1.0, meanwhile=look)
    assert there == [True]
    assert not Path("/dev/shm", name.read_text()).exists()
