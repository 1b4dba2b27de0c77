import numpy as np
import pytest
from scipy import integrate
from scipy.linalg import expm, solve_continuous_lyapunov

from benchmarks.synthetic.linear_networks import (
    kappa,
    linear_network,
    mean_gain,
    mode_covariance,
    mode_taus,
    tanh_network,
    unit_covariance,
)

TAU = 0.02


def network(overlaps, units=40, seed=0):
    """Random factors with exactly these overlaps nᵀm/N."""
    overlaps = np.atleast_2d(overlaps)
    rng = np.random.default_rng(seed)
    m = rng.standard_normal((units, len(overlaps)))
    n = rng.standard_normal((units, len(overlaps)))
    n += m @ np.linalg.solve(m.T @ m, (overlaps * units - n.T @ m).T)
    np.testing.assert_allclose(n.T @ m / units, overlaps, atol=1e-12)
    return m, n


NETWORKS = {
    "rank 1": network([[0.8]]),
    "rank 1, negative": network([[-3.0]]),
    "rank 2": network([[0.8, 0.1], [0.0, 0.4]]),
    "rank 2, rotating": network([[0.7, -0.5], [0.5, 0.7]]),
}


def lyapunov(m, n, sd, lags):
    """The covariance of all units at lags, lag × unit × unit, by full matrices."""
    drift = (m @ n.T / len(m) - np.eye(len(m))) / TAU
    stationary = solve_continuous_lyapunov(drift, -2 * sd**2 / TAU * np.eye(len(m)))
    return np.stack([expm(drift * u) @ stationary for u in lags])


@pytest.mark.parametrize("factors", NETWORKS.values(), ids=NETWORKS.keys())
def test_units_mix_the_modes_as_the_full_matrix_does(factors):
    lags = np.array([0.0, 0.005, 0.02, 0.1, 0.3])
    full = lyapunov(*factors, 1.5, lags)
    got = unit_covariance(*factors, tau=TAU, sd=1.5)(lags)
    np.testing.assert_allclose(got, np.einsum("kii->ki", full), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("factors", NETWORKS.values(), ids=NETWORKS.keys())
def test_modes_are_seen_through_n(factors):
    m, n = factors
    lags = np.array([0.0, 0.01, 0.1])
    full = lyapunov(m, n, 0.7, lags)
    expected = np.einsum("ir,kij,jr->kr", n, full, n) / len(m) ** 2
    got = mode_covariance(m, n, tau=TAU, sd=0.7)(lags)
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-12)


def test_one_mode_is_an_ou_process():
    m, n = NETWORKS["rank 1"]
    lags = np.array([0.0, 0.03, 0.1])
    got = mode_covariance(m, n, tau=TAU, sd=1.0)(lags)[:, 0]
    np.testing.assert_allclose(got / got[0], np.exp(-lags / (TAU / 0.2)))
    variance = (n**2).sum() / len(m) ** 2 / (1 - 0.8)
    np.testing.assert_allclose(got[0], variance)


@pytest.mark.parametrize("factors", NETWORKS.values(), ids=NETWORKS.keys())
def test_simulated_networks_have_the_exact_covariance(agrees, factors):
    made = linear_network(
        *factors,
        tau=TAU,
        trials=4000,
        duration=0.05,
        rng=np.random.default_rng(1),
        sd=2.0,
        dt=0.01,
    )
    x = made.data.values
    exact = made.truth.autocovariance(np.array([0.0, 0.01, 0.04]))
    agrees(x[0] ** 2, exact[0], precision=0.05)
    agrees(x[1] * x[0], exact[1], precision=0.05)
    agrees(x[4] * x[0], exact[2], precision=0.2)
    agrees(x[4] ** 2, exact[0], precision=0.05)


def test_kappa_of_a_simulation_decays_with_the_network(agrees):
    m, n = NETWORKS["rank 1"]
    made = linear_network(
        m, n, tau=TAU, trials=4000, duration=0.1, rng=np.random.default_rng(2), dt=0.05
    )
    series = kappa(made.data, n)
    assert series.kind == "signal" and series.values.shape == (2, 4000, 1)
    first, second = 100 * series.values[:, :, 0]
    exact = 1e4 * mode_covariance(m, n, tau=TAU, sd=1.0)(np.array([0.0, 0.05]))[:, 0]
    agrees(np.stack((first**2, first * second), axis=1), exact, precision=0.05)


