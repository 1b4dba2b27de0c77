"""Packed runs of the LIF stage against the module's own forward pass."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.lif_dynamics import simulate_lif
from isotau.convert.norse_module import LIFModule
from isotau.convert.spikes import unpack


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
