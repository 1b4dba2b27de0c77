"""The command line: mostly `main` itself, and in a process of its own where it must."""

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

from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes

SHIPPED = Path(__file__).resolve().parents[3] / "examples/data/go_nogo_N200.mat"
SMALL = ["--trials", 12, "--search-trials", 9]
SMALL_RUN = [*SMALL, "--timescale-trials", 3, "--lava-trials", 2]


def report(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_help_is_complete(isotau):
    status, said, _ = isotau("run", "--help")
    assert status == 0
    for option in ("--task", "--trials", "--search-trials", "--timescale-trials"):
        assert option in said
    for option in ("--lava-trials", "--seed", "--out", "NETWORK", "--method"):
        assert option in said
    _, converted, _ = isotau("convert", "--help")
    for option in ("--copies", "--dt-ms", "--tau-ms", "--alpha", "--noise-std"):
        assert option in said and option in converted
    assert "--lava-trials" not in converted
    assert all(word in isotau("--help")[1] for word in ("run", "convert", "train"))


def test_it_starts_in_a_process_of_its_own(tmp_path):
    """Quickly: --version and --help load neither torch nor Norse."""
    command = "import sys, isotau.cli; print('torch' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "False\n"
    done = subprocess.run(
        [sys.executable, "-m", "isotau", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "isotau 0.1.0\n")


def test_trace_checks_a_recording(isotau, tmp_path):
    recording = SHIPPED.parent / "trace_loihi2.csv"
    registers = ["--du", 4095, "--dv", 163, "--vth", 25]
    status, said, errors = isotau("trace", recording, *registers, "--weight", 10)
    assert status == 0, errors
    other, differing, _ = isotau("trace", recording, *registers, "--weight", 9)
    assert other == 1 and differing != said
    bad, _, errors = isotau("trace", tmp_path / "no.csv", *registers, "--weight", 9)
    assert bad == 2 and errors.count("\n") == 1


def bad_files(folder: Path, rate_net) -> dict[str, tuple[list[object], str]]:
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
    two = storage.save(rate_net, folder / "two.rate.npz")
    return {
        "absent": (["none.mat"], "none.mat: no such file"),
        "folder": ([folder], "Is a directory"),
        "text": ([text], "notes.mat"),
        "keys": ([folder / "poor.mat"], "poor.mat"),
        "kind": ([zipped], "got a Spikes, need a RateRNN"),
        "zip": ([broken], "broken.npz"),
        "task": ([SHIPPED, "--task", "chess"], "task: got 'chess', need one of dms"),
        "channels": (
            [two],
            "got none for a network of 2 inputs, 1 output and steps of 5 ms, need one "
            "of those that fit it: dms-750, dms-lowrank, xor",
        ),
        "other": ([two, "--task", "rdm"], "need 1 input, 1 output for rdm; dms-750"),
        "assumption": ([two, "--dt-ms", "1"], "two.rate.npz: got dt, need"),
        "method": ([SHIPPED, "--method", "hope"], "method: got 'hope', need one of"),
        "copies": ([SHIPPED, "--copies", "0"], "copies: got 0, need 1 to"),
        "number": ([SHIPPED, "--trials", "0"], "trials: got 0, need 1 to"),
        "word": ([SHIPPED, "--trials", "many"], "'--trials': Input should be"),
        "lava": ([SHIPPED, "--trials", "4"], "lava_trials: got 8, need 1 to 4"),
        "out": ([SHIPPED, "--out", folder / "taken"], "taken, a file; need a folder"),
        "option": ([SHIPPED, "--colour"], "--colour"),
        "none": ([], "NETWORK"),
    }


def test_bad_input_is_one_line_and_status_2(isotau, tmp_path, rate_net):
    for case, (arguments, said) in bad_files(tmp_path, rate_net).items():
        status, _, errors = isotau("run", *arguments)
        assert status == 2, (case, errors)
        assert said in errors, (case, errors)
        assert errors.count("\n") == 1, (case, errors)
        assert not (tmp_path / "isotau-out").exists(), case


def test_what_was_assumed_is_said_and_can_be_changed(isotau, low_rank_file, tmp_path):
    """And the network's own failure is told plainly: its inputs are too fast for it."""
    arguments = ["convert", low_rank_file, "--task", "rdm", *SMALL]
    status, said, errors = isotau(*arguments, "--alpha", 1, "--noise-std", 9)
    assert status == 0, errors
    assert "read as: low-rank state dict, rank 1\nalpha: 1 (argument)" in said
    assert "noise: 9 per step, not scaled (argument)" in said
    assert "THE RATE NETWORK ITSELF" in said
    found = report(tmp_path / "isotau-out", "conversion.json")
    assert found["input_conventions"]["noise"]["source"] == "argument"
    assert found["network"]["median_tau_ms"] == pytest.approx(20.0)


@pytest.mark.parametrize("method", ["calibrate", "scale"])
def test_a_network_is_converted_and_quantized(isotau, low_rank_file, tmp_path, method):
    arguments = ["convert", low_rank_file, "--task", "rdm", "--method", method, *SMALL]
    status, said, errors = isotau(*arguments, "--out", "here")
    assert status == 0 and not errors
    assert "Report: here/conversion.json" in said and "κ on the chip" in said
    found = report(tmp_path / "here", "conversion.json")
    assert found["conversion"]["method"] == method
    if method == "calibrate":
        assert found["stages"]["fixed"]["accuracy"] >= 0.9
    assert "lava_identical" not in found
    names = {path.name for path in (tmp_path / "here").iterdir()}
    assert {"units.csv", "kappa.png", "network.lif.npz"} <= names
    assert not [name for name in names if "spikes" in name or "timescales" in name]


def test_slow_networks_get_a_step_that_holds_them(isotau, low_rank_file, tmp_path):
    """10 s of memory: beyond what 12 bits hold in steps of 1 ms."""
    slow = ["convert", low_rank_file, "--task", "rdm", *SMALL]
    slow += ["--dt-ms", 20, "--tau-ms"]
    status, said, errors = isotau(*slow, 10_000)
    assert status == 0, errors
    sentence = "has 10.24 s in the chip's steps of 2.5 ms."
    assert f"The slowest synapse, of 10 s, {sentence}" in " ".join(said.split())
    numbers = report(tmp_path / "isotau-out", "conversion.json")
    assert numbers["protocol"]["lif_constants_si"]["dt"] == 2.5e-3
    assert numbers["quantization"]["tau_missed"] == []
    # By the user's own step it is refused, and what is half as slow is warned of.
    status, _, errors = isotau(*slow, 10_000, "--step-ms", 1)
    assert status == 2 and "tau_syn: got 10.0 s" in errors and "raise dt" in errors
    status, said, _ = isotau(*slow, 6000, "--step-ms", 1)
    assert status == 0 and "Warning: du: no decay register is within 5 %" in said
    numbers = report(tmp_path / "isotau-out", "conversion.json")["quantization"]
    assert len(numbers["tau_missed"]) == 48


def test_a_trained_network_keeps_its_answers(isotau, tmp_path):
    status, text, errors = isotau("convert", SHIPPED, *SMALL, "--trials", 40)
    assert status == 0, errors
    assert "Dale's law: yes" in text
    numbers = report(tmp_path / "isotau-out", "conversion.json")
    for name in ("rate", "lif", "fixed"):
        assert numbers["stages"][name]["accuracy"] >= 0.95
        assert 0.8 <= numbers["stages"][name]["output_amplitude"] <= 1.4


def test_networks_are_trained(isotau, tmp_path):
    few = ["--count", 2, "--units", 12, "--batch", 2, "--updates", 2]
    status, said, errors = isotau("train", *few, "--tau-max-ms", 40, "--out", "nets")
    assert status == 0, errors
    assert "of 2 networks learned go-nogo" in said and said.count("\n") == 1
    nets = [
        storage.load(tmp_path / "nets" / f"net_00{k}.rate.npz", RateRNN) for k in (0, 1)
    ]
    assert all(net.n == 12 and net.tau.max() <= 0.04 for net in nets)
    (tmp_path / "taken").write_text("")
    status, _, errors = isotau("train", "--out", "taken")
    assert status == 2 and "taken, a file; need a folder" in errors
    assert isotau("train", "--count", 0)[0] == 2


@pytest.mark.slow
@pytest.mark.lava
def test_a_small_run_leaves_everything(isotau, low_rank_file, tmp_path):
    """A tanh network of rank 1, down to Lava; and the same again from its own file."""
    # An integrator adds up its noise, of which every stage would have its own.
    arguments = ["--task", "rdm", "--seed", 4, "--current-noise", 0, *SMALL_RUN]
    status, said, errors = isotau("run", low_rank_file, *arguments, "--out", "here")
    assert status == 0, errors
    assert "accuracy" in said and "Report: here/report.json" in said
    out = tmp_path / "here"
    found = report(out, "report.json")
    assert found["lava_identical"] is True
    # 2 trials of 1.5 s and 3 of 1.06 s without input
    assert found["lava_compared"] == 48 * (2 * 1500 + 3 * 1060) == 296_640
    assert set(found["stages"]) == {"rate", "lif", "fixed", "lava"}
    for name, stage in found["stages"].items():
        assert stage["accuracy"] >= 0.9
        assert stage["mean_rate_hz"] > 0 and stage["n_neurons"] == 48
        assert sum(stage["timescale_status"].values()) == 48
        assert stage["output_rms_to_rate"] < 0.2
        kept = storage.load(out / f"{name}.spikes.npz", Spikes)
        assert kept.batch == stage["n_trials"]
    assert found["seed"] == 4 and len(found["input_sha256"]) == 64
    assert found["versions"]["lava-nc"] == "0.10.0"
    stages = [cost["stage"] for cost in report(out, "timing.json")]
    assert stages[:2] == ["compile", "convert and quantize"]
    assert stages[-2:] == ["files", "pictures"] and "lava" in stages
    lif = storage.load(out / "network.lif.npz", LIFNetwork)
    fixed = storage.load(out / "network.fixed.npz", FixedPointNetwork)
    assert fixed.made_from == lif.fingerprint
    assert sorted(path.name for path in out.glob("*.png")) == [
        "kappa.png",
        "outputs.png",
        "rasters.png",
        "tau_histograms.png",
        "tau_rate_against_fixed.png",
    ]
    again = isotau("convert", out / "network.rate.npz", *arguments[:6], *SMALL)
    assert again[0] == 0, again[2]
    second = report(tmp_path / "isotau-out", "conversion.json")
    for key in ("conversion", "quantization", "units", "kappa"):
        assert second[key] == found[key], key
    for name, stage in second["stages"].items():
        assert stage.items() <= found["stages"][name].items()


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
def test_an_interrupt_ends_everything(low_rank_file, tmp_path):
    """Ctrl-C while Lava runs: one line, status 130, no process and no report left."""
    # a shell's background job ignores SIGINT, and so would what it starts
    listen = (
        "import runpy, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "runpy.run_module('isotau', run_name='__main__', alter_sys=True)\n"
    )
    command = [sys.executable, "-c", listen, "run", str(low_rank_file), "--task=rdm"]
    sizes = ["--trials=200", "--search-trials=4", "--lava-trials=200"]
    with subprocess.Popen(
        command + sizes,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
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
