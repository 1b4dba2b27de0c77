"""The chip in training: its spikes are the engine's, its gradient the float step's."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.records import storage
from isotau.convert.records.lif import LIFNetwork, Ranges
from isotau.convert.records.spikes import unpack
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.simulate.trainable import TRAINABLE
from isotau.convert.to_fixed.dequantize import dequantize
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages, quantize
from isotau.convert.to_fixed.weight_blocks import KINDS
from isotau.convert.tuning.forward.chip import ChipDynamics
from isotau.convert.tuning.forward.dynamics import ForwardState, NorseLoop
from isotau.convert.tuning.forward.units import in_units, unit_of
from isotau.sim.engines import reference

BATCH, EVERY = 3, 4


def random_net(rng, n, n_in, *, noise, populations):
    """A network that fires, with time constants and weights of many sizes."""
    size = 10.0 ** rng.uniform(-2, 1, populations)
    group = np.concatenate([np.arange(populations), rng.integers(populations, size=n)])
    group = rng.permutation(group[:n])
    group = np.unique(group, return_inverse=True)[1]
    volts = 0.025 * size[group]
    tau_mem = np.full(n, 10 ** rng.uniform(-2.5, -1.5))
    dense = rng.random((n, n)) < rng.choice([0.2, 1.0])
    w_rec = rng.standard_normal((n, n)) * dense * 10 ** rng.uniform(-2, 0.5, (1, n))
    drift = rng.uniform(-1, 2.5, n)
    v_reset = rng.uniform(-0.07, 0.0, n)
    return LIFNetwork(
        w_in=rng.standard_normal((n, n_in)) * volts[:, None] * 10 ** rng.uniform(-1, 1),
        w_rec=w_rec * volts[:, None] / math.sqrt(n),
        w_out=rng.standard_normal((2, n)),
        b_out=np.zeros(2),
        tau_syn=10 ** rng.uniform(-3.5, -0.5, n),
        tau_mem=tau_mem if noise else tau_mem * 10 ** rng.uniform(-0.5, 0.5, n),
        v_th=v_reset + volts,
        v_leak=v_reset + drift * volts,
        v_reset=v_reset,
        refractory=1e-3 * rng.choice([0, 0, 1, 2, 7], n),
        noise_std=0.3 * volts.min() if noise else 0.0,
        current_noise_std=0.2 * volts.min() if noise else 0.0,
        dt=1e-3,
        i0=0.3 * volts * rng.standard_normal(n),
        v0=v_reset + volts * rng.uniform(-1, 1.5, n),
        population=group,
    )


def random_case(number, *, steps=60):
    """A network, how it is quantized, and inputs; every third one overflows."""
    rng = np.random.default_rng([7, number])
    n, n_in = int(rng.integers(1, 40)), int(rng.integers(1, 4))
    net = random_net(
        rng,
        n,
        n_in,
        noise=bool(rng.random() < 0.4),
        populations=int(rng.integers(1, min(n, 3) + 1)),
    )
    bits = {kind: int(rng.integers(1, 9)) for kind in KINDS if rng.random() < 0.7}
    config = QuantizeConfig(
        num_weight_bits=int(rng.integers(1, 9)) if rng.random() < 0.4 else bits,
        outliers=str(rng.choice(["split", "clip", "keep", "fit"])),
        spiking_input=bool(rng.random() < 0.3),
        headroom=1.0 if number % 3 == 0 else 2.0,
    )
    swing = net.v_th - net.v_reset
    seen = 1e-3 if number % 3 == 0 else 30.0
    ranges = Ranges(seen * swing, seen * swing, seen * swing)
    inputs = rng.uniform(-2, 2, (steps, BATCH, n_in))
    if config.spiking_input:
        inputs = 2.0 * (rng.random((steps, BATCH, n_in)) < 0.3)
    else:
        inputs *= 1 if number % 6 else 1e4  # beyond what was promised
    inputs[rng.random(steps) < 0.2] = 0
    while True:
        try:
            quantize(net, ranges, input_peak=2.0, config=config)
        except DoesNotFit as error:
            assert str(error).startswith("input weights")
            net = dataclasses.replace(net, w_in=net.w_in / 4)
        else:
            return net, ranges, config, inputs


def module_of(net, *, train=TRAINABLE, dtype=torch.float64, width=0.2, **chosen):
    unit = unit_of(net, width)
    module = LIFModule(
        in_units(net, unit), dtype=dtype, train=train, unit=unit, **chosen
    )
    return module, unit


def run_in(prepared, inputs, seed, cuts, dtype=torch.float64):
    """Spikes and currents of a run in segments, and the state at the end."""
    x = torch.tensor(inputs, dtype=dtype)
    state, parts, samples, step = prepared.start(x.shape[1]), [], [], 0
    for part in x.tensor_split(cuts):
        spikes, state, currents = prepared.run(
            part, state, seed=seed, step=step, every=EVERY
        )
        parts.append(spikes)
        samples.append(currents)
        step += len(part)
    return torch.cat(parts), torch.cat(samples), state


@pytest.mark.parametrize("compiled", [True, False])
def test_spikes_are_the_engines_bit_for_bit(compiled):
    seen = dict.fromkeys(("fired", "sum_wraps", "u_wraps", "v_low", "v_high"), 0)
    seen["floors"] = 0
    kinds, bits, noisy = set(), set(), 0
    for number in range(60 if compiled else 30):
        net, ranges, config, inputs = random_case(number)
        module, unit = module_of(net)
        dynamics = ChipDynamics(net, unit, ranges, 2.0, config, compiled=compiled)
        fixed = dynamics.fixed(module)
        assert storage.same(fixed, quantize(net, ranges, input_peak=2.0, config=config))
        rng = np.random.default_rng(number)
        cuts = sorted(rng.choice(59, 2, replace=False) + 1) if number % 2 else []
        seed = int(rng.integers(2**63 - 1))
        have, currents, end = run_in(dynamics.prepare(module), inputs, seed, cuts)
        sent = messages(fixed, inputs)
        run = reference.run(
            fixed, sent, seed=seed, count_overflow=True, record=("u", "v")
        )
        want = unpack(run.spikes.bits, net.n)
        np.testing.assert_array_equal(have.detach().numpy() != 0, want, str(number))
        np.testing.assert_array_equal(end.i.detach().numpy(), run.u[-1])
        np.testing.assert_array_equal(end.v.detach().numpy(), run.v[-1])
        # in volts: u is a_mem times the current
        volts = run.u[EVERY - 1 :: EVERY] / (fixed.state_scale * fixed.dv / 4096)
        sampled = currents.detach().numpy() * unit
        np.testing.assert_allclose(sampled, volts, rtol=1e-12, atol=0)
        np.testing.assert_array_equal(end.rest.numpy(), run.state.rest)
        seen["fired"] += want.sum()
        for name in ("sum_wraps", "u_wraps", "v_low", "v_high"):
            seen[name] += getattr(run.overflow, name).sum()
        seen["floors"] += sum(block.weight_exp < 0 for block in fixed.blocks)
        kinds |= {(b.source, b.binary) for b in fixed.blocks}
        bits |= {b.num_weight_bits for b in fixed.blocks}
        noisy += bool(fixed.noise_exp.any() and fixed.current_noise_exp.any())
    assert min(seen.values()) > 10 and noisy > 10, seen
    assert len(kinds) == 3 and bits == set(range(1, 9))


def weighted_sum(spikes, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return (spikes * torch.randn(spikes.shape, generator=chance).to(spikes)).sum()


def gradients(module, *parts):
    module.zero_grad()
    sum(weighted_sum(part, k) for k, part in enumerate(parts)).backward()
    return {
        name: part.grad.clone()
        for name, part in module.named_parameters()
        if part.grad is not None
    }


SPIKING = tuple(name for name in TRAINABLE if name not in ("w_out", "b_out"))


def same_gradients(have, want, tolerance):
    assert have.keys() == want.keys() == set(SPIKING)
    for name, wanted in want.items():
        size = wanted.abs().max()
        assert torch.isfinite(wanted).all()
        assert (have[name] - wanted).abs().max() <= tolerance * size, name


@pytest.mark.parametrize("number", range(24))
def test_compiled_gradients_are_those_of_the_loop(number):
    """In segments, with clipped weights and overflow, whatever the surrogate."""
    net, ranges, config, inputs = random_case(100 + number, steps=25)
    module, unit = module_of(
        net,
        surrogate=("super", "tanh", "triangle", "heavi_erfc", "circ")[number % 5],
        damping=0.4,
    )
    found = [
        gradients(module, *run_in(chip.prepare(module), inputs, number, [9, 17])[:2])
        for chip in (
            ChipDynamics(net, unit, ranges, 2.0, config),
            ChipDynamics(net, unit, ranges, 2.0, config, compiled=False),
        )
    ]
    # Norse has π in float32.
    same_gradients(*found, 1e-6 if module.surrogate == "heavi_erfc" else 1e-9)


def fine_net(rng, n=12):
    """A network whose numbers all lie on the chip's grids, and its state scale."""
    net = random_net(rng, n, 2, noise=False, populations=1)
    net = dataclasses.replace(
        net,
        tau_syn=rng.uniform(0.003, 0.02, n),
        tau_mem=rng.uniform(0.01, 0.03, n),
        w_rec=0.3 * net.w_rec,
        w_in=0.2 * rng.standard_normal((n, 2)) * (net.v_th - net.v_reset)[:, None],
        v_leak=net.v_reset + rng.uniform(0.5, 2, n) * (net.v_th - net.v_reset),
    )
    swing = net.v_th - net.v_reset
    ranges = Ranges(20 * swing, swing, 4 * swing)
    fixed = quantize(net, ranges, input_peak=2.0)
    config = QuantizeConfig(state_scale=float(fixed.state_scale[0]), outliers="keep")
    whole = []
    for block in fixed.blocks:  # in whole units, so that no sum is floored
        unit = 2 ** max(-block.weight_exp, 0)
        weights = unit * np.trunc(block.weights / unit)
        whole.append(dataclasses.replace(block, weights=weights))
    fixed = dataclasses.replace(fixed, blocks=tuple(whole))
    return dequantize(fixed), ranges, config, 1 / fixed.input_scale


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("number", range(4))
def test_without_rounding_the_gradient_is_norses(number, compiled):
    """Only the truncation of 24-bit states is left; inputs come a step later."""
    rng = np.random.default_rng([11, number])
    net, ranges, config, finest = fine_net(rng)
    inputs = finest * rng.integers(-60, 61, (40, BATCH, 2)).astype(float)
    module, unit = module_of(net, width=0.5)
    chip = ChipDynamics(net, unit, ranges, 60 * finest, config, compiled=compiled)
    ours, currents, _ = run_in(chip.prepare(module), inputs, None, [15])
    have = gradients(module, ours, currents)
    late = np.concatenate([np.zeros((1, *inputs.shape[1:])), inputs[:-1]])
    theirs, samples, _ = run_in(NorseLoop().prepare(module), late, None, [15])
    assert ours.sum() > 20
    np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())
    size = samples.abs().max().item()
    torch.testing.assert_close(currents, samples, rtol=5e-3, atol=5e-3 * size)
    same_gradients(have, gradients(module, theirs, samples), 5e-3)


