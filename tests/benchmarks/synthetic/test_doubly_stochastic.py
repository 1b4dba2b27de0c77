import numpy as np
import pytest

from benchmarks.synthetic.doubly_stochastic import doubly_stochastic
from benchmarks.synthetic.rate_laws import log_gaussian, rectified
from benchmarks.synthetic.truth import (
    bin_covariance,
    bin_covariance_matrix,
    bin_mean,
)
from isotau.convert.records import spikes as spike_times

LAWS = {
    "rectified": rectified(20, 20, 0.1, units=400),
    "log-Gaussian": log_gaussian(20, 15, 0.1, units=400),
    "two timescales": rectified(20, 10, 0.03, tau_slow=0.3, share_slow=0.6, units=400),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_counts_have_exact_mean_and_covariance(agrees, lagged, law):
    made = doubly_stochastic(
        law,
        trials=40,
        duration=0.5,
        bin_width=0.05,
        rng=np.random.default_rng(0),
        dt=0.005,
    )
    exact = bin_covariance(made.truth, 0.05, 6)[:, 0]
    agrees(lagged(made.data.values, 6), exact, precision=0.02)
    mean = bin_mean(made.truth, 0.05, 10)[:, 0]
    agrees(made.data.values.mean(axis=1).T, mean, precision=0.02)
    assert made.data.kind == "counts" and made.data.bin_width == 0.05


def test_spike_times_have_the_same_counts(agrees, lagged):
    made = doubly_stochastic(
        LAWS["rectified"],
        trials=20,
        duration=0.3,
        rng=np.random.default_rng(1),
        dt=0.005,
    )
    counts = spike_times.counts(made.data, 0.05)
    exact = bin_covariance(made.truth, 0.05, 4)[:, 0]
    agrees(lagged(counts, 4), exact, precision=0.05)
    assert made.data.duration == 0.3 and (made.data.trials == 20).all()
    assert made.data.source == "doubly stochastic Poisson"


def test_bins_need_not_be_whole_steps():
    # 30 ms and steps of 7 ms: five steps of 6 ms instead.
    made = doubly_stochastic(
        rectified(50, 5, 0.1, units=500),
        trials=20,
        duration=0.1,
        bin_width=0.03,
        dt=0.007,
        rng=np.random.default_rng(2),
    )
    assert made.data.values.shape == (3, 20, 500)
    error = 4.5 * made.data.values.std() / np.sqrt(10_000)
    assert abs(made.data.values.mean() - 1.5) < error


def test_a_short_step_changes_nothing(agrees, lagged):
    law = rectified(40, 30, 0.05, units=300)
    made = doubly_stochastic(
        law,
        trials=20,
        duration=0.1,
        bin_width=0.02,
        dt=0.0005,
        rng=np.random.default_rng(3),
    )
    exact = bin_covariance(made.truth, 0.02, 4)[:, 0]
    agrees(lagged(made.data.values, 4), exact, precision=0.05)


def test_a_drift_over_trials_lifts_all_lags(agrees, lagged):
    law = log_gaussian(20, 10, 0.05, units=600)
    made = doubly_stochastic(
        law,
        trials=30,
        duration=0.5,
        bin_width=0.05,
        drift=0.3,
        rng=np.random.default_rng(4),
        dt=0.005,
    )
    exact = bin_covariance(made.truth, 0.05, 9)[:, 0]
    agrees(lagged(made.data.values, 9), exact, precision=0.03)
    # At 450 ms only the drift is left: (0.3 · 20 Hz · 50 ms)².
    assert abs(exact[9] / 0.3**2 - 1) < 0.01
    np.testing.assert_allclose(
        made.truth.autocovariance(np.array([5.0]))[0, 0], (0.3 * 20) ** 2
    )
    halves = made.data.values.mean(axis=(0, 2)).reshape(2, 15).mean(axis=1)
    assert halves[1] / halves[0] > 1.3


def test_an_onset_adds_spikes_early_and_no_covariance(agrees):
    law = rectified(10, 5, 0.1, units=400)
    made = doubly_stochastic(
        law,
        trials=40,
        duration=0.3,
        bin_width=0.05,
        onset=60.0,
        onset_tau=0.04,
        rng=np.random.default_rng(5),
        dt=0.005,
    )
    values = made.data.values
    agrees(values.mean(axis=1).T, bin_mean(made.truth, 0.05, 6)[:, 0], precision=0.02)
    centred = values - values.mean(axis=1, keepdims=True)
    matrices = np.einsum("itn,jtn->nij", centred, centred) / 39
    exact = bin_covariance_matrix(made.truth, 0.05, 6)[..., 0]
    agrees(matrices, exact, precision=0.02)
    assert values[0].mean() > 3 * values[5].mean()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"drift": 0.9}, r"drift: got 0\.9, need at most 0\.673 for 10 trials"),
        ({"drift": 0.1, "trials": 1}, "trials: got 1, need at least 2 for a drift"),
        ({"drift": -0.1}, r"drift: got -0\.1, need numbers of at least 0"),
        ({"onset": [1.0, 2.0, 3.0]}, r"onset: got shape \(3,\), need one number or 2"),
        ({"onset": -5.0}, r"onset: got -5\.0 at \[0\]"),
        ({"bin_width": 2.0}, r"bin_width: got 2\.0 s, need at most 1\.0 s"),
        ({"dt": 0.0}, r"dt: got 0\.0, need numbers greater than 0"),
        ({"trials": 0}, "trials: got 0, need 1 to"),
    ],
)
def test_impossible_recordings_are_refused(changed, message):
    arguments = {"trials": 10, "duration": 1.0, "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=message):
        doubly_stochastic(rectified(20, 10, 0.1, units=2), **arguments | changed)
