"""What endpoints say, alone and together.

Intervals: percentiles, the jackknife, and differences of variances.
"""

import math
import re

import numpy as np
import pytest
from scipy import stats

from isotau.sim.preservation import Endpoint, Estimate, Verdict
from isotau.sim.preservation.verdict import (
    decide,
    difference_of_positives,
    hull,
    jackknife_error,
    judge,
    percentile,
    sentence,
    signed_root,
    t_interval,
)

NAN, INF = math.nan, math.inf


def endpoint(name, low, high, margin=0.2, value=None):
    if value is None:
        value = (low + high) / 2
    found = Estimate(value=value, low=low, high=high)
    return Endpoint(name=name, estimate=found, margin=margin, level=0.9)


YES, NO, UNKNOWN = Verdict


@pytest.mark.parametrize(
    ("name", "low", "high", "verdict"),
    [
        ("shift", -0.19, 0.19, YES),
        ("shift", -0.2, 0.1, UNKNOWN),
        ("shift", -0.3, 0.1, UNKNOWN),
        ("shift", 0.1, 0.3, UNKNOWN),
        ("shift", -0.3, 0.3, UNKNOWN),
        ("shift", 0.21, 0.3, NO),
        ("shift", -0.3, -0.21, NO),
        ("shift", NAN, NAN, UNKNOWN),
        ("scatter", -9.0, 0.19, YES),
        ("scatter", -9.0, 0.2, UNKNOWN),
        ("scatter", 0.21, INF, NO),
        ("loss", -0.9, -0.3, YES),
        ("curve", 0.0, 0.19, YES),
    ],
)
def test_one_endpoint(name, low, high, verdict):
    assert judge(endpoint(name, low, high, value=0.0)) is verdict


def test_all_must_be_inside_and_one_outside_is_enough():
    inside, outside = endpoint("shift", -0.1, 0.1), endpoint("scatter", 0.3, 0.4)
    unsure = endpoint("loss", 0.0, 0.3)
    assert decide([inside])[0] is YES
    assert decide([inside, unsure])[0] is UNKNOWN
    assert decide([inside, outside, unsure])[0] is NO


def test_the_sentence_is_on_what_decided():
    near = endpoint("scatter", 0.0, 0.19)
    assert decide([endpoint("shift", -0.1, 0.1), near])[1] == sentence(near)
    lower = endpoint("shift", -0.195, 0.0)
    assert decide([lower, near])[1] == sentence(lower)
    worse = endpoint("loss", 0.9, 1.0, margin=0.1)
    assert decide([endpoint("shift", 0.3, 0.4), worse])[1] == sentence(worse)
    wide = endpoint("scatter", -0.3, 0.6)
    assert decide([endpoint("loss", 0.1, 0.3), wide])[1] == sentence(wide)
    nothing = endpoint("shift", NAN, NAN)
    assert decide([nothing, wide])[1] == "shift: nothing to measure it by"


def test_sentences_name_estimate_interval_and_margin():
    margin = math.log(1.25)
    found = sentence(endpoint("shift", math.log(0.9), math.log(1.1), margin, 0.0))
    assert found == (
        "shift: τ_b/τ_a is 1.000 (90% interval 0.900 to 1.100), inside 0.800 to 1.250"
    )
    found = sentence(endpoint("loss", 0.2, 0.4, 0.1, 0.3))
    assert found == (
        "loss: beyond a repeat's, 0.300 of the identified neurons are lost (90% "
        "interval 0.200 to 0.400), outside the margin of 0.100"
    )
    assert "neither inside nor outside" in sentence(endpoint("curve", 0.1, 0.3))
    assert sentence(endpoint("scatter", NAN, NAN, value=0.1)).endswith("no interval")
    assert "inf" in sentence(endpoint("shift", 0.0, INF, value=1.0))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "odd"}, "name: got 'odd', need one of shift, scatter, loss, curve"),
        ({"margin": 0.0}, "margin: got 0.0, need numbers greater than 0"),
        ({"level": 1.0}, "level: got 1.0, need less than 1"),
    ],
)
def test_refusals(changes, text):
    fields = {
        "name": "loss",
        "estimate": Estimate(value=0.0),
        "margin": 1,
        "level": 0.9,
    }
    with pytest.raises(ValueError, match=re.escape(text)):
        Endpoint(**fields | changes)


UNKNOWN_NUMBER = math.nan


def test_estimates_are_refused():
    text = "low: got 2.0, need at most high, 1.0"
    with pytest.raises(ValueError, match=re.escape(text)):
        Estimate(value=0.0, low=2.0, high=1.0)
    for odd in ("1", None, True):
        with pytest.raises(TypeError, match=r"value: got .*, need a number or NaN"):
            Estimate(value=odd)


def test_infinite_ends_are_allowed():
    assert Estimate(value=1, low=-math.inf, high=math.inf).high == math.inf


def test_percentiles_are_those_of_a_known_distribution():
    draws = np.stack([np.linspace(0, 100, 1001), np.full(1001, UNKNOWN_NUMBER)])
    draws[1, :990] = 1.0
    low, high = percentile(draws, 0.9)
    assert low == pytest.approx([5, 1])
    assert high == pytest.approx([95, 1])


def test_percentiles_need_most_draws():
    draws = np.ones(100)
    draws[:6] = UNKNOWN_NUMBER
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


@pytest.mark.parametrize("units", [[], [1.0], [UNKNOWN_NUMBER, 1.0, 2.0]])
def test_no_interval_without_units(units):
    error, freedom = jackknife_error([np.array(units)])
    assert np.isnan(t_interval(0.0, error, freedom, 0.9)).all()


def test_hull():
    assert hull((0, 2), (1, 3)) == (0, 3)
    assert np.isnan(hull((0, 2), (1, UNKNOWN_NUMBER))).all()


def test_signed_root():
    assert [signed_root(x) for x in (4.0, -4.0, 0.0)] == [2, -2, 0]
    assert signed_root(math.inf) == math.inf
    assert math.isnan(signed_root(UNKNOWN_NUMBER))


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
