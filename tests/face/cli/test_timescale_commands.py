"""The commands that measure and compare timescales, as a user types them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from isotau.cli.timescale_commands import _choices
from isotau.convert.records import storage
from isotau.jobs.timescales.measure_recorded import agreement
from isotau.sim.recorded import from_trials, write_arrays
from isotau.sim.timescales import Status, Timescales, read_csv, write_csv

SMALL = ["--task", "rdm", "--score-trials", 12, "--search-trials", 9, "--seconds", 0.8]
SMALL += ["--budget", 0]


def poisson(path: Path, n: int = 3, seed: int = 0) -> Path:
    """Neurons of 20 Hz without any timescale, in 12 trials of a second."""
    rng = np.random.default_rng(seed)
    times = [[np.sort(rng.random(20)) for _ in range(12)] for _ in range(n)]
    return write_arrays(from_trials(times, window=(0, 1)), path)


def timescales(tau, method: str = "ml") -> Timescales:
    tau = np.array(tau, dtype=float)
    known = np.isfinite(tau)
    return Timescales(
        tau=tau,
        status=[Status.OK if k else Status.NOT_IDENTIFIABLE for k in known],
        amplitude=np.full(tau.size, 0.5),
        offset=np.zeros(tau.size),
        rate=np.full(tau.size, 10.0),
        method=method,
        bin_width=0.05,
        lags=19,
    )


def test_help_tells_every_option(isotau):
    _, said, _ = isotau("--help")
    assert all(word in said for word in ("timescales", "preserve", "compare"))
    _, said, _ = isotau("timescales", "--help")
    for option in ("--method", "--bin-ms", "--from-ms", "--to-ms", "--align", "--two"):
        assert option in said
    for name in ("ml", "exponential", "kim", "kim_pfc", "direct", "acw", "sttc"):
        assert name in said
    _, said, _ = isotau("preserve", "--help")
    for option in ("--task", "--method", "--trials", "--seconds", "--jobs", "--seed"):
        assert option in said
    for option in ("--engine", "--out", "--dt-ms", "--tau-ms", "--alpha", "--readout"):
        assert option in said


def test_files_are_measured(isotau, tmp_path):
    first, second = poisson(tmp_path / "a.npz"), poisson(tmp_path / "b.npz", seed=1)
    methods = ["--method", "ml", "--method", "kim", "--method", "ml"]
    status, said, errors = isotau("timescales", first, second, *methods, "--two")
    assert status == 0 and not errors, errors
    assert "0 of 3" in said and "20.0 Hz" in said
    assert "a: 0 neurons have a τ by ml and by kim, 0 by ml alone" in said
    assert "b: timescales per neuron, by BIC: " in said
    assert "Tables and pictures: isotau-timescales" in said
    out = tmp_path / "isotau-timescales"
    assert read_csv(out / "b.kim.csv").n == 3
    said = json.loads((out / "timescales.json").read_text(encoding="utf-8"))
    assert [list(file["methods"]) for file in said["files"]] == [["ml", "kim"]] * 2


def test_options_reach_the_estimators_in_seconds(isotau, tmp_path):
    path = poisson(tmp_path / "a.npz")
    window = ["--from-ms", 100, "--to-ms", 900, "--bin-ms", 40, "--out", "here"]
    status, _, errors = isotau("timescales", path, *window)
    assert status == 0, errors
    assert read_csv(tmp_path / "here/a.ml.csv").bin_width == pytest.approx(0.04)
    said = json.loads((tmp_path / "here/timescales.json").read_text(encoding="utf-8"))
    assert said["settings"]["window_s"] == pytest.approx([0.1, 0.9])
    assert said["files"][0]["length_s"] == pytest.approx(0.8)


def test_rows_are_chosen_by_their_columns():
    chosen = _choices("--trials", ["correct=1", "side=left", "side=right", "x=-0.5"])
    assert chosen == {
        "correct": ["1", 1.0],
        "side": ["left", "right"],
        "x": ["-0.5", -0.5],
    }
    assert _choices("--units", None) is None
    for text in ("correct", "=1"):
        with pytest.raises(ValueError, match="need COLUMN=VALUE"):
            _choices("--units", [text])


def test_agreement_counts_and_compares():
    a = timescales([0.1, 0.2, 0.3, 0.4, np.nan, np.nan])
    b = timescales([0.2, 0.3, 0.9, np.nan, 0.1, np.nan], "kim")
    assert agreement(a, b, ("ml", "kim")) == (
        "3 neurons have a τ by ml and by kim, 1 by ml alone, 1 by kim alone; kim over "
        "ml: 2.00 (1.75–2.50), rank correlation 1.00."
    )
    none = timescales([np.nan] * 6)
    assert agreement(a, none, ("a", "b")).endswith("4 by a alone, 0 by b alone.")
    assert "rank" not in agreement(
        timescales([0.1, 0.1]), timescales([1, 2]), ("a", "b")
    )


def test_tables_are_compared(isotau, tmp_path):
    """With repeats there is a verdict, without them there is none."""
    rng = np.random.default_rng(0)
    tau = 0.1 * np.exp(0.5 * rng.standard_normal(80))
    for name, factor in {"a": 1, "a2": 1, "b": 1, "b2": 1, "c": 2, "c2": 2}.items():
        own = factor * tau * np.exp(0.1 * rng.standard_normal(80))
        write_csv(timescales(own), tmp_path / f"{name}.csv")
    status, said, errors = isotau("compare", "a.csv", "b.csv")
    assert status == 0 and not errors
    assert said.startswith("80 neurons have a τ by a and by b, 0 by a alone")
    assert "not identifiable: without a repeat of each there is no noise floor" in said
    again = ["--again-a", "a2.csv", "--again-b"]
    status, said, _ = isotau("compare", "a.csv", "b.csv", *again, "b2.csv")
    assert status == 0 and "ml: preserved (this network alone)" in said
    status, said, _ = isotau("compare", "a.csv", "c.csv", *again, "c2.csv")
    assert status == 0 and "ml: not preserved (this network alone)" in said
    cases = {
        "need --again-a and --again-b": ["a.csv", "b.csv", "--again-b", "b2.csv"],
        "got this file twice": ["a.csv", "b.csv", *again, "b.csv"],
        "no.csv: not a readable .csv file": ["a.csv", "no.csv"],
    }
    for words, arguments in cases.items():
        status, _, errors = isotau("compare", *arguments)
        assert status == 2 and words in errors and errors.count("\n") == 1


def test_bad_input_is_one_line_and_status_2(isotau, tmp_path, rate_net, low_rank_file):
    spikes = poisson(tmp_path / "a.npz")
    (tmp_path / "taken").write_text("")
    (tmp_path / "notes.npz").write_text("no recording")
    two = storage.save(rate_net, tmp_path / "two.rate.npz")
    net = low_rank_file
    cases = {
        "absent.npz: no such file": ["timescales", "absent.npz"],
        "notes.npz: got a file that begins with": ["timescales", spikes, "notes.npz"],
        "a.npz: got this file twice": ["timescales", spikes, "a.npz"],
        "method: got 'hope'": ["timescales", spikes, "--method", "hope"],
        "need .npz files read with no": ["timescales", spikes, "--align", "cue"],
        "window: got 0.5 to 0.2 s": [
            "timescales", spikes, "--from-ms", 500, "--to-ms", 200,
        ],
        "--trials: got 'x', need COLUMN=": ["timescales", spikes, "--trials", "x"],
        "taken, a file; need a folder": ["timescales", spikes, "--out", "taken"],
        "a.npz: got a zip file": ["preserve", net, spikes, *SMALL],
        "two.rate.npz: network: got 2 inputs": ["preserve", net, two, *SMALL],
        "net.pt: task: got none": ["preserve", net],
        "net.pt: got this file twice": ["preserve", net, net, *SMALL],
        "jobs: got 0, need 1 to": ["preserve", net, *SMALL, "--jobs", 0],
        "length: got 0.5 s, need at least": ["preserve", net, *SMALL, "--seconds", 0.5],
        "trials: got 2, need 3 to": ["preserve", net, *SMALL, "--trials", 2],
        "seconds: got -1": ["preserve", net, *SMALL, "--budget", -1],
        "taken, a file; need a folder ": ["preserve", net, *SMALL, "--out", "taken"],
        "NETWORK": ["preserve"],
    }  # fmt: skip
    for words, arguments in cases.items():
        status, _, errors = isotau(*arguments)
        assert status == 2, (words, errors)
        assert words.strip() in errors and errors.count("\n") == 1, (words, errors)
    assert not (tmp_path / "isotau-timescales").exists()
    assert not (tmp_path / "isotau-preserved").exists()


@pytest.mark.slow
def test_networks_are_carried_measured_and_compared(isotau, low_rank_file, tmp_path):
    """Far too few trials: whatever the verdict, everything is there to be read."""
    odd = tmp_path / "<b>&.pt"
    odd.write_bytes(low_rank_file.read_bytes())
    few = [*SMALL, "--trials", 4, "--jobs", 2]
    status, said, errors = isotau("preserve", low_rank_file, odd, *few)
    assert status == 0 and not errors, errors
    assert "2 from net\nread as: low-rank state dict" in said
    assert "rate → fixed not " in said
    # Of two networks every comparison of states has its sentence.
    assert said.count("from rate network to chip") == 2
    assert "<b>&: " in said
    assert "Report: isotau-preserved/preservation.html" in said
    out = tmp_path / "isotau-preserved"
    found = json.loads((out / "preservation.json").read_text(encoding="utf-8"))
    assert [network["name"] for network in found["networks"]] == ["net", "<b>&"]
    assert found["seeds"] == {"net": 0, "<b>&": 1}
    for network in found["networks"]:
        assert len(network["input_sha256"]) == 64
        states = found["states"][network["name"]]
        assert [(each["a"], each["b"]) for each in states] == [
            ("rate", "lif"),
            ("lif", "fixed"),
            ("rate", "fixed"),
            ("fixed", "lava"),
        ]
        assert all(each["sentence"] for each in states)
        assert all(each["units"] > 0 for each in states[:-1])
        assert states[-1]["verdict"] == "preserved"
        for stage in ("rate", "lif", "fixed"):
            assert network["timescales"][stage]["ml"]["n_neurons"] == 48
            assert network["accuracy"][stage] > 0.5
    assert "&lt;b&gt;&amp;" in (out / "preservation.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_ends_everything(low_rank_file, tmp_path, jobs):
    """Ctrl-C, which a terminal sends to the whole group: one line, status 130."""
    (tmp_path / "other.pt").write_bytes(low_rank_file.read_bytes())
    listen = (
        "import runpy, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "runpy.run_module('isotau', run_name='__main__', alter_sys=True)\n"
    )
    command = [sys.executable, "-c", listen, "preserve", low_rank_file, "other.pt"]
    long = [*SMALL, "--trials", 20000, "--jobs", jobs]
    with subprocess.Popen(
        [str(argument) for argument in command + long],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        assert "read as" in run.stdout.readline() + run.stdout.readline()
        time.sleep(6)
        assert run.poll() is None
        os.killpg(run.pid, signal.SIGINT)
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert errors.strip().splitlines()[-1] == "isotau: interrupted"
    assert "Traceback" not in errors
    assert not (tmp_path / "isotau-preserved").exists()
    deadline = time.monotonic() + 20
    while alive(run.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive(run.pid)


def test_the_python_of_the_page_runs(tmp_path):
    docs = Path(__file__).resolve().parents[3] / "docs/timescales.md"
    (code,) = re.findall(r"```python\n(.*?)```", docs.read_text(encoding="utf-8"), re.S)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "not identifiable - no network has a say" in done.stdout


def alive(session: int) -> list[int]:
    """Processes of a session that still run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, own = entry.read_text().rsplit(") ", 1)[1].split()[:4]
        except OSError:
            continue
        if int(own) == session and state != "Z":
            found.append(int(entry.parent.name))
    return found
