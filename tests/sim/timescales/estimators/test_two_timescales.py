"""One timescale or two, where it is known."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from benchmarks.synthetic.gaussian import standard_paths
from isotau.sim.timescales.estimators.two_timescales import (
    MARGIN,
    _loss,
    _problem,
    two_timescales,
)
from isotau.sim.timescales.records.series import Series


def ou(tau, dt, shape, rng):
    """An Ornstein–Uhlenbeck process of variance 1, exact at its samples."""
    steps, trials, n = shape
    return standard_paths(np.full(n, tau), trials, steps * dt, dt, rng)


def signal(values):
    return Series(values=values, bin_width=0.01, kind="signal")


def test_two():
    rng = np.random.default_rng(0)
    shape = (150, 80, 6)
    x = ou(0.02, 0.01, shape, rng) + np.sqrt(2) * ou(0.3, 0.01, shape, rng)
    found = two_timescales(signal(x), bin_width=0.01)
    assert found.number.tolist() == [2] * 6
    assert np.median(found.tau[:, 0]) == pytest.approx(0.02, rel=0.15)
    assert np.median(found.tau[:, 1]) == pytest.approx(0.3, rel=0.25)
    assert np.median(found.share[:, 0]) == pytest.approx(1 / 3, abs=0.08)


def test_one():
    rng = np.random.default_rng(1)
    x = ou(0.1, 0.01, (100, 60, 10), rng) + 0.5 * rng.standard_normal((100, 60, 10))
    found = two_timescales(signal(x), bin_width=0.01)
    assert (found.number == 1).mean() >= 0.9
    ones = found.number == 1
    assert np.median(found.tau[ones, 0]) == pytest.approx(0.1, rel=0.1)
    assert np.isnan(found.tau[ones, 1]).all()
    assert np.median(found.share[ones, 0]) == pytest.approx(0.8, abs=0.05)


def test_none_and_no_fit():
    rng = np.random.default_rng(2)
    counts = rng.poisson(0.5, (40, 50, 8)).astype(float)
    counts[:, :, 3] = 0
    found = two_timescales(Series(values=counts, bin_width=0.025))
    assert found.number[3] == -1
    assert (np.delete(found.number, 3) == 0).all()
    assert np.isnan(found.bic[3]).all()
    assert (np.diff(np.delete(found.bic, 3, axis=0)) > -MARGIN).all()


@pytest.mark.parametrize("model", [0, 1, 2])
def test_the_gradient(model):
    rng = np.random.default_rng(3)
    values = rng.standard_normal((6, 30, 1)).cumsum(axis=0)
    problem = _problem(signal(values), 0, (0.005, 1.0))
    p = np.array([-0.7, -2.0, -1.0, np.log(0.03), -0.5, np.log(0.2)])[: 2 + 2 * model]
    _, gradient = _loss(p, problem)
    numeric = approx_fprime(p, lambda q: _loss(q, problem)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=2e-3, atol=2e-3)


def test_the_likelihood_by_determinants():
    rng = np.random.default_rng(4)
    values = rng.standard_normal((6, 30, 1)).cumsum(axis=0)
    problem = _problem(signal(values), 0, (0.005, 1.0))
    p = np.array([-0.7, -2.0, -1.0, np.log(0.03)])
    lag = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    d, b, a = problem.scale * np.exp(p[:3])
    s = d * np.eye(6) + b + a * np.exp(-lag * 0.01 / 0.03)
    c = np.cov(values[:, :, 0])
    expected = 29 / 2 * (np.linalg.slogdet(s)[1] + np.trace(np.linalg.inv(s) @ c))
    assert _loss(p, problem)[0] == pytest.approx(expected)


def test_a_covariance_that_is_none():
    """Rounding may leave nothing positive; the search then turns back."""
    problem = _problem(signal(np.ones((6, 5, 1)) + np.arange(5)[:, None]), 0, (1, 2))
    value, slope = _loss(np.array([-60.0, 2.0]), problem)
    assert value == 1e300
    assert not slope.any()
