"""Intervals: percentiles, the jackknife, and differences of variances."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from isotau.sim.preservation import Estimate
from isotau.sim.preservation.verdict import (
    difference_of_positives,
    hull,
    jackknife_error,
    percentile,
    signed_root,
    t_interval,
)

NAN = math.nan


def test_refusals():
    text = "low: got 2.0, need at most high, 1.0"
    with pytest.raises(ValueError, match=re.escape(text)):
        Estimate(value=0.0, low=2.0, high=1.0)
    for odd in ("1", None, True):
        with pytest.raises(TypeError, match=r"value: got .*, need a number or NaN"):
            Estimate(value=odd)


def test_infinite_ends_are_allowed():
    assert Estimate(value=1, low=-math.inf, high=math.inf).high == math.inf


def test_percentiles_are_those_of_a_known_distribution():
    draws = np.stack([np.linspace(0, 100, 1001), np.full(1001, NAN)])
    draws[1, :990] = 1.0
    low, high = percentile(draws, 0.9)
    assert low == pytest.approx([5, 1])
    assert high == pytest.approx([95, 1])


def test_percentiles_need_most_draws():
    draws = np.ones(100)
    draws[:6] = NAN
    assert np.isnan(percentile(draws, 0.9)).all()
    assert not np.isnan(percentile(draws[2:], 0.9)).any()


def test_jackknife_of_a_mean_is_the_textbook_s():
    x = np.random.default_rng(0).normal(size=17)
    error, freedom = jackknife_error([(x.sum() - x) / 16])
    assert error == pytest.approx(stats.sem(x))
    assert freedom == 16
    expected = stats.t.interval(0.9, 16, x.mean(), stats.sem(x))
    assert t_interval(x.mean(), error, freedom, 0.9) == pytest.approx(expected)


def test_jackknife_of_groups_adds_their_variances():
    x, y = np.arange(5.0), np.array([2.0, 9, 4])
    error, freedom = jackknife_error([(x.sum() - x) / 4, (y.sum() - y) / 2])
    assert error == pytest.approx(np.hypot(stats.sem(x), stats.sem(y)))
    assert freedom == 6


@pytest.mark.parametrize("units", [[], [1.0], [NAN, 1.0, 2.0]])
def test_no_interval_without_units(units):
    error, freedom = jackknife_error([np.array(units)])
    assert np.isnan(t_interval(0.0, error, freedom, 0.9)).all()


def test_hull():
    assert hull((0, 2), (1, 3)) == (0, 3)
    assert np.isnan(hull((0, 2), (1, NAN))).all()


def test_signed_root():
    assert [signed_root(x) for x in (4.0, -4.0, 0.0)] == [2, -2, 0]
    assert signed_root(math.inf) == math.inf
    assert math.isnan(signed_root(NAN))


def test_difference_of_positives_is_symmetric_for_symmetric_intervals():
    low, high = difference_of_positives((5, 2, 8), (3, -1, 7))
    assert (low, high) == pytest.approx((2 - 5, 2 + 5))


def test_difference_of_variances_covers():
    # Independent χ² intervals of two normal variances, n = 15: the difference is
    # covered as often as it says, on both sides.
    rng = np.random.default_rng(1)
    n, truth, misses = 15, 2.0 - 0.7, []
    for _ in range(2000):
        sides = []
        for variance in (2.0, 0.7):
            s2 = rng.normal(0, np.sqrt(variance), n).var(ddof=1)
            ends = (n - 1) * s2 / stats.chi2.ppf([0.95, 0.05], n - 1)
            sides.append((s2, *ends))
        low, high = difference_of_positives(*sides)
        misses.append((truth < low, truth > high))
    below, above = np.mean(misses, axis=0)
    assert 0.03 < below < 0.07
    assert 0.03 < above < 0.07
