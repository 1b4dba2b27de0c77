"""Curves: their means, the distances of their shapes, and the margin."""

import re

import numpy as np
import pytest
from scipy import integrate

from isotau.sim.preservation import Curves
from isotau.sim.preservation.bootstrap import totals
from isotau.sim.preservation.compare_curves import (
    curve_levels,
    log_areas,
    margin,
    mean_curves,
    plain_squares,
    shape_squares,
)

NAMES = ("a", "a_again", "b", "b_again")


@pytest.fixture
def curves():
    rng = np.random.default_rng(0)
    shape = np.exp(-np.arange(6)[:, None] / 2)
    return Curves(
        name="x", **{name: shape + rng.normal(0, 0.1, (6, 8)) for name in NAMES}
    )


def means_of(curves):
    return mean_curves(totals(curve_levels([curves])), curves.lags)[0]


def test_means(curves):
    expected = [getattr(curves, name).mean(axis=1) for name in NAMES]
    np.testing.assert_allclose(means_of(curves), expected)


def test_a_neuron_without_a_value_counts_in_no_run(curves):
    values = {name: getattr(curves, name).copy() for name in NAMES}
    values["b"][2, 3] = np.nan
    means = means_of(Curves(name="x", **values))
    kept = np.arange(8) != 3
    for row, name in zip(means, NAMES, strict=True):
        assert row[2] == pytest.approx(values[name][2, kept].mean())
        assert row[1] == pytest.approx(values[name][1].mean())


def test_distance_of_shapes_is_what_scaling_leaves(curves):
    a, again, b, b_again = means_of(curves)

    def left(x, y):
        fit, *_ = np.linalg.lstsq(x[:, None], y, rcond=None)
        return ((y - fit * x) ** 2).sum() / (y**2).sum()

    apart, floor = shape_squares(means_of(curves))
    cross = [left(x, y) for x in (a, again) for y in (b, b_again)]
    assert apart == pytest.approx(np.mean(cross))
    assert floor == pytest.approx((left(a, again) + left(b_again, b)) / 2)
    scaled = np.stack([a, 2 * a, 3 * a, 0.1 * a])
    np.testing.assert_allclose(shape_squares(scaled), 0, atol=1e-12)
    assert np.isnan(shape_squares(np.zeros((4, 6)))).all()


def test_plain_differences(curves):
    a, again, b, b_again = means_of(curves)
    apart, floor = plain_squares(means_of(curves))
    cross = [((x - y) ** 2).mean() for x in (a, again) for y in (b, b_again)]
    assert apart == pytest.approx(np.mean(cross))
    assert floor == pytest.approx(
        (((a - again) ** 2).mean() + ((b - b_again) ** 2).mean()) / 2
    )


def test_areas_of_exponentials_are_their_timescales():
    k = np.arange(2000)
    a, b = 0.3 * np.exp(-k / 20), 0.1 * np.exp(-k / 40)
    assert np.exp(log_areas(np.stack([a, a, b, b]))) == pytest.approx(2, rel=0.02)
    assert np.isnan(log_areas(np.stack([a, a, -b, -b])))


@pytest.mark.parametrize("factor", [1.1, 1.25, 2.0])
def test_margin_over_all_times(factor):
    product, _ = integrate.quad(lambda t: np.exp(-t - t / factor), 0, 99)
    sizes, _ = integrate.quad(lambda t: np.exp(-2 * t), 0, 99)
    others, _ = integrate.quad(lambda t: np.exp(-2 * t / factor), 0, 999)
    expected = np.sqrt(1 - product**2 / (sizes * others))
    assert expected == pytest.approx((factor - 1) / (factor + 1))
    found = margin(0.2 * np.exp(-np.arange(2000) / 60), np.log(factor))
    assert found == pytest.approx(expected, rel=0.01)


def test_margin_is_small_where_lags_are_few():
    lags = np.arange(14.0)
    short, long = (margin(np.exp(-lags / tau), np.log(1.25)) for tau in (3.0, 14.0))
    assert long < 0.6 * short


@pytest.mark.parametrize(
    "curve", [np.ones(9), np.arange(9.0), -np.ones(9), np.full(9, np.nan), np.eye(9)[0]]
)
def test_no_margin_without_a_decay(curve):
    assert np.isnan(margin(curve, np.log(1.25)))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"a": np.ones((2, 5))},
            "a: got shape (2, 5), need lag × neuron, or lag, of 3",
        ),
        ({"a": np.ones((4, 5, 2))}, "a: got shape (4, 5, 2), need lag × neuron"),
        ({"b": np.ones((4, 4))}, "b: got shape (4, 4), need (4, 5) (lag × neuron)"),
        ({"b": np.full((4, 5), np.inf)}, "b: got inf at [0, 0], need finite numbers"),
    ],
)
def test_refusals(changes, text):
    fields = {name: np.ones((4, 5)) for name in NAMES}
    with pytest.raises(ValueError, match=re.escape(text)):
        Curves(name="x", **fields | changes)


def test_networks_must_match(curves):
    with pytest.raises(ValueError, match="curves: got no network, need at least one"):
        curve_levels([])
    short = Curves(name="y", **{name: np.ones((4, 5)) for name in NAMES})
    with pytest.raises(ValueError, match="y: got 4 lags, need 6 as in x"):
        curve_levels([curves, short])
