"""isotau tune, as typed on the command line."""

import inspect
import json
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from isotau.cli import progress, tune_command
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.trials import Trials
from isotau.convert.tuning.learner.tune_config import METHODS, TuneConfig
from isotau.targets.nir_graph.to_nir import write_nir

ROOT = Path(__file__).resolve().parents[3]
SHORT = ("--updates", 4, "--evaluate-every", 2, "--batch", 4)
LEFT = [
    "curves.png",
    "tuned.fixed.npz",
    "tuned.lif.npz",
    "tuning.checkpoint.npz",
    "tuning.json",
]


@pytest.fixture
def files(tmp_path, lif_net):
    """A LIF network as NIR, and twelve labelled trials."""
    net = replace(lif_net, noise_std=0.0, refractory=np.zeros(20))
    write_nir(net, tmp_path / "net.nir")
    storage.save(net, tmp_path / "net.lif.npz")
    rng = np.random.default_rng(0)
    inputs, labels = rng.random((60, 12, 2)), rng.integers(0, 2, 12)
    np.savez(tmp_path / "in.npz", inputs=inputs, labels=labels)
    return net


def report(folder):
    return json.loads((folder / "tuning.json").read_text(encoding="utf-8"))


def test_defaults_are_those_of_the_configuration():
    usual = TuneConfig()
    asked = inspect.signature(tune_command.tune).parameters
    names = {field.name for field in fields(tune_command.DescentOptions)}
    for name in names:
        assert asked[name].default == getattr(usual, name), name
    assert tuple(asked["train"].default.split(",")) == usual.train
    assert asked["clip"].default == usual.clip
    assert {field.name for field in fields(TuneConfig)} > names


def test_a_nir_network_is_tuned_on_a_users_trials(isotau, files, tmp_path):
    asked = ("tune", "net.nir", "--inputs", "in.npz", *SHORT, "--out", "t")
    status, said, errors = isotau(*asked, "--quantized", "--bits", 4, "--clip", 0)
    assert status == 0 and not errors
    assert "read as: NIR" in said and "6 trials never tuned on" in said
    assert "bptt in the chip's arithmetic: exhausted after 4 updates" in said
    out = tmp_path / "t"
    assert sorted(path.name for path in out.iterdir()) == LEFT
    net = storage.load(out / "tuned.lif.npz", LIFNetwork)
    fixed = storage.load(out / "tuned.fixed.npz", FixedPointNetwork)
    assert fixed.made_from == net.fingerprint
    assert {block.num_weight_bits for block in fixed.blocks} == {4}
    told = report(out)
    assert told["input"] == "net.nir" and len(told["input_sha256"]) == 64
    assert told["arguments"]["inputs"] == "in.npz" and told["arguments"]["clip"] == 0
    assert told["config"]["clip"] is None and told["quantized"]
    assert told["quantization"]["outliers"] == "fit"
    assert told["config"]["updates"] == 4 and told["loss"] == "labels"
    assert told["trials"] == {"learned": 4, "held_out": 2, "test": 6}
    assert [e["update"] for e in told["evaluations"]] == [0, 2, 4]
    assert len(told["losses"]["task"]) == 4 and set(told["stages"]) == {"lif", "fixed"}


