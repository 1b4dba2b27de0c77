import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isotau.convert.ground.supervision import Unfinished, members, supervise
from isotau.convert.records import storage
from isotau.targets.on_lava import lava_child
from isotau.targets.on_lava.lava_compat import LavaMissing
from isotau.targets.on_lava.to_lava import LavaError, run_lava, time_limit

LONG = 200_000
"""Steps enough for half a minute and more."""
WIRED_TO_ITSELF = """
from isotau.targets.on_lava.lava_child import run
from isotau.targets.on_lava.lava_compat import load
neurons = load("lava.proc.lif.process").LIF(shape=(2,), vth=1)
neurons.s_out.connect(neurons.a_in)
run(neurons, 3)
"""


def silence(steps, batch=1):
    return np.zeros((steps, batch, 1), dtype=np.int64)


@pytest.fixture
def net(make_block, make_network):
    registers = {"bias_mant": np.full(3, 90), "refractory": np.ones(3)}
    return make_network([make_block(np.full((3, 3), 4))], 3, noise_exp=9, **registers)


class Witness:
    """Looks for a running Lava and notes its processes and shared memory."""

    def __init__(self):
        self.leader = 0
        self.processes = []
        self.segments = set()

    def look(self):
        """Return whether Lava is in full swing: recurrent network, sink and service."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = (
                    entry.joinpath("stat").read_text().rpartition(")")[2].split()[1]
                )
                command = entry.joinpath("cmdline").read_bytes()
            except OSError:
                continue
            if int(parent) == os.getpid() and b"lava_child" in command:
                self.leader = int(entry.name)
                self.processes = list(members(self.leader))
                self.segments = segments(self.leader)
        return len(self.processes) >= 6 and bool(self.segments)

    def wait(self):
        deadline = time.monotonic() + 20
        while not self.look():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.3)

    def nothing_left(self):
        return (
            len(self.processes) >= 6
            and not list(members(self.leader))
            and not any(Path(name).exists() for name in self.segments)
        )


def segments(pid):
    """Return the files of the shared memory that a process has mapped."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text().split()
    except OSError:
        return set()
    return {word for word in maps if word.startswith("/dev/shm/psm_")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"messages": np.zeros((5, 1))}, r"messages: got shape \(5, 1\), need 3 axes"),
        ({"messages": np.zeros((5, 1, 2))}, r"messages: got shape \(5, 1, 2\), need"),
        (
            {"messages": silence(5, 0)},
            r"messages: got shape \(5, 0, 1\), need at least",
        ),
        ({"messages": np.full((5, 1, 1), 2**31)}, "messages: got 2147483648 at"),
        ({"record": ("w",)}, "record: got 'w', need one of u, v"),
        ({"chip": "loihi3"}, "chip: got 'loihi3', need one of loihi1, loihi2"),
        ({"seed": -1}, "seed: got -1, need 0 to 2"),
        ({"seed": 2**64}, "seed: got 18446744073709551616, need 0 to"),
        ({"first_trial": -1}, "first_trial: got -1, need 0 to 4294967295"),
        ({"timeout_s": 0}, "timeout_s: got 0.0, need numbers greater than 0"),
    ],
)
def test_wrong_arguments_are_refused_before_lava_starts(net, change, message):
    with pytest.raises(ValueError, match=message):
        run_lava(net, **{"messages": silence(5), **change})


def test_the_time_limit_grows_with_the_work(net):
    # 9 synapses and 3 neurons a trial; 70 s is one minute and 1000 steps of 10 ms.
    assert time_limit(net, 1000, 1) == pytest.approx(70 + 0.015 + 9e-5)
    assert time_limit(net, 1000, 100) == pytest.approx(70 + 1.5 + 9e-3)
    delayed = replace(net, blocks=(replace(net.blocks[0], delay=50),))
    assert time_limit(delayed, 1000, 100) == pytest.approx(70 + 1.5 + 1.35)


def test_without_lava_the_error_says_what_to_do(net, tmp_path, monkeypatch):
    tmp_path.joinpath("lava.py").write_text("raise ImportError('none here')")
    others = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{others}")
    with pytest.raises(LavaMissing, match=r"Lava: got none here, need lava-nc 0\.10"):
        run_lava(net, silence(5))


