"""The fit of decays: exact ones come back, and noisy ones as from scipy's curve_fit."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from isotau.sim.timescales.estimators import decay_fit
from isotau.sim.timescales.estimators.decay_fit import Shapes
from isotau.sim.timescales.records.record import Status

TIMES = np.arange(1, 15) * 0.05
TAUS = decay_fit.timescale_grid(0.05, 2.0)
ONES = np.ones((14, 1))


@pytest.mark.parametrize("offset", decay_fit.OFFSETS)
def test_exact_exponentials_come_back(offset):
    level = 0.0 if offset == "none" else 0.1
    true = np.geomspace(0.012, 1.9, 40)
    y = 0.3 * np.exp(-TIMES[:, None] / true) + level
    found = decay_fit.fit_exponential(y, np.ones_like(y), TAUS, TIMES, offset)
    np.testing.assert_allclose(found.tau, true, rtol=2e-4)
    np.testing.assert_allclose(found.amplitude, 0.3, rtol=5e-4)
    np.testing.assert_allclose(found.offset, level, atol=1e-4)
    np.testing.assert_allclose(found.goodness, 1, atol=1e-6)
    assert set(found.status) == {Status.OK}


@pytest.mark.parametrize("weighted", [False, True])
def test_noisy_ones_are_those_of_scipy(weighted):
    rng = np.random.default_rng(0)
    pairs = np.arange(19.0, 5, -1)[:, None] if weighted else ONES
    y = 0.3 * np.exp(-TIMES / 0.12) + 0.05 + 0.01 * rng.standard_normal(14)
    found = decay_fit.fit_exponential(y[:, None], pairs, TAUS, TIMES, "free")
    (a, tau, b), _ = curve_fit(
        lambda t, a, tau, b: a * np.exp(-t / tau) + b,
        TIMES,
        y,
        p0=(0.3, 0.1, 0),
        sigma=1 / np.sqrt(pairs[:, 0]),
    )
    assert found.tau[0] == pytest.approx(tau, rel=2e-4)
    assert found.amplitude[0] == pytest.approx(a, rel=5e-4)
    assert found.offset[0] == pytest.approx(b, abs=2e-4)
    w = pairs[:, 0] / pairs.sum()
    left = w @ (y - a * np.exp(-TIMES / tau) - b) ** 2
    assert found.goodness[0] == pytest.approx(1 - left / (w @ (y - w @ y) ** 2))


def test_lags_without_a_value_are_left_out():
    y = 0.3 * np.exp(-TIMES / 0.12) + 0.05
    gaps = y.copy()
    gaps[[3, 9]] = np.nan
    spoilt = y.copy()
    spoilt[5] = 7.0
    weights = np.ones((14, 3))
    weights[5, 2] = 0
    found = decay_fit.fit_exponential(
        np.stack((y, gaps, spoilt), axis=1), weights, TAUS, TIMES, "free"
    )
    np.testing.assert_allclose(found.tau, 0.12, rtol=2e-4)


def test_an_offset_below_zero_is_cut_where_it_must_be_positive():
    y = np.stack(
        [0.3 * np.exp(-TIMES / 0.2) + b for b in (-0.1, 0.1)] + [TIMES], axis=1
    )
    weights = np.ones_like(y)
    free, positive, none = (
        decay_fit.fit_exponential(y, weights, TAUS, TIMES, offset)
        for offset in ("free", "positive", "none")
    )
    assert free.offset[0] == pytest.approx(-0.1, abs=1e-3)
    assert positive.offset[0] == 0
    assert positive.tau[0] == none.tau[0] < free.tau[0]
    assert positive.tau[1] == free.tau[1]
    assert positive.status[2] is Status.NO_DECAY


def test_other_terms_take_up_their_share():
    cosine = np.cos(2 * np.pi * 2 * TIMES)
    shapes = Shapes(TAUS, decay_fit.exponentials(TAUS, TIMES), cosine[None])
    y = 0.5 * np.exp(-TIMES / 0.08) + 0.4 * cosine
    found = decay_fit.fit_shapes(y[:, None], ONES, shapes)
    assert found.tau[0] == pytest.approx(0.08, rel=2e-4)
    assert found.offset[0] == pytest.approx(0.4, rel=1e-3)


def test_statuses():
    one = np.eye(1, 14)[0]  # as fast as can be
    line = 1 - TIMES  # as slow as can be
    short = np.where(np.arange(14) < 3, 1 - TIMES, np.nan)
    y = np.stack((one, line, TIMES, np.full(14, 0.2), short), axis=1)
    found = decay_fit.fit_exponential(y, np.ones_like(y), TAUS, TIMES, "free")
    assert tuple(found.status) == (
        Status.AT_BOUND,
        Status.AT_BOUND,
        Status.NO_DECAY,
        Status.NO_DECAY,
        Status.UNDEFINED,
    )
    assert found.tau[:2] == pytest.approx([0.01, 2.0])
    assert np.isnan(found.tau[2:]).all()
    assert np.isnan(found.amplitude[2:]).all()


def test_what_a_fit_counts_as_for_both_ends_of_an_interval():
    """Where nothing decays any τ will do, at the shortest τ any below it."""
    sound, fast = 0.3 * np.exp(-TIMES / 0.12), np.eye(1, 14)[0]
    short = np.where(np.arange(14) < 3, 1 - TIMES, np.nan)
    y = np.stack((sound, TIMES, fast, short), axis=1)
    found = decay_fit.fit_exponential(y, np.ones_like(y), TAUS, TIMES, "free")
    assert found.status[2] is Status.AT_BOUND
    np.testing.assert_array_equal(found.least, [found.tau[0], 0, 0, np.nan])
    np.testing.assert_array_equal(found.most, [*found.tau[[0]], np.inf, *found.tau[2:]])


def test_the_timescales_tried():
    assert decay_fit.timescale_grid(0.05, 1.0)[[0, -1]] == pytest.approx([0.01, 1.0])
    assert decay_fit.timescale_grid(0.05, 1.0, 0.1)[0] == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r"max_tau: got 0\.1 s, need more than 0\.2 s"):
        decay_fit.timescale_grid(0.05, 0.1, 0.2)
    with pytest.raises(ValueError, match=r"min_tau: got 0\.0, need numbers greater"):
        decay_fit.timescale_grid(0.05, 0.1, 0.0)
