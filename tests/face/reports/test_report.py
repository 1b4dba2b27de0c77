"""What a person reads at the end of a run, and finds in the folder."""

import csv
import io
import json

import numpy as np
import pytest
from rich.console import Console

from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import mean_rate
from isotau.reports.report import (
    read,
    summarize_run,
    table,
    verdict,
    warnings,
    write,
)


def stage(accuracy, tau):
    return {
        "n_trials": 100,
        "accuracy": accuracy,
        "accuracy_se": 0.01,
        "accuracy_reach": 0.02,
        "accuracy_strict": accuracy - 0.25,
        "output_amplitude": accuracy + 0.1,
        "output_rms_to_rate": 0.075,
        "mean_rate_hz": 5.25,
        "n_neurons": 200,
        "n_timescales": 31,
        "n_timescales_by_chance": 14,
        "n_timescales_published": 22,
        "median_tau_ms": tau,
    }


REPORT = {
    "input": "net.mat",
    "task": "go-nogo",
    "seed": 7,
    "conversion": {
        "method": "scale",
        "chosen": {"inverse_lambda": 27.53, "rounds": None},
    },
    "stages": {
        "rate": stage(1.0, 84.4),
        "lif": stage(0.95, 90.0),
        "fixed": stage(0.94, None),
        "lava": stage(1.0, 91.6) | {"n_trials": 8},
    },
    "target_amplitude": 1.0,
    "quantization": {"state_at_rest": None, "said": "It is slow."},
    "units": {"causes": {"agrees": 190, "silent": 10}},
    "kappa": None,
    "lava_identical": True,
    "lava_mismatches": 0,
    "lava_compared": 1234567,
}


def printed(report, width=80) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(table(report))
    return text.getvalue()


def test_table_has_a_row_per_stage():
    text = printed(REPORT)
    assert "net.mat, go-nogo, seed 7, 100 trials (8 in Lava)" in text
    for name in ("rate", "lif", "fixed", "lava"):
        assert sum(line.startswith(f"│ {name} ") for line in text.splitlines()) == 1
    assert "0.950 ± 0.020 │  0.700" in text
    assert "31 of 200" in text
    assert "84 ms" in text and "none" in text
    assert "…" not in text


def test_without_timescales_there_are_answers():
    stages = {
        name: {
            k: v for k, v in stage.items() if "timescale" not in k and "tau" not in k
        }
        for name, stage in REPORT["stages"].items()
        if name != "lava"
    }
    stages["lif"]["output_amplitude"] = None
    text = printed(REPORT | {"stages": stages})
    assert "answer" in text and "1.10" in text and "0.075" in text
    assert "none" in text and "chance" not in text


def test_verdict_says_whether_lava_agrees():
    said = verdict(REPORT)
    assert " It is slow. " in said
    assert "At 1/λ = 27.5 Hz accuracy goes" in said
    assert "1.000 (rate) → 0.950 (lif) → 0.940 (fixed)" in said
    assert "Answers reach 1.10 (rate), 1.05 (lif), 1.04 (fixed) for 1.00." in said
    assert "Units: 190 agrees, 10 silent." in said
    assert "31 of 200 fixed-point neurons" in said
    assert "14 of as many Poisson" in said and "rules keep 22" in said
    assert "Lava gave the engine's spikes in all 1,234,567 neuron-steps." in said
    assert "RATE NETWORK" not in said and "κ" not in said
    off = REPORT | {"lava_identical": False, "lava_mismatches": 12}
    assert "LAVA DIFFERS from the engine in 12 of 1,234,567" in verdict(off)


def test_verdict_of_a_calibrated_low_rank_network():
    calibrated = {
        "method": "calibrate",
        "chosen": {"inverse_lambda": 1, "rounds": 1},
        "noise": {"said": "There is noise."},
        "why": "It won.",
    }
    kappa = {"fixed": {"correlation": [0.9912, None]}}
    said = verdict(REPORT | {"conversion": calibrated, "kappa": kappa})
    assert "Calibrated with 1 closed-loop round, accuracy goes" in said
    assert "There is noise. It won. Calibrated" in said
    assert "κ on the chip correlates with the rate network's by 0.991, none." in said
    calibrated["chosen"]["rounds"] = 0
    assert "with 0 closed-loop rounds," in verdict(REPORT | {"conversion": calibrated})


def test_verdict_says_that_the_network_does_another_task():
    stages = REPORT["stages"] | {"rate": stage(0.52, 80.0)}
    said = verdict(REPORT | {"stages": stages})
    assert said.startswith("THE RATE NETWORK ITSELF is right in 52% of the trials")
    for word in ("another task", "amplitude", "conventions"):
        assert word in said


def test_nothing_is_said_of_answers_where_none_is_asked():
    silent = {
        name: stage | {"output_amplitude": None}
        for name, stage in REPORT["stages"].items()
    }
    assert "Answers" not in verdict(REPORT | {"stages": silent})


def test_errors_of_the_chip_are_warned_of():
    findings = [
        {"severity": "error", "text": "u wrapped"},
        {"severity": "info", "text": "all is well"},
    ]
    assert warnings({"diagnostics": {"findings": findings}}) == ["Warning: u wrapped"]


def test_the_folder_holds_every_network(carried, tmp_path):
    path = write(carried, tmp_path, {"input": "net.pt"})
    assert path == tmp_path / "conversion.json"
    assert read(path)["input"] == "net.pt"
    assert {p.name for p in tmp_path.iterdir()} == {
        "network.rate.npz",
        "network.lif.npz",
        "network.fixed.npz",
        "units.csv",
        "conversion.json",
        "outputs.png",
        "kappa.png",
        "tau_histograms.png",
        "tau_rate_against_fixed.png",
    }
    rate = storage.load(tmp_path / "network.rate.npz", RateRNN)
    lif = storage.load(tmp_path / "network.lif.npz", LIFNetwork)
    fixed = storage.load(tmp_path / "network.fixed.npz", FixedPointNetwork)
    assert storage.same(rate, carried.rate)
    assert fixed.made_from == lif.fingerprint
    with open(tmp_path / "units.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(line for line in stream if line[0] != "#"))
    assert len(rows) == 48
    assert float(rows[3]["rms"]) == pytest.approx(carried.units.rms[3])


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
    at_rest = said["quantization"]["state_at_rest"]
    assert at_rest["neurons"] == 48 and at_rest["trials"] == 30
    # An integrator drifts freely at rest, and on the chip leaks: rounding shows.
    assert 0.2 < at_rest["change"]["sd_ratio"] < 1.2
    assert at_rest["floor"]["sd_ratio"] == pytest.approx(1, abs=0.2)


def test_states_at_rest_are_told_of(carried):
    quantization = summarize_run(carried)["quantization"]
    said = verdict(REPORT | {"quantization": quantization})
    ratio = quantization["state_at_rest"]["change"]["sd_ratio"]
    assert "u of the chip over i of the LIF network" in said
    assert f"SD {ratio:.3f} (" in said


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
