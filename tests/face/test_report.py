"""What a person reads at the end of a run."""

import io

from rich.console import Console

from isotau.report import table, verdict, versions


def stage(accuracy, tau):
    return {
        "n_trials": 100,
        "accuracy": accuracy,
        "accuracy_se": 0.02,
        "mean_rate_hz": 5.25,
        "n_neurons": 200,
        "n_timescales": 31,
        "n_timescales_by_chance": 14,
        "median_tau_ms": tau,
    }


REPORT = {
    "input": "net.mat",
    "task": "go-nogo",
    "seed": 7,
    "conversion": {"chosen": {"inverse_lambda": 27.5}},
    "stages": {
        "rate": stage(1.0, 84.4),
        "lif": stage(0.95, 90.0),
        "fixed": stage(0.94, None),
        "lava": stage(1.0, 91.6),
    },
    "lava_identical": True,
    "lava_mismatches": 0,
    "lava_compared": 1234567,
}


def test_table_has_a_row_per_stage():
    text = io.StringIO()
    Console(file=text, width=100).print(table(REPORT))
    lines = text.getvalue().splitlines()
    assert "net.mat, go-nogo, seed 7" in text.getvalue()
    for name in ("rate", "lif", "fixed", "lava"):
        assert sum(line.startswith(f"│ {name} ") for line in lines) == 1
    assert "0.950 ± 0.020" in text.getvalue()
    assert "31 of 200" in text.getvalue()
    assert "84 ms" in text.getvalue() and "none" in text.getvalue()


def test_verdict_says_whether_lava_agrees():
    said = verdict(REPORT)
    assert "1/λ = 27.5 Hz" in said
    assert "1.000 (rate) → 0.950 (lif) → 0.940 (fixed)" in said
    assert "31 fixed-point neurons" in said and "14 of as many Poisson" in said
    assert "Lava gave the engine's spikes in all 1,234,567 neuron-steps" in said
    off = REPORT | {"lava_identical": False, "lava_mismatches": 12}
    assert "LAVA DIFFERS from the engine in 12 of 1,234,567" in verdict(off)


def test_versions_name_what_decides_the_numbers():
    found = versions()
    assert {"python", "numpy", "torch", "norse", "lava-nc"} <= set(found)
    assert found["norse"].startswith("1.1")
