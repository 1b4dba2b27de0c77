import numpy as np
import pytest

from benchmarks.synthetic.gaussian import (
    binned_ou,
    ornstein_uhlenbeck,
    ou_with_oscillation,
    two_timescale_ou,
)
from benchmarks.synthetic.truth import bin_covariance

SIZE = {"trials": 20, "units": 200}


def test_ou_has_its_variance_and_autocovariance(agrees, lagged):
    rng = np.random.default_rng(0)
    made = ornstein_uhlenbeck(0.02, sd=3.0, dt=0.005, duration=0.25, rng=rng, **SIZE)
    lags = 0.005 * np.arange(11)
    exact = 9 * np.exp(-lags / 0.02)
    agrees(lagged(made.data.values, 10), exact, precision=0.02)
    np.testing.assert_allclose(made.truth.autocovariance(lags)[:, 7], exact)
    # Stationary from the first sample on.
    agrees(made.data.values[0].var(axis=0, ddof=1), np.array(9.0), precision=0.05)
    assert made.data.values.shape == (50, 20, 200) and made.data.kind == "signal"
    assert made.data.bin_width == 0.005 and (made.truth.tau == 0.02).all()


def test_ou_is_the_autoregression_of_its_step():
    rng = np.random.default_rng(1)
    made = ornstein_uhlenbeck(0.01, dt=0.01, trials=1, duration=1000.0, rng=rng)
    x = made.data.values[:, 0, 0]
    innovation = x[1:] - np.exp(-1) * x[:-1]
    error = 4.5 / np.sqrt(x.size)
    assert abs(innovation.var() / (1 - np.exp(-2)) - 1) < error * np.sqrt(2)
    for before in (x[:-1], np.append(0, innovation[:-1])):
        assert abs(np.corrcoef(innovation, before)[0, 1]) < error


def test_units_keep_their_own_parameters(agrees):
    tau, sd = np.array([0.02, 0.2]), np.array([1.0, 5.0])
    rng = np.random.default_rng(2)
    made = ornstein_uhlenbeck(tau, sd=sd, dt=0.02, trials=3000, duration=0.04, rng=rng)
    first, second = made.data.values
    agrees(first**2, sd**2, precision=0.05)
    agrees(first * second, sd**2 * np.exp(-0.02 / tau), precision=0.05)


def test_two_timescales_mix_by_their_shares(agrees, lagged):
    rng = np.random.default_rng(3)
    made = two_timescale_ou(
        0.01, 0.1, share_slow=0.4, sd=2.0, dt=0.01, duration=0.3, rng=rng, **SIZE
    )
    lags = 0.01 * np.arange(11)
    exact = 4 * (0.6 * np.exp(-lags / 0.01) + 0.4 * np.exp(-lags / 0.1))
    agrees(lagged(made.data.values, 10), exact, precision=0.02)
    np.testing.assert_allclose(made.truth.autocovariance(lags)[:, 0], exact)
    np.testing.assert_allclose(made.truth.taus[:, 0], [0.01, 0.1])
    np.testing.assert_allclose(made.truth.shares[:, 0], [0.6, 0.4])


def test_an_oscillation_rides_on_the_decay(agrees, lagged):
    rng = np.random.default_rng(4)
    made = ou_with_oscillation(
        0.06, 2.0, share=0.3, sd=2.0, dt=0.02, duration=1.0, rng=rng, **SIZE
    )
    lags = 0.02 * np.arange(26)
    exact = 4 * (0.7 * np.exp(-lags / 0.06) + 0.3 * np.cos(2 * np.pi * 2 * lags))
    agrees(lagged(made.data.values, 25), exact, precision=0.02)
    np.testing.assert_allclose(made.truth.autocovariance(lags)[:, 0], exact, atol=1e-12)
    assert made.truth.taus.shape == (1, 200)
    np.testing.assert_allclose(made.truth.shares, 0.7)


@pytest.mark.parametrize("width", [0.02, 0.1])
def test_bin_means_have_the_covariance_of_the_integral(agrees, lagged, width):
    rng = np.random.default_rng(5)
    made = binned_ou(
        0.05, bin_width=width, sd=2.0, duration=10 * width, rng=rng, **SIZE
    )
    exact = bin_covariance(made.truth, width, 5)[:, 0] / width**2
    agrees(lagged(made.data.values, 5), exact, precision=0.02)
    assert len(made.data.values) == 10


def test_bin_means_are_those_of_fine_samples(agrees, lagged):
    rng = np.random.default_rng(6)
    fine = ornstein_uhlenbeck(
        0.03, dt=0.0005, trials=20, duration=0.4, units=100, rng=rng
    )
    means = fine.data.values.reshape(8, 100, 20, 100).mean(axis=1)
    exact = bin_covariance(fine.truth, 0.05, 4)[:, 0] / 0.05**2
    agrees(lagged(means, 4), exact, precision=0.03)


def test_the_decay_between_bins_does_not_depend_on_their_width():
    made = binned_ou(
        0.08, bin_width=0.02, trials=1, duration=1.0, rng=np.random.default_rng()
    )
    for width in (0.001, 0.02, 0.05, 0.4):
        covariance = bin_covariance(made.truth, width, 4)[:, 0]
        np.testing.assert_allclose(
            covariance[2:] / covariance[1:-1], np.exp(-width / 0.08), rtol=1e-10
        )
        # Within a bin it does: lag 0 is not on the exponential.
        assert covariance[1] / covariance[0] > np.exp(-width / 0.08)


@pytest.mark.parametrize("ratio", [1e-6, 0.999e-3, 1.001e-3, 0.5, 40.0])
def test_bin_means_are_exact_at_any_width(ratio):
    # The law of a mean given the signal at its start has variance 2x/3 for small x.
    rng = np.random.default_rng(7)
    made = binned_ou(1 / ratio, bin_width=1.0, trials=200_000, duration=2.0, rng=rng)
    first, second = made.data.values[:, :, 0]
    exact = bin_covariance(made.truth, 1.0, 1)[:, 0]
    noise = 4.5 * np.sqrt(2 / 200_000)
    assert abs(first.var() / exact[0] - 1) < noise
    apart = 2 * (exact[0] - exact[1])
    assert abs((second - first).var() / apart - 1) < noise


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda rng: two_timescale_ou(
                0.1, [0.2, 0.1], share_slow=0.5, trials=2, duration=1.0, rng=rng
            ),
            r"tau_slow: got 0\.1 s at \[1\], need more than tau, 0\.1 s",
        ),
        (
            lambda rng: ornstein_uhlenbeck(-0.1, trials=2, duration=1.0, rng=rng),
            r"tau: got -0\.1 at \[0\], need numbers greater than 0",
        ),
        (
            lambda rng: ornstein_uhlenbeck(
                0.1, dt=2.0, trials=2, duration=1.0, rng=rng
            ),
            r"dt: got 2\.0 s, need at most 1\.0 s",
        ),
    ],
)
def test_impossible_signals_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(np.random.default_rng(0))
