"""Distances grow with the error that was put in."""

import re

import numpy as np
import pytest
from scipy import stats

from isotau.sim.preservation import (
    Curves,
    PreservationConfig,
    Sensitivity,
    Verdict,
    sensitivity,
)
from isotau.sim.preservation.sensitivity import DISTANCES, Trend, trend

CONFIG = PreservationConfig(draws=200)
LEVELS = [0.0, 0.1, 0.2, 0.3, 0.5]


def test_a_growing_error(make_pairs):
    pairs = [
        make_pairs(0, 4, 60, shift=level, scatter=level, lost=level) for level in LEVELS
    ]
    found = sensitivity(LEVELS, pairs, CONFIG, rng=np.random.default_rng(0))
    assert found.trends["distance"].kendall == pytest.approx(1)
    assert found.trends["distance"].p == pytest.approx(1 / 120)
    assert found.trends["shift"].kendall > 0.7
    assert found.verdicts[0] is not Verdict.NOT_PRESERVED
    assert found.verdicts[-1] is Verdict.NOT_PRESERVED
    assert np.isnan(found.curve).all()
    assert "curve" not in found.trends


def test_signs_do_not_matter_and_levels_may_repeat(make_pairs):
    levels = [0.4, 0.2, 0.0, 0.2, 0.4]
    pairs = [make_pairs(0, 3, 60, shift=shift) for shift in (-0.4, -0.2, 0.0, 0.2, 0.4)]
    found = sensitivity(levels, pairs, CONFIG, rng=np.random.default_rng(0))
    assert (found.shift >= 0).all()
    assert found.trends["shift"].kendall > 0.8


def test_a_silent_level_is_a_distance(make_pairs):
    pairs = [make_pairs(0, 2, 40, lost=lost) for lost in (0.0, 0.3, 1.1)]
    pairs.append(make_pairs(0, 2, 5))
    found = sensitivity([0, 1, 2, 3], pairs, CONFIG, rng=np.random.default_rng(0))
    assert np.isnan(found.shift[2])
    assert found.distance[2] > found.distance[1] > found.distance[0]
    assert np.isnan(found.distance[3])


def test_curves_too(make_pairs):
    rng = np.random.default_rng(1)
    lags = np.arange(1, 10)[:, None]

    def network(factor):
        tau = 3 * np.exp(0.3 * rng.normal(size=30))
        a, b = (0.3 * np.exp(-lags / tau / f) for f in (1.0, factor))
        noisy = [x + 0.02 * rng.normal(size=x.shape) for x in (a, b, a, b)]
        names = ("a", "b", "a_again", "b_again")
        return Curves(name="x", **dict(zip(names, noisy, strict=True)))

    curves = [[network(1 + level)] for level in LEVELS]
    pairs = [make_pairs(0, 1, 30)] * len(LEVELS)
    found = sensitivity(
        LEVELS, pairs, CONFIG, rng=np.random.default_rng(0), curves_by_level=curves
    )
    assert found.trends["curve"].kendall > 0.7


def test_trend_is_kendall_s():
    levels, values = np.array([0.0, 1, 1, 2, 3]), np.array([1.0, 3, np.nan, 2, 5])
    expected = stats.kendalltau([0, 1, 2, 3], [1, 3, 2, 5], alternative="greater")
    found = trend(levels, values)
    assert (found.kendall, found.p) == pytest.approx(tuple(expected))


def test_refusals(make_pairs):
    rng = np.random.default_rng(0)
    pairs = [make_pairs(0, 1, 20)]
    with pytest.raises(ValueError, match="pairs_by_level: got 1 levels, need 2"):
        sensitivity([0, 1], pairs, rng=rng)
    with pytest.raises(ValueError, match="curves_by_level: got 0 levels, need 1"):
        sensitivity([0], pairs, rng=rng, curves_by_level=[])
    text = "levels: got -1.0 at [0], need numbers of at least 0.0"
    with pytest.raises(ValueError, match=re.escape(text)):
        sensitivity([-1], pairs, rng=rng)
    columns = {name: np.zeros(2) for name in DISTANCES}
    with pytest.raises(ValueError, match="curve: got 1 entries, need 2 as in levels"):
        Sensitivity(
            levels=[0, 1],
            verdicts=(Verdict.PRESERVED,) * 2,
            trends={},
            **columns | {"curve": np.zeros(1)},
        )
    with pytest.raises(TypeError, match="need a number or NaN"):
        Trend(kendall="1", p=0.0)
