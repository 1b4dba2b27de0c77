import numpy as np
import pytest
from scipy import integrate

from benchmarks.synthetic.covariance import (
    Exponentials,
    quadrature,
    single_exponential,
)

WIDTH = 0.05


def brute(covariance, width, k):
    """The covariance of integrals over two bins, by adaptive quadrature."""

    def product(t, s):
        return covariance(np.array([t - s]))[0, 0]

    if k:
        value, _ = integrate.dblquad(
            product, 0, width, k * width, (k + 1) * width, epsabs=1e-14
        )
        return value
    half, _ = integrate.dblquad(product, 0, width, lambda s: s, width, epsabs=1e-14)
    return 2 * half


@pytest.mark.parametrize("tau", [0.002, 0.05, 0.3, 5.0, 5e4])
def test_an_exponential_over_bins_is_the_published_formula(tau):
    # Variance and covariance of a binned OU process, in sums that cancel for long τ.
    q = np.exp(-WIDTH / tau)
    lags = np.arange(1, 6)
    expected = np.concatenate(
        (
            [2 * tau**2 * (WIDTH / tau - 1 + q)],
            tau**2 * (1 - q) ** 2 * np.exp(-(lags - 1) * WIDTH / tau),
        )
    )
    got = single_exponential(np.array([7.0]), np.array([tau])).over_bins(WIDTH, 5)
    rounding = 1e-15 * (tau / WIDTH) ** 2
    np.testing.assert_allclose(got[:, 0], 7 * expected, rtol=1e-12 + 10 * rounding)


@pytest.mark.parametrize(
    ("weights", "decays"),
    [
        ([2.0, 0.5], [20.0, 3.0]),
        ([1.0 - 0.3j, 1.0 + 0.3j], [5 + 30j, 5 - 30j]),
        ([1.5], [12j]),
    ],
    ids=["two", "damped oscillation", "oscillation"],
)
def test_exponentials_agree_with_adaptive_and_fixed_quadrature(weights, decays):
    covariance = Exponentials(
        weights=np.array(weights)[:, None] + 0j, decays=np.array(decays)[:, None] + 0j
    )
    exact = covariance.over_bins(WIDTH, 4)
    expected = [brute(covariance, WIDTH, k) for k in range(5)]
    np.testing.assert_allclose(exact[:, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(quadrature(covariance, WIDTH, 4), exact, rtol=1e-12)


def test_what_never_decays_fills_a_bin_squared():
    constant = Exponentials(weights=np.full((1, 2), 3 + 0j), decays=np.zeros((1, 2)))
    np.testing.assert_allclose(constant.over_bins(0.1, 3), 3 * 0.1**2)
    np.testing.assert_allclose(constant(np.array([0.0, 9.0])), 3)


def test_lags_before_and_after_are_the_same():
    covariance = single_exponential(np.array([4.0]), np.array([0.1]))
    np.testing.assert_allclose(
        covariance(np.array([-0.1, 0.1]))[:, 0], 4 * np.exp(-1) * np.ones(2)
    )


def test_the_ramp_is_smooth_where_its_series_ends():
    # Either side of b w = 0.1, where the series takes over.
    tau = WIDTH / np.array([0.1 - 1e-9, 0.1 + 1e-9])
    below, above = single_exponential(np.ones(2), tau).over_bins(WIDTH, 0)[0]
    assert abs(below / above - 1) < 1e-8


@pytest.mark.parametrize(
    ("weights", "decays", "message"),
    [
        (np.ones((1, 2)), np.ones((2, 2)), r"decays: got shape \(2, 2\) with weights"),
        (np.ones(2), np.ones(2), r"decays: got shape \(2,\) with weights of \(2,\)"),
        (np.ones((1, 1)), -np.ones((1, 1)), "decays: got one that is negative"),
        (np.full((1, 1), np.nan), np.ones((1, 1)), "decays: got one that is negative"),
    ],
)
def test_impossible_exponentials_are_refused(weights, decays, message):
    with pytest.raises(ValueError, match=message):
        Exponentials(weights=weights + 0j, decays=decays + 0j)
