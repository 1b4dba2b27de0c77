"""Half-lives of curves and codes whose half-life is known."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from isotau.sim.coding.decoding import Fall, by_lag, decode, half_life
from isotau.sim.coding.responses import Responses

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


def test_arguments_are_checked():
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
