"""Trials as tensors: steps, leads, masks."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.records.given import answer_is_label
from isotau.convert.records.trials import Trials, subset
from isotau.convert.simulate.vectors.shared_noise import fill_channels
from isotau.convert.tuning.loss.batch import (
    Source,
    as_batch,
    from_trials,
    silence,
    silent_batch,
)

PLACE = {"dtype": torch.float32, "device": torch.device("cpu")}


def trials_of(*, n_in=2, n_out=2, dt=5e-3, steps=6, batch=4):
    rng = np.random.default_rng(0)
    return Trials(
        inputs=rng.standard_normal((steps, batch, n_in)),
        targets=rng.standard_normal((steps, batch, n_out)),
        mask=rng.random((steps, batch)) < 0.5,
        labels=[3, -1, 0, 2],
        dt=dt,
        task="test",
    )


def source_of(**settings):
    return Source(draw=lambda *_: None, score=lambda *_: None, **settings)


def test_values_are_held_in_the_networks_shorter_steps(lif_net):
    trials = trials_of()
    batch = as_batch(trials, lif_net, source_of(), seed=7, **PLACE)
    for t in range(30):
        for name in ("inputs", "targets", "mask"):
            got = getattr(batch, name)[t].numpy()
            np.testing.assert_array_equal(
                got, np.float32(getattr(trials, name)[t // 5])
            )
    assert len(batch.inputs) == len(batch.targets) == len(batch.mask) == 30
    assert (batch.lead, batch.seed, batch.trials.dt) == (0, 7, lif_net.dt)


def test_types_are_those_asked_for(lif_net):
    place = {"dtype": torch.float64, "device": torch.device("cpu")}
    batch = as_batch(trials_of(), lif_net, source_of(), seed=None, **place)
    kinds = [getattr(batch, name).dtype for name in ("inputs", "targets", "mask")]
    assert kinds == [torch.float64] * 3
    assert batch.labels.tolist() == [3, -1, 0, 2]
    assert batch.labels.dtype == torch.int64
    assert set(batch.mask.unique().tolist()) == {0.0, 1.0}
    assert batch.seed is None


def test_the_lead_is_silent_and_before_the_trial_alone(lif_net):
    trials = trials_of()
    batch = as_batch(trials, lif_net, source_of(lead=0.012), seed=0, **PLACE)
    assert batch.lead == 12
    assert (batch.inputs[:12] == 0).all()
    held = np.float32(np.repeat(trials.inputs, 5, axis=0))
    np.testing.assert_array_equal(batch.inputs[12:].numpy(), held)
    assert len(batch.targets) == len(batch.mask) == batch.trials.steps == 30


def test_a_source_may_have_a_lead_of_its_own(lif_net):
    def first_held(inputs, steps):
        return np.concatenate([np.repeat(inputs[:1], steps, axis=0), inputs])

    source = source_of(lead=0.02, before=first_held)
    batch = as_batch(trials_of(), lif_net, source, seed=0, **PLACE)
    assert (batch.inputs[:20] == batch.inputs[20]).all()
    assert len(batch.inputs) == 50


def test_silence_comes_first():
    got = silence(np.ones((2, 3, 1)), 4)
    np.testing.assert_array_equal(got[:, 0, 0], [0, 0, 0, 0, 1, 1])
    assert got.shape == (6, 3, 1)


def test_trials_without_input(lif_net):
    batch = silent_batch(lif_net, trials=5, length=0.08, settle=0.03, seed=9, **PLACE)
    assert batch.inputs.shape == (110, 5, 2)
    assert batch.targets.shape == (80, 5, 2)
    assert batch.mask.shape == (80, 5)
    assert not batch.inputs.any() and not batch.mask.any()
    assert (batch.lead, batch.seed) == (30, 9)
    assert (batch.trials.steps, batch.trials.dt) == (80, lif_net.dt)


@pytest.mark.parametrize(("n_in", "n_out"), [(3, 2), (2, 1)])
def test_trials_of_another_task_are_refused(lif_net, n_in, n_out):
    wrong = trials_of(n_in=n_in, n_out=n_out)
    said = f"trials: got {n_in} input channels and {n_out} outputs, need 2 and 2"
    with pytest.raises(ValueError, match=said):
        as_batch(wrong, lif_net, source_of(), seed=0, **PLACE)


def test_steps_that_do_not_divide_are_refused(lif_net):
    with pytest.raises(ValueError, match=r"dt: got 0\.001 s, need a whole fraction"):
        as_batch(trials_of(dt=1.5e-3), lif_net, source_of(), seed=0, **PLACE)


def numbered(batch, steps=10, n_out=3):
    """Trials whose inputs are the trial's number."""
    number = np.arange(batch, dtype=float)
    return Trials(
        inputs=np.tile(number[None, :, None], (steps, 1, 2)),
        targets=np.tile(number[None, :, None], (steps, 1, n_out)),
        mask=np.ones((steps, batch), dtype=bool),
        labels=np.arange(batch) % n_out,
        dt=1e-3,
        task="own",
    )


def which(trials):
    return sorted(trials.inputs[0, :, 0].astype(int).tolist())


def test_a_source_shows_every_trial_before_any_twice():
    source = from_trials(numbered(8), answer_is_label, lead=0.1)
    rng = np.random.default_rng(0)
    assert which(source.draw(8, rng)) == list(range(8))
    twice = which(source.draw(20, rng))
    assert len(twice) == 20 and set(twice) == set(range(8))
    assert source.lead == 0.1


def test_a_subset_keeps_the_order_given():
    some = subset(numbered(5), np.array([3, 1]))
    assert some.inputs[0, :, 0].tolist() == [3.0, 1.0]
    assert some.labels.tolist() == [0, 1]


def test_channels_of_noise_are_filled_by_the_batchs_seed(lif_net):
    """Tasks know nothing of them; a batch without a seed has none."""
    net = dataclasses.replace(lif_net, input_noise_std=[0.25])
    trials = trials_of(n_in=1)
    batch = as_batch(trials, net, source_of(lead=0.01), seed=7, **PLACE)
    assert batch.inputs.shape == (40, 4, 2)
    shown = source_of(lead=0.01).before(batch.trials.inputs, batch.lead)
    expected = fill_channels(net, shown, seed=7)
    np.testing.assert_array_equal(batch.inputs.numpy(), np.float32(expected))
    assert batch.inputs[..., 1].std() > 0.2
    quiet = as_batch(trials, net, source_of(), seed=None, **PLACE)
    assert not quiet.inputs[..., 1].any()
    rest = silent_batch(net, trials=3, length=0.1, settle=0.0, seed=1, **PLACE)
    assert not rest.inputs[..., 0].any() and rest.inputs[..., 1].any()
