"""Moments summed up while a network runs, against numpy on the traces it leaves."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.simulate import lif_dynamics
from isotau.convert.simulate.lif_dynamics import simulate_lif

LAGS = (1, 2, 7, 30)


def by_hand(trace, lags):
    x = trace.astype(float)
    y = x - x.mean(axis=(0, 1))
    return [(y[lag:] * y[: len(y) - lag]).mean(axis=(0, 1)) for lag in (0, *lags)]


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("held", [1 << 22, 40, 1])
def test_they_are_those_of_the_traces(lif_net, monkeypatch, every, held):
    """In strides of thousands of steps, of a few, of one."""
    monkeypatch.setattr(lif_dynamics, "HELD", held)
    inputs = np.random.default_rng(0).standard_normal((151, 4, 2))
    signals = ("i", "v", "f")
    arguments = {"seed": 2, "every": every, "neurons": [3, 19, 0], "burn_in": 10}
    run = simulate_lif(
        lif_net, inputs, moments=signals, lags=LAGS, record=("f",), **arguments
    )
    kept = simulate_lif(lif_net, inputs, record=signals, **arguments)
    np.testing.assert_array_equal(run.f, kept.f)
    assert run.i is None
    assert set(run.moments) == set(signals)
    for name in signals:
        trace, got = getattr(kept, name), run.moments[name]
        expected = by_hand(trace, LAGS)
        scale = expected[0].max()
        np.testing.assert_allclose(got.mean, trace.astype(float).mean(axis=(0, 1)))
        np.testing.assert_allclose(got.variance, expected[0], atol=1e-9 * scale)
        np.testing.assert_allclose(
            got.autocovariance, np.stack(expected[1:]), atol=1e-9 * scale
        )
        assert got.lags.tolist() == list(LAGS)
        assert (got.samples, got.trials) == (151 // every, 4)


def test_sums_do_not_depend_on_threads_or_strides(lif_net, monkeypatch):
    inputs = np.random.default_rng(0).standard_normal((80, 5, 2))

    def covariance(threads):
        run = simulate_lif(
            lif_net, inputs, seed=2, moments=("v",), lags=LAGS, threads=threads
        )
        return run.moments["v"].autocovariance

    whole = covariance(1)
    np.testing.assert_array_equal(covariance(3), whole)
    monkeypatch.setattr(lif_dynamics, "HELD", 700)
    np.testing.assert_array_equal(covariance(2), whole)


def test_without_lags_there_are_mean_and_variance(lif_net):
    inputs = np.zeros((40, 2, 2))
    run = simulate_lif(lif_net, inputs, seed=1, moments=("v",), record=("v",))
    moments = run.moments["v"]
    assert moments.autocovariance.shape == (0, 20)
    expected = run.v.astype(float).var(axis=(0, 1))
    np.testing.assert_allclose(moments.variance, expected, rtol=1e-6)


def test_a_filtered_current_forgets_as_its_time_constant_says(lif_net):
    """White noise on v alone: the covariance of v falls by exp(−dt/τ_mem) a step."""
    net = dataclasses.replace(
        lif_net, w_rec=np.zeros((20, 20)), v_leak=np.full(20, -0.2)
    )
    net = dataclasses.replace(net, v0=net.v_leak)
    run = simulate_lif(
        net,
        np.zeros((4000, 20, 2)),
        seed=3,
        burn_in=200,
        moments=("v",),
        lags=(5, 10),
        dtype=np.float64,
    )
    moments = run.moments["v"]
    expected = np.exp(-np.outer([5, 10], net.dt / net.tau_mem))
    rho = moments.autocovariance / moments.variance
    # 80000 samples, an independent one in some 20
    np.testing.assert_allclose(rho, expected, atol=0.06)
    np.testing.assert_allclose(np.sqrt(moments.variance), net.noise_std, rtol=0.06)
