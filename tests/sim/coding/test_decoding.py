"""Decoders against the accuracy that Gaussian classes have in closed form."""

import numpy as np
import pytest
from scipy.stats import norm

from isotau.sim.coding.decoding import (
    Decoding,
    accuracy,
    by_lag,
    decode,
    logistic,
    shrinkage_lda,
)
from isotau.sim.coding.responses import Responses

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


@pytest.mark.parametrize("classifier", [shrinkage_lda, logistic])
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