def test_options_reach_the_configuration(isotau, files, tmp_path):
    asked = ("tune", "net.lif.npz", "--inputs", "in.npz", "--updates", 1)
    more = ("--train", "w_rec, tau_mem", "--width", 0.2, "--rates", 0.5, "--seed", 3)
    more += ("--recompute", 50, "--weight-noise", 0.01, "--method", "bptt")
    assert isotau(*asked, *more)[0] == 0
    told = report(tmp_path / "isotau-tuned")
    config = told["config"]
    assert config["train"] == ["w_rec", "tau_mem"] and config["width"] == 0.2
    assert config["segments"] == {"truncate": 0, "recompute": 50}
    assert config["weight_noise"] == 0.01 and config["seed"] == 3
    assert told["quantization"]["outliers"] == "split"
    assert told["rate_weight"] == 0.5 and told["reference"] == "lif"
    assert set(told["losses"]) == {"task", "rates", "total"}
    before = storage.load(tmp_path / "net.lif.npz", LIFNetwork)
    after = storage.load(tmp_path / "isotau-tuned/tuned.lif.npz", LIFNetwork)
    np.testing.assert_array_equal(before.w_in, after.w_in)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_runs(isotau, files, tmp_path, method):
    asked = ("tune", "net.lif.npz", "--inputs", "in.npz", "--updates", 2)
    status, said, errors = isotau(*asked, "--method", method, "--batch", 4)
    assert status == 0, errors
    assert f"{method} in floats: exhausted after 2 updates" in said


def test_an_interrupted_command_goes_on(isotau, files, tmp_path, monkeypatch):
    asked = ("tune", "net.lif.npz", "--inputs", "in.npz", *SHORT)

    def interrupting(steps, what):
        for step in steps:
            if what == "tuning" and step == 3:
                raise KeyboardInterrupt
            yield step

    with monkeypatch.context() as patched:
        patched.setattr(progress, "bars", interrupting)
        status, _, errors = isotau(*asked, "--out", "a")
    assert status == 130 and errors == "isotau: interrupted\n"
    assert [path.name for path in (tmp_path / "a").iterdir()] == [LEFT[3]]
    assert isotau(*asked, "--out", "a")[0] == isotau(*asked, "--out", "b")[0] == 0
    resumed, straight = report(tmp_path / "a"), report(tmp_path / "b")
    assert resumed["losses"] == straight["losses"]
    nets = [storage.load(tmp_path / out / "tuned.lif.npz", LIFNetwork) for out in "ab"]
    assert storage.same(*nets)
    # another tuning in the same folder is refused
    status, _, errors = isotau(*asked, "--out", "a", "--width", 0.2)
    assert status == 2 and "got a checkpoint of width 0.1, need 0.2" in errors


def test_a_loss_that_is_no_number_leaves_the_best_network(isotau, files, tmp_path):
    rng = np.random.default_rng(1)
    trials = Trials(
        inputs=rng.random((60, 12, 2)),
        targets=1e25 * rng.random((60, 12, 2)),  # squares leave float32
        mask=np.ones((60, 12), dtype=bool),
        labels=np.zeros(12),
        dt=1e-3,
        task="mine",
    )
    storage.save(trials, tmp_path / "t.npz")
    asked = ("tune", "net.lif.npz", "--inputs", "t.npz", *SHORT)
    status, said, errors = isotau(*asked)
    assert status == 1 and "failed after 0 updates, best at 0" in said
    assert errors.startswith("isotau: update 1: loss: got ")
    assert "need a finite number" in errors and errors.count("\n") == 1
    told = report(tmp_path / "isotau-tuned")
    assert told["status"] == "failed" and told["problem"] in errors
    assert told["loss"] == "mse"
    tuned = storage.load(tmp_path / "isotau-tuned/tuned.lif.npz", LIFNetwork)
    assert storage.same(tuned, storage.load(tmp_path / "net.lif.npz", LIFNetwork))


def test_a_rate_network_is_converted_and_tuned(isotau, low_rank_file, tmp_path):
    sizes = ("--trials", 12, "--search-trials", 12, "--updates", 2, "--batch", 4)
    status, said, errors = isotau(
        *("tune", low_rank_file, "--task", "rdm", *sizes, "--evaluate-every", 1)
    )
    assert status == 0, errors
    assert "the tuned chip against the rate network" in said.lower()
    told = report(tmp_path / "isotau-tuned")
    assert set(told["stages"]) == {"rate", "lif", "fixed"}
    assert told["trials"] == {"test": 12, "search": 12} and told["loss"] == "mse"
    assert told["input_conventions"]["family"] and told["reference"] == "rate"
    net = storage.load(tmp_path / "isotau-tuned/tuned.lif.npz", LIFNetwork)
    fixed = storage.load(tmp_path / "isotau-tuned/tuned.fixed.npz", FixedPointNetwork)
    assert fixed.made_from == net.fingerprint
    assert sorted(p.name for p in (tmp_path / "isotau-tuned").iterdir()) == LEFT


