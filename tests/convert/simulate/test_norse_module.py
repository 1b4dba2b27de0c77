"""The LIF module against a scalar integration, and its way back to a record."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.storage import same
from isotau.convert.simulate.norse_module import LIFModule, StepNoise, to_network
from isotau.convert.simulate.trainable import SURROGATES


def by_hand(net: LIFNetwork, inputs: np.ndarray) -> np.ndarray:
    """Spikes by the equations of the record's docstring, one neuron at a time."""
    steps, n = inputs.shape[0], net.n
    v, i = list(net.v0), list(net.i0)
    rest, z = [0] * n, [False] * n
    out = np.zeros((steps, n), dtype=bool)
    for t in range(steps):
        before = list(z)
        for k in range(n):
            i[k] += sum(net.w_in[k, c] * inputs[t, c] for c in range(net.n_in))
            i[k] += sum(net.w_rec[k, j] for j in range(n) if before[j])
            a_mem = 1 - np.exp(-net.dt / net.tau_mem[k])
            v[k] += a_mem * (net.v_leak[k] - v[k] + i[k])
            i[k] *= np.exp(-net.dt / net.tau_syn[k])
            if rest[k] > 0:
                rest[k] -= 1
                v[k], z[k] = net.v_reset[k], False
            else:
                z[k] = v[k] > net.v_th[k]
                if z[k]:
                    v[k] = net.v_reset[k]
                    rest[k] = round(net.refractory[k] / net.dt)
        out[t] = z
    return out


@pytest.fixture
def quiet(lif_net):
    refractory = np.arange(lif_net.n) % 4 * lif_net.dt
    return dataclasses.replace(lif_net, noise_std=0.0, refractory=refractory)


def test_spikes_are_those_of_the_equations(quiet):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((250, 1, 2))
    _, spikes = LIFModule(quiet)(torch.tensor(inputs))
    expected = by_hand(quiet, inputs[:, 0])
    assert expected.sum() > 300
    np.testing.assert_array_equal(spikes.detach().numpy()[:, 0] > 0, expected)


def started(net):
    """The same network with a start of its own."""
    rng = np.random.default_rng(8)
    return dataclasses.replace(
        net,
        i0=0.01 * rng.standard_normal(net.n),
        v0=rng.uniform(-0.08, -0.02, net.n),
        f0=rng.uniform(0, 60, net.n),
    )


def test_spikes_from_a_start_are_those_of_the_equations(quiet):
    """v0 is above threshold for some: they spike at once."""
    net, inputs = started(quiet), np.zeros((80, 2, 2))
    _, spikes = LIFModule(net)(torch.tensor(inputs))
    expected, rested = by_hand(net, inputs[:, 0]), by_hand(quiet, inputs[:, 0])
    assert expected[0].any() and (expected != rested).any()
    for trial in (0, 1):
        np.testing.assert_array_equal(spikes.detach().numpy()[:, trial] > 0, expected)


def test_a_start_comes_back_and_is_part_of_the_state_dict(lif_net):
    net, rested = started(lif_net), LIFModule(lif_net)
    assert same(to_network(LIFModule(net)), net)
    rested.load_state_dict(LIFModule(net).state_dict())
    assert same(to_network(rested), net)


def test_readout_begins_with_its_start(lif_net):
    module = LIFModule(started(lif_net))
    silence = [torch.zeros(3, lif_net.n).double() for _ in range(40)]
    outputs = module.read_out(silence).detach().numpy()
    t = 1e-3 * np.arange(1, 41)[:, None]
    f = started(lif_net).f0 * np.exp(-t / lif_net.tau_syn)
    for trial in range(3):
        expected = f @ lif_net.w_out.T + lif_net.b_out
        np.testing.assert_allclose(outputs[:, trial], expected, rtol=1e-10)


def test_round_trip_is_exact(lif_net):
    assert same(to_network(LIFModule(lif_net)), lif_net)


def test_readout_of_a_regular_train_is_its_rate(lif_net):
    module = LIFModule(lif_net)
    spikes = [torch.full((1, lif_net.n), float(t % 10 == 0)) for t in range(1000)]
    outputs = module.read_out([z.double() for z in spikes])
    rates = np.full(lif_net.n, 100.0)
    mean = outputs[-100:].mean(dim=0).detach().numpy()[0]
    np.testing.assert_allclose(mean, lif_net.w_out @ rates + lif_net.b_out, rtol=1e-3)


@pytest.mark.parametrize("name", ["noise_std", "current_noise_std"])
def test_noise_has_its_stationary_deviation(lif_net, name):
    silent = dataclasses.replace(
        lif_net,
        v_leak=np.full(lif_net.n, -1.0),
        v_reset=np.full(lif_net.n, -1.0),
        v0=np.full(lif_net.n, -1.0),
        w_rec=np.zeros((20, 20)),
        **{"noise_std": 0.0} | {name: 1e-3},
    )
    module = LIFModule(silent)
    parameters, state = module.norse_parameters(), module.initial_state(400)
    generator = torch.Generator().manual_seed(1)
    inputs, sizes = torch.zeros(400, 2).double(), module.noise_per_step()
    with torch.no_grad():
        for _ in range(300):
            sample = torch.randn(400, 20, generator=generator, dtype=torch.float64)
            noise = (None if size is None else size * sample for size in sizes)
            state = module.step(inputs, state, parameters, StepNoise(*noise))
    # i is left after its decay: the noise is that of the jump (L19)
    keep = torch.exp(-module.dt / module.tau_syn)
    found = state.lif.v if name == "noise_std" else state.lif.i / keep
    # 8000 independent values: the SD of the estimate is 0.8 %
    assert float(found.std()) == pytest.approx(1e-3, rel=0.04)


