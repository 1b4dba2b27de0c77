"""Decoders against the accuracy that Gaussian classes have in closed form.

Half-lives of curves and codes whose half-life is known.
"""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from isotau.sim.coding.decoding import (
    Decoding,
    Fall,
    accuracy,
    by_lag,
    decode,
    half_life,
    logistic,
)
from isotau.sim.coding.responses import Responses
from isotau.sim.coding.shrinkage_lda import ShrinkageLDA

SPEED = np.pi
"""Radians per second by which the code turns."""


def turning(rng, trials=1500, samples=6, noise=1.0, size=1.0, dt=0.1):
    """Two units; ±size (cos ωt, sin ωt) in white noise."""
    angle = SPEED * dt * np.arange(samples)
    axis = size * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    condition = np.repeat([0, 1], trials)
    sign = np.where(condition == 0, -1, 1)
    rates = axis[:, None] * sign[:, None]
    rates = rates + noise * rng.normal(size=rates.shape)
    return Responses(rates=rates, condition=condition, dt=dt)


@pytest.mark.parametrize("classifier", [ShrinkageLDA, logistic])
def test_accuracy_of_a_turning_code(classifier):
    """A decoder trained at t₁ is right at t₂ with Φ(S cos(ω (t₁ − t₂))/σ)."""
    rng = np.random.default_rng(0)
    found = decode(turning(rng), rng=rng, folds=3, classifier=classifier)
    lag = found.times[:, None] - found.times
    want = norm.cdf(np.cos(SPEED * lag))
    # SE of 3000 trials: 0.008; where the code has turned by 90° the error of the
    # decoder's direction, 0.03 radians, makes it 0.015.
    np.testing.assert_allclose(accuracy(found), want, atol=0.05)
    assert abs((accuracy(found) - want).mean()) < 0.015
    assert found.units == 2


def test_no_code_is_chance():
    rng = np.random.default_rng(0)
    found = decode(turning(rng, size=0, trials=400), rng=rng, repeats=2)
    assert np.abs(accuracy(found) - 0.5).max() < 4 * 0.5 / np.sqrt(800)


def test_trials_were_held_out():
    """With as many units as trials and no code, a decoder fits its training alone."""
    rng = np.random.default_rng(0)
    condition = np.repeat([0, 1], 40)
    rates = rng.normal(size=(1, 80, 200))
    found = decode(Responses(rates=rates, condition=condition, dt=1.0), rng=rng)
    assert abs(accuracy(found)[0, 0] - 0.5) < 4 * 0.5 / np.sqrt(80)


def test_some_units_and_training_times():
    rng = np.random.default_rng(0)
    responses = turning(rng, trials=300)
    one = decode(responses, np.array([True, False]), rng=rng, train=(0.2, 0.4))
    np.testing.assert_allclose(one.trained, [0.2, 0.3])
    assert one.right.shape == (2, 6, 600) and one.units == 1
    # The first unit's code, cos ωt, changes its sign after half a second.
    want = norm.cdf(np.cos(SPEED * responses.times))
    np.testing.assert_allclose(accuracy(one)[0], want, atol=0.08)


