"""`isotau timescales` of networks, as a user types it, and beside recordings."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from isotau.cli.timescale_commands import timescales
from isotau.convert.records import storage
from isotau.jobs.timescales.measure_networks import OF_NETWORKS, OF_RECORDINGS
from isotau.sim.recorded import from_trials, write_arrays

DOCS = Path(__file__).resolve().parents[3] / "docs/timescales.md"
SHORT = ["--budget", 0]


@pytest.fixture
def net(tmp_path, rate_net) -> Path:
    return storage.save(rate_net, tmp_path / "net.rate.npz")


@pytest.fixture
def cells(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    times = [[np.sort(rng.random(20)) for _ in range(12)] for _ in range(3)]
    return write_arrays(from_trials(times, window=(0, 1)), tmp_path / "cells.npz")


def test_help_tells_every_option(isotau):
    _, said, _ = isotau("timescales", "--help")
    for option in (*OF_NETWORKS, *OF_RECORDINGS, "--epoch", "--out"):
        assert option in said, option
    for words in (".lif.npz or .fixed.npz", "NAME.states.csv", "in --task: fixation"):
        assert words in " ".join(said.split())


def test_every_option_belongs_to_a_kind():
    """One that is forgotten would be taken and do nothing."""
    names = {
        f"--{name.replace('_', '-')}"
        for name in inspect.signature(timescales).parameters
    }
    both = {"--epoch", "--out", "--files", "--context"}
    assert names == {*OF_NETWORKS, *OF_RECORDINGS} | both
    assert not set(OF_NETWORKS) & set(OF_RECORDINGS)


def test_networks_are_measured(isotau, tmp_path, net, silent_neurons):
    lif = storage.save(silent_neurons(np.array([0.03, 0.05])), tmp_path / "b.lif.npz")
    status, said, errors = isotau("timescales", net, lif, *SHORT)
    assert status == 0 and not errors, errors
    assert said.startswith("read as: isotau .rate.npz")
    lines = said.splitlines()[-3:]
    start = "net.rate.npz: states of 24 of 24 units have a timescale: median "
    assert lines[0].startswith(start)
    assert lines[0].endswith("at rest, 40 trials of 4 s.")
    assert lines[1].startswith("b.lif.npz: states of 2 of 2 units have a timescale")
    assert lines[2] == "Tables: isotau-timescales"
    out = tmp_path / "isotau-timescales"
    assert {path.name for path in out.iterdir()} == {
        "net.states.csv",
        "b.lif.states.csv",
    }


def test_options_reach_the_network(isotau, tmp_path, net):
    part = ["--observable", "output", "--epoch", "delay", "--task", "dms-750"]
    more = [*SHORT, "--seed", 7, "--out", "here"]
    status, said, errors = isotau("timescales", net, *part, *more)
    assert status == 0, errors
    assert "values of 1 of 1 outputs" in said and "in the delay of dms-750" in said
    text = (tmp_path / "here/net.states.csv").read_text(encoding="utf-8")
    settings = json.loads(text.splitlines()[0].removeprefix("# "))
    assert [settings[name] for name in ("observable", "epoch", "task", "seed")] == [
        "output", "delay", "dms-750", 7,
    ]  # fmt: skip


def test_what_is_assumed_of_a_file_can_be_said(isotau, low_rank_file):
    assumed = ["--tau-ms", 50, "--dt-ms", 5, "--noise-std", 0.3]
    status, said, errors = isotau("timescales", low_rank_file, *assumed, *SHORT)
    assert status == 0, errors
    assert "dt: 0.005 s (argument)" in said and "net.pt: states of 48 of 48" in said


def test_recordings_and_networks_go_together(isotau, tmp_path, net, cells):
    status, said, errors = isotau("timescales", cells, net)
    assert status == 0 and not errors, errors
    assert "0 of 3" in said and "net.rate.npz: states of 24 of 24" in said
    assert said.endswith("Tables and pictures: isotau-timescales\n")
    names = {path.name for path in (tmp_path / "isotau-timescales").iterdir()}
    assert {"cells.ml.csv", "timescales.json", "net.states.csv"} <= names


def test_bad_input_is_one_line_and_status_2(isotau, tmp_path, net, cells):
    cases = {
        "--method: got net.rate.npz, a network": ["net.rate.npz", "--method", "ml"],
        "--align: got net.rate.npz, a network": ["net.rate.npz", "--align", "cue"],
        "--two: got net.rate.npz, a network": [cells, "net.rate.npz", "--two"],
        "--seed: got cells.npz, recorded": ["cells.npz", "--seed", 0],
        "--budget: got cells.npz, recorded": ["cells.npz", net, "--budget", 10],
        "--dt-ms: got cells.npz, recorded": ["cells.npz", "--dt-ms", 1],
        "net.rate.npz: got dt, need isotau": [net, "--dt-ms", 1],
        "--task": [net, "--epoch", "delay"],
        "epoch: got 'cue', need one of rest": [net, "--epoch", "cue"],
        "observable: got 'speed', need one of": [net, "--observable", "speed"],
        "task: got 'sleep', need one of": [net, "--task", "sleep"],
        "net.rate.npz: network: got 2 inputs": [net, "--task", "mante"],
        "net.rate.npz: observable: got kappa": [net, "--observable", "kappa"],
        "seconds: got -1": [net, "--budget", -1],
        "seed: got -1": [net, "--seed", -1],
        "got this file twice": [net, net],
        "--task: got cells.npz, recorded": ["cells.npz", net, "--task", "xor"],
    }  # fmt: skip
    for words, arguments in cases.items():
        status, _, errors = isotau("timescales", *arguments)
        assert status == 2, (words, errors)
        assert words in errors and errors.count("\n") == 1, (words, errors)
    assert not (tmp_path / "isotau-timescales").exists()


def test_epochs_of_recordings_need_no_task(isotau, cells):
    """They are other epochs, of which the reader knows."""
    status, _, errors = isotau("timescales", cells, "--epoch", "delay")
    assert status == 2 and "got epoch, need .npz files read with no" in errors


def test_the_python_of_the_section_runs(tmp_path, net):
    """Its fence is `py`: the page's one block of `python` is tested elsewhere."""
    page = DOCS.read_text(encoding="utf-8")
    blocks = re.findall(r"```py\n(.*?)```", page, re.S)
    (code,) = (block for block in blocks if "measure_states" in block)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "24 of 24" in done.stdout
    assert (tmp_path / "net.states.csv").exists()
