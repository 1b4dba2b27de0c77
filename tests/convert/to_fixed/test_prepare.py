"""One recipe for a chip network, and what it puts back into the biases."""

import dataclasses
import math

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.records import spikes as packed
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.prepare import (
    fold_drive,
    mean_loss,
    prepare,
    restore_drive,
)
from isotau.convert.to_fixed.quantize import QuantizeConfig, quantize
from isotau.convert.to_fixed.start_state import await_input
from isotau.sim.engines import reference

N, STEPS, BATCH = 12, 60, 5


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def block(rng, source, columns, exponent, **more):
    return WeightBlock(
        source=source,
        pre=np.arange(columns),
        weights=2 * rng.integers(0, 100, (N, columns)),
        weight_exp=exponent,
        num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY,
        **more,
    )


def network(blocks, **changes):
    fields = {
        "blocks": blocks,
        "n_in": 3,
        "du": np.full(N, 40),
        "dv": np.full(N, 400),
        "vth": np.full(N, 131071),
        "bias_mant": np.arange(N) - 4,
        "bias_exp": np.full(N, 3),
        "refractory": np.zeros(N),
        "noise_exp": None,
        "state_scale": 1e6,
        "v_reset": np.zeros(N),
        "input_scale": 4.0,
        "dt": 1e-3,
        "w_out": np.zeros((1, N)),
        "b_out": np.zeros(1),
        "tau_out": np.full(N, 0.02),
    }
    return FixedPointNetwork(**fields | changes)


def activity(rng):
    fired = rng.random((STEPS, BATCH, N)) < 0.2
    bits = np.stack([packed.pack(step) for step in fired])
    spikes = Spikes(bits=bits, n=N, dt=1e-3, engine="test", network="")
    return fired, spikes, rng.normal(0, 2, (STEPS, BATCH, 3))


def test_the_loss_is_what_the_floor_takes(rng):
    net = network((block(rng, "recurrent", N, -5), block(rng, "input", 3, -3)))
    fired, spikes, inputs = activity(rng)
    lost = np.zeros(N)
    for t in range(STEPS):
        for k in range(BATCH):
            for b, sent, divisor in (
                (net.blocks[0], fired[t, k], 32),
                (net.blocks[1], np.rint(4 * inputs[t, k]), 8),
            ):
                for i in range(N):
                    total = sum(
                        int(w) * int(s) for w, s in zip(b.weights[i], sent, strict=True)
                    )
                    lost[i] += total / divisor - math.floor(total / divisor)
    expected = 64 * lost / (STEPS * BATCH)
    np.testing.assert_allclose(mean_loss(net, spikes, inputs), expected, rtol=1e-9)


def test_a_binary_block_counts_messages_that_are_not_zero(rng):
    net = network((block(rng, "input", 3, -4, binary=True),))
    _, spikes, inputs = activity(rng)
    sent = (np.rint(4 * inputs) != 0).astype(int).reshape(-1, 3)
    totals = sent @ net.blocks[0].weights.T.astype(int)
    expected = 64 * (totals % 16 / 16).mean(axis=0)
    np.testing.assert_allclose(mean_loss(net, spikes, inputs), expected, rtol=1e-9)


def test_nothing_is_lost_without_negative_exponents(rng):
    net = network((block(rng, "recurrent", N, 0), block(rng, "input", 3, 2)))
    _, spikes, inputs = activity(rng)
    loss = mean_loss(net, spikes, inputs)
    assert not loss.any()
    assert restore_drive(net, loss) is net