def test_exact_decay_does_not_depend_on_dt(lif_net):
    def current_after_20_ms(dt: float) -> np.ndarray:
        net = dataclasses.replace(
            lif_net, dt=dt, w_rec=np.zeros((20, 20)), refractory=np.zeros(20)
        )
        module = LIFModule(net)
        parameters, state = module.norse_parameters(), module.initial_state(1)
        state = state._replace(lif=state.lif._replace(i=torch.ones(1, 20).double()))
        with torch.no_grad():
            for _ in range(round(0.02 / dt)):
                state = module.step(torch.zeros(1, 2).double(), state, parameters)
        return state.lif.i.numpy()[0]

    expected = np.exp(-0.02 / lif_net.tau_syn)
    np.testing.assert_allclose(current_after_20_ms(1e-3), expected, rtol=1e-12)
    np.testing.assert_allclose(current_after_20_ms(5e-3), expected, rtol=1e-12)


def test_gain_scales_recurrent_weights_per_trial(quiet):
    rng = np.random.default_rng(2)
    inputs = torch.tensor(rng.standard_normal((150, 2, 2)))
    module = LIFModule(quiet)
    parameters, state = module.norse_parameters(), module.initial_state(2)
    gain = torch.tensor([[0.5], [1.5]], dtype=torch.float64)
    seen = []
    with torch.no_grad():
        for x in inputs:
            state = module.step(x, state, parameters, gain=gain)
            seen.append(state.lif.z.numpy() > 0)
    for k, factor in enumerate((0.5, 1.5)):
        scaled = dataclasses.replace(quiet, w_rec=factor * quiet.w_rec)
        with torch.no_grad():
            _, alone = LIFModule(scaled)(inputs[:, k : k + 1])
        np.testing.assert_array_equal(np.array(seen)[:, k], alone.numpy()[:, 0] > 0)


SLOPES = {
    "super": lambda x: 1 / (1 + abs(x)) ** 2,
    "tanh": lambda x: 1 / np.cosh(x) ** 2,
    "triangle": lambda x: max(0.0, 1 - abs(x)),
    "heavi_erfc": lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x),
    "circ": lambda x: (1 + x * x) ** -1.5,
}


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("x", [-2.0, -0.7, 0.3, 0.9])
def test_slope_of_a_surrogate_is_that_of_the_docstring(surrogate, x):
    """One neuron without leak in one step: v = a_mem · w_in, so dz/dw = slope · a."""
    one = np.ones(1)
    net = LIFNetwork(
        w_in=[[0.0]],
        w_rec=[[0.0]],
        w_out=[[1.0]],
        b_out=[0.0],
        tau_syn=one,
        tau_mem=one,
        v_th=5 * one,
        v_leak=0 * one,
        v_reset=0 * one,
        refractory=0 * one,
        noise_std=0.0,
        dt=1e-3,
        v0=[(5 + x) / np.exp(-1e-3)],
    )
    module = LIFModule(net, surrogate=surrogate, damping=0.5)
    _, spikes = module(torch.ones(1, 1, 1, dtype=torch.float64))
    assert spikes.item() == (x > 0)
    spikes.sum().backward()
    expected = 0.5 * SLOPES[surrogate](x) * -np.expm1(-1e-3)
    assert module.w_in.grad.item() == pytest.approx(expected, rel=1e-6)


def test_what_trains_is_what_was_named(quiet):
    module = LIFModule(quiet, train=("w_rec", "tau_syn", "tau_mem", "v_th", "v_leak"))
    inputs = torch.randn(60, 3, 2, dtype=torch.float64)
    _, spikes = module(inputs)
    (spikes * torch.randn_like(spikes)).sum().backward()
    trained = dict(module.named_parameters())
    assert set(trained) == {"w_rec", "tau_syn", "tau_mem", "v_th", "v_leak"}
    for name, parameter in trained.items():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    assert module.w_in.grad is None


def test_what_cannot_train_is_named(quiet):
    with pytest.raises(ValueError, match="train: got 'v_reset', need one of w_in"):
        LIFModule(quiet, train=("v_reset",))


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_gradients_reach_every_weight(quiet, surrogate):
    module = LIFModule(quiet, surrogate=surrogate)
    outputs, _ = module(torch.randn(60, 3, 2, dtype=torch.float64))
    outputs.square().mean().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_a_few_steps_of_training_lower_the_loss(quiet):
    torch.manual_seed(3)
    module = LIFModule(quiet, dtype=torch.float32)
    inputs = torch.randn(80, 4, 2)
    target = torch.linspace(0, 1, 80)[:, None, None].expand(80, 4, 2)
    fast, slow = [module.w_out, module.b_out], [module.w_rec, module.w_in]
    optimizer = torch.optim.Adam(
        [{"params": fast, "lr": 2e-2}, {"params": slow, "lr": 1e-4}]
    )
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        outputs, _ = module(inputs)
        loss = (outputs - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    trained = to_network(module)
    assert not np.array_equal(trained.w_rec, quiet.w_rec)


def test_unknown_surrogate_is_named(lif_net):
    with pytest.raises(ValueError, match="surrogate: got 'step', need one of super"):
        LIFModule(lif_net, surrogate="step")
