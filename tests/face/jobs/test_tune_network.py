"""Tuning LIF networks on lessons: scores before and after, on the chip and off it."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.read.read_inputs import Inputs
from isotau.convert.records.given import answer_is_label
from isotau.convert.records.storage import same
from isotau.convert.records.trials import Trials
from isotau.convert.to_fixed.quantize import QuantizeConfig
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.jobs.run_config import TuningPlan
from isotau.jobs.tune_lesson import lesson_of_trials
from isotau.jobs.tune_network import tune_foreign
from isotau.jobs.user_inputs import simulate_on

STEPS, BATCH = 60, 64
FAST = TuneConfig(batch=16, updates=12, evaluate_every=6, learning_rate=0.05, seed=1)


@pytest.fixture(scope="module")
def trials():
    """Which of two inputs is on."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, BATCH)
    inputs = np.zeros((STEPS, BATCH, 2))
    inputs[5:, np.arange(BATCH), labels] = rng.uniform(0.5, 1.0, BATCH)
    return Trials(
        inputs=inputs,
        targets=np.zeros((STEPS, BATCH, 2)),
        mask=np.ones((STEPS, BATCH), dtype=bool),
        labels=labels,
        dt=1e-3,
        task="which",
    )


@pytest.fixture
def net(lif_net):
    """Ten neurons for each input; the output of the other ones is a little larger."""
    half = np.arange(20) < 10
    return dataclasses.replace(
        lif_net,
        w_in=2e-3 * np.stack([half, ~half], axis=1),
        w_rec=0.2 * lif_net.w_rec,
        w_out=1e-4 * np.stack([np.where(half, 0.8, 1.0), np.where(half, 1.0, 0.8)]),
        b_out=np.zeros(2),
        v_leak=np.full(20, -0.045),
        noise_std=0.0,
    )


def lesson(trials, net, loss="labels"):
    return lesson_of_trials(trials, net, score=answer_is_label, loss=loss, seed=5)


def shown(found):
    return Inputs(found.test.inputs, found.test.labels, 1e-3)


@pytest.fixture
def plan():
    return TuningPlan(config=FAST)


@pytest.mark.parametrize("quantized", [False, True])
def test_tuning_helps_on_trials_that_it_never_saw(net, trials, plan, quantized):
    learned = lesson(trials, net)
    asked = dataclasses.replace(plan, quantized=quantized)
    bits = QuantizeConfig(num_weight_bits=4)
    made = tune_foreign(net, learned, asked, quantization=bits, seed=2)
    for name in ("lif", "fixed"):
        assert made.before[name].right.mean() < 0.3
        assert made.after[name].right.mean() > 0.9
    tuned = made.tuned.network
    assert made.after["lif"].right.mean() == simulate_on(tuned, shown(learned)).accuracy
    there = simulate_on(made.fixed, shown(learned), engine="reference")
    assert made.after["fixed"].right.mean() == there.accuracy
    assert made.fixed.made_from == tuned.fingerprint
    assert {block.num_weight_bits for block in made.fixed.blocks} == {4}
    np.testing.assert_array_equal(tuned.v0, net.v0)
    if quantized:  # the integers that were tuned, but for the size of the outputs
        trained = made.tuned.fixed.w_out / made.fixed.w_out
        assert np.unique(trained[np.isfinite(trained)]).size == 1


def test_no_update_changes_nothing(net, trials, plan):
    config = dataclasses.replace(FAST, updates=0)
    learned = lesson(trials, net)
    made = tune_foreign(net, learned, dataclasses.replace(plan, config=config))
    assert same(made.tuned.network, net)
    for name in ("lif", "fixed"):
        np.testing.assert_array_equal(made.before[name].right, made.after[name].right)
        assert made.before[name].rate == made.after[name].rate > 0
    assert made.plan.config.evaluate_trials == learned.trials["held_out"]
    assert made.loss == "labels" and made.seeds["run"] == 0


def test_rates_and_timescales_of_the_network_itself_are_kept(net, trials):
    noisy = dataclasses.replace(
        net, noise_std=5e-3, v_leak=np.full(20, -0.040), w_rec=5 * net.w_rec
    )
    config = dataclasses.replace(
        FAST, updates=2, evaluate_every=1, quiet_trials=4, quiet_length=0.8
    )
    plan = TuningPlan(
        config=config,
        rate_weight=1.0,
        timescale_weight=0.5,
        reference="lif",
        reference_trials=8,
    )
    made = tune_foreign(noisy, lesson(trials, noisy), plan)
    assert set(made.tuned.losses[0]) == {"task", "rates", "timescales", "total"}
    with pytest.raises(ValueError, match="reference: got 'rate' for a LIF network, ne"):
        rate = dataclasses.replace(plan, reference="rate")
        tune_foreign(noisy, lesson(trials, noisy), rate)


def test_a_checkpoint_goes_on_with_the_same_bits(net, trials, plan, tmp_path):
    learned, file = lesson(trials, net), tmp_path / "c.npz"
    short = dataclasses.replace(FAST, updates=6)
    first = dataclasses.replace(plan, config=short)
    tune_foreign(net, learned, first, checkpoint=file)
    resumed = tune_foreign(net, learned, plan, checkpoint=file)
    straight = tune_foreign(net, learned, plan)
    assert same(resumed.tuned.network, straight.tuned.network)
    assert same(resumed.fixed, straight.fixed)
    assert resumed.tuned.losses == straight.tuned.losses
