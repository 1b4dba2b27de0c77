"""The objective's parts against sums by hand and the rate training's loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from isotau.convert.records.trials import Trials
from isotau.convert.training import update as rate_batch
from isotau.convert.training.train_config import TrainConfig
from isotau.convert.tuning.loss.autocovariance_loss import (
    AutocovarianceTarget,
    loss_of,
)
from isotau.convert.tuning.loss.batch import Source, as_batch, silent_batch
from isotau.convert.tuning.loss.objective import Objective, label_gain
from isotau.convert.tuning.loss.observe import Observation
from isotau.convert.tuning.loss.rate_loss import RateTarget, rate_error

STEPS, BATCH, WIDTH = 200, 6, 50
PLACE = {"seed": None, "dtype": torch.float64, "device": torch.device("cpu")}


@pytest.fixture
def trials():
    rng = np.random.default_rng(0)
    mask = rng.random((STEPS, BATCH)) < 0.4
    mask[:, 2] = np.arange(STEPS) == 7  # trials whose mask differs in length
    return Trials(
        inputs=rng.standard_normal((STEPS, BATCH, 2)),
        targets=rng.standard_normal((STEPS, BATCH, 2)),
        mask=mask,
        labels=rng.integers(2, size=BATCH),
        dt=1e-3,
        task="made up",
    )


def batched(trials, net):
    source = Source(draw=lambda *_: trials, score=lambda *_: np.ones(BATCH), lead=0.02)
    return as_batch(trials, net, source, **PLACE)


@pytest.fixture
def batch(trials, lif_net):
    return batched(trials, lif_net)


@pytest.fixture
def trace(lif_net):
    rng = np.random.default_rng(1)
    return Observation(
        outputs=torch.tensor(rng.standard_normal((STEPS, BATCH, 2))),
        counts=torch.tensor(rng.poisson(1.0, (4, BATCH, lif_net.n)).astype(float)),
        bin_steps=WIDTH,
        currents=torch.tensor(rng.standard_normal((40, BATCH, lif_net.n))),
        first_sample=5,
    )


@pytest.fixture
def timescales(lif_net):
    n = lif_net.n
    return AutocovarianceTarget(
        covariance=np.ones((3, n)),
        lags=[0.0, 0.005, 0.05],
        interval=0.005,
        volts=np.full(n, 2e-3),
        reliability=np.ones(n),
        weight=0.5,
    )


def test_mse_is_the_mean_over_what_counts(trace, batch, trials):
    wrong = (trace.outputs.numpy() - trials.targets)[trials.mask]
    parts = Objective(task_weight=3.0).task_parts(trace, batch)
    assert set(parts) == {"task"}
    assert float(parts["task"]) == pytest.approx(3.0 * np.mean(wrong**2))


@pytest.mark.parametrize("loss", ["mse", "norm"])
def test_losses_are_those_of_the_rate_training(loss, trace, batch, trials):
    theirs = rate_batch.StackedTrials(
        torch.zeros(0),
        torch.zeros(0),
        batch.targets[:, None],
        torch.tensor(trials.mask)[:, None],
    )
    config = TrainConfig(loss=loss)
    (expected,) = rate_batch.task_loss(trace.outputs[:, None], theirs, config)
    got = Objective(task=loss).task_parts(trace, batch)["task"]
    assert float(got) == pytest.approx(float(expected))


def test_norm_has_a_gradient_where_the_target_is_met(trace, batch):
    outputs = batch.targets.clone().requires_grad_()
    met = trace._replace(outputs=outputs)
    (gradient,) = torch.autograd.grad(
        Objective(task="norm").task_parts(met, batch)["task"], outputs
    )
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_labels_are_compared_with_mean_outputs(trace, batch, trials):
    costs = []
    for trial in range(BATCH):
        mean = trace.outputs.numpy()[trials.mask[:, trial], trial].mean(axis=0)
        costs.append(logsumexp(mean) - mean[trials.labels[trial]])
    got = Objective(task="labels").task_parts(trace, batch)["task"]
    assert float(got) == pytest.approx(np.mean(costs))


@pytest.mark.parametrize("task", ["mse", "norm", "labels"])
def test_gradients_are_those_of_finite_differences(task, trace, batch):
    few = slice(0, 8)  # trial 2 counts in step 7
    short = batch._replace(targets=batch.targets[few], mask=batch.mask[few])
    outputs = trace.outputs[few].clone().requires_grad_()

    def loss(outputs):
        parts = Objective(task=task).task_parts(trace._replace(outputs=outputs), short)
        return parts["task"]

    assert torch.autograd.gradcheck(loss, (outputs,))


def test_rates_stand_beside_the_task(trace, batch, lif_net):
    target = RateTarget(rates=np.linspace(5.0, 30.0, lif_net.n), weight=0.2)
    parts = Objective(rates=target).task_parts(trace, batch)
    assert set(parts) == {"task", "rates"}
    expected = rate_error(trace.counts, WIDTH * 1e-3, target)
    assert float(parts["rates"]) == float(expected)
    alone = Objective(task="none", rates=target).task_parts(trace, batch)
    assert set(alone) == {"rates"}


def test_timescales_are_those_of_trials_without_input(trace, timescales, lif_net):
    quiet = silent_batch(lif_net, trials=BATCH, length=0.2, settle=0.01, **PLACE)
    parts = Objective(timescales=timescales).quiet_parts(trace, quiet)
    assert set(parts) == {"timescales"}
    assert float(parts["timescales"]) == float(loss_of(trace.currents, timescales))
    assert Objective().quiet_parts(trace, quiet) == {}


def test_timescales_alone_ask_nothing_of_the_task(trace, batch, timescales):
    assert Objective(task="none", timescales=timescales).task_parts(trace, batch) == {}


def test_timescales_of_an_epoch_are_those_of_the_tasks_trials(trace, batch, timescales):
    epoch = replace(timescales, epoch=(0.02, 0.15))
    objective = Objective(task="none", timescales=epoch)
    parts = objective.task_parts(trace, batch)
    assert set(parts) == {"timescales"}
    # samples after 5, 10, … ms: the first after the start is the fifth
    assert float(parts["timescales"]) == float(loss_of(trace.currents[4:30], epoch))
    assert objective.quiet_parts(trace, batch) == {}


def test_states_are_sampled_where_they_are_looked_at(timescales):
    rest = Objective(timescales=timescales)
    epoch = Objective(timescales=replace(timescales, epoch=(0.0, 0.1)))
    assert rest.at_rest and not epoch.at_rest and not Objective().at_rest
    every = [
        [each.every(1e-3, at_rest=quiet) for quiet in (True, False)]
        for each in (rest, epoch, Objective())
    ]
    assert every == [[5, 0], [0, 5], [0, 0]]
    with pytest.raises(ValueError, match="timescales: got samples every 5 ms, need a "):
        rest.every(2e-3, at_rest=True)


def test_an_observation_without_currents_is_refused(trace, batch, timescales):
    blind = trace._replace(currents=None)
    with pytest.raises(ValueError, match="timescales: got an observation without curr"):
        Objective(timescales=timescales).quiet_parts(blind, batch)


def test_targets_of_another_length_are_refused(trace, batch):
    short = trace._replace(outputs=trace.outputs[1:])
    match = r"outputs: got shape \(199, 6, 2\), need \(200, 6, 2\) \(steps × batch"
    with pytest.raises(ValueError, match=match):
        Objective().task_parts(short, batch)


def test_trials_in_which_nothing_counts_are_refused(trace, trials, lif_net):
    blank = replace(trials, mask=np.zeros_like(trials.mask))
    with pytest.raises(ValueError, match=r"mask: got no step in which a target counts"):
        Objective().task_parts(trace, batched(blank, lif_net))
    mask = trials.mask.copy()
    mask[:, 4] = False
    with pytest.raises(ValueError, match=r"mask: got no step that counts in trial 4, "):
        Objective(task="labels").task_parts(
            trace, batched(replace(trials, mask=mask), lif_net)
        )


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_that_no_output_stands_for_are_refused(label, trace, trials, lif_net):
    labels = trials.labels.copy()
    labels[3] = label
    wrong = batched(replace(trials, labels=labels), lif_net)
    match = rf"labels: got {label} at \[3\], need 0 to 1, the outputs' numbers"
    with pytest.raises(ValueError, match=match):
        Objective(task="labels").task_parts(trace, wrong)


def test_one_output_stands_for_no_labels(trace, batch):
    one = batch._replace(targets=batch.targets[:, :, :1])
    with pytest.raises(ValueError, match=r"outputs: got 1, need one for each label, 2"):
        Objective(task="labels").task_parts(
            trace._replace(outputs=trace.outputs[:, :, :1]), one
        )


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"task": "l1"}, r"task: got 'l1', need one of mse, norm, labels, none"),
        ({"task": "none"}, r"task: got 'none' without rates and timescales, need one"),
        ({"task_weight": 0.0}, r"task_weight: got 0.0, need numbers greater than 0"),
    ],
)
def test_bad_objectives_are_refused(fields, match):
    with pytest.raises(ValueError, match=match):
        Objective(**fields)


def test_the_gain_of_labels_makes_outputs_as_sure_as_they_may_be():
    """Of two outputs, the label's is larger in most trials, or smaller in most."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 60)
    signal = np.where(np.arange(2) == labels[:, None], 1e-3, 0.0)
    outputs = (
        signal
        + 4e-4 * rng.standard_normal((30, 60, 2))
        + 4e-4 * rng.random(60)[:, None]
    )
    wrong = outputs[:, :, ::-1]
    for these in (outputs, wrong):
        gain = label_gain(these, labels)
        assert np.log2(gain) == round(np.log2(gain))
        assert label_gain(8 * these, labels) == gain / 8
        odds = gain * (these - these.mean(axis=2, keepdims=True)).mean(axis=0)
        assert odds.std() >= 1
    # the more often outputs are right, the surer they may be
    assert label_gain(outputs, labels) > label_gain(wrong, labels)
    assert label_gain(0 * outputs, labels) == 1