@pytest.mark.parametrize("epoch", [(), ("--timescale-epoch", "50,400")])
def test_a_rate_networks_own_timescales_are_aimed_at(
    isotau, low_rank_file, tmp_path, epoch
):
    """At rest or in the task, the mean over a unit's copies against the unit."""
    sizes = ("--trials", 8, "--search-trials", 12, "--updates", 1, "--batch", 4)
    status, _, errors = isotau(
        *("tune", low_rank_file, "--task", "rdm", *sizes, "--copies", 2),
        *("--timescales", 1, "--train", "tau_syn", "--evaluate-every", 1, *epoch),
    )
    assert status == 0, errors
    told = report(tmp_path / "isotau-tuned")
    assert told["reference"] == "rate"
    assert set(told["losses"]) == {"task", "timescales", "total"}
    # in volts of another size the variance alone would cost more
    assert abs(told["evaluations"][0]["losses"]["timescales"]) < 1.5


def bad_commands(low_rank_file):
    """Arguments, and what the one line on standard error must say."""
    on = ("net.nir", "--inputs", "in.npz", "--updates", "1")
    return {
        "nothing": (["net.nir"], "got neither a task nor trials for a LIF network"),
        "both": ([*on, "--task", "xor"], "got a task and trials for a LIF network, ne"),
        "rate": (
            [low_rank_file, "--inputs", "in.npz"],
            "got a file for a rate network",
        ),
        "fixed": (["q.fixed.npz", "--task", "xor"], "got integers already, need a net"),
        "task": (["net.nir", "--task", "chess"], "task: got 'chess', need one of"),
        "other": (["net.nir", "--task", "rdm"], "need 1 and 1 for rdm; name the task"),
        "assumed": ([*on, "--tau-ms", "5"], "got tau for LIF neurons, which the file"),
        "absent": (["no.nir", "--task", "rdm"], "no.nir: no such file"),
        "trials": (["net.nir", "--inputs", "no.npz"], "no.npz: no such file"),
        "method": ([*on, "--method", "hope"], "method: got 'hope', need one of"),
        "train": ([*on, "--train", "w_in,w"], "train: got 'w', need one of"),
        "empty": ([*on, "--train", ","], "train: got nothing, need one or more"),
        "surrogate": ([*on, "--surrogate", "x"], "surrogate: got 'x', need one of"),
        "width": ([*on, "--width", "9"], "width: got 9.0, need 0.0001 to 4.0"),
        "bits": ([*on, "--bits", "9"], "num_weight_bits: got 9, need 1 to 8"),
        "outliers": ([*on, "--outliers", "drop"], "outliers: got 'drop', need one of"),
        "device": ([*on, "--device", "gpu"], "device: got 'gpu', need cpu, cuda or"),
        "away": (
            [*on, "--device", "cuda:99"],
            "device: got 'cuda:99', need one of the",
        ),
        "reference": ([*on, "--reference", "a"], "reference: got 'a', need one of rat"),
        "weight": ([*on, "--timescales", "-1"], "timescale_weight: got -1.0, need"),
        "silent": ([*on, "--timescales", "1"], "got states that do not vary over tri"),
        "lags": ([*on, "--timescale-lags", "0,a"], "--timescale-lags: got '0,a', need"),
        "no weight": ([*on, "--timescale-lags", "0,5"], "--timescales: got no weight"),
        "epoch": (
            [*on, "--timescales", "1", "--timescale-epoch", "5"],
            "--timescale-epoch: got 1 numbers, need two, START,END",
        ),
        "back": (
            [*on, "--timescales", "1", "--timescale-epoch", "9,5"],
            "timescale_epoch: got 0.009 to 0.005 s, need an end after the start",
        ),
        "late": (
            [*on, "--timescales", "1", "--timescale-epoch", "0,900"],
            "timescale_epoch: got 0 to 0.9 s, need an end within the trials' 0.06 s",
        ),
        "target": (
            [*on, "--timescales", "1", "--timescale-target", "in.npz"],
            "in.npz: got inputs, labels, need one of tau",
        ),
        "two": (
            [*on, "--reference", "lif", "--timescale-target", "in.npz"],
            "--reference: got one with --timescale-target, need one of the two",
        ),
        "word": ([*on, "--bits", "many"], "'--bits': "),
        "out": ([*on, "--out", "in.npz"], "in.npz, a file; need a folder"),
    }


