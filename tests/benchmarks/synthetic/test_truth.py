import numpy as np
import pytest

from benchmarks.synthetic.covariance import single_exponential
from benchmarks.synthetic.truth import (
    Truth,
    autocorrelation,
    bin_correlation,
    bin_covariance,
    bin_covariance_matrix,
    bin_mean,
)

TAU = np.array([0.1, 0.2])


def truth(**changed):
    fields = {
        "taus": TAU[None],
        "mean": np.array([20.0, 10.0]),
        "autocovariance": single_exponential(np.array([100.0, 25.0]), TAU),
        "point_process": True,
    }
    return Truth(**fields | changed)


def test_the_first_correlation_of_counts_is_the_published_one():
    # r(1) = s²τ²(1 − q)²/[2 s²τ²(w/τ − 1 + q) + μ w]
    w, s2, mu = 0.05, np.array([100.0, 25.0]), np.array([20.0, 10.0])
    q = np.exp(-w / TAU)
    expected = (s2 * TAU**2 * (1 - q) ** 2) / (
        2 * s2 * TAU**2 * (w / TAU - 1 + q) + mu * w
    )
    got = bin_correlation(truth(), w, 3)
    np.testing.assert_allclose(got[1], expected, rtol=1e-12)
    np.testing.assert_allclose(got[0], 1)
    np.testing.assert_allclose(got[3] / got[2], q, rtol=1e-12)


def test_only_spikes_add_their_mean_to_the_variance():
    spikes = bin_covariance(truth(), 0.05, 2)
    signal = bin_covariance(truth(point_process=False), 0.05, 2)
    np.testing.assert_allclose(spikes[0] - signal[0], [1.0, 0.5])
    np.testing.assert_allclose(spikes[1:], signal[1:])


def test_an_onset_adds_to_mean_and_variance_of_the_first_bins():
    with_onset = truth(onset=np.array([50.0, 0.0]), onset_tau=0.02)
    mean = bin_mean(with_onset, 0.05, 4)
    # 50 Hz · 20 ms · (1 − e^−2.5) in the first 50 ms
    np.testing.assert_allclose(mean[0], [1 + 1.0 * (1 - np.exp(-2.5)), 0.5])
    np.testing.assert_allclose(mean.sum(axis=0), [4 + (1 - np.exp(-10)), 2.0])
    matrix = bin_covariance_matrix(with_onset, 0.05, 4)
    lagged = bin_covariance(with_onset, 0.05, 3)
    for i in range(4):
        for j in range(4):
            extra = (mean[i] - [1.0, 0.5]) * (i == j)
            np.testing.assert_allclose(matrix[i, j], lagged[abs(i - j)] + extra)


def test_the_autocorrelation_starts_at_one():
    got = autocorrelation(truth(), np.array([0.0, 0.1]))
    np.testing.assert_allclose(got, [[1, 1], np.exp(-0.1 / TAU)])


def test_the_slowest_timescale_is_the_one_to_be_found():
    two = truth(taus=np.array([[0.01, 0.02], [0.1, 0.2]]))
    np.testing.assert_array_equal(two.tau, [0.1, 0.2])
    assert np.isnan(two.shares).all() and (truth().shares == 1).all()
    assert two.n == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mean": np.ones(3)}, r"mean: got shape \(3,\), need \(2,\)"),
        ({"shares": np.ones((2, 2))}, r"shares: got shape \(2, 2\), need \(1, 2\)"),
        ({"onset": np.array([1.0, -1.0])}, r"onset: got -1\.0 at \[1\]"),
        ({"onset_tau": 0.0}, r"onset_tau: got 0\.0, need numbers greater than 0"),
        ({"taus": TAU}, r"taus: got shape \(2,\), need 2 axes"),
    ],
)
def test_contradictory_truths_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        truth(**changed)


def test_what_nobody_knows_is_not_made_up():
    unknown = truth(autocovariance=None)
    for ask in (bin_covariance, bin_correlation, bin_covariance_matrix):
        with pytest.raises(ValueError, match="autocovariance: got a process without"):
            ask(unknown, 0.05, 3)
    with pytest.raises(ValueError, match=r"one that has; compare with truth\.tau"):
        autocorrelation(unknown, np.zeros(1))
