"""Figures of states whose timescales are known: Ornstein–Uhlenbeck processes."""

import numpy as np
import pytest

from benchmarks.equal_tau.figures import (
    UnitTraits,
    causes,
    centre_by_condition,
    compare_states,
    explain,
    split_by_window,
    state_run,
)

DT = 0.005
TAUS = np.geomspace(0.02, 0.12, 30)


def processes(taus, *, seed, sd=1.0, trials=60, samples=800):
    """Stationary processes, samples × trials × n, of which τ and SD are known."""
    rng, keep = np.random.default_rng(seed), np.exp(-DT / taus)
    x = np.empty((samples, trials, len(taus)))
    x[0] = rng.normal(size=x[0].shape)
    for k in range(1, samples):
        noise = rng.normal(size=x[0].shape)
        x[k] = keep * x[k - 1] + np.sqrt(1 - keep**2) * noise
    return sd * x


def test_two_runs_of_one_process_are_alike():
    first, second = (state_run(processes(TAUS, seed=k), DT) for k in range(2))
    figures = compare_states(first, second)
    assert figures["with_tau"] == [30, 30, 30] and figures["beyond_in_both"] == 0
    assert figures["ratio"] == pytest.approx(1, abs=0.03)
    assert figures["sd_log"] < 0.06 and figures["correlation"] > 0.99
    assert figures["acf_rms"] < 0.05 and figures["mean_off"] < 0.1
    assert figures["sd_ratio"] == pytest.approx(1, abs=0.02)
    assert figures["tau_s"][0] == pytest.approx(np.median(TAUS), rel=0.08)


def test_faster_and_larger_states_are_seen_as_such():
    first = state_run(processes(TAUS, seed=1), DT)
    second = state_run(processes(TAUS / 2, seed=2, sd=3.0) + 5, DT)
    figures = compare_states(first, second)
    assert figures["ratio"] == pytest.approx(0.5, abs=0.03)
    assert figures["sd_ratio"] == pytest.approx(3, rel=0.03)
    assert figures["mean_off"] == pytest.approx(5, abs=0.2)
    assert figures["acf_rms"] > 0.07


def test_scattered_timescales_have_their_scatter():
    error = np.random.default_rng(3).normal(scale=0.4, size=len(TAUS))
    first = state_run(processes(TAUS, seed=4), DT)
    second = state_run(processes(TAUS * np.exp(error), seed=5), DT)
    figures = compare_states(first, second)
    assert figures["sd_log"] == pytest.approx(error.std(), abs=0.06)
    expected = np.corrcoef(np.log(TAUS), np.log(TAUS) + error)[0, 1]
    assert figures["correlation"] == pytest.approx(expected, abs=0.06)


def test_what_conditions_differ_in_is_no_fluctuation():
    x = processes(TAUS, seed=6)
    conditions = np.arange(x.shape[1]) % 2
    shown = x + 10 * conditions[:, None] * np.linspace(0, 1, len(x))[:, None, None]
    run, mixed = (state_run(shown, DT, c) for c in (conditions, 0 * conditions))
    np.testing.assert_allclose(run.moments.sd, 1, rtol=0.05)
    assert np.median(mixed.moments.sd) > 2
    centred = centre_by_condition(shown, conditions)
    # n less the number of conditions, as in a pooled variance.
    pooled = sum(
        ((shown[0, conditions == k] - shown[0, conditions == k].mean(0)) ** 2).sum(0)
        for k in range(2)
    )
    np.testing.assert_allclose((centred[0] ** 2).sum(0) / 59, pooled / 58)


def test_as_many_conditions_as_trials_are_refused():
    with pytest.raises(ValueError, match="got 4 in 4 trials, need more"):
        centre_by_condition(np.zeros((5, 4, 2)), np.arange(4))


def test_variance_splits_into_that_within_windows_and_between():
    rng = np.random.default_rng(7)
    levels = 3 * rng.normal(size=(1, 400, 2))
    x = levels + rng.normal(size=(403, 400, 2))
    within, between = split_by_window(x, 100)
    assert within.shape == (100, 1600, 2)
    np.testing.assert_allclose(within.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(within.std(axis=(0, 1)), 1, rtol=0.05)
    np.testing.assert_allclose(between, levels.std(axis=1, ddof=1)[0], rtol=0.05)


def test_another_memory_state_shows_between_windows_alone():
    levels = np.random.default_rng(8).choice([-1.0, 1.0], size=(60, 1))
    first, second = (
        state_run(processes(TAUS, seed=k) + size * levels, DT, windowed=True)
        for k, size in ((9, 6.0), (10, 1.5))
    )
    figures = compare_states(first, second)
    assert figures["within"]["ratio"] == pytest.approx(1, abs=0.03)
    assert figures["within"]["sd_ratio"] == pytest.approx(1, abs=0.02)
    assert figures["between_sd_ratio"] == pytest.approx(0.25, abs=0.05)
    assert figures["between_share"][0] > 0.9 > figures["between_share"][1]


def test_a_unit_that_stands_still_has_no_timescale():
    x = processes(TAUS, seed=11)
    still = x.copy()
    still[..., :5] = 2.0
    figures = compare_states(state_run(x, DT), state_run(still, DT))
    assert figures["with_tau"] == [30, 25, 25]
    assert figures["sd_ratio"] == pytest.approx(1)


def test_units_with_strong_weights_are_named():
    fast = np.where(np.arange(30) < 6, 0.3, 1.0)
    first = state_run(processes(TAUS, seed=12), DT)
    x = processes(TAUS * fast, seed=13) * np.where(fast < 1, 1.8, 1.0)
    second = state_run(x, DT)
    traits = UnitTraits(
        tau=TAUS,
        weights=np.where(fast < 1, 5.0, 1.0),
        rate_hz=np.full(30, 20.0),
        highest_hz=333.0,
    )
    why = explain(first, second, traits)
    assert why["far"] == why["too_fast"] == 6
    assert why["weights"] == [5.0, 1.0]
    assert why["error_weights_correlation"] > 0.9
    assert why["sd_tau_correlation"] < -0.9
    assert causes(why, compare_states(first, second)) == ["shot noise"]


def test_other_states_saturation_and_slowness_are_named():
    first = state_run(processes(TAUS, seed=14), DT)
    slow = np.where(np.arange(30) < 6, 30.0, TAUS)
    second = state_run(processes(slow, seed=15) + 4, DT)
    traits = UnitTraits(TAUS, np.ones(30), np.full(30, 300.0), 333.0)
    # Held against the slow one: its units have no τ within the lags.
    why, compared = explain(second, first, traits), compare_states(second, first)
    named = causes(why, compared)
    assert named == ["another state", "saturation", "slower than the window"]
