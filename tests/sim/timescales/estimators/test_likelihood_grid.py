"""The grid's matrices, against integrals of e^(−|t|/τ) and whole eigenproblems."""

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.linalg import eigh

from isotau.sim.timescales.estimators.likelihood_grid import (
    REGULARITY,
    RHOS,
    binned_ou,
    build_grids,
    correlation_matrix,
    halves,
    noise_matrix,
    sampled_ou,
)

TAUS = (0.02, 0.06, 0.2)
WIDTH, BINS = 0.05, 8


def test_noise_of_a_regular_neuron():
    expected = [[1, -0.4, 0], [-0.4, 1, -0.4], [0, -0.4, 1]]
    np.testing.assert_array_equal(noise_matrix(0.4, 3), expected)
    assert np.linalg.eigvalsh(noise_matrix(REGULARITY["counts"][-1], 400)).min() > 0


@pytest.mark.parametrize("bins", [7, 8])
def test_halves_are_the_matrix_among_even_and_odd_vectors(bins):
    """(T43), against the change of basis itself; also of what is no Toeplitz matrix."""
    rng = np.random.default_rng(5)
    matrix = rng.standard_normal((2, bins, bins))
    matrix += matrix.transpose(0, 2, 1)
    ends = np.eye(bins) + np.eye(bins)[::-1], np.eye(bins) - np.eye(bins)[::-1]
    for half, vectors in zip(halves(matrix), ends, strict=True):
        basis = vectors[:, : half.shape[-1]]
        basis = basis / np.linalg.norm(basis, axis=0)
        np.testing.assert_allclose(half, basis.T @ matrix @ basis, atol=1e-12)


@pytest.mark.parametrize("bins", [7, 8])
def test_eigenvalues_are_those_of_whole_matrices(bins):
    for grid in build_grids("counts", bins, WIDTH, TAUS):
        for t, r in np.ndindex(grid.values.shape[:2]):
            shared = (1 - RHOS[r]) * correlation_matrix("counts", TAUS[t], WIDTH, bins)
            noise = noise_matrix(grid.regularity, bins)
            whole = eigh(shared + RHOS[r], noise, eigvals_only=True)
            np.testing.assert_allclose(np.sort(grid.values[t, r]), whole, atol=1e-12)


def test_grids_are_made_once():
    once = build_grids("counts", 5, 0.1, TAUS)
    assert build_grids("counts", 5, 0.1, TAUS) is once


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
    found = correlation_matrix(kind, 0.08, 0.05, 6)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    assert np.linalg.eigvalsh(found).min() > 0
    assert found[0, 3] == found[2, 5]
