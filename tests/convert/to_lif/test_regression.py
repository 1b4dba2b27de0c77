"""Least squares with a prior against numpy's and scipy's solvers."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from isotau.convert.to_lif import teacher as regression
from isotau.convert.to_lif.teacher import (
    LinearFit,
    left_over,
    moments,
    pool,
    ridge,
    signed_ridge,
)

SAMPLES, N, K = 90, 12, 5
STRENGTHS = [1e-6, 1e-2, 1.0, 30.0]


def some_data(seed=0):
    """Regressors far from zero mean, as firing rates are, and targets they explain."""
    rng = np.random.default_rng(seed)
    f = 50 + 20 * rng.standard_normal((SAMPLES, N)) @ rng.standard_normal((N, N))
    y = 0.01 * f @ rng.standard_normal((N, K)) + rng.standard_normal((SAMPLES, K)) + 3
    prior = 0.01 * rng.standard_normal((K, N)) * (rng.random((K, N)) < 0.7)
    return f, y, prior


def stacked(f, y, prior, strength):
    """The penalized problem as plain least squares: rows of samples, then of prior.

    The last column is the offset, which the prior's rows do not see.
    """
    root = np.sqrt(strength * f.var(axis=0).mean())
    rows = np.column_stack([f, np.ones(len(f))]) / np.sqrt(len(f))
    more = np.column_stack([root * np.eye(N), np.zeros(N)])
    goal = np.concatenate([y / np.sqrt(len(f)), root * prior.T])
    return np.concatenate([rows, more]), goal


def test_moments_are_means_of_products(monkeypatch):
    monkeypatch.setattr(regression, "CHUNK", 7)
    f, y, _ = some_data()
    seen = moments(f.astype(np.float32), y)
    f = f.astype(np.float32).astype(float)
    assert seen.samples == SAMPLES
    np.testing.assert_allclose(seen.f, f.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(seen.y, y.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(seen.ff, np.einsum("si,sj->ij", f, f) / SAMPLES)
    np.testing.assert_allclose(seen.fy, np.einsum("si,sj->ij", f, y) / SAMPLES)
    np.testing.assert_allclose(seen.yy, (y**2).mean(axis=0), rtol=1e-12)


def test_pooled_moments_are_those_of_all_samples():
    f, y, _ = some_data()
    parts = [moments(f[some], y[some]) for some in np.split(np.arange(90), [10, 55])]
    for got, wanted in zip(pool(parts), moments(f, y), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_ridge_is_least_squares_of_the_stacked_problem(strength):
    f, y, prior = some_data()
    fit = ridge(moments(f, y), prior=prior, strength=strength)
    expected = np.linalg.lstsq(*stacked(f, y, prior, strength), rcond=None)[0].T
    np.testing.assert_allclose(fit.weights, expected[:, :N], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.offset, expected[:, N], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_signed_ridge_is_least_squares_with_bounds(strength):
    f, y, prior = some_data()
    fit = signed_ridge(moments(f, y), prior=prior, strength=strength)
    for row in range(K):
        rows, goal = stacked(f, y, prior, strength)
        kept = np.append(prior[row] != 0, True)
        low = np.append(np.where(prior[row] > 0, 0.0, -np.inf), -np.inf)[kept]
        high = np.append(np.where(prior[row] < 0, 0.0, np.inf), np.inf)[kept]
        solved = lsq_linear(
            rows[:, kept], goal[:, row], (low, high), tol=1e-14, max_iter=1000
        )
        weights = np.zeros(N)
        weights[kept[:N]] = solved.x[:-1]
        np.testing.assert_allclose(fit.weights[row], weights, atol=1e-6)
        assert fit.offset[row] == pytest.approx(solved.x[-1], abs=1e-4)


def test_signs_and_zeros_are_kept_and_some_bound_binds():
    f, y, prior = some_data()
    weights = signed_ridge(moments(f, y), prior=prior, strength=1e-3).weights
    assert not weights[prior == 0].any()
    assert not (weights * prior < 0).any()
    assert ((weights == 0) & (prior != 0)).any()


def test_where_no_bound_binds_the_two_agree():
    f, _, prior = some_data()
    prior = np.where(prior == 0, 0.01, prior)
    seen = moments(f, f @ prior.T + 1)
    fits = [solve(seen, prior=prior, strength=0.1) for solve in (ridge, signed_ridge)]
    for fit in fits:
        np.testing.assert_allclose(fit.weights, prior, rtol=1e-7)
        np.testing.assert_allclose(fit.offset, 1, atol=1e-6)


@pytest.mark.parametrize("solve", [ridge, signed_ridge])
def test_silent_regressors_leave_the_prior(solve):
    _, y, prior = some_data()
    fit = solve(moments(np.zeros((SAMPLES, N)), y), prior=prior, strength=0.01)
    np.testing.assert_allclose(fit.weights, prior, atol=1e-12)
    np.testing.assert_allclose(fit.offset, y.mean(axis=0))


@pytest.mark.parametrize("solve", [ridge, signed_ridge])
def test_the_units_of_rates_do_not_matter(solve):
    f, y, prior = some_data()
    fit = solve(moments(f, y), prior=prior, strength=0.1)
    scaled = solve(moments(1e3 * f, y), prior=1e-3 * prior, strength=0.1)
    np.testing.assert_allclose(1e3 * scaled.weights, fit.weights, rtol=1e-6, atol=1e-9)


def test_a_row_without_connections_has_an_offset_alone():
    f, y, prior = some_data()
    prior[2] = 0
    fit = signed_ridge(moments(f, y), prior=prior, strength=0.01)
    assert not fit.weights[2].any()
    assert fit.offset[2] == pytest.approx(y[:, 2].mean())


@pytest.mark.parametrize("solve", [ridge, signed_ridge])
def test_what_is_left_over_is_the_residuals_share(solve):
    f, y, prior = some_data()
    seen = moments(f, y)
    fit = solve(seen, prior=prior, strength=0.01)
    rest = y - f @ fit.weights.T - fit.offset
    share = (rest**2).sum() / ((y - y.mean(axis=0)) ** 2).sum()
    assert left_over(seen, fit) == pytest.approx(share, rel=1e-8)
    assert 0 < share < 1


def test_nothing_is_left_over_of_targets_that_do_not_vary():
    f, _, _ = some_data()
    seen = moments(f, np.zeros((SAMPLES, K)))
    assert left_over(seen, LinearFit(np.zeros((K, N)), np.zeros(K))) == 0