@pytest.mark.lava
def test_progress_is_given_every_step_in_order(net):
    passed = []

    def note(steps, what):
        for t in steps:
            passed.append((what, t))
            yield t

    run = run_lava(net, silence(40, batch=2), progress=note)
    assert passed == [("Lava", t) for t in range(40)]
    assert run.spikes.bits.shape == (40, 2, 1)
    assert 0 < run.wall_s < 60


@pytest.mark.lava
def test_a_run_beyond_its_time_is_ended(net):
    witness = Witness()

    def watch(steps, what):
        for t in steps:
            if not witness.processes:
                witness.wait()
            yield t

    with pytest.raises(
        LavaError, match=r"no result after 2\.5 s, need one; raise time"
    ):
        run_lava(net, silence(LONG), timeout_s=2.5, progress=watch)
    assert witness.nothing_left()


@pytest.mark.lava
def test_an_interrupt_leaves_nothing(net):
    witness = Witness()

    def interrupt(steps, what):
        for t in steps:
            if t == 20:
                witness.wait()
                raise KeyboardInterrupt
            yield t

    with pytest.raises(KeyboardInterrupt):
        run_lava(net, silence(LONG), progress=interrupt)
    assert witness.nothing_left()


@pytest.mark.lava
@pytest.mark.parametrize(
    ("victim", "message"),
    [
        ("leader", "Lava: got exit status -9, need 0"),
        ("last", "a process of Lava's ended before the last step"),
    ],
)
def test_a_killed_process_is_an_error_and_leaves_nothing(net, victim, message):
    witness = Witness()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(run_lava, net, silence(LONG))
        witness.wait()
        chosen = witness.leader if victim == "leader" else max(witness.processes)
        os.kill(chosen, signal.SIGKILL)
        with pytest.raises(LavaError, match=message):
            run.result(timeout=20)
    assert witness.nothing_left()


@pytest.mark.lava
def test_a_lava_that_hangs_is_ended():
    """A neuron wired to itself without a connection waits for its own spike."""
    with pytest.raises(Unfinished) as end:
        supervise([sys.executable, "-c", WIRED_TO_ITSELF], 3.0)
    assert end.value.status is None


@pytest.mark.lava
def test_nothing_outlives_a_killed_caller(net, tmp_path):
    storage.save(net, tmp_path / "net.npz")
    script = f"""
import os
import numpy as np
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.targets.on_lava.to_lava import run_lava
def die(steps, what):
    for t in steps:
        if t == 20:
            os.kill(os.getpid(), 9)
        yield t
net = storage.load({str(tmp_path / "net.npz")!r}, FixedPointNetwork)
run_lava(net, np.zeros(({LONG}, 1, 1), dtype=int), progress=die)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as caller:
        assert caller.wait(timeout=30) == -9
    (folder,) = tmp_path.glob("isotau-lava-*")
    deadline = time.monotonic() + 10
    while running_in(folder):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def running_in(folder):
    """Return whether a process was started for the job in `folder`."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(folder) in entry.read_bytes():
                return True
        except OSError:
            continue
    return False


@pytest.mark.lava
def test_an_error_inside_lava_is_named(net, tmp_path):
    """The spikes cannot be written over a folder."""
    storage.save(net, tmp_path / lava_child.NETWORK)
    np.savez(
        tmp_path / lava_child.JOB,
        messages=silence(4).astype(np.int32),
        chip="loihi2",
        seeds=np.zeros(1, np.uint64),
        trials=np.zeros(1, np.int64),
        record=np.array([], dtype=np.str_),
    )
    (tmp_path / lava_child.PASSED).write_bytes(bytes(8))
    (tmp_path / lava_child.RESULTS["spikes"]).mkdir()
    with pytest.raises(Unfinished, match="ChildProcessError: IsADirectory") as end:
        supervise([sys.executable, "-m", lava_child.__name__, str(tmp_path)], 20)
    assert end.value.status == lava_child.FAILED