def test_the_restored_network_has_the_drive_of_exact_sums(rng):
    """u of the reference engine, plus the bias, against the sums without a floor."""
    steps = 3000
    net = network((block(rng, "input", 3, -6),), bias_exp=np.zeros(N))
    inputs = rng.normal(0, 3, (steps, 1, 3))
    quiet = np.zeros((steps, 1, (N + 7) // 8), dtype=np.uint8)
    spikes = Spikes(bits=quiet, n=N, dt=1e-3, engine="test", network="")
    sent = np.rint(4 * inputs).astype(np.int64)
    run = reference.run(net, sent, record=("u",))
    u, keep = np.zeros(N), 1 - 41 / 4096
    total = np.zeros(N)
    for t in range(steps):
        # A message sent in a step arrives in the next; u is seen after it.
        if t:
            u = u * keep + sent[t - 1, 0] @ net.blocks[0].weights.T
        total += u
    restored = restore_drive(net, mean_loss(net, spikes, inputs))
    added = restored.bias_mant.astype(float) * 2.0**restored.bias_exp - net.bias_mant
    before = np.abs(run.u.mean(axis=(0, 1)) - total / steps)
    after = np.abs(run.u.mean(axis=(0, 1)) + added - total / steps)
    # Decay truncates as well, by up to 1 of u in a step: 4096/41 in all.
    assert before.min() > 1500
    assert after.max() < 200


def test_only_biases_change(rng):
    net = network((block(rng, "recurrent", N, -5),))
    _, spikes, inputs = activity(rng)
    restored = restore_drive(net, mean_loss(net, spikes, inputs))
    assert (restored.bias_mant != net.bias_mant).any()
    again = dataclasses.replace(
        restored, bias_mant=net.bias_mant, bias_exp=net.bias_exp
    )
    np.testing.assert_array_equal(again.du, net.du)
    assert again.blocks == net.blocks


def test_refusals(rng):
    net = network((block(rng, "recurrent", N, -5),))
    _, spikes, inputs = activity(rng)
    few = Spikes(bits=spikes.bits[:, :, :1], n=8, dt=1e-3, engine="test", network="")
    with pytest.raises(ValueError, match="spikes: got 8 neurons, need 12"):
        mean_loss(net, few, inputs)
    with pytest.raises(ValueError, match="inputs: got shape"):
        mean_loss(net, spikes, inputs[:, :, :2])


def test_a_bias_that_no_register_holds_is_refused(rng):
    net = network(
        (block(rng, "recurrent", N, -5),),
        du=np.zeros(N),
        bias_mant=np.full(N, 4095),
        bias_exp=np.full(N, 7),
    )
    _, spikes, inputs = activity(rng)
    with pytest.raises((DoesNotFit, ValueError), match="bias_mant"):
        restore_drive(net, mean_loss(net, spikes, inputs))


@pytest.fixture
def quiet_net(lif_net):
    """Without noise, whose steps of two in the scale would hide a smaller one."""
    return dataclasses.replace(lif_net, noise_std=0.0, i0=np.linspace(-2e-3, 2e-3, 20))


@pytest.fixture
def inputs(rng):
    return rng.random((200, 6, 2))


def test_the_recipe_is_the_sum_of_its_steps(quiet_net, inputs):
    config = QuantizeConfig(num_weight_bits=4)
    made = prepare(quiet_net, inputs, config=config, seed=3)
    run = simulate_lif(quiet_net, inputs, seed=3)
    np.testing.assert_array_equal(made.run.spikes.bits, run.spikes.bits)
    early = await_input(quiet_net)
    assert made.early.fingerprint == early.fingerprint != quiet_net.fingerprint
    rounded = quantize(early, run.ranges, input_peak=inputs.max(), config=config)
    loss = mean_loss(rounded, run.spikes, inputs)
    assert (loss > 0).any()
    expected = restore_drive(rounded, loss)
    again = dataclasses.replace(expected, made_from=quiet_net.fingerprint)
    assert made.fixed.fingerprint == again.fingerprint
    assert made.folded.fingerprint == fold_drive(early, rounded, loss).fingerprint
    assert made.input_peak == inputs.max()


def test_folded_drive_is_the_restored_one(quiet_net, inputs):
    made = prepare(quiet_net, inputs, config=QuantizeConfig(num_weight_bits=4))
    folded = quantize(made.folded, made.run.ranges, input_peak=made.input_peak)
    biases = [
        net.bias_mant * 2.0**net.bias_exp / net.state_scale
        for net in (folded, made.fixed)
    ]
    np.testing.assert_allclose(*biases, rtol=1e-3)


def test_a_run_that_is_at_hand_is_not_made_again(lif_net, inputs):
    made = prepare(lif_net, inputs, seed=3)
    run = simulate_lif(lif_net, inputs, seed=3)
    same = prepare(lif_net, inputs, run=run)
    assert made.fixed.fingerprint == same.fixed.fingerprint
    assert same.run is run and made.fixed.made_from == lif_net.fingerprint
    with pytest.raises(ValueError, match="inputs: got shape"):
        prepare(lif_net, inputs[:, :3], run=run)


def test_a_start_that_costs_resolution_stays(quiet_net, inputs):
    """A fast current of the start state was many times as large a step before."""
    for tau, i0 in ((1e-4, 2e-2), (5e-4, 1.0)):
        fast = dataclasses.replace(
            quiet_net, tau_syn=np.full(20, tau), i0=np.full(20, i0)
        )
        made = prepare(fast, inputs)
        assert made.early is fast
        plain = quantize(fast, made.run.ranges, input_peak=made.input_peak)
        np.testing.assert_array_equal(made.fixed.u0, plain.u0)
        np.testing.assert_array_equal(made.fixed.state_scale, plain.state_scale)


def test_a_scale_that_was_asked_for_is_kept_whole(quiet_net, inputs):
    """A start that fits a scale 5 % smaller does not fit this one."""
    plain = prepare(quiet_net, inputs)
    assert plain.early is not quiet_net
    most = 0.97 * quantize(quiet_net, plain.run.ranges, input_peak=1.0).state_scale[0]
    fast = dataclasses.replace(
        quiet_net,
        tau_syn=np.full(20, 2e-3),
        i0=np.full(20, 0.75 * 2**23 / most * np.exp(-0.5) / 0.0952),
    )
    for scale in (0.5 * most, most):
        config = QuantizeConfig(state_scale=float(scale))
        made = prepare(fast, inputs, run=plain.run, config=config)
        np.testing.assert_array_equal(made.fixed.state_scale, scale)
        assert (made.early is fast) == (scale == most)


def test_a_start_that_does_not_fit_stays(lif_net, inputs):
    """With noise, too small a scale is none at all."""
    fast = dataclasses.replace(lif_net, tau_syn=np.full(20, 8e-5), i0=np.full(20, 2e-2))
    made = prepare(fast, inputs)
    with pytest.raises(DoesNotFit, match=r"noise_std: got 0\.001 V"):
        quantize(await_input(fast), made.run.ranges, input_peak=made.input_peak)
    assert made.early is fast


def test_inputs_may_grow_later(lif_net, inputs):
    plain, large = prepare(lif_net, inputs), prepare(lif_net, inputs, input_peak=9.0)
    assert large.fixed.input_scale < plain.fixed.input_scale
    assert large.input_peak == 9.0
