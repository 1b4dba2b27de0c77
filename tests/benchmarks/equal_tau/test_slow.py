"""What the benchmark measures, on signals and on one small network."""

import numpy as np
import pytest

from benchmarks.equal_tau import slow
from benchmarks.equal_tau.slow_networks import DT, mode_network


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_a_time_constant_is_that_of_the_signal(tau):
    rng = np.random.default_rng(0)
    keep = np.exp(-DT / tau)
    kappa = np.empty((6000, 50))
    x = rng.standard_normal(50)
    for sample in kappa:
        x = keep * x + np.sqrt(1 - keep**2) * rng.standard_normal(50)
        sample[:] = x
    assert slow.mode_tau(kappa, tau) == pytest.approx(tau, rel=0.1)
    # Noise of the spikes, white, changes nothing.
    noisy = kappa + rng.standard_normal(kappa.shape)
    assert slow.mode_tau(noisy, tau) == pytest.approx(tau, rel=0.15)
    assert slow.mode_tau(np.cumsum(np.ones((6000, 2)), axis=0) % 2, tau) is None


def test_every_stage_of_a_small_network_is_looked_at(monkeypatch):
    small = {"modes": lambda: mode_network((0.1,), n=32)}
    monkeypatch.setattr(slow, "NETWORKS", small)
    for name, value in {
        "FIT": 12,
        "FIT_SECONDS": 1.0,
        "REST": 20,
        "SETTLE": 0.5,
        "LENGTH": 4.0,
        "CUED": 20,
        "AFTER": 0.5,
    }.items():
        monkeypatch.setattr(slow, name, value)
    rows = list(slow.measure_slow(["modes"], copies=[1], seconds=0.0))
    assert [row["stage"] for row in rows] == ["rate", "lif", "fixed"]
    for row in rows:
        assert row["tau"] == pytest.approx(0.1)
        # Three times a unit's own: the recurrence is carried.
        assert 0.06 < row["measured"] < 0.2
        assert 0.5 < row["sd"] / rows[0]["sd"] < 2
