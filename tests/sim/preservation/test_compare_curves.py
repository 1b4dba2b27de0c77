"""Autocorrelations compared without a fit: what passes, what does not."""

import numpy as np
import pytest

from isotau.sim.preservation import Curves, PreservationConfig, Verdict, compare_curves

LAGS = 0.05 * np.arange(1, 15)
CONFIG = PreservationConfig(draws=300)
NAMES = ("a", "a_again", "b", "b_again")


def network(rng, n=100, *, factor=1.0, amplitude=0.3, b_amplitude=None, noise=0.05):
    """Neurons with exponential autocorrelations; τ is `factor` times longer in b."""
    tau = 0.15 * np.exp(0.4 * rng.normal(size=n))
    strength = amplitude * rng.random(n)
    b_amplitude = amplitude if b_amplitude is None else b_amplitude
    clean = {
        "a": strength * np.exp(-LAGS[:, None] / tau),
        "b": strength * b_amplitude / amplitude * np.exp(-LAGS[:, None] / tau / factor),
    }
    return {
        name: clean[name[0]] + noise * rng.normal(size=(len(LAGS), n)) for name in NAMES
    }


def curves(seed, networks=6, **truth):
    rng = np.random.default_rng(seed)
    return [Curves(name=str(k), **network(rng, **truth)) for k in range(networks)]


def compared(found, seed=0):
    return compare_curves(found, CONFIG, rng=np.random.default_rng(seed))


def verdicts(networks, seeds=40, **truth):
    said = [
        compared(curves(seed, networks, **truth), seed).verdict for seed in range(seeds)
    ]
    return [said.count(verdict) for verdict in Verdict]


@pytest.mark.parametrize("networks", [1, 6])
def test_equal_timescales_are_preserved(networks):
    yes, no, _ = verdicts(networks, n=200, noise=0.02)
    assert no == 0
    assert yes >= 38


def test_the_area_ratio_covers_one():
    found = [compared(curves(seed)).area_ratio for seed in range(40)]
    assert np.mean([one.value for one in found]) == pytest.approx(1, abs=0.03)
    assert sum(one.low < 1 < one.high for one in found) >= 35


@pytest.mark.parametrize("networks", [1, 6])
def test_a_shift_at_the_margin_passes_rarely(networks):
    yes, _, _ = verdicts(networks, factor=1.25, seeds=80)
    assert yes <= 0.05 * 80 + 4


def test_amplitude_is_no_timescale():
    yes, no, _ = verdicts(6, b_amplitude=0.2, seeds=20, noise=0.02)
    assert (yes, no) == (20, 0)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_other_timescales_are_not(factor):
    found = compared(curves(1, factor=factor))
    assert found.verdict is Verdict.NOT_PRESERVED
    assert "curve: beyond the noise floor, autocorrelations differ by" in found.reason
    assert found.distance.value > found.distance_floor.value
    assert found.rmse.value > found.rmse_floor.value
    assert (found.area_ratio.value > 1) == (factor > 1)


def test_the_true_distance_is_found():
    rng = np.random.default_rng(2)
    found = compared([Curves(name="x", **network(rng, 20_000, factor=1.5))])
    assert found.verdict is Verdict.NOT_PRESERVED
    clean = network(rng, 20_000, factor=1.5, noise=0.0)
    a, b = (clean[name].mean(axis=1) for name in "ab")
    expected = np.sqrt(1 - (a @ b) ** 2 / ((a @ a) * (b @ b)))
    assert found.endpoint.estimate.value == pytest.approx(expected, abs=0.01)
    assert found.distance.low < expected < found.distance.high
    assert found.rmse.value == pytest.approx(np.sqrt(((a - b) ** 2).mean()), abs=2e-3)


@pytest.mark.parametrize("amplitudes", [(1e-9, 0.3), (0.3, 1e-9)])
def test_nothing_to_compare(amplitudes):
    first, second = amplitudes
    _, _, unknown = verdicts(2, seeds=10, amplitude=first, b_amplitude=second, n=30)
    assert unknown >= 9


def test_the_weak_stage_is_named():
    rng = np.random.default_rng(3)
    for stage in "ab":
        values = network(rng, 30)
        for name in (stage, f"{stage}_again"):
            values[name] = -values[name]
        found = compared([Curves(name="x", **values)])
        assert found.verdict is Verdict.NOT_IDENTIFIABLE
        assert f"stage {stage} has no autocorrelation to compare" in found.reason


def test_a_flat_curve_shows_no_shift():
    rng = np.random.default_rng(4)
    values = {name: 0.3 + 1e-4 * LAGS[:, None] + np.zeros((14, 20)) for name in NAMES}
    values["a"] = values["a"] + 1e-6 * rng.normal(size=(14, 20))
    found = compared([Curves(name="x", **values)])
    assert (found.verdict, found.endpoint) == (Verdict.NOT_IDENTIFIABLE, None)
    assert (
        found.reason
        == "curve: stage a's autocorrelation does not decay within its lags"
    )


def test_means_alone_need_several_networks():
    full = curves(4, 6)
    means = [
        Curves(name=c.name, **{name: getattr(c, name).mean(axis=1) for name in NAMES})
        for c in full
    ]
    found = compared(means)
    assert found.verdict is Verdict.PRESERVED
    assert found.endpoint.estimate.value == pytest.approx(
        compared(full).endpoint.estimate.value
    )
    one = compared(means[:1])
    assert one.verdict is Verdict.NOT_IDENTIFIABLE
    assert one.reason.endswith("with no interval")
    assert np.isnan([one.distance.low, one.endpoint.estimate.low]).all()


def test_a_silent_stage_is_not_identifiable():
    values = network(np.random.default_rng(5))
    values["b"][:] = np.nan
    found = compared([Curves(name="x", **values)])
    assert found.verdict is Verdict.NOT_IDENTIFIABLE


def test_neurons_that_err_together_are_in_the_interval():
    # In every run one and the same error in the curves of all neurons.
    hits, passed = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = network(rng, noise=0.01)
        for name in NAMES:
            values[name] = values[name] * np.exp(rng.normal(0, 0.4) * LAGS[:, None])
        found = compared([Curves(name="x", **values)], seed)
        hits += found.endpoint.estimate.low < 0 < found.endpoint.estimate.high
        passed += found.verdict is Verdict.NOT_PRESERVED
    assert hits >= 50
    assert passed <= 3
