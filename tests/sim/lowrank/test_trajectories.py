"""κ: exact where the state is known, and the same at the rate and the spiking stage.

Currents from spikes: against what the engines themselves had.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.convert.neuron.activation import activate
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes, pack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_fixed.quantize import messages, quantize
from isotau.sim.engines import reference
from isotau.sim.lowrank.factors import factors
from isotau.sim.lowrank.trajectories import (
    compare_kappa,
    currents,
    kappa,
    spiking_kappa,
)

RNG = np.random.default_rng(0)


def test_coefficients_are_recovered_with_overlapping_inputs():
    m, inputs, bias = RNG.standard_normal((30, 2)), RNG.standard_normal((30, 3)), 0.7
    inputs[:, 0] += 2 * m[:, 0]
    true, v = RNG.standard_normal((7, 4, 2)), RNG.standard_normal((7, 4, 3))
    x = true @ m.T + v @ inputs.T + bias
    np.testing.assert_allclose(kappa(x, m, inputs=inputs, offset=bias), true, atol=1e-9)
    silent = np.zeros((30, 1))
    np.testing.assert_allclose(
        kappa(true @ m.T, m, inputs=silent), true, atol=1e-9, err_msg="a zero input"
    )


def test_it_is_least_squares():
    """Against numpy's solver, for a state outside the span."""
    m, x = RNG.standard_normal((30, 2)), RNG.standard_normal((5, 30))
    solved = np.linalg.lstsq(m, x.T, rcond=None)[0].T
    np.testing.assert_allclose(kappa(x, m), solved, atol=1e-12)


def test_kappa_of_a_run_is_the_reduced_equation(rotation):
    """κ ← κ + (dt/τ)(nᵀφ(m κ + I v)/N − κ), step for step, with input."""
    e = RNG.standard_normal((300, 1))
    net = replace(rotation, w_in=e)
    drive = RNG.standard_normal((80, 2, 1))
    run = simulate_rate(net, drive, seed=0, keep_x=True)
    found = kappa(run.x, net.m_vectors, inputs=net.w_in)
    k, v = np.zeros((2, 2)), np.zeros((2, 1))
    for t in range(80):
        rates = np.tanh(k @ net.m_vectors.T + v @ net.w_in.T)
        k = k + 0.01 * (rates @ net.n_vectors / 300 - k)
        v = v + 0.01 * (drive[t] - v)
        np.testing.assert_allclose(found[t], k, atol=1e-9)


def test_of_spikes_it_is_kappa_of_the_currents(lif_net):
    x = RNG.standard_normal((40, 3, 2))
    spikes = simulate_lif(lif_net, x, seed=None).spikes
    m, inputs = RNG.standard_normal((2, lif_net.n, 2))
    found = spiking_kappa(spikes, lif_net, x, m, inputs=inputs, unit=2e-3, offset=0.5)
    i = np.array(list(currents(spikes, lif_net, x)))
    again = kappa(i / 2e-3, m, inputs=inputs, offset=0.5)
    np.testing.assert_allclose(found, again, atol=1e-12)


UNITS, STEPS, PEAK = 500, 300, 500.0
"""Poisson neurons of up to 500 Hz stand for a rate network of sigmoid units."""


def poisson_twin(make, orthogonal):
    """A rate network with memory, and a LIF network that has its currents."""
    e = orthogonal(UNITS, 3, np.random.default_rng(5))
    net = make(
        e[:, :1],
        5.0 * e[:, :1] + e[:, 1:2],
        w_in=e[:, 2:3] + e[:, :1],
        activation="sigmoid",
        tau=np.full(UNITS, 0.05),
    )
    loss = -np.expm1(-net.dt / net.tau)[:, None]
    every = np.ones(UNITS)
    lif = LIFNetwork(
        w_in=1e-3 * loss * net.w_in,
        w_rec=1e-3 * loss / (net.dt * PEAK) * net.w_rec,
        w_out=net.w_out,
        b_out=net.b_out,
        tau_syn=net.tau,
        tau_mem=0.01 * every,
        v_th=-0.04 * every,
        v_leak=-0.04 * every,
        v_reset=-0.065 * every,
        refractory=0 * every,
        noise_std=0.0,
        dt=net.dt,
    )
    return net, lif


