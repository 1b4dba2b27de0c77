"""Norse's loop against the record's equations; noise that does not see cuts."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.simulate.trainable import SURROGATES
from isotau.convert.tuning.forward.dynamics import (
    NorseLoop,
    detach,
)
from isotau.convert.tuning.forward.units import in_units, unit_of


@pytest.fixture
def net(lif_net):
    """The network with refractory periods of 0 to 3 steps and a start of its own."""
    rng = np.random.default_rng(8)
    return dataclasses.replace(
        lif_net,
        refractory=np.arange(20) % 4 * lif_net.dt,
        i0=0.01 * rng.standard_normal(20),
        v0=rng.uniform(-0.08, -0.02, 20),
    )


def module_of(net, **settings):
    unit = unit_of(net, 0.1)
    return LIFModule(in_units(net, unit), unit=unit, **settings)


def inputs_of(steps, batch=3):
    generator = torch.Generator().manual_seed(2)
    return torch.randn((steps, batch, 2), dtype=torch.float64, generator=generator)


def by_hand(net, inputs, noise):
    """Return spikes by the equations of `LIFNetwork`, in volts; the last v and i."""
    v, i = np.tile(net.v0, (inputs.shape[1], 1)), np.tile(net.i0, (inputs.shape[1], 1))
    z, rest = np.zeros(v.shape), np.zeros(v.shape)
    spikes = []
    for x, add in zip(inputs, noise, strict=True):
        i = i + x @ net.w_in.T + z @ net.w_rec.T
        v = v + (1 - np.exp(-net.dt / net.tau_mem)) * (net.v_leak - v + i) + add
        i = i * np.exp(-net.dt / net.tau_syn)
        z = (v > net.v_th) & (rest == 0)
        v = np.where(z | (rest > 0), net.v_reset, v)
        rest = np.where(z, np.rint(net.refractory / net.dt), np.maximum(rest - 1, 0))
        spikes.append(z)
    return np.array(spikes), v, i


def drawn(module, *shape, **place):
    """Return the membrane's noise, steps × batch × neuron."""
    return module.draw_noise(*shape, **place).v


@pytest.mark.parametrize("seed", [None, 11])
def test_spikes_are_those_of_the_equations(net, seed):
    module, inputs = module_of(net), inputs_of(200)
    run = NorseLoop().prepare(module)
    with torch.no_grad():
        spikes, end, _ = run.run(inputs, run.start(3), seed=seed, step=0)
    noise = np.zeros((200, 3, 20))
    if seed is not None:
        noise = drawn(module, 200, 3, seed=seed).numpy()
    unit = module.unit.numpy()
    expected, v, i = by_hand(net, inputs.numpy(), noise * unit)
    assert expected.sum() > 500
    np.testing.assert_array_equal(spikes.numpy(), expected)
    np.testing.assert_allclose(end.v.numpy() * unit, v, rtol=1e-9)
    np.testing.assert_allclose(end.i.numpy() * unit, i, rtol=1e-9, atol=1e-15)
    assert torch.equal(end.x, inputs[-1])


@pytest.mark.parametrize("at", [1, 63, 64, 100])
def test_a_run_in_two_parts_is_one(net, at):
    run, inputs = NorseLoop().prepare(module_of(net)), inputs_of(130)
    with torch.no_grad():
        whole, end, _ = run.run(inputs, run.start(3), seed=4, step=0)
        first, state, _ = run.run(inputs[:at], run.start(3), seed=4, step=0)
        second, last, _ = run.run(inputs[at:], state, seed=4, step=at)
    assert torch.equal(torch.cat([first, second]), whole)
    for got, need in zip(last, end, strict=True):
        assert torch.equal(got, need)


