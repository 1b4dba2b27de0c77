"""The command line as a person meets it: in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from isotau.convert import storage
from isotau.convert.fixedpoint import FixedPointNetwork
from isotau.convert.lif import LIFNetwork
from isotau.convert.spikes import Spikes

SHIPPED = Path(__file__).resolve().parents[2] / "examples/data/go_nogo_N200.mat"
REAL = Path(__file__).resolve().parents[3] / "shared/data/spikernn_gonogo_N200.mat"


def isotau(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "isotau", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_help_is_complete(tmp_path):
    done = isotau("run", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in ("--task", "--trials", "--search-trials", "--timescale-trials"):
        assert option in done.stdout
    for option in ("--lava-trials", "--seed", "--out", "NETWORK"):
        assert option in done.stdout
    assert "run" in isotau("--help", cwd=tmp_path).stdout


def test_trace_checks_a_recording(tmp_path):
    recording = SHIPPED.parent / "trace_loihi2.csv"
    registers = ["--du", 4095, "--dv", 163, "--vth", 25]
    done = isotau("trace", recording, *registers, "--weight", 10, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    other = isotau("trace", recording, *registers, "--weight", 9, cwd=tmp_path)
    assert other.returncode == 1 and other.stdout != done.stdout
    bad = isotau("trace", tmp_path / "no.csv", *registers, "--weight", 9, cwd=tmp_path)
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1


def test_version(tmp_path):
    done = isotau("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "isotau 0.1.0\n")


def bad_files(folder: Path) -> dict[str, tuple[list[object], str]]:
    """Arguments, and what the one line on standard error must say."""
    text = folder / "notes.mat"
    text.write_text("not a network")
    savemat(folder / "poor.mat", {"w": np.eye(3)})
    zipped = folder / "spikes.npz"
    bits = np.zeros((4, 1, 1), np.uint8)
    storage.save(Spikes(bits=bits, n=3, dt=1e-3, engine="test"), zipped)
    broken = folder / "broken.npz"
    broken.write_bytes(b"PK" + bytes(100))
    (folder / "taken").write_text("")
    return {
        "absent": (["none.mat"], "none.mat: No such file"),
        "folder": ([folder], "Is a directory"),
        "text": ([text], "notes.mat"),
        "keys": ([folder / "poor.mat"], "poor.mat"),
        "kind": ([zipped], "got a Spikes, need a RateRNN"),
        "zip": ([broken], "not a readable .npz"),
        "task": (
            [SHIPPED, "--task", "chess"],
            "task: got 'chess', need one of go-nogo",
        ),
        "number": ([SHIPPED, "--trials", "0"], "trials: got 0, need 1 to"),
        "word": ([SHIPPED, "--trials", "many"], "'--trials': Input should be"),
        "lava": ([SHIPPED, "--trials", "4"], "lava_trials: got 8, need 1 to 4"),
        "out": ([SHIPPED, "--out", folder / "taken"], "taken, a file; need a folder"),
        "option": ([SHIPPED, "--colour"], "--colour"),
        "none": ([], "NETWORK"),
    }


@pytest.mark.slow
def test_bad_input_is_one_line_and_status_2(tmp_path):
    for case, (arguments, said) in bad_files(tmp_path).items():
        done = isotau("run", *arguments, cwd=tmp_path)
        assert done.returncode == 2, (case, done.stderr)
        assert said in done.stderr, case
        assert done.stderr.count("\n") == 1, (case, done.stderr)
        assert not (tmp_path / "isotau-out").exists(), case


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rsplit(") ", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(entry.parent.name)
            found |= {child} | descendants(child)
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.slow
@pytest.mark.lava
def test_an_interrupt_ends_everything(tmp_path):
    """Ctrl-C while Lava runs: one line, status 130, no process and no report left."""
    # a shell's background job ignores SIGINT, and so would what it starts
    listen = (
        "import runpy, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "runpy.run_module('isotau', run_name='__main__', alter_sys=True)\n"
    )
    command = [sys.executable, "-c", listen, "run", str(SHIPPED)]
    sizes = ["--trials", "200", "--search-trials", "4", "--lava-trials", "200"]
    with subprocess.Popen(
        command + sizes,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        deadline = time.monotonic() + 200
        while not (started := descendants(run.pid)):
            assert run.poll() is None, run.stderr.read() if run.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(2.0)
        started = descendants(run.pid)
        os.kill(run.pid, signal.SIGINT)
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert errors.strip().splitlines()[-1] == "isotau: interrupted"
    assert "Traceback" not in errors
    deadline = time.monotonic() + 20
    while any(map(alive, started)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [pid for pid in started if alive(pid)]
    assert not (tmp_path / "isotau-out" / "report.json").exists()


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize("source", [SHIPPED, REAL], ids=["shipped", "real"])
def test_a_small_run_leaves_everything(tmp_path, source):
    if not source.exists():
        pytest.skip(f"{source.name} is not there: sample networks are kept elsewhere")
    sizes = ["--trials", 60, "--search-trials", 30, "--timescale-trials", 20]
    done = isotau(
        "run", source, *sizes, "--lava-trials", 2, "--out", "here", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout and "Report: here/report.json" in done.stdout
    out = tmp_path / "here"
    report = json.loads((out / "report.json").read_text())
    assert report["lava_identical"] is True and report["lava_compared"] > 0
    assert set(report["stages"]) == {"rate", "lif", "fixed", "lava"}
    for name, stage in report["stages"].items():
        assert 0 <= stage["accuracy"] <= 1
        assert stage["mean_rate_hz"] > 0
        assert stage["n_neurons"] == 200
        assert 0 <= stage["n_timescales"] <= 200
        assert sum(stage["timescale_status"].values()) == 200
        kept = storage.load(out / f"{name}.spikes.npz", Spikes)
        assert kept.batch == stage["n_trials"]
    assert report["stages"]["rate"]["accuracy"] >= 0.95
    assert report["stages"]["lif"]["accuracy"] >= 0.8
    assert report["seed"] == 0
    assert len(report["input_sha256"]) == 64
    assert report["versions"]["lava-nc"] == "0.10.0"
    lif = storage.load(out / "network.lif.npz", LIFNetwork)
    fixed = storage.load(out / "network.fixed.npz", FixedPointNetwork)
    assert fixed.made_from == storage.fingerprint(lif)
    pictures = sorted(path.name for path in out.glob("*.png"))
    assert pictures == [
        "outputs.png",
        "rasters.png",
        "tau_histograms.png",
        "tau_rate_against_fixed.png",
    ]
    again = isotau(
        "run",
        out / "network.rate.npz",
        *sizes,
        "--lava-trials",
        2,
        "--out",
        "again",
        cwd=tmp_path,
    )
    assert again.returncode == 0, again.stderr
    second = json.loads((tmp_path / "again/report.json").read_text())
    for key in ("stages", "conversion", "quantization", "lava_compared"):
        assert second[key] == report[key], key
