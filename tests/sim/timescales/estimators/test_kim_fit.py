"""The published fit: exact decays, its start, and what it says of each curve."""

import numpy as np
import pytest

from isotau.sim.timescales.estimators.kim_fit import (
    Decay,
    Fits,
    explained,
    first_fall,
    fit_decay,
    fitted,
    judged,
)
from isotau.sim.timescales.records.record import Status


@pytest.mark.parametrize("tau", [0.03, 0.1, 0.4])
@pytest.mark.parametrize(
    ("amplitude", "offset"), [(0.4, 0.0), (0.1, 0.5), (2.0, -0.01)]
)
def test_an_exact_exponential_is_found_from_zero(tau, amplitude, offset):
    k = -0.05 / tau
    y = amplitude * (np.exp(k * np.arange(1, 15)) + offset)
    fit = fit_decay(y)
    assert fit.rate == pytest.approx(k, rel=1e-5)
    assert fit.amplitude == pytest.approx(amplitude, rel=1e-5)
    assert fit.offset == pytest.approx(offset, abs=1e-5)
    assert explained(y, fit) == pytest.approx(1)


@pytest.mark.parametrize("offset", [-0.3, -0.25])
def test_the_published_start_misses_a_decay_around_a_negative_mean(offset):
    """A starts at 0 and takes the sign of the mean; the decay is plain to see."""
    y = np.exp(-0.5 * np.arange(1, 15)) + offset
    assert y.mean() < 0
    assert fit_decay(y).rate >= 0


def test_the_fit_is_a_least_squares_minimum():
    """The best A and B for any k follow from linear regression; scan k for the best."""
    rng = np.random.default_rng(0)
    x = np.arange(1, 15)
    y = 0.3 * np.exp(-0.5 * x) + 0.1 + 0.01 * rng.standard_normal(14)
    fit = fit_decay(y)

    def loss(k):
        terms = np.stack((np.exp(k * x), np.ones(14)), axis=1)
        return np.linalg.lstsq(terms, y, rcond=None)[1][0]

    grid = np.linspace(-2, -0.05, 3901)
    best = grid[np.argmin([loss(k) for k in grid])]
    assert fit.rate == pytest.approx(best, abs=1e-3)
    found = np.sum((fit.amplitude * (np.exp(fit.rate * x) + fit.offset) - y) ** 2)
    assert found == pytest.approx(loss(fit.rate), rel=1e-6)
    assert explained(y, fit) == pytest.approx(1 - found / np.sum((y - y.mean()) ** 2))


@pytest.mark.parametrize("y", [np.zeros(14), np.arange(14.0), np.eye(1, 14)[0]])
def test_curves_without_a_decay_end_quietly(y):
    fit = fit_decay(y)
    assert np.isnan(explained(y, fit)) or explained(y, fit) <= 1


def test_a_fit_at_infinity_explains_nothing():
    assert np.isnan(explained(np.arange(5.0), Decay(1.0, 1e3, np.nan)))
    assert np.isnan(explained(np.arange(5.0), Decay(1.0, 1e3, 0.0)))


@pytest.mark.parametrize(
    ("rho", "lag"),
    [([3, 2, 1], 1), ([1, 2, 1], 2), ([1, 1, 0], 2), ([1, 2, 3], None), ([2, 1, 5], 1)],
)
def test_first_fall(rho, lag):
    assert first_fall(np.array(rho, dtype=float)) == lag


def test_each_curve_is_fitted_from_its_first_fall():
    fall = 0.3 * np.exp(-0.4 * np.arange(14))
    late = fall.copy()
    late[1], late[2] = 0.35, 0.36  # the third lag is the highest
    later = late.copy()
    later[3] = 0.37
    gap = np.where(np.arange(14) == 9, np.nan, fall)
    found = fitted(np.stack((fall, late, later, np.arange(14.0), gap), axis=1))
    assert found.status == (
        Status.OK,
        Status.OK,
        Status.LATE_PEAK,
        Status.LATE_PEAK,
        Status.UNDEFINED,
    )
    assert np.isnan(found.decay[:, 2:]).all()
    assert np.isnan(found.goodness[2:]).all()
    assert found.decay[:, 1].tolist() == list(fit_decay(late[2:]))
    assert found.decay[1, 0] == pytest.approx(-0.4)
    with pytest.raises(ValueError, match="lags: got 4, need at least 5"):
        fitted(np.ones((4, 2)))


DECAYS = {
    (0.1, -0.5, 0.0): Status.OK,
    (0.1, -0.09, 0.0): Status.TOO_LONG,
    (0.1, 0.0, 0.0): Status.NO_DECAY,
    (0.1, 0.5, 0.0): Status.NO_DECAY,
    (-0.1, -0.5, 0.0): Status.NEGATIVE_AMPLITUDE,
    (np.inf, -0.5, 0.0): Status.FIT_FAILED,
    (0.1, -1e-320, 0.0): Status.TOO_LONG,
}


@pytest.mark.parametrize("signed", [False, True])
def test_the_last_rules(signed):
    n = len(DECAYS)
    fits = Fits(np.array(list(DECAYS)).T, np.ones(n), (Status.OK,) * n)
    none = np.full(n, np.nan)
    slow = np.zeros(n, dtype=bool)

    def judge(slow):
        return judged(
            fits, np.full(n, 9.0), slow, 0.05, 0.5,
            low=none, high=none, method="kim", lags=14, level=0.95, signed=signed,
        )  # fmt: skip

    found = judge(slow)
    for status, expected in zip(found.status, DECAYS.values(), strict=True):
        if signed and expected is Status.NEGATIVE_AMPLITUDE:
            expected = Status.OK
        assert status is expected
    np.testing.assert_allclose(
        found.estimate, [0.1, 0.05 / 0.09, np.nan, np.nan, 0.1, 0.1, np.nan]
    )
    assert found.tau[0] == pytest.approx(0.1)
    assert np.isnan(found.amplitude[5])
    silent = judge(~slow)
    assert set(silent.status) == {Status.TOO_FEW_SPIKES}
    assert np.isnan(silent.estimate).all()
    assert np.isnan(silent.goodness).all()
