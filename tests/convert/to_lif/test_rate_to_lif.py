"""The λ mapping and its closed forms."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.to_lif.search_lambda import rate_to_lif


def test_constant_rates_give_the_rate_networks_drive(rate_net):
    """At constant firing f the current is λ W f (in mV), whatever dt and τ are."""
    for dt in (1e-3, 0.5e-3):
        net = rate_to_lif(rate_net, inverse_lambda=40.0, constants=LIFConstants(dt=dt))
        f = np.linspace(5, 60, rate_net.n)
        keep = np.exp(-dt / rate_net.tau)
        # a geometric series of jumps: i = Σ W_rec f dt keep^k
        current = net.w_rec @ (f * dt) / (1 - keep)
        np.testing.assert_allclose(current, 1e-3 * rate_net.w_rec @ (f / 40.0))
        steady = net.w_in @ np.array([1.0, -2.0]) / (1 - keep)
        np.testing.assert_allclose(steady, 1e-3 * rate_net.w_in @ [1.0, -2.0])


def test_what_is_kept_and_what_is_scaled(rate_net):
    net = rate_to_lif(rate_net, inverse_lambda=25.0, output_gain=0.5, drive=2e-3)
    np.testing.assert_array_equal(net.tau_syn, rate_net.tau)
    np.testing.assert_array_equal(net.b_out, rate_net.b_out)
    np.testing.assert_allclose(net.w_out, 0.5 * rate_net.w_out / 25.0)
    np.testing.assert_allclose(net.v_leak, -0.040 + 1e-3 * rate_net.bias + 2e-3)
    assert (net.v_th - net.v_reset == pytest.approx(0.025)) and net.noise_std == 1e-3
    assert (np.sign(net.w_rec) == np.sign(rate_net.w_rec)).all()
    assert not (net.i0.any() or net.f0.any()) and (net.v0 == net.v_reset).all()


def test_constants_reach_the_network(rate_net):
    constants = LIFConstants(
        tau_mem=0.02, refractory=0.005, noise_std=0.0, dt=5e-4, unit=2e-3, v_leak=-0.05
    )
    net = rate_to_lif(rate_net, inverse_lambda=30.0, constants=constants)
    assert (net.tau_mem == 0.02).all() and (net.refractory == 0.005).all()
    assert net.noise_std == 0.0 and net.dt == 5e-4
    np.testing.assert_allclose(net.v_leak, -0.05 + 2e-3 * rate_net.bias)
    assert constants.burn_in_steps == 400


def test_a_lag_is_taken_off_tau_down_to_a_step(rate_net):
    tau = np.where(np.arange(rate_net.n) < 3, 0.012, rate_net.tau)
    net = rate_to_lif(
        dataclasses.replace(rate_net, tau=tau), inverse_lambda=30.0, lag=0.012
    )
    np.testing.assert_allclose(net.tau_syn[:3], 0.001)
    np.testing.assert_allclose(net.tau_syn[3:], rate_net.tau[3:] - 0.012)
    # the drive of constant rates does not depend on it
    keep = np.exp(-1e-3 / net.tau_syn)
    current = net.w_rec.sum(axis=1) * 30.0 * 1e-3 / (1 - keep)
    np.testing.assert_allclose(current, 1e-3 * rate_net.w_rec.sum(axis=1))


def test_a_start_at_the_fixed_point_stays_there(rate_net):
    """Spikes at the rates f0 keep the current at i0 if x0 = W φ(x0) + b."""
    x = np.zeros(rate_net.n)
    for _ in range(300):
        x += 0.2 * (rate_net.w_rec @ (1 / (1 + np.exp(-x))) + rate_net.bias - x)
    settled = dataclasses.replace(rate_net, x0=x)
    net = rate_to_lif(settled, inverse_lambda=30.0, from_x0=True)
    np.testing.assert_allclose(net.f0, 30.0 / (1 + np.exp(-x)))
    keep = np.exp(-1e-3 / net.tau_syn)
    np.testing.assert_allclose(net.i0, net.w_rec @ (net.f0 * 1e-3) / (1 - keep))
    assert (net.v0 >= net.v_reset).all() and (net.v0 < net.v_th).all()
    assert np.unique(net.v0).size == net.n


def test_bad_arguments_are_named(rate_net):
    with pytest.raises(ValueError, match="inverse_lambda: got 0 Hz, need more than 0"):
        rate_to_lif(rate_net, inverse_lambda=0)
    tanh = dataclasses.replace(rate_net, activation="tanh")
    with pytest.raises(ValueError, match="got tanh, need rates that are not negative"):
        rate_to_lif(tanh, inverse_lambda=30.0)
    apart = dataclasses.replace(rate_net, readout_bias=np.ones(rate_net.n))
    with pytest.raises(ValueError, match="readout_bias: got values other than 0"):
        rate_to_lif(apart, inverse_lambda=30.0)
