import numpy as np
import pytest
from scipy import integrate, signal

from benchmarks.synthetic.synaptic_noise import (
    impulse_response,
    response_autocovariance,
    response_weights,
    synaptic_noise,
)

POLES = np.array([[0.05], [0.002], [0.01]])


def test_the_response_is_that_of_three_low_pass_filters():
    times = np.linspace(0, 0.3, 50)
    denominator = np.poly1d([1.0])
    for tau in POLES[:, 0]:
        denominator *= np.poly1d([tau, 1.0])
    _, expected = signal.impulse(([1.0], denominator.coeffs), T=times)
    got = impulse_response(POLES, times)[:, 0]
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert abs(got[0]) < 1e-12
    assert (impulse_response(POLES, np.array([-0.1, -1e-9])) == 0).all()


@pytest.mark.parametrize("many", [1, 2, 3])
def test_the_area_of_any_chain_is_one(many):
    assert abs((response_weights(POLES[:many]) * POLES[:many]).sum() - 1) < 1e-12


def test_the_autocovariance_is_the_overlap_with_itself():
    for lag in (0.0, 0.01, 0.1):
        expected, _ = integrate.quad(
            lambda t, lag=lag: np.prod(impulse_response(POLES, np.array([t, t + lag]))),
            *(0, 1.0),
            points=[0.01, 0.1],
        )
        got = response_autocovariance(POLES)(np.array([lag]))[0, 0]
        assert abs(got / expected - 1) < 1e-7


def test_filtered_spikes_have_exact_mean_and_covariance(agrees, lagged):
    made = synaptic_noise(
        200.0,
        *POLES[:, 0],
        trials=30,
        duration=0.1,
        rng=np.random.default_rng(0),
        dt=0.005,
        units=100,
    )
    lags = 0.005 * np.arange(11)
    exact = 200 * response_autocovariance(POLES)(lags)[:, 0]
    np.testing.assert_allclose(made.truth.autocovariance(lags)[:, 3], exact)
    agrees(lagged(made.data.values, 10), exact, precision=0.03)
    agrees(made.data.values.mean(axis=(0, 1)), np.array(200.0), precision=0.02)
    np.testing.assert_allclose(made.truth.taus[:, 0], [0.002, 0.01, 0.05])
    assert made.truth.tau[0] == 0.05


def test_equal_poles_are_refused():
    with pytest.raises(ValueError, match=r"poles: got 0\.01 s and 0\.01 s in unit 1"):
        response_weights(np.array([[0.01, 0.01], [0.02, 0.01]]))
    with pytest.raises(ValueError, match=r"time constants that differ by 0\.1 %"):
        synaptic_noise(
            10.0, 0.01, 0.002, 0.01, trials=1, duration=1.0,
            rng=np.random.default_rng(0),
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"tau_rise: got 0\.0 at \[0\]"):
        synaptic_noise(
            10.0, 0.05, 0.0, 0.01, trials=1, duration=1.0,
            rng=np.random.default_rng(0),
        )  # fmt: skip
