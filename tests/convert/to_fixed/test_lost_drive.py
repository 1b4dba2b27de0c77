"""What truncated sums take, and what biases and input weights put back."""

import dataclasses
import math

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.records import spikes as packed
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.spikes import Spikes
from isotau.convert.records.trials import with_silence
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.lost_drive import (
    LostDrive,
    fold_drive,
    lost_drive,
    restore_drive,
)
from isotau.convert.to_fixed.quantize import USUAL, quantize
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


def mean_of(lost, sent):
    """All that is lost in a step, on average over messages."""
    return lost.constant + lost.shown @ sent.reshape(-1, sent.shape[-1]).mean(axis=0)


def with_biases(net, lost):
    """A network whose input weights stay."""
    constant = LostDrive(lost.constant, np.zeros_like(lost.shown))
    return restore_drive(net, constant, None, USUAL)


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
    found = lost_drive(net, spikes, inputs)
    np.testing.assert_allclose(mean_of(found, np.rint(4 * inputs)), expected, rtol=1e-9)


def test_what_is_shown_loses_in_proportion(rng):
    """Least squares through nothing, as nothing is lost where nothing is shown."""
    net = network((block(rng, "recurrent", N, -5), block(rng, "input", 3, -3)))
    _, spikes, inputs = activity(rng)
    inputs[: STEPS // 2] = 0
    sent = np.rint(4 * inputs).reshape(-1, 3)
    exact = sent @ net.blocks[1].weights.T.astype(float) / 8
    found = lost_drive(net, spikes, inputs)
    expected = [
        np.linalg.lstsq(sent, 64 * (row - np.floor(row)), rcond=None)[0]
        for row in exact.T
    ]
    np.testing.assert_allclose(found.shown, expected, rtol=1e-9)
    alone = lost_drive(network((net.blocks[0],)), spikes, inputs)
    np.testing.assert_array_equal(found.constant, alone.constant)


def test_what_is_always_shown_loses_all_the_time(rng):
    """Noise that neurons share is never silent: its loss is a bias's."""
    net = network((block(rng, "input", 3, -3),))
    _, spikes, inputs = activity(rng)
    inputs[inputs == 0] = 1
    sent = np.rint(4 * inputs).reshape(-1, 3)
    sent = np.column_stack([np.ones(len(sent)), sent])
    exact = sent[:, 1:] @ net.blocks[0].weights.T.astype(float) / 8
    expected = np.linalg.lstsq(sent, 64 * (exact - np.floor(exact)), rcond=None)[0]
    found = lost_drive(net, spikes, inputs)
    np.testing.assert_allclose(found.constant, expected[0], rtol=1e-9)
    np.testing.assert_allclose(found.shown, expected[1:].T, rtol=1e-9)


def test_a_binary_block_counts_messages_that_are_not_zero(rng):
    net = network((block(rng, "input", 3, -4, binary=True),))
    _, spikes, inputs = activity(rng)
    sent = (np.rint(4 * inputs) != 0).astype(int).reshape(-1, 3)
    totals = sent @ net.blocks[0].weights.T.astype(int)
    expected = 64 * (totals % 16 / 16).mean(axis=0)
    found = lost_drive(net, spikes, inputs)
    np.testing.assert_allclose(mean_of(found, sent), expected, rtol=1e-9)


def test_nothing_is_lost_without_negative_exponents(rng):
    net = network((block(rng, "recurrent", N, 0), block(rng, "input", 3, 2)))
    _, spikes, inputs = activity(rng)
    lost = lost_drive(net, spikes, inputs)
    assert not lost.constant.any() and not lost.shown.any()
    assert with_biases(net, lost) is net


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
    restored = with_biases(net, lost_drive(net, spikes, inputs))
    added = restored.bias_mant.astype(float) * 2.0**restored.bias_exp - net.bias_mant
    before = np.abs(run.u.mean(axis=(0, 1)) - total / steps)
    after = np.abs(run.u.mean(axis=(0, 1)) + added - total / steps)
    # Decay truncates as well, by up to 1 of u in a step: 4096/41 in all.
    assert before.min() > 1500
    assert after.max() < 200


def test_without_input_only_biases_change(rng):
    net = network((block(rng, "recurrent", N, -5),))
    _, spikes, inputs = activity(rng)
    restored = with_biases(net, lost_drive(net, spikes, inputs))
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
        lost_drive(net, few, inputs)
    with pytest.raises(ValueError, match="inputs: got shape"):
        lost_drive(net, spikes, inputs[:, :, :2])


def test_a_bias_that_no_register_holds_is_refused(rng):
    net = network(
        (block(rng, "recurrent", N, -5),),
        du=np.zeros(N),
        bias_mant=np.full(N, 4095),
        bias_exp=np.full(N, 7),
    )
    _, spikes, inputs = activity(rng)
    with pytest.raises((DoesNotFit, ValueError), match="bias_mant"):
        with_biases(net, lost_drive(net, spikes, inputs))


@pytest.fixture
def held(lif_net):
    """A network with slow currents, and inputs that are held in half of the trials."""
    slow = np.full(lif_net.n, 0.1)
    net = dataclasses.replace(lif_net, noise_std=0.0, tau_syn=slow)
    return net, with_silence(np.full((2000, 2, lif_net.n_in), 0.7))


def test_a_network_at_rest_has_the_drive_that_it_had(held):
    """And one that is shown something has it, too, where biases alone give it less."""
    net, inputs = held
    run = simulate_lif(net, inputs, seed=0)
    rounded = quantize(net, run.ranges, input_peak=1.0)
    assert any(b.source == "input" and b.weight_exp < 0 for b in rounded.blocks)
    lost = lost_drive(rounded, run.spikes, inputs)
    folded = fold_drive(net, rounded, lost)
    restored = restore_drive(rounded, lost, folded, USUAL)
    assert lost.shown.any() and (folded.w_in != net.w_in).any()
    # Each channel as it is shown: exact sums of the old weights, floors of the new.
    sent = np.rint(inputs[0] * rounded.input_scale)
    for trial, message in enumerate(sent):
        exact = sum(
            b.weights.astype(float) @ message[b.pre] * 2.0**b.weight_exp
            for b in rounded.blocks
            if b.source == "input"
        )
        floors = [
            sum(
                np.floor(b.weights.astype(float) @ message[b.pre] * 2.0**b.weight_exp)
                for b in chip.blocks
                if b.source == "input"
            )
            for chip in (rounded, restored)
        ]
        before, after = (np.abs(exact - each).mean() for each in floors)
        assert after <= 0.5 * before if trial < 2 else after == before == 0
