"""Quantizing on a user's inputs: agreement, accuracy, search."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.read.read_inputs import Inputs
from isotau.convert.records.spikes import mean_rate
from isotau.convert.simulate.readout import classify
from isotau.convert.to_fixed.quantize import QuantizeConfig
from isotau.jobs.user_inputs import (
    describe_quantized,
    describe_simulated,
    quantize_on,
    simulate_on,
    summarize_quantized,
)
from isotau.sim.engines import reference

STEPS = 250


@pytest.fixture
def net(lif_net):
    """Ten neurons for each of two inputs; the output of the driven ones is larger."""
    half = np.arange(20) < 10
    return dataclasses.replace(
        lif_net,
        w_in=2e-3 * np.stack([half, ~half], axis=1),
        w_rec=0.2 * lif_net.w_rec,
        w_out=np.stack([half, ~half]) / 10,
        b_out=np.zeros(2),
        v_leak=np.full(20, -0.045),
        noise_std=0.0,
    )


@pytest.fixture
def inputs():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 24)
    strength = rng.uniform(0.2, 1.0, 24)
    values = np.zeros((STEPS, 24, 2))
    values[20:, np.arange(24), labels] = strength
    values[20:, np.arange(24), 1 - labels] = 0.5 * rng.random(24)
    return Inputs(values, labels, 1e-3)


def test_both_stages_agree_and_are_scored_on_the_same_trials(net, inputs):
    made = quantize_on(net, inputs, engine=reference.run)
    assert made.trials == (12, 12)
    assert made.agreement.coincident > 0.9 and made.agreement.lag == 1
    test = inputs._replace(values=inputs.values[:, 12:], labels=inputs.labels[12:])
    float_run = simulate_on(net, test)
    chip_run = simulate_on(made.fixed, test, engine="reference")
    assert made.accuracy.lif == float_run.accuracy > 0.6
    assert made.accuracy.fixed == chip_run.accuracy
    same = (float_run.classes == chip_run.classes).mean()
    assert made.accuracy.same == same
    assert made.accuracy.low <= made.accuracy.fixed - made.accuracy.lif
    assert made.agreement.spikes[0] == pytest.approx(
        np.unpackbits(float_run.spikes.bits).sum(), rel=0.02
    )


def test_the_search_takes_the_best_that_it_tried(net, inputs):
    w_rec = np.array(net.w_rec)
    w_rec[0, 1] = 50 * np.abs(w_rec).max()
    odd = dataclasses.replace(net, w_rec=w_rec)
    chosen = QuantizeConfig(num_weight_bits=6)
    made = quantize_on(odd, inputs._replace(labels=None), config=chosen, search=True)
    assert len(made.tried) == 12 and made.accuracy is None
    best = max(made.tried, key=lambda t: t.coincident)
    assert made.config == best.config and made.config.num_weight_bits == 6
    assert len({t.coincident for t in made.tried}) > 3
    labelled = quantize_on(odd, inputs, config=chosen, search=True)
    assert max(t.accuracy for t in labelled.tried) == next(
        t.accuracy for t in labelled.tried if t.config == labelled.config
    )


def test_one_trial_serves_for_both(net, inputs):
    one = Inputs(inputs.values[:, :1], None, None)
    made = quantize_on(net, one)
    assert made.trials == (1, 1)
    assert "calibrated on 1 trials" in describe_quantized(made)


def test_the_summary_is_plain_and_the_text_says_it_all(net, inputs):
    made = quantize_on(net, inputs)
    plain = summarize_quantized(made)
    assert plain["raster"]["lag"] == 1 and plain["trials"] == {
        "calibration": 12,
        "test": 12,
    }
    assert plain["accuracy"]["lif"] == made.accuracy.lif
    text = describe_quantized(made)
    assert "20 neurons" in text and "8 bits" in text and "same class in" in text
    silent = quantize_on(net, inputs._replace(values=0 * inputs.values))
    assert "no spikes in either" in describe_quantized(silent)
    assert summarize_quantized(silent)["raster"]["cosine"] is None
    assert plain["state_at_rest"] is None and "at rest" not in text


def test_states_at_rest_are_told_of_where_there_is_noise(net, inputs):
    noisy = dataclasses.replace(net, current_noise_std=1e-3)
    made = quantize_on(noisy, inputs)
    assert "u of the chip over i of the LIF network" in describe_quantized(made)
    told = summarize_quantized(made)["state_at_rest"]
    assert told["neurons"] == made.fixed.n
    assert told["change"]["sd_ratio"] == pytest.approx(1, abs=0.1)


def test_classes_are_the_outputs_with_the_largest_mean(net, inputs):
    run = simulate_on(net, inputs)
    raster = np.unpackbits(run.spikes.bits, axis=-1, count=20, bitorder="little")
    driven = raster[:, :, :10].sum((0, 2)) < raster[:, :, 10:].sum((0, 2))
    assert (classify(net, run.spikes) == driven).mean() > 0.9


def test_wrong_inputs_are_named(net, inputs):
    with pytest.raises(ValueError, match=r"dt: got inputs of 0.002 s, need 0.001 s"):
        quantize_on(net, inputs._replace(dt=0.002))
    with pytest.raises(ValueError, match="labels: got 7, need less than 2, the netw"):
        quantize_on(net, inputs._replace(labels=np.full(24, 7)))
    with pytest.raises(ValueError, match="engine: got 'quick', need one of"):
        fixed = quantize_on(net, inputs).fixed
        simulate_on(fixed, inputs, engine="quick")


def test_inputs_enter_as_spikes_if_they_are(net, inputs):
    chosen = QuantizeConfig(spiking_input=True)
    events = inputs._replace(values=2.0 * (inputs.values > 0.4))
    made = quantize_on(net, events, config=chosen)
    assert all(b.binary for b in made.fixed.blocks if b.source == "input")
    assert made.agreement.coincident > 0.9 and made.fixed.input_scale == 0.5
    with pytest.raises(ValueError, match=r"inputs: got 0\..* among them, need 0 and"):
        quantize_on(net, inputs, config=chosen)
    with pytest.raises(ValueError, match=r"inputs: got 0\.0 among them, need 0 and"):
        quantize_on(net, inputs._replace(values=0 * inputs.values), config=chosen)


def test_noise_comes_from_the_seed_and_the_text_gives_the_rate(lif_net):
    inputs = Inputs(np.zeros((100, 2, 2)), np.zeros(2, dtype=int), None)
    a, b, c = (simulate_on(lif_net, inputs, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.spikes.bits, b.spikes.bits)
    assert (a.spikes.bits != c.spikes.bits).any()
    text = describe_simulated(a)
    assert f"{mean_rate(a.spikes):.2f} Hz" in text and "accuracy: " in text
    assert "accuracy" not in describe_simulated(a._replace(accuracy=None))