def test_timescales_come_slowest_last():
    made = linear_network(
        *NETWORKS["rank 2"],
        tau=TAU,
        trials=1,
        duration=0.1,
        rng=np.random.default_rng(),
    )
    expected = [TAU, TAU / 0.6, TAU / 0.2]
    np.testing.assert_allclose(made.truth.taus[:, 5], expected)
    np.testing.assert_allclose(made.truth.shares.sum(axis=0), 1)
    np.testing.assert_allclose(mode_taus(*NETWORKS["rank 2"], TAU), expected)
    rotating = mode_taus(*NETWORKS["rank 2, rotating"], TAU)
    np.testing.assert_allclose(rotating, [TAU, TAU / 0.3, TAU / 0.3])


@pytest.mark.parametrize("sd", [0.01, 0.5, 2.0])
def test_the_gain_is_the_mean_slope(sd):
    expected, _ = integrate.quad(
        lambda x: np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) / np.cosh(sd * x) ** 2, -9, 9
    )
    assert abs(mean_gain(sd) - expected) < 1e-6


def test_a_large_tanh_network_decays_with_its_weakened_mode():
    # κ of 300 units is so small that their slopes are those of their own noise.
    m, n = network([[1.1]], units=300, seed=3)
    made = tanh_network(
        m,
        n,
        tau=TAU,
        trials=200,
        duration=0.8,
        rng=np.random.default_rng(3),
        sd=0.6,
        dt=0.005,
    )
    gain = 1.1 * mean_gain(0.6)
    tau = made.truth.tau[0]
    assert tau > 3 * TAU
    modes = np.tanh(made.data.values) @ n[:, 0]
    # From 60 ms on: before, nᵀφ also remembers the units' own noise, with TAU.
    first, second = (
        (modes[:-24] * modes[k : len(modes) - 24 + k]).mean(axis=0) for k in (12, 24)
    )
    ratios = second.reshape(10, 20).mean(axis=1) / first.reshape(10, 20).mean(axis=1)
    error = ratios.std(ddof=1) / np.sqrt(10)
    measured = second.mean() / first.mean()
    assert error < 0.05 and abs(measured - np.exp(-0.06 / tau)) < 4 * error
    # Of its steps; those of the equation are near.
    expected = -0.005 / np.log(np.exp(-0.25) + (1 - np.exp(-0.25)) * gain)
    assert abs(tau / expected - 1) < 1e-9


def test_short_steps_have_the_timescales_of_the_equation():
    for factors in NETWORKS.values():
        exact = mode_taus(*factors, TAU)
        np.testing.assert_allclose(mode_taus(*factors, TAU, dt=1e-7), exact, rtol=1e-4)
        first = mode_taus(*factors, TAU, dt=1e-3)[-1] / exact[-1] - 1
        second = mode_taus(*factors, TAU, dt=5e-4)[-1] / exact[-1] - 1
        assert abs(first) < 0.05 and abs(second) <= 0.6 * abs(first) + 1e-9


@pytest.mark.parametrize("make", [linear_network, tanh_network])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": np.full((5, 1), 3.0)}, r"n: got an overlap of [\d.]+ with m, need less"),
        (
            {"n": np.zeros((5, 1))},
            r"n: got overlaps of eigenvalues \[.*\] with m, need",
        ),
        ({"n": np.ones((4, 1))}, r"n: got shape \(4, 1\), need \(5, 1\)"),
        ({"m": np.ones(5)}, r"m: got shape \(5,\), need 2 axes"),
        ({"tau": 0.0}, r"tau: got 0\.0, need numbers greater than 0"),
        ({"sd": 0.0}, r"sd: got 0\.0, need numbers greater than 0"),
        ({"dt": 0.0}, r"dt: got 0\.0, need numbers greater than 0"),
        ({"dt": 3.0}, r"dt: got 3\.0 s, need at most 1\.0 s"),
    ],
)
def test_impossible_networks_are_refused(make, changed, message):
    arguments = {
        "m": np.ones((5, 1)),
        "n": np.full((5, 1), 0.5),
        "tau": TAU,
        "trials": 1,
        "duration": 1.0,
        "rng": np.random.default_rng(0),
    }
    with pytest.raises(ValueError, match=message):
        make(**arguments | changed)


def test_equal_modes_are_refused():
    m, n = network(np.diag([0.5, 0.5]))
    with pytest.raises(ValueError, match="need distinct ones other than 0"):
        unit_covariance(m, n, tau=TAU, sd=1.0)
