import numpy as np
import pytest
from scipy.linalg import expm, solve_continuous_lyapunov

from benchmarks.synthetic.lif_driven import lif_membrane, lif_spikes
from benchmarks.synthetic.truth import bin_covariance
from isotau.convert.records import spikes as spike_times


@pytest.mark.parametrize(("tau_s", "tau_mem"), [(0.1, 0.01), (0.005, 0.02)])
def test_the_membrane_has_the_covariance_of_its_equation(
    agrees, lagged, tau_s, tau_mem
):
    made = lif_membrane(
        tau_s,
        tau_mem,
        trials=20,
        duration=0.2,
        rng=np.random.default_rng(0),
        sd=0.003,
        dt=0.01,
        units=300,
    )
    lags = 0.01 * np.arange(11)
    drift = np.array([[-1 / tau_s, 0], [1 / tau_mem, -1 / tau_mem]])
    noise = np.diag([2 * 0.003**2 / tau_s, 0])
    stationary = solve_continuous_lyapunov(drift, -noise)
    exact = [(expm(drift * u) @ stationary)[1, 1] for u in lags]
    np.testing.assert_allclose(made.truth.autocovariance(lags)[:, 0], exact)
    agrees(1e6 * lagged(made.data.values, 10), 1e6 * np.array(exact), precision=0.02)
    first = made.data.values[0].var(axis=0, ddof=1)
    agrees(1e6 * first, 1e6 * exact[0], precision=0.05)


def test_the_longer_timescale_comes_last():
    made = lif_membrane(
        [0.1, 0.005], 0.01, trials=1, duration=0.1, rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose(made.truth.taus, [[0.01, 0.005], [0.1, 0.01]])
    np.testing.assert_allclose(made.truth.shares.sum(axis=0), 1)
    assert (made.truth.shares[0] < 0).all()


def test_very_short_steps_are_taken():
    made = lif_membrane(
        1.0, 0.5, trials=1, duration=1e-5, rng=np.random.default_rng(0), dt=1e-7
    )
    v = made.data.values[:, 0, 0]
    assert np.isfinite(v).all() and np.abs(np.diff(v)).max() < 1e-6


def test_counts_end_with_the_timescale_of_the_current(lagged):
    tau_s = 0.1
    made = lif_spikes(
        tau_s,
        trials=80,
        duration=0.6,
        rng=np.random.default_rng(1),
        dt=0.0005,
        units=100,
    )
    covariance = lagged(spike_times.counts(made.data, 0.05), 6)[:, 2:]
    mean = covariance.mean(axis=0)
    error = covariance.std(axis=0, ddof=1) / np.sqrt(len(covariance))
    assert np.all(mean > 8 * error)
    left = covariance[:, 1:] - np.exp(-0.05 / tau_s) * covariance[:, :-1]
    bound = 4.5 * left.std(axis=0, ddof=1) / np.sqrt(len(left))
    assert np.all(np.abs(left.mean(axis=0)) < bound)
    assert made.truth.tau[0] == tau_s and np.isnan(made.truth.mean).all()
    with pytest.raises(ValueError, match="autocovariance: got a process without"):
        bin_covariance(made.truth, 0.05, 2)


def test_without_noise_it_fires_at_the_rate_of_the_equation():
    made = lif_spikes(
        0.1,
        trials=1,
        duration=10.0,
        rng=np.random.default_rng(2),
        drive=[0.03, 0.05, 0.02],
        sd=0.0,
        dt=1e-5,
    )
    rates = np.bincount(made.data.neuron, minlength=3) / 10
    charge = 0.01 * np.log(np.array([0.03 / 0.005, 0.05 / 0.025]))
    # A spike falls on the next step, and the refractory time is whole steps.
    np.testing.assert_allclose(rates[:2], 1 / (0.002 + charge), rtol=2e-3, atol=0.1)
    assert rates[2] == 0


def test_the_refractory_time_is_kept():
    made = lif_spikes(
        0.05,
        trials=1,
        duration=1.0,
        rng=np.random.default_rng(3),
        drive=1.0,
        refractory=0.004,
    )
    assert np.diff(made.data.times).min() > 0.004


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda kw: lif_membrane([0.02, 0.01], 0.01, **kw),
            r"tau_mem: got 0\.01 s at \[1\], need one that differs from tau_s, 0\.01 s",
        ),
        (
            lambda kw: lif_spikes(0.1, reset=0.025, **kw),
            r"reset: got 0\.025 V at \[0\], need less than the threshold, 0\.025 V",
        ),
        (lambda kw: lif_spikes(0.1, sd=-1.0, **kw), r"sd: got -1\.0 at \[0\]"),
        (lambda kw: lif_spikes(0.0, **kw), r"tau_s: got 0\.0 at \[0\]"),
        (lambda kw: lif_spikes(0.1, dt=2.0, **kw), r"dt: got 2\.0 s, need at most 1"),
        (lambda kw: lif_membrane(0.1, 0.0, **kw), r"tau_mem: got 0\.0 at \[0\]"),
    ],
)
def test_impossible_neurons_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask({"trials": 2, "duration": 1.0, "rng": np.random.default_rng(0)})
