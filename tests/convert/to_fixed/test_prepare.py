"""One recipe for a chip network."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.records.trials import with_silence
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.lost_drive import fold_drive, lost_drive, restore_drive
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantization_report import dense_weights
from isotau.convert.to_fixed.quantize import QuantizeConfig, quantize
from isotau.convert.to_fixed.start_state import await_input


@pytest.fixture
def rng():
    return np.random.default_rng(8)


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
    lost = lost_drive(rounded, run.spikes, inputs)
    assert (lost.constant > 0).any()
    folded = fold_drive(early, rounded, lost)
    expected = restore_drive(rounded, lost, folded, config)
    again = dataclasses.replace(expected, made_from=quiet_net.fingerprint)
    assert made.fixed.fingerprint == again.fingerprint
    assert made.folded.fingerprint == folded.fingerprint
    assert made.input_peak == inputs.max()


def test_folded_drive_is_the_restored_one(quiet_net, inputs):
    # Some steps without input: what input blocks lose is not all constant then.
    config, shown = QuantizeConfig(num_weight_bits=4), with_silence(inputs)
    made = prepare(quiet_net, shown, config=config)
    folded = quantize(
        made.folded, made.run.ranges, input_peak=made.input_peak, config=config
    )
    biases = [
        net.bias_mant * 2.0**net.bias_exp / net.state_scale
        for net in (folded, made.fixed)
    ]
    np.testing.assert_allclose(*biases, rtol=1e-3)
    weights = [dense_weights(net, "input") for net in (folded, made.fixed)]
    np.testing.assert_array_equal(*weights)
    assert (made.folded.w_in != made.early.w_in).any()


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
