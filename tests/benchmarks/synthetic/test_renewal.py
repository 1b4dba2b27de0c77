import numpy as np
import pytest
from scipy import integrate, stats

from benchmarks.synthetic.covariance import single_exponential
from benchmarks.synthetic.renewal import (
    GammaRenewal,
    gamma_renewal,
    poisson,
)
from benchmarks.synthetic.truth import bin_covariance, bin_mean
from isotau.convert.records import spikes as spike_times


@pytest.mark.parametrize("shape", [0.5, 2.0, 7.5])
def test_counts_have_exact_mean_and_covariance(agrees, lagged, shape):
    made = gamma_renewal(
        15.0,
        shape,
        trials=60,
        duration=0.5,
        rng=np.random.default_rng(0),
        units=400,
    )
    counts = spike_times.counts(made.data, 0.05)
    exact = bin_covariance(made.truth, 0.05, 5)[:, 0]
    agrees(lagged(counts, 5), exact, precision=0.02)
    # Stationary: the first bin, too, has the mean rate.
    mean = bin_mean(made.truth, 0.05, 10)[:, 0]
    agrees(counts.mean(axis=1).T, mean, precision=0.02)
    assert np.isnan(made.truth.tau).all()


def test_intervals_are_gamma_numbers():
    made = gamma_renewal(
        50.0, 3.0, trials=1, duration=100.0, rng=np.random.default_rng(1)
    )
    intervals = np.diff(made.data.times)
    law = stats.gamma(3.0, scale=1 / 150)
    assert stats.kstest(intervals, law.cdf).pvalue > 1e-3


def test_two_stages_have_a_closed_form():
    # h(u) = r (1 − e^{−4 r u}) for a shape of 2.
    rate = np.array([12.0, 30.0])
    law = GammaRenewal(rate=rate, shape=np.array([2.0, 2.0]))
    lags = np.array([0.0, 0.001, 0.02, 0.5])
    closed = single_exponential(-(rate**2), 1 / (4 * rate))
    np.testing.assert_allclose(law(lags), closed(lags), rtol=1e-9, atol=1e-9)
    for width in (0.01, 0.05, 2.0):
        np.testing.assert_allclose(
            law.over_bins(width, 4), closed.over_bins(width, 4), atol=1e-10
        )


def test_a_shape_of_one_is_poisson():
    law = GammaRenewal(rate=np.array([20.0]), shape=np.ones(1))
    assert np.abs(law(np.array([0.0, 0.01, 1.0]))).max() < 1e-10
    assert np.abs(law.over_bins(0.05, 5)).max() < 1e-12


@pytest.mark.parametrize("shape", [0.4, 3.3])
def test_bins_integrate_the_autocovariance(shape):
    law = GammaRenewal(rate=np.array([20.0]), shape=np.array([shape]))
    width = 0.05
    got = law.over_bins(width, 1)[:, 0]
    own = integrate.quad(
        lambda u: 2 * (width - u) * law(np.array([u]))[0, 0], 0, width, limit=200
    )[0]
    next_ = integrate.quad(
        lambda u: (width - abs(u - width)) * law(np.array([u]))[0, 0],
        *(0, 2 * width),
        points=[width],
        limit=200,
    )[0]
    np.testing.assert_allclose(got, [own, next_], rtol=1e-5)


def test_over_long_windows_the_fano_factor_is_that_of_intervals():
    law = GammaRenewal(rate=np.array([10.0]), shape=np.array([4.0]))
    variance = law.over_bins(100.0, 0)[0, 0] + 1000
    # r t/κ + (1 − 1/κ²)/6: the second term of a stationary renewal process
    assert abs(variance - (250 + (1 - 1 / 16) / 6)) < 1e-6


def test_poisson_counts_are_poisson_and_independent(agrees, lagged):
    made = poisson([5.0, 20.0], trials=4000, duration=0.4, rng=np.random.default_rng(2))
    counts = spike_times.counts(made.data, 0.1)
    for k, rate in enumerate((5.0, 20.0)):
        law = stats.poisson(rate * 0.1)
        seen = np.bincount(counts[:, :, k].ravel(), minlength=12)[:12]
        expected = counts[:, :, k].size * law.pmf(np.arange(12))
        some = expected > 5
        score = ((seen - expected)[some] ** 2 / expected[some]).sum()
        assert score < stats.chi2(some.sum() - 1).ppf(0.9999)
    across = np.corrcoef(counts.transpose(0, 2, 1).reshape(8, -1))
    assert np.abs(across - np.eye(8)).max() < 4.5 / np.sqrt(4000)
    exact = bin_covariance(made.truth, 0.1, 2)
    np.testing.assert_allclose(exact, [[0.5, 2.0], [0, 0], [0, 0]], atol=1e-12)
    # Anywhere in the trial alike.
    assert stats.kstest(made.data.times / 0.4, "uniform").pvalue > 1e-3


def test_silence_is_allowed():
    made = poisson(0.0, trials=3, duration=1.0, rng=np.random.default_rng(0), units=2)
    assert made.data.times.size == 0 and made.data.n == 2
    assert (bin_covariance(made.truth, 0.1, 1) == 0).all()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda kw: poisson(-1.0, **kw), r"rate: got -1\.0 at \[0\]"),
        (lambda kw: gamma_renewal(0.0, 1.0, **kw), r"rate: got 0\.0 at \[0\]"),
        (lambda kw: gamma_renewal(5.0, 0.0, **kw), r"shape: got 0\.0 at \[0\]"),
        (
            lambda kw: poisson(5.0, **kw | {"duration": -1.0}),
            r"duration: got -1\.0, need numbers greater than 0",
        ),
    ],
)
def test_impossible_spikes_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask({"trials": 2, "duration": 1.0, "rng": np.random.default_rng(0)})