def test_spiking_kappa_is_the_rates_within_the_noise_of_spikes(make, orthogonal):
    """Spikes drawn with probability r: κ follows with the SD that their count gives.

    κ_t filters nᵀz/N; z of variance r(1 − r) a step makes the variance of κ
    Σ n² r(1 − r)/N² · q/(2 − q) with q the loss in a step, times (1/(PEAK dt))².
    """
    net, lif = poisson_twin(make, orthogonal)
    drive = np.zeros((STEPS, 4, 1))
    drive[50:150] = np.array([1.0, 1.0, -1.0, -1.0])[:, None]
    run = simulate_rate(net, drive, seed=0, keep_x=True)
    raster = (
        np.random.default_rng(6).random(run.rates.shape) < run.rates * PEAK * net.dt
    )
    spikes = Spikes(bits=pack(raster), n=UNITS, dt=net.dt, engine="poisson")
    found = factors(net)
    rate = kappa(run.x, found.m_vectors, inputs=net.w_in)
    spiking = spiking_kappa(spikes, lif, drive, found.m_vectors, inputs=net.w_in)
    assert np.abs(rate).max() > 0.5
    near = compare_kappa(rate, spiking, np.array([0, 0, 1, 1]))
    q, p = -np.expm1(-net.dt / 0.05), PEAK * net.dt
    z = (run.rates * p * (1 - run.rates * p)).mean(axis=(0, 1))
    sd = np.sqrt((found.n_vectors[:, 0] ** 2 * z).sum() * q / (2 - q)) / UNITS / p
    # The regression on m and I leaves a little more of it than the sum over n.
    assert 0.6 * sd < near.rmse[0] < 1.6 * sd + 0.01
    assert near.correlation[0] > 0.98
    assert near.nrmse[0] < 0.2
    assert (near.condition_correlation > 0.98).all()
    assert near.rate_means.shape == near.spiking_means.shape == (2, STEPS, 1)


def test_fixed_point_kappa_is_the_lifs(lif_net):
    x = np.repeat(RNG.standard_normal((6, 3, 2)), 30, axis=0)
    run = simulate_lif(lif_net, x, seed=1)
    fixed = quantize(replace(lif_net, noise_std=0.0), run.ranges, input_peak=4.0)
    sent = messages(fixed, x)
    chip = reference.run(fixed, sent).spikes
    m = RNG.standard_normal((lif_net.n, 1))
    ours = spiking_kappa(chip, fixed, sent, m)
    # The chip's spikes, read with the weights before they were rounded.
    floats = spiking_kappa(chip, lif_net, x, m)
    near = compare_kappa(floats, ours)
    assert near.correlation[0] > 0.99
    assert near.nrmse[0] < 0.1


def test_agreement_of_known_numbers():
    """A copy with a constant added, and one with the sign turned."""
    rate = RNG.standard_normal((50, 4, 2))
    other = np.stack([rate[..., 0] + 0.5, -rate[..., 1]], axis=-1)
    near = compare_kappa(rate, other)
    power = (rate[..., 1] ** 2).mean()
    np.testing.assert_allclose(near.rmse, [0.5, 2 * np.sqrt(power)])
    np.testing.assert_allclose(near.nrmse[0], 0.5 / rate[..., 0].std())
    np.testing.assert_allclose(near.correlation, [1, -1])
    np.testing.assert_array_equal(near.conditions, [0])
    np.testing.assert_allclose(near.rate_means[0], rate.mean(axis=1))
    np.testing.assert_allclose(near.condition_rmse[0, 0], 0.5)
    np.testing.assert_allclose(near.condition_nrmse[0, 0], 0.5 / rate[..., 0].std())


