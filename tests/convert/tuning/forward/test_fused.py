"""The fused pass against the loop over Norse's step, spikes and gradients."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.simulate.trainable import SURROGATES, TRAINABLE
from isotau.convert.tuning.forward.dynamics import ForwardState, NorseLoop
from isotau.convert.tuning.forward.fused import Fused, applies
from isotau.convert.tuning.forward.units import in_units, unit_of

STEPS, BATCH, EVERY = 60, 5, 7
TRAINED = tuple(name for name in TRAINABLE if name not in ("w_out", "b_out"))


@pytest.fixture
def net(lif_net):
    """A network in which every neuron is different and starts somewhere else."""
    rng, n = np.random.default_rng(3), lif_net.n
    return dataclasses.replace(
        lif_net,
        tau_mem=rng.uniform(0.005, 0.03, n),
        v_th=rng.uniform(-0.045, -0.04, n),
        v_reset=rng.uniform(-0.07, -0.06, n),
        refractory=rng.integers(0, 4, n) * lif_net.dt,
        i0=1e-3 * rng.standard_normal(n),
        v0=rng.uniform(-0.06, -0.045, n),
    )


def module_of(net, dtype=torch.float64, **options):
    unit = unit_of(net, 0.3)
    options = {"train": TRAINABLE, **options}
    return LIFModule(in_units(net, unit), dtype=dtype, unit=unit, **options)


def state_of(module, chance):
    """A state in the middle of a trial: some spike, some rest, all want a gradient."""
    n = module.w_rec.shape[0]
    z = (torch.rand(BATCH, n, generator=chance) < 0.2).to(module.w_rec.dtype)
    rest = torch.randint(0, 4, (BATCH, n), generator=chance)
    v, i = (part.detach().expand(BATCH, n).clone() for part in (module.v0, module.i0))
    x = torch.zeros(BATCH, module.w_in.shape[1], dtype=z.dtype)
    leaves = (part.requires_grad_() for part in (z, v, i))
    return ForwardState(*leaves, rest, x)


def outcome(way, module, inputs, *, seed=4, cuts=1):
    """Spikes, last state, currents, and gradients of a random linear loss on all."""
    chance = torch.Generator().manual_seed(1)
    first = state = state_of(module, chance)
    module.zero_grad()
    run, parts, samples, step = way.prepare(module), [], [], 0
    for piece in inputs.tensor_split(cuts):
        spikes, state, currents = run.run(
            piece, state, seed=seed, step=step, every=EVERY
        )
        parts.append(spikes)
        samples.append(currents)
        step += len(piece)
    spikes, currents = torch.cat(parts), torch.cat(samples)
    assert len(currents) == STEPS // EVERY
    loss = 0
    for part in (spikes, *state[:3], currents):
        loss = loss + (part * torch.randn(part.shape, generator=chance)).sum()
    loss.backward()
    gradients = {name: getattr(module, name).grad for name in TRAINED}
    gradients |= {name: getattr(first, name).grad for name in ("z", "v", "i")}
    end = ForwardState(*(part.detach() for part in state))
    return spikes.detach(), end, currents.detach(), gradients


def assert_same(module, inputs, *, tolerance, **options):
    spikes, state, currents, gradients = outcome(NorseLoop(), module, inputs, **options)
    got_spikes, got_state, samples, got = outcome(Fused(), module, inputs, **options)
    assert 0.01 < spikes.mean() < 0.4
    torch.testing.assert_close(got_spikes, spikes, rtol=0, atol=0)
    torch.testing.assert_close(got_state.rest, state.rest, rtol=0, atol=0)
    got_parts, parts = (*got_state[:3], samples), (*state[:3], currents)
    for a, b in zip(got_parts, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
    for name, gradient in gradients.items():
        assert gradient.norm() > 0, name
        assert (got[name] - gradient).norm() <= tolerance * gradient.norm(), name


def numbers(channels=2, dtype=torch.float64):
    chance = torch.Generator().manual_seed(7)
    return torch.randn(STEPS, BATCH, channels, generator=chance, dtype=dtype)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_every_surrogate(net, surrogate):
    module = module_of(net, surrogate=surrogate, damping=0.3)
    # Norse computes the factor of "heavi_erfc" in single precision.
    tolerance = 1e-6 if surrogate == "heavi_erfc" else 1e-12
    assert_same(module, numbers(), tolerance=tolerance)


@pytest.mark.parametrize("cuts", [2, 7])
def test_state_between_segments(net, cuts):
    assert_same(module_of(net), numbers(), tolerance=1e-12, cuts=cuts)


def test_without_noise_and_with_inputs_that_are_spikes(net):
    rng = np.random.default_rng(9)
    wide = dataclasses.replace(net, w_in=2e-3 * rng.standard_normal((net.n, 9)))
    inputs = (numbers(9) > 1).double()
    assert_same(module_of(wide), inputs, tolerance=1e-12, seed=None)


def test_more_trials_and_neurons_than_a_tile(net):
    rng, n = np.random.default_rng(2), 75
    fields = {
        name: np.resize(getattr(net, name), n)
        for name in (
            *("tau_syn", "tau_mem", "tau_out", "v_th", "v_leak", "v_reset"),
            *("refractory", "i0", "v0", "f0", "population"),
            *("noise_std", "current_noise_std"),
        )
    }
    large = dataclasses.replace(
        net,
        w_in=1e-3 * rng.standard_normal((n, 2)),
        w_rec=3e-4 * rng.standard_normal((n, n)),
        w_out=np.ones((1, n)),
        b_out=[0.0],
        **fields,
    )
    assert_same(module_of(large), numbers(), tolerance=1e-12)


def on_grid(net):
    """Weights in multiples of 2^−16 units and inputs in halves: sums are exact."""
    unit = unit_of(net, 0.3)[:, None]
    weights = {
        name: np.rint(getattr(net, name) / unit * 2**12) / 2**12 * unit
        for name in ("w_in", "w_rec")
    }
    return dataclasses.replace(net, **weights)


def test_spikes_are_identical_in_float32_where_sums_are_exact(net):
    module = module_of(on_grid(net), torch.float32, damping=0.3)
    inputs = torch.round(2 * numbers(dtype=torch.float32)) / 2
    assert_same(module, inputs, tolerance=1e-5, cuts=2)


def test_in_float32_potentials_are_norses_bit_for_bit_where_sums_are_exact(net):
    module = module_of(on_grid(net), torch.float32)
    inputs = torch.round(2 * numbers(dtype=torch.float32)) / 2
    _, state, currents, _ = outcome(NorseLoop(), module, inputs)
    _, got, samples, _ = outcome(Fused(), module, inputs)
    assert torch.equal(samples, currents)
    assert torch.equal(got.v, state.v)
    assert torch.equal(got.i, state.i)


def test_threads_change_no_spike_and_hardly_a_gradient(net):
    module, threads = module_of(net), torch.get_num_threads()
    one = outcome(Fused(), module, numbers())
    gradient = one[-1]["w_rec"].clone()
    try:
        torch.set_num_threads(3)
        three = outcome(Fused(), module, numbers())
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(one[0], three[0])
    torch.testing.assert_close(three[-1]["w_rec"], gradient, rtol=1e-10, atol=1e-12)


def test_no_tape_where_no_gradient_is_wanted(net):
    module, inputs = module_of(net), numbers()
    run = Fused().prepare(module)
    with_tape, _, _ = run.run(inputs, run.start(BATCH), seed=5, step=0)
    with torch.no_grad():
        without, state, _ = run.run(inputs, run.start(BATCH), seed=5, step=0)
    assert with_tape.requires_grad
    assert not without.requires_grad
    assert not state.v.requires_grad
    assert torch.equal(with_tape, without)


def test_recomputed_segments_keep_no_tape_and_give_the_same(net):
    module, inputs = module_of(net), numbers()

    def gradient(again):
        module.zero_grad()
        run = Fused().prepare(module)

        def go(x, *state):
            return run.run(x, ForwardState(*state), seed=3, step=0)[0]

        start = run.start(BATCH)
        spikes = (
            checkpoint(go, inputs, *start, use_reentrant=False)
            if again
            else go(inputs, *start)
        )
        (spikes * torch.arange(STEPS)[:, None, None]).sum().backward()
        return module.w_rec.grad.clone()

    assert torch.equal(gradient(again=True), gradient(again=False))


def noisy_current(net):
    """The network with noise in half of its currents."""
    noise = 3e-4 * np.arange(1, net.n + 1) * (np.arange(net.n) % 2)
    return dataclasses.replace(net, current_noise_std=noise)


@pytest.mark.parametrize("cuts", [1, 3])
def test_noise_of_the_current_passes_its_gradient_to_tau_syn(net, cuts):
    module = module_of(noisy_current(net))
    assert_same(module, numbers(), tolerance=1e-12, cuts=cuts)
    without = module_of(net)
    gradients = [outcome(Fused(), each, numbers())[-1] for each in (module, without)]
    assert not torch.equal(*(each["tau_syn"] for each in gradients))


def test_a_gradient_may_come_from_currents_alone(net):
    module, found = module_of(noisy_current(net)), []
    for way in (NorseLoop(), Fused()):
        module.zero_grad()
        run = way.prepare(module)
        _, _, currents = run.run(numbers(), run.start(BATCH), seed=2, step=3, every=5)
        assert len(currents) == 12
        currents.square().sum().backward()
        found.append({name: getattr(module, name).grad for name in TRAINED})
    for name, gradient in found[0].items():
        assert (found[1][name] - gradient).norm() <= 1e-11 * gradient.norm(), name


@pytest.mark.parametrize("seed", [None, 3])
def test_finite_differences_where_no_surrogate_is_in_play(net, seed):
    """Below threshold, without recurrence, states are smooth in all they depend on."""
    quiet = dataclasses.replace(
        noisy_current(net),
        v_leak=net.v_leak - 0.02,
        v0=net.v_reset,
        w_rec=0 * net.w_rec,
        noise_std=0.0,  # the membrane's noise is taken as given
    )
    module = module_of(quiet)
    chance = torch.Generator().manual_seed(2)
    weights = torch.randn(BATCH, net.n, generator=chance)

    def last_potential():
        run = Fused().prepare(module)
        spikes, state, currents = run.run(
            numbers(), run.start(BATCH), seed=seed, step=0, every=EVERY
        )
        assert not spikes.any()
        return (state.v * weights).sum() + (currents.square() * weights).sum()

    last_potential().backward()
    for name in ("w_in", "v_leak", "tau_syn", "tau_mem"):
        parameter = getattr(module, name)
        direction = torch.randn(
            parameter.shape, generator=torch.Generator().manual_seed(1)
        ).double()
        step = 1e-5 * direction * parameter.detach().abs().mean()
        with torch.no_grad():
            parameter += step
            up = last_potential()
            parameter -= 2 * step
            down = last_potential()
            parameter += step
        expected = float((parameter.grad * step).sum()) * 2
        assert float(up - down) == pytest.approx(expected, rel=1e-5), name


def test_does_not_apply_to_other_types_and_devices(net):
    assert applies(module_of(net))
    assert applies(module_of(net, torch.float32))
    half = module_of(net).to(torch.float16)
    assert not applies(half)
    assert not applies(module_of(net).to("meta"))
    with pytest.raises(ValueError, match=r"module: got torch.float16 on cpu, need"):
        Fused().prepare(half)


@pytest.mark.parametrize("steps, batch, channels", [(0, 5, 2), (3, 4, 2), (3, 5, 1)])
def test_inputs_of_another_shape(net, steps, batch, channels):
    run = Fused().prepare(module_of(net))
    inputs = torch.zeros(steps, batch, channels, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"inputs: got .* need one or more steps × 5"):
        run.run(inputs, run.start(BATCH), seed=None, step=0)


def test_inputs_of_another_type_or_with_a_gradient(net):
    run = Fused().prepare(module_of(net))
    with pytest.raises(ValueError, match=r"inputs: got torch.float32, need the module"):
        run.run(numbers().float(), run.start(BATCH), seed=None, step=0)
    state = run.start(BATCH)
    with pytest.raises(ValueError, match=r"state.v: got torch.float32, need the modul"):
        short = state._replace(v=state.v.float())
        run.run(numbers(), short, seed=None, step=0)
    with pytest.raises(ValueError, match="inputs: got some that want a gradient"):
        run.run(numbers().requires_grad_(), run.start(BATCH), seed=None, step=0)


def test_a_state_of_another_shape(net):
    run = Fused().prepare(module_of(net))
    state = run.start(BATCH)
    with pytest.raises(ValueError, match=r"state.i: got \(5, 7\), need 5 × 20"):
        run.run(numbers(), state._replace(i=state.i[:, :7]), seed=None, step=0)
