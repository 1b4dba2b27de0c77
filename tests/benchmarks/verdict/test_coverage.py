"""Coverage: of processes that are what they are said to be, and counts that are."""

import numpy as np
import pytest

from benchmarks.verdict import coverage


def test_states_are_stationary_and_forget_with_tau():
    x = coverage.ou(0.05, 300, 4, 100, np.random.default_rng(0))
    np.testing.assert_allclose(x.std(axis=(1, 2)), 1, atol=0.1)
    products = (x[10:] * x[:-10]).mean()
    assert products == pytest.approx(np.exp(-1), abs=0.03)


def test_intervals_are_counted(monkeypatch):
    monkeypatch.setattr(coverage, "TAUS", (0.02, 0.05))
    monkeypatch.setattr(coverage, "TRIALS", 40)
    rows = coverage.measure_coverage(50)
    assert [row["tau_s"] for row in rows] == [0.02, 0.05]
    for row in rows:
        assert row["units"] == 50 >= row["known"] > 45
        assert 0.8 * row["known"] < row["covered"] <= row["known"]
        assert abs(row["bias"]) < row["rms"] < 0.1


def test_memory_is_of_more_and_more_trials(monkeypatch):
    monkeypatch.setattr(coverage, "LONGER", (20, 40))
    first, second = coverage.measure_memory()
    assert (first["trials"], second["trials"]) == (40, 80)
    assert second["seconds_simulated"] == 2 * first["seconds_simulated"]
    assert 1 < first["peak_mb"] < 500
