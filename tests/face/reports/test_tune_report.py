"""What a tuning leaves behind, without tuning: its records are made by hand."""

import dataclasses
import json
import math

import numpy as np
import pytest
from rich.console import Console

from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.quantize import QuantizeConfig, quantize
from isotau.convert.tuning.evaluate import TuneEvaluation
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.tune_loop import Tuned
from isotau.jobs.run_config import TuningPlan
from isotau.jobs.tune_network import StageScore, Tuning
from isotau.reports import tune_report

TRUE, FALSE = np.ones(40, dtype=bool), np.zeros(40, dtype=bool)
HALF = np.arange(40) < 20


@pytest.fixture
def tuning(lif_net):
    net = dataclasses.replace(lif_net, noise_std=0.0)
    run = simulate_lif(net, np.zeros((50, 1, 2)), seed=None)
    evaluations = (
        TuneEvaluation(0, {"task": 0.5, "total": 0.5}, 0.5, 12.0),
        TuneEvaluation(2, {"task": 0.25, "total": 0.25}, 0.9, math.nan),
    )
    tuned = Tuned(
        network=net,
        fixed=None,
        evaluations=evaluations,
        best=evaluations[1],
        losses=(
            {"task": 0.5, "timescales": 1.0, "total": 1.5},
            {"task": math.inf, "total": math.inf},
        ),
        status="exhausted",
    )
    return Tuning(
        tuned=tuned,
        fixed=quantize(net, run.ranges, input_peak=1.0),
        before={
            "rate": StageScore(TRUE, 20.0),
            "lif": StageScore(HALF, 21.0),
            "fixed": StageScore(FALSE, 22.0),
        },
        after={"lif": StageScore(TRUE, 18.0), "fixed": StageScore(TRUE, 19.0)},
        plan=TuningPlan(config=TuneConfig(updates=2, method="eprop")),
        quantization=QuantizeConfig(num_weight_bits={"recurrent": 3}),
        loss="mse",
        trials={"test": 40},
        seeds={"run": 7},
    )


def test_everything_is_left_and_is_plain(tuning, tmp_path):
    path = tune_report.write(tuning, tmp_path / "out", {"input": "net.mat"})
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "curves.png",
        "tuned.fixed.npz",
        "tuned.lif.npz",
        "tuning.json",
    ]
    net = storage.load(tmp_path / "out/tuned.lif.npz", LIFNetwork)
    assert storage.same(net, tuning.tuned.network)
    fixed = storage.load(tmp_path / "out/tuned.fixed.npz", FixedPointNetwork)
    assert storage.same(fixed, tuning.fixed)
    numbers = tune_report.read(path)
    json.dumps(numbers, allow_nan=False)
    assert numbers["input"] == "net.mat" and numbers["isotau"]
    assert numbers["losses"]["task"] == [0.5, None]
    assert numbers["losses"]["timescales"] == [1.0, None]
    assert numbers["evaluations"][1]["mean_rate_hz"] is None
    assert numbers["config"]["method"] == "eprop"
    assert numbers["quantization"]["num_weight_bits"] == {"recurrent": 3}
    assert numbers["stages"]["rate"]["after"] is None
    assert numbers["stages"]["lif"]["change"]["difference"] == 0.5
    assert numbers["stages"]["fixed"]["before"] == {
        "accuracy": 0.0,
        "mean_rate_hz": 22.0,
    }
    assert numbers["fixed_against_rate"]["difference"] == 0
    assert numbers["seeds"] == {"run": 7}


def told(numbers):
    console = Console(width=100)
    with console.capture() as said:
        console.print(tune_report.table(numbers))
    return said.get()


def test_the_table_and_the_verdict_say_what_changed(tuning):
    numbers = tune_report.summarize(tuning) | {"input": "net.mat"}
    text = told(numbers)
    assert "net.mat, 40 trials never tuned on" in text
    (row,) = [line for line in text.splitlines() if " lif " in line]
    assert "0.500" in row and "1.000" in row and "+0.500 (+0." in row
    assert "21.0 → 18.0 Hz" in row
    verdict = tune_report.verdict(numbers)
    assert "eprop in floats: exhausted after 2 updates, best at 2" in verdict
    assert "0.500 → 0.900" in verdict and "against the rate network: +0.000" in verdict


def test_a_network_that_did_not_change_is_said_to_be_so(tuning):
    best = tuning.tuned.evaluations[0]
    tuned = dataclasses.replace(tuning.tuned, best=best, status="failed", problem="x")
    lif = {name: tuning.before[name] for name in ("lif", "fixed")}
    plan = dataclasses.replace(tuning.plan, quantized=True)
    changed = dataclasses.replace(tuning, tuned=tuned, before=lif, plan=plan)
    numbers = tune_report.summarize(changed) | {"input": "net.mat"}
    assert numbers["fixed_against_rate"] is None and "rate" not in told(
        numbers
    ).replace("mean rate", "")
    verdict = tune_report.verdict(numbers)
    assert "in the chip's arithmetic: failed" in verdict
    assert "No update did better" in verdict and "against the rate" not in verdict