def test_float32_modules_have_the_same_spikes_and_nearly_the_gradient():
    """Parameters that float32 holds; what is not trained comes from the network."""
    net, ranges, config, inputs = random_case(204)
    inputs = inputs.astype(np.float32).astype(np.float64)
    module, unit = module_of(net, dtype=torch.float32, train=("w_rec", "w_in"))
    rounded = {
        name: getattr(net, name).astype(np.float32) for name in ("w_rec", "w_in")
    }
    chip = ChipDynamics(net, unit, ranges, 2.0, config)
    held = dataclasses.replace(net, **rounded)
    fixed = quantize(held, ranges, input_peak=2.0, config=config)
    assert storage.same(chip.fixed(module), fixed)
    assert not storage.same(chip.fixed(module_of(net)[0]), fixed)
    spikes, _, end = run_in(chip.prepare(module), inputs, 3, [20], torch.float32)
    run = reference.run(fixed, messages(fixed, inputs), seed=3, record=("u",))
    assert spikes.dtype == torch.float32
    np.testing.assert_array_equal(
        spikes.detach().numpy() != 0, unpack(run.spikes.bits, net.n)
    )
    np.testing.assert_array_equal(end.i.detach().numpy(), run.u[-1])
    loop = dataclasses.replace(chip, compiled=False).prepare(module)
    have = gradients(module, spikes)
    want = gradients(module, run_in(loop, inputs, 3, [20], torch.float32)[0])
    for name, wanted in want.items():
        assert (have[name] - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_weights_cut_at_the_top_have_no_gradient(lif_net):
    """With two bits the best grid ends below the largest weights of either sign."""
    net = dataclasses.replace(lif_net, noise_std=0.0)
    ranges = Ranges(*(x * np.ones(20) for x in (0.02, 0.01, 0.01)))
    inputs = np.random.default_rng(0).uniform(-2, 2, (80, BATCH, 2))
    module, unit = module_of(net, width=1.0)
    found = {}
    for outliers in ("fit", "keep"):
        config = QuantizeConfig(num_weight_bits=2, outliers=outliers)
        chip = ChipDynamics(net, unit, ranges, 2.0, config)
        run, _, _ = run_in(chip.prepare(module), inputs, None, [])
        found[outliers] = gradients(module, run)["w_rec"].numpy()
    free = found["keep"] != 0
    cut = (found["fit"] == 0) & free
    assert free.mean() > 0.5 and 0.01 < cut[free].mean() < 0.3
    for sign in (1, -1):
        size = sign * net.w_rec
        inside = free & (size > 0)
        assert size[cut & inside].min() > size[inside & ~cut].max()


def test_the_gradient_does_not_depend_on_the_state_scale():
    """Where it changes no rounding that matters: a factor of two."""
    net, ranges, config, finest = fine_net(np.random.default_rng(5))
    inputs = finest * np.random.default_rng(6).integers(-60, 61, (40, BATCH, 2))
    module, unit = module_of(net, width=0.5)
    found = []
    for scale in (config.state_scale, 2 * config.state_scale):
        chosen = dataclasses.replace(config, state_scale=scale)
        chip = ChipDynamics(net, unit, ranges, 60 * finest, chosen)
        found.append(
            gradients(module, run_in(chip.prepare(module), inputs, None, [])[0])
        )
    same_gradients(*found, 5e-3)


def test_nothing_is_kept_without_gradients():
    net, ranges, config, inputs = random_case(9)
    module, unit = module_of(net)
    prepared = ChipDynamics(net, unit, ranges, 2.0, config).prepare(module)
    with torch.no_grad():
        spikes, currents, end = run_in(prepared, inputs, 1, [])
    assert not currents.requires_grad
    assert not spikes.requires_grad and not end.v.requires_grad
    taped, samples, _ = run_in(prepared, inputs, 1, [])
    assert torch.equal(currents, samples)
    assert torch.equal(spikes, taped) and taped.requires_grad


def test_no_seed_means_no_noise():
    net, ranges, config, inputs = random_case(1)
    number = 1
    while not net.noisy:
        number += 1
        net, ranges, config, inputs = random_case(number)
    module, unit = module_of(net)
    chip = ChipDynamics(net, unit, ranges, 2.0, config)
    fixed = dataclasses.replace(chip.fixed(module), noise_exp=0, current_noise_exp=0)
    want = unpack(reference.run(fixed, messages(fixed, inputs)).spikes.bits, net.n)
    for compiled in (True, False):
        chip = dataclasses.replace(chip, compiled=compiled)
        have = run_in(chip.prepare(module), inputs, None, [7])[0].detach().numpy()
        np.testing.assert_array_equal(have != 0, want)


def test_parameters_that_leave_the_chip_are_named(lif_net):
    ranges = Ranges(*(x * np.ones(20) for x in (0.01, 0.003, 0.005)))
    module, unit = module_of(lif_net, train=("tau_syn",))
    chip = ChipDynamics(lif_net, unit, ranges, 1.0)
    chip.prepare(module)
    with torch.no_grad():
        module.tau_syn[3] = 20.0
    with pytest.raises(DoesNotFit, match=r"tau_syn: got 20.0 s at \[3\]"):
        chip.prepare(module)


@pytest.mark.parametrize("compiled", [True, False])
def test_recomputed_segments_have_the_same_gradients(compiled):
    net, ranges, config, inputs = random_case(107, steps=30)
    module, unit = module_of(net)
    prepared = ChipDynamics(net, unit, ranges, 2.0, config, compiled=compiled).prepare(
        module
    )
    want = gradients(module, run_in(prepared, inputs, 2, [10, 20])[0])
    state, parts = prepared.start(BATCH), []
    for step, part in ((0, inputs[:10]), (10, inputs[10:20]), (20, inputs[20:])):

        def segment(*before, part=part, step=step):
            spikes, after, _ = prepared.run(
                torch.tensor(part), ForwardState(*before), seed=2, step=step
            )
            return spikes, *after

        spikes, *after = checkpoint(segment, *state, use_reentrant=False)
        state = ForwardState(*after)
        parts.append(spikes)
    same_gradients(gradients(module, torch.cat(parts)), want, 1e-12)


def test_threads_change_nothing():
    net, ranges, config, inputs = random_case(108, steps=30)
    module, unit = module_of(net)
    prepared = ChipDynamics(net, unit, ranges, 2.0, config).prepare(module)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(run_in(prepared, inputs, 2, [])[0])
            found.append(gradients(module, found[-1]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[2]) and found[0].any()
    same_gradients(found[1], found[3], 1e-12)
