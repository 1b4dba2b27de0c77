import math

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import eval_hermitenorm

from benchmarks.synthetic.rate_laws import (
    latent_correlation,
    log_gaussian,
    rectified,
)

CASES = [(20.0, 20.0), (20.0, 10.0), (10.0, 2.0), (5.0, 15.0)]


def by_series(rate, sd, rho):
    """σ² Σ cₖ² ρᵏ/k!, c the Hermite coefficients of max(0, a + x)."""
    a = rate / sd
    total = stats.norm.cdf(a) ** 2 * rho
    for k in range(2, 150):
        scale = math.exp(-math.lgamma(k + 1) / 2)
        total += (stats.norm.pdf(a) * eval_hermitenorm(k - 2, a) * scale) ** 2 * rho**k
    return sd**2 * total


@pytest.mark.parametrize(("rate", "sd"), CASES)
def test_a_rectified_rate_has_its_hermite_series(rate, sd):
    law = rectified(rate, sd, 0.1)
    lags = np.array([0.02, 0.1, 0.3])
    expected = [by_series(rate, sd, rho) for rho in np.exp(-lags / 0.1)]
    np.testing.assert_allclose(law(lags)[:, 0], expected, rtol=1e-7)


@pytest.mark.parametrize("rho", [0.2, 0.95])
def test_a_rectified_rate_has_its_double_integral(rho):
    rate, sd = 20.0, 15.0
    joint = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    low = -rate / sd
    product, _ = integrate.dblquad(
        lambda y, x: (rate + sd * x) * (rate + sd * y) * joint.pdf([x, y]),
        *(low, 8, low, 8),
        epsabs=1e-4,
    )
    law = rectified(rate, sd, 0.1)
    got = law(np.array([-0.1 * np.log(rho)]))[0, 0]
    assert abs(got - (product - law.mean()[0] ** 2)) < 1e-3


@pytest.mark.parametrize(("rate", "sd"), CASES)
def test_mean_and_variance_are_those_of_the_rates(rate, sd):
    x = np.random.default_rng(0).standard_normal((400_000, 1))
    for law in (rectified(rate, sd, 0.1), log_gaussian(rate, sd, 0.1)):
        rates = law.rates(x)
        assert rates.min() >= 0
        error = rates.std() / np.sqrt(rates.size)
        assert abs(rates.mean() - law.mean()[0]) < 4.5 * error
        squares = (rates - law.mean()) ** 2
        error = squares.std() / np.sqrt(rates.size)
        assert abs(squares.mean() - law(np.zeros(1))[0, 0]) < 4.5 * error


def test_a_log_gaussian_rate_has_the_sd_asked_for():
    law = log_gaussian(20.0, 30.0, 0.1)
    assert law.mean()[0] == 20
    np.testing.assert_allclose(law(np.zeros(1))[0, 0], 30.0**2)


def test_a_log_gaussian_rate_has_its_series():
    s2 = np.log(1 + (30 / 20) ** 2)
    lags = np.array([0.01, 0.1, 0.5])
    rho = np.exp(-lags / 0.1)
    expected = 400 * sum(
        (s2 * rho) ** k / float(math.factorial(k)) for k in range(1, 40)
    )
    np.testing.assert_allclose(
        log_gaussian(20.0, 30.0, 0.1)(lags)[:, 0], expected, rtol=1e-12
    )


@pytest.mark.parametrize("make", [rectified, log_gaussian])
@pytest.mark.parametrize("slow", [None, 0.4])
def test_counts_covary_as_the_rate_over_two_bins(make, slow):
    law = make(20.0, 20.0, 0.08, tau_slow=slow, share_slow=0.3)
    width = 0.05
    got = law.over_bins(width, 3)[:, 0]

    def rates(u):
        return law(np.array([u]))[0, 0]

    for k in range(4):
        expected = sum(
            integrate.quad(
                lambda u, k=k: (width - abs(u)) * rates(k * width + u),
                *(side - width, side),
                epsrel=1e-11,
            )[0]
            for side in (0.0, width)
        )
        assert abs(got[k] / expected - 1) < 1e-8


def test_what_a_rate_makes_of_noise_decays_faster():
    lags = 0.01 * np.arange(1, 20)
    for law in (rectified(20, 20, 0.1), log_gaussian(20, 20, 0.1)):
        measured = law(lags)[:, 0] / law(np.zeros(1))[0, 0]
        assert np.all(measured < np.exp(-lags / 0.1))
    # Noise that never silences the rate is not bent.
    straight = rectified(20, 2, 0.1)
    np.testing.assert_allclose(straight(lags)[:, 0], 4 * np.exp(-lags / 0.1), rtol=1e-9)


def test_latent_noise_mixes_by_its_shares():
    law = rectified([20.0, 10.0], 5.0, 0.05, tau_slow=0.5, share_slow=[0.25, 1.0])
    lags = np.array([0.0, 0.1])
    rho = latent_correlation(law.taus, law.shares, lags)
    np.testing.assert_allclose(rho[0], 1)
    expected = 0.75 * np.exp(-2) + 0.25 * np.exp(-0.2)
    np.testing.assert_allclose(rho[1], [expected, np.exp(-0.2)])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rate": 0.0}, r"rate: got 0\.0 at \[0\], need numbers greater than 0"),
        ({"sd": -1.0}, r"sd: got -1\.0 at \[0\]"),
        ({"tau": [0.1, 0.0]}, r"tau: got 0\.0 at \[1\]"),
        ({"tau_slow": 0.05}, r"tau_slow: got 0\.05 s at \[0\], need more than tau"),
        ({"tau_slow": 0.2, "share_slow": 2.0}, r"share_slow: got 2\.0 at \[0\], need"),
    ],
)
@pytest.mark.parametrize("make", [rectified, log_gaussian])
def test_impossible_laws_are_refused(make, changed, message):
    with pytest.raises(ValueError, match=message):
        make(**{"rate": 20.0, "sd": 10.0, "tau": 0.1} | changed)
