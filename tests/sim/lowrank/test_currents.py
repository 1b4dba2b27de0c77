"""Currents from spikes: against what the engines themselves had."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.to_fixed.quantize import messages, quantize
from isotau.sim.engines import reference
from isotau.sim.lowrank.trajectories import currents

STEPS, BATCH = 60, 3


def inputs(net, rng):
    return rng.standard_normal((STEPS, BATCH, net.n_in))


def test_those_of_a_lif_network_are_norses(lif_net):
    x = inputs(lif_net, np.random.default_rng(1))
    run = simulate_lif(lif_net, x, generator=torch.Generator().manual_seed(1))
    module = LIFModule(lif_net)
    state, parameters = module.initial_state(BATCH), module.norse_parameters()
    generator = torch.Generator().manual_seed(1)
    keep = np.exp(-lif_net.dt / lif_net.tau_syn)
    found = list(currents(run.spikes, lif_net, x))
    assert len(found) == STEPS
    with torch.no_grad():
        for t in range(STEPS):
            sample = torch.randn(BATCH, lif_net.n, generator=generator)
            noise = module.noise_per_step() * sample.double()
            state = module.step(torch.tensor(x[t]), state, parameters, noise)
            np.testing.assert_allclose(
                found[t], state.lif.i.numpy() / keep, atol=1e-9, err_msg=str(t)
            )


def test_a_start_of_ones_own_decays(lif_net):
    quiet = np.zeros((STEPS, BATCH, lif_net.n_in))
    run = simulate_lif(lif_net, quiet, generator=None)
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
    net = replace(net, dv=np.maximum(net.dv, 1))
    sent = random_messages(rng, net, STEPS, BATCH, extreme=extreme)
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
    x = np.full((STEPS, BATCH, lif_net.n_in), 0.5)
    run = simulate_lif(lif_net, x, generator=torch.Generator().manual_seed(2))
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


def test_refusals(lif_net):
    x = np.zeros((STEPS, BATCH, lif_net.n_in))
    spikes = simulate_lif(lif_net, x, generator=None).spikes
    with pytest.raises(ValueError, match=r"drive: got shape \(60, 3, 1\), need \(60"):
        currents(spikes, lif_net, x[:, :, :1])
    with pytest.raises(ValueError, match=r"i0: got shape \(20,\), need \(3, 20\)"):
        currents(spikes, lif_net, x, i0=np.zeros(20))
    other = type(spikes)(bits=spikes.bits, n=20, dt=0.002, engine="x")
    with pytest.raises(
        ValueError, match=r"spikes: got 20 neurons in steps of 0\.002 s"
    ):
        currents(other, lif_net, x)
