"""Correlations of bins and samples, against numerical integrals of e^(−|t|/τ)."""

import numpy as np
import pytest
from scipy.integrate import dblquad

from isotau.sim.timescales.estimators.likelihood import binned_ou, matrix, sampled_ou


@pytest.mark.parametrize("tau", [0.004, 0.03, 0.2])
def test_bins_by_quadrature(tau):
    width = 0.025

    def covariance(lag):
        if lag == 0:  # the kink on the diagonal is left to one half of the square
            half, _ = dblquad(
                lambda s, t: np.exp(-(t - s) / tau), 0, width, 0, lambda t: t
            )
            return 2 * half
        start = lag * width
        value, _ = dblquad(
            lambda s, t: np.exp(-abs(t - s) / tau), 0, width, start, start + width
        )
        return value

    exact = np.array([covariance(lag) for lag in range(4)])
    np.testing.assert_allclose(binned_ou(tau, width, 4), exact / exact[0], rtol=1e-7)


def test_bins_much_shorter_than_tau_are_samples():
    np.testing.assert_allclose(
        binned_ou(50.0, 0.001, 9), sampled_ou(50.0, 0.001, 9), rtol=1e-4
    )


def test_the_series_and_the_formula_meet():
    below, above = (binned_ou(0.01 / ratio, 0.01, 5) for ratio in (0.99e-4, 1.01e-4))
    np.testing.assert_allclose(below, above, rtol=1e-5)


def test_samples():
    np.testing.assert_allclose(sampled_ou(0.1, 0.05, 3), np.exp([0, -0.5, -1]))


@pytest.mark.parametrize("kind", ["counts", "signal"])
def test_matrices_are_correlations(kind):
    found = matrix(kind, 0.08, 0.05, 6)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    assert np.linalg.eigvalsh(found).min() > 0
    assert found[0, 3] == found[2, 5]
