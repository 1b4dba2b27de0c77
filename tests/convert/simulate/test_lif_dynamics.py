"""Packed runs of the LIF stage against the module's forward pass and plain loops."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.records.spikes import unpack
from isotau.convert.simulate.lif_dynamics import respond, simulate_lif
from isotau.convert.simulate.norse_module import LIFModule


def test_spikes_are_the_modules(lif_net):
    inputs = np.random.default_rng(0).standard_normal((150, 4, 2))
    quiet = dataclasses.replace(lif_net, noise_std=0.0)
    run = simulate_lif(quiet, inputs, generator=None)
    with torch.no_grad():
        _, spikes = LIFModule(quiet, dtype=torch.float32)(
            torch.tensor(inputs, dtype=torch.float32)
        )
    np.testing.assert_array_equal(unpack(run.spikes.bits, 20), spikes.numpy() > 0)


def test_the_seed_decides_the_noise(lif_net):
    inputs = np.zeros((80, 3, 2))
    runs = [
        simulate_lif(lif_net, inputs, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    first, again, other = (run.spikes.bits for run in runs)
    assert (first == again).all()
    assert (first != other).any()


def test_scalings_share_trials_and_noise(lif_net):
    inputs = np.random.default_rng(1).standard_normal((120, 3, 2))
    both = simulate_lif(
        lif_net,
        inputs,
        generator=torch.Generator().manual_seed(4),
        burn_in=20,
        scalings=[(1.0, 0.0), (0.5, 1e-3)],
    ).spikes.bits
    changed = dataclasses.replace(
        lif_net, w_rec=0.5 * lif_net.w_rec, v_leak=lif_net.v_leak + 1e-3
    )
    for part, net in ((both[:, :3], lif_net), (both[:, 3:], changed)):
        generator = torch.Generator().manual_seed(4)
        alone = simulate_lif(net, inputs, generator=generator, burn_in=20)
        # float32 rounds i·0.5 and (0.5·w)·z alike, v_leak + drive nearly so
        assert (alone.spikes.bits != part).mean() < 0.01


def test_burn_in_is_silence_before_the_trial(lif_net):
    quiet = dataclasses.replace(lif_net, noise_std=0.0)
    inputs = np.random.default_rng(2).standard_normal((60, 1, 2))
    led = np.concatenate([np.zeros((30, 1, 2)), inputs])
    whole = simulate_lif(quiet, led, generator=None).spikes.bits
    burnt = simulate_lif(quiet, inputs, generator=None, burn_in=30).spikes.bits
    np.testing.assert_array_equal(burnt, whole[30:])


def test_ranges_bound_what_was_visited(lif_net):
    """A lone pulse: i jumps to w_in·x and v falls below reset by a known amount."""
    net = dataclasses.replace(
        lif_net,
        w_rec=np.zeros((20, 20)),
        w_in=np.full((20, 2), -0.01),
        v_leak=np.full(20, -0.065),
        noise_std=0.0,
        tau_syn=np.full(20, 0.02),
    )
    inputs = np.zeros((200, 1, 2))
    inputs[0] = 1.0
    ranges = simulate_lif(net, inputs, generator=None).ranges
    np.testing.assert_allclose(ranges.i_peak, 0.02, rtol=1e-5)
    a, keep = 1 - np.exp(-0.1), np.exp(-1 / 20)
    v, i, deepest, power = 0.0, 0.02, 0.0, 0.0
    for _ in range(200):
        v, power = (1 - a) * v - a * i, power + i * i
        i, deepest = i * keep, min(deepest, v)
    np.testing.assert_allclose(ranges.v_low, -deepest, rtol=1e-4)
    np.testing.assert_allclose(ranges.i_rms, np.sqrt(power / 200), rtol=1e-4)


def test_wrong_inputs_are_named(lif_net):
    with pytest.raises(ValueError, match=r"inputs: got shape \(9, 1, 3\), need"):
        simulate_lif(lif_net, np.zeros((9, 1, 3)), generator=None)


def start_of(n):
    rng = np.random.default_rng(8)
    return {"i0": 0.01 * rng.standard_normal(n), "v0": rng.uniform(-0.08, -0.02, n)}


def test_every_trial_and_scaling_begins_in_the_start_state(lif_net):
    """A lone step without input: v moves as the equation says, from v0 and i0."""
    net = dataclasses.replace(lif_net, noise_std=0.0, **start_of(20))
    run = simulate_lif(
        net,
        np.zeros((1, 3, 2)),
        generator=None,
        scalings=[(1.0, 0.0), (2.0, 0.0)],
        keep_current_every=1,
    )
    v = net.v0 + (1 - np.exp(-0.1)) * (net.v_leak - net.v0 + net.i0)
    fired = unpack(run.spikes.bits, 20)
    assert 0 < (v > net.v_th).sum() < 20
    assert (fired == (v > net.v_th)).all()
    np.testing.assert_allclose(run.current, np.tile(net.i0, (1, 6, 1)), rtol=1e-6)


@pytest.mark.parametrize("every", [0, 1, 4, 99])
def test_currents_are_those_that_the_spikes_gave(lif_net, every):
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((60, 2, 2))
    net = dataclasses.replace(lif_net, **start_of(20))
    run = simulate_lif(
        net,
        inputs,
        generator=torch.Generator().manual_seed(0),
        keep_current_every=every,
    )
    if every in (0, 99):
        assert run.current is None
        return
    i, z = np.tile(net.i0, (2, 1)), np.zeros((2, 20))
    for t in range(60):
        i = i + inputs[t] @ net.w_in.T + z @ net.w_rec.T
        if t % every == every - 1:
            got = run.current[t // every]
            np.testing.assert_allclose(got, i, rtol=1e-4, atol=1e-8)
        i = i * np.exp(-1e-3 / net.tau_syn)
        z = unpack(run.spikes.bits[t], 20).astype(float)
    assert run.current.shape == (60 // every, 2, 20)


def test_currents_are_kept_after_the_burn_in_alone(lif_net):
    inputs = np.zeros((20, 1, 2))
    run = simulate_lif(lif_net, inputs, generator=None, burn_in=7, keep_current_every=5)
    whole = simulate_lif(
        lif_net, np.zeros((27, 1, 2)), generator=None, keep_current_every=1
    )
    np.testing.assert_array_equal(run.current, whole.current[11::5])


def test_neurons_respond_as_the_equations_say(lif_net):
    net = dataclasses.replace(
        lif_net,
        noise_std=0.0,
        refractory=np.arange(20) % 4 * 1e-3,
        tau_mem=np.linspace(0.005, 0.02, 20),
        **start_of(20),
    )
    rng = np.random.default_rng(4)
    held = np.repeat(0.015 * rng.standard_normal((20, 3, 20)), 10, axis=0)
    spikes = respond(net, iter(held), steps=200, generator=None)
    v, rest = np.tile(net.v0, (3, 1)), np.zeros((3, 20))
    a, pause = 1 - np.exp(-net.dt / net.tau_mem), np.rint(net.refractory / net.dt)
    expected = np.zeros((200, 3, 20), dtype=bool)
    for t in range(200):
        v = v + a * (net.v_leak - v + held[t])
        v = np.where(rest > 0, net.v_reset, v)
        expected[t] = v > net.v_th
        v = np.where(expected[t], net.v_reset, v)
        rest = np.where(expected[t], pause, np.maximum(rest - 1, 0))
    assert expected.sum() > 300
    np.testing.assert_array_equal(unpack(spikes.bits, 20), expected)
    assert (spikes.n, spikes.dt) == (20, 1e-3)


def test_neurons_respond_to_a_networks_own_currents_as_they_did_in_it(lif_net):
    """Noise included: the same seed draws the same."""
    net = dataclasses.replace(lif_net, **start_of(20))
    inputs = np.random.default_rng(5).standard_normal((100, 3, 2))
    run = simulate_lif(
        net,
        inputs,
        generator=torch.Generator().manual_seed(1),
        keep_current_every=1,
    )
    said = []

    def told(steps, what):
        said.append((steps, what))
        return steps

    alone = respond(
        net,
        run.current.astype(float),
        steps=100,
        generator=torch.Generator().manual_seed(1),
        progress=told,
    )
    assert said == [(range(100), "neurons under laid-down currents")]
    # i comes back from its decayed value: its last float32 digit may differ
    assert np.unpackbits(alone.bits ^ run.spikes.bits).mean() < 1e-3
    other = respond(
        net,
        run.current.astype(float),
        steps=100,
        generator=torch.Generator().manual_seed(2),
    )
    assert (other.bits != alone.bits).any()


@pytest.mark.parametrize("given", [9, 11])
def test_as_many_currents_as_steps_are_needed(lif_net, given):
    with pytest.raises(ValueError, match=r"argument 2 is (shorter|longer)"):
        respond(lif_net, np.zeros((given, 1, 20)), steps=10, generator=None)


def test_a_negative_stride_of_currents_is_named(lif_net):
    with pytest.raises(ValueError, match="keep_current_every: got -1, need 0 to"):
        simulate_lif(
            lif_net, np.zeros((2, 1, 2)), generator=None, keep_current_every=-1
        )


def test_ranges_of_synapses_without_memory(lif_net):
    """i before its decay is what arrived, though nothing of it is left afterwards."""
    net = dataclasses.replace(
        lif_net,
        w_rec=np.zeros((20, 20)),
        w_in=np.outer(np.linspace(1, 2, 20), [1e-3, 2e-3]),
        noise_std=0.0,
        tau_syn=np.where(np.arange(20) % 2, 0.02, 1e-3 / 50),
    )
    inputs = np.zeros((10, 1, 2))
    inputs[3] = 1.0
    run = simulate_lif(net, inputs, generator=None, keep_current_every=1)
    peak = 3e-3 * np.linspace(1, 2, 20)
    np.testing.assert_allclose(run.ranges.i_peak, peak, rtol=1e-5)
    np.testing.assert_allclose(run.current[3, 0], peak, rtol=1e-5)
    np.testing.assert_array_equal(run.current[4, 0, ::2], 0.0)