def test_shorter_steps_are_taken_at_the_end_of_the_longer():
    rate = RNG.standard_normal((10, 2, 1))
    fine = np.repeat(rate, 5, axis=0) + 100.0
    fine[4::5] = rate
    assert compare_kappa(rate, fine).rmse[0] == 0


def test_what_does_not_vary_has_no_correlation():
    near = compare_kappa(np.zeros((5, 2, 1)), np.ones((5, 2, 1)))
    assert np.isnan([near.correlation[0], near.nrmse[0]]).all()
    assert near.rmse[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        near.rmse[0] = 2


def test_tanh_through_sigmoid_is_read_with_an_offset(make, orthogonal):
    """tanh x = 2σ(2x) − 1: currents of 4Jσ − 2J1 less what makes up for the −1."""
    e = orthogonal(100, 2, np.random.default_rng(7))
    m, n = e[:, :1], e[:, :1] + 0.3
    net = make(m, n)
    x = 0.8 * e[:, 0]
    i = 4 * net.w_rec @ activate(2 * x, "sigmoid")
    found = kappa(i, 2 * m, offset=2 * net.w_rec @ np.ones(100))
    np.testing.assert_allclose(found, n.T @ np.tanh(x) / 100, atol=1e-12)


M, X = np.ones((5, 1)), np.ones((2, 5))
REFUSED = [
    (lambda: kappa(X, np.ones((4, 1))), "m_vectors: got shape (4, 1), need (5, 1)"),
    (lambda: kappa(X, M, inputs=np.ones((4, 1))), "inputs: got shape (4, 1), need (5,"),
    (lambda: kappa(X, M, offset=np.ones(3)), "offset: got shape (3,), need (5,)"),
    (lambda: kappa(X, M, inputs=3 * M), "m_vectors: got a column that the others"),
    (lambda: kappa(X, 0 * M), "m_vectors: got a column that the others"),
    (
        lambda: compare_kappa(np.ones((4, 2, 1)), np.ones((6, 2, 1))),
        "spiking: got shape (6, 2, 1), need (4, 2, 1) or a multiple of its steps",
    ),
    (
        lambda: compare_kappa(np.ones((4, 2, 1)), np.ones((4, 2, 1)), np.ones(3)),
        "labels: got shape (3,), need (2,) (trial)",
    ),
]


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_refusals(call, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        call()


def test_a_unit_of_nothing_is_refused(lif_net):
    x = np.zeros((5, 1, 2))
    spikes = simulate_lif(lif_net, x, seed=None).spikes
    with pytest.raises(ValueError, match="unit: got 0"):
        spiking_kappa(spikes, lif_net, x, np.ones((20, 1)), unit=0.0)


STEPS_OF_CURRENTS, BATCH = 60, 3


def inputs(net, rng):
    return rng.standard_normal((STEPS_OF_CURRENTS, BATCH, net.n_in))


def test_those_of_a_lif_network_are_norses(lif_net):
    x = inputs(lif_net, np.random.default_rng(1))
    run = simulate_lif(lif_net, x, seed=1)
    module = LIFModule(lif_net)
    state, parameters = module.initial_state(BATCH), module.norse_parameters()
    steps = STEPS_OF_CURRENTS
    noise = module.draw_noise(steps, BATCH, seed=1).by_step(steps)
    keep = np.exp(-lif_net.dt / lif_net.tau_syn)
    found = list(currents(run.spikes, lif_net, x))
    assert len(found) == STEPS_OF_CURRENTS
    with torch.no_grad():
        for t in range(STEPS_OF_CURRENTS):
            state = module.step(torch.tensor(x[t]), state, parameters, noise[t])
            np.testing.assert_allclose(
                found[t], state.lif.i.numpy() / keep, atol=1e-9, err_msg=str(t)
            )


def test_a_start_of_ones_own_decays(lif_net):
    quiet = np.zeros((STEPS_OF_CURRENTS, BATCH, lif_net.n_in))
    run = simulate_lif(lif_net, quiet, seed=None)
    i0 = np.full((BATCH, lif_net.n), 2e-3)
    pairs = zip(
        currents(run.spikes, lif_net, quiet, i0=i0),
        currents(run.spikes, lif_net, quiet),
        strict=True,
    )
    for t, (one, other) in enumerate(pairs):
        left = i0 * np.exp(-t * lif_net.dt / lif_net.tau_syn)
        np.testing.assert_allclose(one - other, left, atol=1e-15)


@pytest.mark.parametrize("seed", range(8))
def test_those_of_a_chip_are_its_u(seed):
    """Delays, resets, noise, overflow: bit for bit what the engine recorded."""
    rng, extreme = np.random.default_rng(seed), seed % 2 == 1
    net = random_network(rng, 12, extreme=extreme)
    # Noise in u is not in the spikes.
    net = replace(net, dv=np.maximum(net.dv, 1), current_noise_exp=0)
    sent = random_messages(rng, net, STEPS_OF_CURRENTS, BATCH, extreme=extreme)
    run = reference.run(net, sent, seed=3, record=["u"])
    volt = net.state_scale * net.dv / 4096
    for t, found in enumerate(currents(run.spikes, net, sent)):
        np.testing.assert_array_equal(np.rint(found * volt), run.u[t])


def test_a_chip_without_leak_has_no_volts():
    rng = np.random.default_rng(0)
    net = random_network(rng, 12, extreme=False)
    net = replace(net, dv=np.where(np.arange(12) == 5, 0, net.dv))
    sent = random_messages(rng, net, 5, 1, extreme=False)
    with pytest.raises(ValueError, match="dv: got 0 for neuron 5, need more"):
        currents(reference.run(net, sent).spikes, net, sent)


def test_chip_and_lif_have_the_same_currents(lif_net):
    """One unit of input, no spikes: both give the same volts, a step apart."""
    x = np.full((STEPS_OF_CURRENTS, BATCH, lif_net.n_in), 0.5)
    run = simulate_lif(lif_net, x, seed=2)
    fixed = quantize(lif_net, run.ranges, input_peak=1.0)
    silent = type(run.spikes)(
        bits=np.zeros_like(run.spikes.bits), n=lif_net.n, dt=lif_net.dt, engine="none"
    )
    lif = np.array(list(currents(silent, lif_net, x)))
    chip = np.array(list(currents(silent, fixed, messages(fixed, x))))
    np.testing.assert_allclose(chip[1:], lif[:-1], atol=0.01 * np.abs(lif).max())
    # A start is the same volts in both, in the step that it starts.
    i0 = np.full((BATCH, lif_net.n), 1e-3)
    sent = np.zeros(x.shape, dtype=int)
    chip = np.array(list(currents(silent, fixed, sent, i0=i0)))
    np.testing.assert_allclose(chip[0], i0, rtol=1e-3)


def test_currents_are_refused(lif_net):
    x = np.zeros((STEPS_OF_CURRENTS, BATCH, lif_net.n_in))
    spikes = simulate_lif(lif_net, x, seed=None).spikes
    with pytest.raises(ValueError, match=r"drive: got shape \(60, 3, 1\), need \(60"):
        currents(spikes, lif_net, x[:, :, :1])
    with pytest.raises(ValueError, match=r"i0: got shape \(20,\), need \(3, 20\)"):
        currents(spikes, lif_net, x, i0=np.zeros(20))
    other = type(spikes)(bits=spikes.bits, n=20, dt=0.002, engine="x")
    with pytest.raises(
        ValueError, match=r"spikes: got 20 neurons in steps of 0\.002 s"
    ):
        currents(other, lif_net, x)
