import numpy as np
import pytest

from benchmarks.synthetic.hawkes import (
    ALPHAS,
    RATES,
    TAUS,
    hawkes,
    hawkes_benchmark,
)
from benchmarks.synthetic.truth import (
    autocorrelation,
    bin_covariance,
    bin_mean,
)
from isotau.convert.records import spikes as spike_times


@pytest.mark.parametrize(("alpha", "tau"), [(0.3, 0.05), (0.8, 0.1)])
def test_counts_have_exact_mean_and_covariance(agrees, lagged, alpha, tau):
    made = hawkes(
        10.0,
        alpha,
        tau,
        trials=60,
        duration=0.5,
        rng=np.random.default_rng(0),
        units=500,
    )
    counts = spike_times.counts(made.data, 0.05)
    exact = bin_covariance(made.truth, 0.05, 6)[:, 0]
    agrees(lagged(counts, 6), exact, precision=0.05)
    mean = bin_mean(made.truth, 0.05, 10)[:, 0]
    agrees(counts.mean(axis=1).T, mean, precision=0.05)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_over_long_windows_each_spike_stands_for_its_cluster(alpha):
    # A cluster has 1/(1 − α) spikes on average; the Fano factor is its square.
    made = hawkes(5.0, alpha, 0.1, trials=1, duration=0.1, rng=np.random.default_rng(0))
    window = 1e5
    fano = bin_covariance(made.truth, window, 0)[0, 0] / (5.0 * window)
    assert abs(fano * (1 - alpha) ** 2 - 1) < 1e-4


def test_the_rate_forgets_with_tau():
    made = hawkes(
        5.0, [0.2, 0.7], [0.1, 0.3], trials=1, duration=1.0, rng=np.random.default_rng()
    )
    lags = np.array([0.0, 0.1, 0.5])
    np.testing.assert_allclose(
        autocorrelation(made.truth, lags), np.exp(-lags[:, None] / [0.1, 0.3])
    )


def test_without_offspring_it_is_poisson():
    made = hawkes(
        8.0, 0.0, 0.1, trials=1000, duration=1.0, rng=np.random.default_rng(1)
    )
    counts = spike_times.counts(made.data, 1.0)[0, :, 0]
    assert abs(counts.mean() - 8) < 4.5 * np.sqrt(8 / 1000)
    assert abs(counts.var(ddof=1) / 8 - 1) < 4.5 * np.sqrt(2.2 / 1000)
    assert np.isnan(made.truth.tau).all()
    assert (made.truth.autocovariance(np.array([0.05])) == 0).all()


def test_the_benchmark_draws_its_ranges():
    made = hawkes_benchmark(400, np.random.default_rng(2))
    data, truth = made.data, made.truth
    assert (data.trials == 40).all() and data.duration == 1.0 and data.n == 400
    alpha = 1 - 1 / np.sqrt(
        1 + 2 * truth.autocovariance(np.zeros(1))[0] * truth.tau / truth.mean
    )
    for drawn, (low, high) in ((truth.mean, RATES), (alpha, ALPHAS), (truth.tau, TAUS)):
        assert low <= drawn.min() and drawn.max() <= high
        middle, spread = (low + high) / 2, (high - low) / np.sqrt(12 * 400)
        assert abs(drawn.mean() - middle) < 4.5 * spread
    counts = spike_times.counts(data, 0.05)
    # Sums of counts over their own variance: the same for units of all rates.
    variance = 1 * truth.mean / (1 - alpha) ** 2
    scores = (counts.sum(axis=0) - truth.mean) / np.sqrt(variance)
    assert abs(scores.mean()) < 4.5 * scores.std() / np.sqrt(scores.size / 4)
    # Early and late bins alike: windows are stationary.
    early, late = counts[:10].sum(), counts[10:].sum()
    assert abs(early / late - 1) < 0.03


def test_windows_of_the_benchmark_have_the_exact_covariance(agrees, lagged):
    # Units differ, so the covariance is compared in units of the exact lag 1.
    made = hawkes_benchmark(3000, np.random.default_rng(3))
    busy = made.truth.mean > 3
    counts = spike_times.counts(made.data, 0.05)[:, :, busy]
    exact = bin_covariance(made.truth, 0.05, 6)[:, busy]
    scale = exact[0]
    difference = (lagged(counts, 6) - exact.T) / scale[:, None]
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    assert error.max() < 0.01
    assert np.all(np.abs(difference.mean(axis=0)) < 4.5 * error)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alpha": 1.0}, r"alpha: got 1\.0 at \[0\], need less than 1; at 1 spikes"),
        ({"alpha": -0.1}, r"alpha: got -0\.1 at \[0\]"),
        ({"rate": 0.0}, r"rate: got 0\.0 at \[0\], need numbers greater than 0"),
        ({"tau": 0.0}, r"tau: got 0\.0 at \[0\]"),
        ({"duration": 0.0}, r"duration: got 0\.0, need numbers greater than 0"),
        ({"trials": 0}, "trials: got 0, need 1 to"),
    ],
)
def test_impossible_processes_are_refused(changed, message):
    arguments = {
        "rate": 5.0,
        "alpha": 0.5,
        "tau": 0.1,
        "trials": 2,
        "duration": 1.0,
        "rng": np.random.default_rng(0),
    }
    with pytest.raises(ValueError, match=message):
        hawkes(**arguments | changed)


def test_windows_fit_the_train():
    with pytest.raises(ValueError, match=r"duration: got 700\.0 s, need at most 600"):
        hawkes_benchmark(1, np.random.default_rng(0), duration=700.0)
