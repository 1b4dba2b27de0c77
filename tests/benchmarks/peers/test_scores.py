"""Scores and comparisons, of answers made up here."""

import numpy as np
import pytest

from benchmarks.peers.methods import Found, without_interval
from benchmarks.peers.scores import compared, nearest, scored, share

TRUTHS = {"1/e": 0.1, "slow part": 0.2}


def test_units_without_a_timescale_are_counted_apart():
    tau = np.array([0.1, 0.1 * np.e, np.nan, -1.0])
    found = Found(tau, np.array([0.05, 0.2, np.nan, 0.0]), np.array([0.2, np.inf] * 2))
    result = scored(found, TRUTHS)
    assert (result["units"], result["with_tau"]) == (4, 2)
    score = result["by"]["1/e"]
    assert score["bias"] == pytest.approx(0.5)
    assert score["rmse"] == pytest.approx(np.sqrt(0.5))
    assert score["typical"] == pytest.approx(0.5)
    # An end at infinity is an interval; that of a unit without a τ does not count.
    assert (score["bounded"], score["covered"]) == (2, 1)
    assert result["by"]["slow part"]["covered"] == 2


def test_an_answer_without_any_timescale_has_no_score():
    result = scored(without_interval(np.full(3, np.nan)), TRUTHS)
    assert result["with_tau"] == 0 and result["median_s"] is None
    assert result["by"]["1/e"]["rmse"] is None


def test_a_method_is_judged_by_what_it_means():
    found = without_interval(np.array([0.19, 0.21]))
    np.testing.assert_allclose(nearest(found, TRUTHS), np.log([0.95, 1.05]))


def test_errors_are_compared_on_units_that_both_have():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(200)
    ours = without_interval(0.1 * np.exp(0.1 * noise))
    tau = 0.1 * np.exp(0.2 * noise[:50])
    # Where theirs has none, ours is as if it had never been asked.
    tau[:10] = np.nan
    found = compared(ours, without_interval(tau), {"τ": 0.1}, rng)
    assert found["units"] == 40
    assert found["ratio"] == pytest.approx(0.5)
    assert found["low"] == pytest.approx(0.5) and found["high"] == pytest.approx(0.5)
    used = noise[10:50]
    assert found["ours_rmse"] == pytest.approx(0.1 * np.sqrt(np.mean(used**2)))


def test_a_ratio_of_equals_has_an_interval_about_1():
    rng = np.random.default_rng(1)
    first, second = (
        without_interval(0.1 * np.exp(0.1 * rng.standard_normal(100))) for _ in range(2)
    )
    found = compared(first, second, {"τ": 0.1}, rng)
    assert found["low"] < 1 < found["high"]
    assert 0.6 < found["low"] and found["high"] < 1.7


def test_one_unit_is_no_comparison():
    one, none = without_interval(np.array([0.1])), without_interval(np.array([np.nan]))
    rng = np.random.default_rng(0)
    assert compared(one, one, {"τ": 0.2}, rng) == {"units": 1}
    assert compared(one, none, {"τ": 0.2}, rng) == {"units": 0}


def test_shares_have_exact_intervals():
    found = share(19, 20)
    assert found is not None
    assert found["share"] == 0.95
    assert found["low"] == pytest.approx(0.751, abs=1e-3)
    assert found["high"] == pytest.approx(0.9987, abs=1e-4)
    assert share(0, 0) is None