def test_bad_input_is_one_line_and_status_2(isotau, files, low_rank_file, tmp_path):
    isotau("quantize", "net.nir", "--inputs", "in.npz", "--out", "q")
    (tmp_path / "q/network.fixed.npz").rename(tmp_path / "q.fixed.npz")
    for case, (arguments, text) in bad_commands(low_rank_file).items():
        status, _, errors = isotau("tune", *arguments)
        assert status == 2, (case, errors)
        assert text in errors and errors.count("\n") == 1, (case, errors)
        assert not (tmp_path / "isotau-tuned/tuning.json").exists(), case


def test_a_users_timescales_are_aimed_at(isotau, files, tmp_path, lif_net):
    """A recording of other neurons, at lags and in an epoch of the user's."""
    noisy = replace(lif_net, current_noise_std=2e-3)
    storage.save(noisy, tmp_path / "noisy.lif.npz")
    rng = np.random.default_rng(1)
    inputs, labels = rng.random((60, 40, 2)), rng.integers(0, 2, 40)
    np.savez(tmp_path / "many.npz", inputs=inputs, labels=labels)
    (tmp_path / "recorded.csv").write_text("tau_ms\n20\n50\n\n90\n")
    asked = ("tune", "noisy.lif.npz", "--inputs", "many.npz", *SHORT)
    wanted = ("--timescales", 0.5, "--timescale-target", "recorded.csv")
    place = ("--timescale-lags", "0,5,20", "--timescale-epoch", "10,60")
    for more in (wanted, (*wanted, *place), ("--timescales", 0.5, *place)):
        status, _, errors = isotau(*asked, *more, "--train", "tau_syn", "--out", "x")
        assert status == 0, errors
        told = report(tmp_path / "x")
        assert set(told["losses"]) == {"task", "timescales", "total"}
        given = "recorded.csv" in more
        assert told["reference"] == ("given" if given else "lif")
        if "--timescale-epoch" in more:
            assert told["timescale_lags_s"] == [0, 0.005, 0.02]
            assert told["timescale_epoch_s"] == [0.01, 0.06]
        for file in (tmp_path / "x").iterdir():
            file.unlink()


def test_methods_refuse_what_they_cannot_do(isotau, files, tmp_path, lif_net):
    storage.save(lif_net, tmp_path / "noisy.lif.npz")
    asked = ("tune", "noisy.lif.npz", "--inputs", "in.npz", "--method", "eventprop")
    for more in (("--timescales", 1), ("--rates", 1), ("--quantized",)):
        status, _, errors = isotau(*asked, *more)
        assert status == 2 and errors.count("\n") == 1, (more, errors)
        assert "use method 'bptt'" in errors, errors


@pytest.mark.slow
def test_the_python_of_the_manual_runs(tmp_path):
    text = (ROOT / "docs/tuning.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_manual_names_every_method_and_links_to_what_is_there():
    text = (ROOT / "docs/tuning.md").read_text(encoding="utf-8")
    for method in METHODS:
        assert f"`{method}`" in text, method
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / "docs" / target).exists(), target
