"""The numbers of a run against the result that they are said to be of."""

import json

import numpy as np
import pytest

from isotau.convert.records.spikes import mean_rate
from isotau.reports.report import summarize_run, versions


def test_they_are_those_of_the_result(carried):
    said = summarize_run(carried)
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert set(said["stages"]) == {"rate", "lif", "fixed"}
    for name, stage in said["stages"].items():
        made = carried.stages[name]
        assert stage["accuracy"] == made.right.mean()
        assert stage["accuracy_strict"] == made.right_strictly.mean()
        assert stage["mean_rate_hz"] == mean_rate(made.spikes)
        assert stage["spontaneous_rate_hz"] == mean_rate(made.quiet.spikes)
        assert sum(stage["timescale_status"].values()) == stage["n_neurons"] == 48
        # targets are ±1 in the last 300 ms and count nowhere else
        late = made.outputs[-made.trials.steps // 5 :]
        peak = np.abs(late).max(axis=(0, 2)).mean()
        assert stage["output_amplitude"] == pytest.approx(peak)
        assert 0.005 < stage["output_rms_to_rate"] < 0.2
    assert said["target_amplitude"] == 1.0
    assert said["network"]["rank"] == 1 and said["network"]["n_excitatory"] == 0
    assert "lava_identical" not in said


def test_the_conversion_is_told_in_full(carried, scaled):
    ours, theirs = (summarize_run(made)["conversion"] for made in (carried, scaled))
    assert (ours["method"], theirs["method"]) == ("calibrate", "scale")
    for said in (ours, theirs):
        assert said["chosen"] in said["candidates"]
        assert said["copies"] == 1 and said["n_neurons"] == 48
    assert len(ours["residual"]) == 2 and theirs["residual"] == []
    assert "starts in the state" in summarize_run(carried)["protocol"]["initial_state"]


def test_units_and_kappa_are_summed_up(carried):
    said = summarize_run(carried)
    units = said["units"]
    assert sum(units["causes"].values()) == 48
    worst = [unit["rms"] for unit in units["worst"]]
    assert worst == sorted(carried.units.rms, reverse=True)[:5]
    assert units["worst"][0]["cause"] in units["causes"]
    for name in ("lif", "fixed"):
        agreement = carried.kappa.agreement[name]
        assert said["kappa"][name]["correlation"] == agreement.correlation.tolist()
        assert said["kappa"][name]["nrmse_of_means"][0] < 0.3


def test_versions_name_what_decides_the_numbers():
    found = versions()
    assert {"python", "numpy", "torch", "norse", "lava-nc"} <= set(found)
    assert found["norse"].startswith("1.1")