def test_silent_units_leave_a_decoder_undecided():
    rates = np.zeros((2, 20, 3))
    condition = np.repeat([0, 1], 10)
    responses = Responses(rates=rates, condition=condition, dt=0.1)
    found = decode(responses, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(found.right, 0.5)


def test_folds_are_dealt_label_by_label():
    """What is wrong with each held-out label shows that every fold saw all labels.

    Label 3 sits where condition 0 is; a decoder that sees it in training knows.
    """
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1, 2, 3], 10)
    place = np.array([[-3, 0], [-3, 0], [3, 0], [-3, 9]])[labels]
    rates = (place + 0.1 * rng.normal(size=place.shape))[None]
    found = decode(
        Responses(rates=rates, condition=labels // 2, labels=labels, dt=1.0),
        rng=rng,
        classifier=logistic,
    )
    assert accuracy(found)[0, 0] == 1


def test_by_lag_averages_over_training_times():
    times = np.arange(5) * 0.1
    right = np.zeros((3, 5, 2))
    for row, t in enumerate((1, 2, 3)):
        for test in range(5):
            right[row, test] = [10 * t + test, -1]
    found = Decoding(right=right, trained=times[1:4], times=times, units=1)
    curves, lags = by_lag(found, (0.1, 0.3), 0.4)
    np.testing.assert_allclose(lags, [0, 0.1, 0.2])
    # From 0.1 s: 11, 12, 13; from 0.2 s: 22, 23, and 0.4 s is too late.
    np.testing.assert_allclose(curves, [[16.5, 17.5, 13], [-1, -1, -1]])
    with pytest.raises(ValueError, match=r"train: got no sample in 0.5 to 0.4 s, need"):
        by_lag(found, (0.5, 0.7), 0.4)


def test_arguments_are_checked():
    rng = np.random.default_rng(0)
    responses = turning(rng, trials=4)
    with pytest.raises(ValueError, match="folds: got 5 for 4 trials of a condition"):
        decode(responses, rng=rng)
    with pytest.raises(ValueError, match="chosen: got no unit, need at least one"):
        decode(responses, np.zeros(2, dtype=bool), rng=rng, folds=2)
    with pytest.raises(
        ValueError, match=r"train: got no sample in 3 to 4 s, need some"
    ):
        decode(responses, rng=rng, folds=2, train=(3, 4))
    with pytest.raises(
        ValueError, match=r"right: got shape \(2, 2, 3\), need \(1, 2\)"
    ):
        Decoding(right=np.ones((2, 2, 3)), trained=[0], times=[0, 1], units=1)


LAGS = np.arange(15) * 0.05


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("half", [0.08, 0.2, 0.5])
def test_an_exponential_falls_to_half_where_it_should(half):
    curve = 0.5 + 0.4 * 0.5 ** (LAGS / half)
    found = half_life(np.tile(curve, (4, 1)), LAGS, rng=rng())
    assert found.status is Fall.OK
    # A chord lies above the curve, by at most h²/8 times f″/f′ = ln 2/half in time.
    assert found.value == pytest.approx(half, abs=1.2 * 0.05**2 / 8 * np.log(2) / half)
    assert found.low == pytest.approx(found.value) == found.high
    np.testing.assert_allclose(found.fitted, curve)


def test_noise_makes_no_early_crossing():
    curve = 0.5 + 0.4 * 0.5 ** (LAGS / 0.4)
    dipped = curve.copy()
    dipped[2] = 0.62
    found = half_life(dipped[None], LAGS, rng=rng())
    assert found.value > 0.3
    assert (np.diff(found.fitted) <= 0).all()
    assert np.isnan([found.low, found.high]).all() and found.rows == 1


def test_a_stable_code_never_falls():
    curves = np.clip(0.9 + 0.02 * rng().normal(size=(30, 15)), 0, 1)
    found = half_life(curves, LAGS, rng=rng())
    assert found.status is Fall.NEVER and np.isnan(found.value)
    assert found.low == np.inf == found.high


def test_a_code_that_may_not_fall_has_no_upper_end():
    """Half of the networks hold, half forget; the mean falls just below half."""
    hold = np.full((5, 15), 0.9)
    lose = 0.5 + 0.4 * np.exp(-LAGS / 0.1)
    found = half_life(np.vstack([hold[:-1], np.tile(lose, (5, 1))]), LAGS, rng=rng())
    assert found.status is Fall.OK and found.high == np.inf
    assert 0 < found.low < found.value


def test_no_code_has_no_half_life():
    curves = 0.5 + 0.1 * rng().normal(size=(40, 15))
    found = half_life(curves, LAGS, rng=rng())
    assert found.status is Fall.NO_CODE
    assert np.isnan([found.value, found.low, found.high]).all()
    below = half_life(np.full((3, 15), 0.3), LAGS, rng=rng())
    assert below.status is Fall.NO_CODE


def test_half_life_of_a_turning_code():
    """Accuracy Φ(S cos(ωt)/σ); the interval over trials covers the exact answer."""
    speed, samples, dt, trials = 2.0, 16, 0.05, 1000
    source = rng()
    angle = speed * dt * np.arange(samples)
    condition = np.repeat([0, 1], trials)
    axis = np.stack([np.cos(angle), np.sin(angle)], axis=1)[:, None]
    rates = axis * np.where(condition == 0, -1, 1)[:, None]
    rates = rates + source.normal(size=rates.shape)
    made = decode(
        Responses(rates=rates, condition=condition, dt=dt),
        rng=source,
        folds=3,
        train=(0, 0.1),
    )
    curves, lags = by_lag(made, (0, 0.1), 1.0)
    found = half_life(curves, lags, rng=source, resamples=300)

    def above_half(t):
        return norm.cdf(np.cos(speed * t)) - 0.5 - (norm.cdf(1) - 0.5) / 2

    truth = brentq(above_half, 0, 0.75)
    assert found.value == pytest.approx(truth, rel=0.1)
    assert found.low < truth < found.high
    assert found.high - found.low < 0.3 * truth
    assert found.rows == 2 * trials


def test_arguments_of_half_lives_are_checked():
    with pytest.raises(ValueError, match="level: got 1, need a number between"):
        half_life(np.ones((2, 15)), LAGS, rng=rng(), level=1)
    with pytest.raises(
        ValueError, match=r"lags: got \[0\.\], need two or more, rising"
    ):
        half_life(np.ones((2, 1)), np.zeros(1), rng=rng())
    with pytest.raises(ValueError, match=r"lags: got \[0\.1 0\.2\], need two or more"):
        half_life(np.ones((2, 2)), np.array([0.1, 0.2]), rng=rng())
    with pytest.raises(ValueError, match="curves: got nan"):
        half_life(np.full((2, 15), np.nan), LAGS, rng=rng())


def test_records_are_checked():
    found = half_life(np.full((3, 15), 0.9), LAGS, rng=rng())
    with pytest.raises(ValueError, match=r"value: got 0.1 with status 'never falls"):
        dataclasses.replace(found, value=0.1)
    with pytest.raises(ValueError, match=r"accuracy: got shape \(2,\), need \(15,\)"):
        dataclasses.replace(found, accuracy=np.ones(2))