def test_without_a_seed_there_is_no_noise(net):
    module, silent = module_of(net), dataclasses.replace(net, noise_std=0.0)
    spikes = []
    for each, seed in ((module, None), (module_of(silent), 3), (module, 3)):
        run = NorseLoop().prepare(each)
        with torch.no_grad():
            spikes.append(run.run(inputs_of(150), run.start(3), seed=seed, step=0)[0])
    assert torch.equal(spikes[0], spikes[1])
    assert not torch.equal(spikes[0], spikes[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cuts", [(1, 2, 3), (64,), (40, 128, 150, 299)])
def test_noise_does_not_depend_on_how_a_trial_is_cut(net, dtype, cuts):
    module = module_of(net, dtype=dtype)
    whole = drawn(module, 300, 2, seed=5)
    edges = [0, *cuts, 300]
    parts = [drawn(module, b - a, 2, seed=5, step=a) for a, b in pairwise(edges)]
    assert torch.equal(torch.cat(parts), whole)


def test_noise_is_white_and_of_the_records_size(net):
    tau = np.linspace(0.005, 0.05, 20)
    module = module_of(dataclasses.replace(net, tau_mem=tau))
    noise = drawn(module, 256, 400, seed=0).numpy()
    # 102400 values a neuron: the deviation is known to 0.22 %
    need = net.noise_std * np.sqrt(1 - np.exp(-2 * net.dt / tau)) / module.unit.numpy()
    np.testing.assert_allclose(noise.std(axis=(0, 1)), need, rtol=0.012)
    white = noise / need
    assert np.abs(white.mean(axis=(0, 1))).max() < 5 / np.sqrt(102400)
    for lag in (1, 2, 64, 128):
        assert abs((white[lag:] * white[:-lag]).mean()) < 0.005
    for axis in (1, 2):
        across = (white * np.roll(white, 1, axis=axis)).mean()
        assert abs(across) < 0.005


def test_noise_follows_its_seed(net):
    module = module_of(net)
    one, again, other = (
        drawn(module, 70, 2, seed=seed) for seed in (2**63 - 1, 2**63 - 1, 0)
    )
    assert torch.equal(one, again)
    assert not (one == other).any()


def test_noise_has_no_gradient(net):
    module = module_of(net, train=("tau_mem",))
    assert not drawn(module, 10, 2, seed=0).requires_grad


def test_a_trial_begins_at_the_networks_start(net):
    module = module_of(net)
    state = NorseLoop().prepare(module).start(4)
    unit = unit_of(net, 0.1)
    for trial in range(4):
        np.testing.assert_array_equal(state.v[trial].numpy() * unit, net.v0)
        np.testing.assert_array_equal(state.i[trial].numpy() * unit, net.i0)
    assert state.z.shape == state.rest.shape == (4, 20)
    assert not state.z.any() and not state.rest.any()
    assert state.x.shape == (4, 2) and not state.x.any()


def test_no_gradient_passes_a_detached_state(net):
    module = module_of(net)
    run = NorseLoop().prepare(module)
    _, state, _ = run.run(inputs_of(20), run.start(3), seed=None, step=0)
    assert state.v.requires_grad and state.i.requires_grad
    for part, before in zip(detach(state), state, strict=True):
        assert not part.requires_grad
        assert torch.equal(part, before)


SLOPES = {
    "super": lambda x: 1 / (1 + np.abs(x)) ** 2,
    "tanh": lambda x: 1 / np.cosh(x) ** 2,
    "triangle": lambda x: np.maximum(0.0, 1 - np.abs(x)),
    "heavi_erfc": lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x),
    "circ": lambda x: (1 + x * x) ** -1.5,
}


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_the_slope_is_as_wide_as_a_unit(surrogate):
    """Five neurons in one step: dz/dw is damping · h((v − v_th)/unit) · a_mem."""
    x, unit = np.array([-2.5, -0.8, 0.1, 0.6, 1.7]), 2.0 ** np.arange(-6.0, -1.0)
    kept, n = np.exp(-0.1), 5
    reset = np.zeros(n)
    net = LIFNetwork(
        w_in=np.zeros((n, 1)),
        w_rec=np.zeros((n, n)),
        w_out=np.ones((1, n)),
        b_out=[0.0],
        tau_syn=np.full(n, 0.01),
        tau_mem=np.full(n, 0.01),
        v_th=10 * unit,
        v_leak=reset,
        v_reset=reset,
        refractory=reset,
        noise_std=0.0,
        dt=1e-3,
        v0=(10 + x) * unit / kept,
    )
    made = in_units(net, unit)
    module = LIFModule(made, surrogate=surrogate, damping=0.3, unit=unit)
    run = NorseLoop().prepare(module)
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    spikes, _, _ = run.run(one, run.start(1), seed=None, step=0)
    np.testing.assert_array_equal(spikes.detach().numpy()[0, 0], x > 0)
    spikes.sum().backward()
    expected = 0.3 * SLOPES[surrogate](x) * (1 - kept)
    np.testing.assert_allclose(module.w_in.grad[:, 0].numpy(), expected, rtol=1e-6)


def test_no_gradient_passes_a_neuron_at_rest_or_its_reset():
    """Of a spike's cause only the surrogate tells: v after it is a constant."""
    net = LIFNetwork(
        w_in=[[1.0]],
        w_rec=[[0.0]],
        w_out=[[1.0]],
        b_out=[0.0],
        tau_syn=[2e-5],
        tau_mem=[1e-2],
        v_th=[1.0],
        v_leak=[0.0],
        v_reset=[0.0],
        refractory=[2e-3],
        noise_std=0.0,
        dt=1e-3,
    )
    module = LIFModule(net, surrogate="triangle", damping=0.5)
    a, run = 1 - np.exp(-0.1), NorseLoop().prepare(module)
    inputs = torch.tensor([1.2, 1.2, 1.2, 0.9]).double().reshape(4, 1, 1) / a
    spikes, _, _ = run.run(inputs, run.start(1), seed=None, step=0)
    assert spikes.flatten().tolist() == [1, 0, 0, 0]
    rows = []
    for z in spikes.flatten():
        module.w_in.grad = None
        z.backward(retain_graph=True)
        rows.append(module.w_in.grad.item())
    # v'(1) = 1.2, x = 0.2; at rest nothing; v'(4) = 0.9 from the reset, x = −0.1
    need = [0.5 * 0.8 * 1.2, 0.0, 0.0, 0.5 * 0.9 * 0.9]
    np.testing.assert_allclose(rows, need, rtol=1e-6)
