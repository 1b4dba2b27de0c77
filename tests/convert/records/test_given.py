"""Trials of a user's own: split, drawn from, scored."""

import numpy as np
import pytest

from isotau.convert.records.given import (
    TrialPool,
    answer_is_label,
    answer_is_near,
    split_trials,
)
from isotau.convert.records.trials import Trials


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


def test_split_leaves_nothing_out_and_nothing_twice():
    learn, held = split_trials(numbered(40), seed=1)
    assert held.batch == 10
    assert sorted(which(learn) + which(held)) == list(range(40))
    assert which(split_trials(numbered(40), seed=2)[1]) != which(held)
    assert which(split_trials(numbered(40), seed=1)[1]) == which(held)


def test_one_trial_cannot_be_split():
    with pytest.raises(ValueError, match="trials: got 1, need at least 2, one of them"):
        split_trials(numbered(1), seed=0)


def test_share_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"held_out: got 0.01, which holds out 0 of 4"):
        split_trials(numbered(4), seed=0, held_out=0.01)


def test_a_pool_shows_every_trial_before_any_twice():
    pool, rng = TrialPool(numbered(8)), np.random.default_rng(0)
    assert which(pool(8, rng)) == list(range(8))
    twice = which(pool(20, rng))
    assert len(twice) == 20 and set(twice) == set(range(8))
    assert len(which(pool(3, rng))) == 3


def test_the_label_is_the_largest_mean_output_over_the_mask():
    trials = numbered(3)
    outputs = np.zeros((10, 3, 3))
    outputs[:, 0, 0] = 1.0
    outputs[:5, 1, 2] = 1.0
    outputs[5:, 1, 1] = 0.9
    outputs[:, 2, 0] = 1.0
    assert answer_is_label(outputs, trials).tolist() == [True, False, False]
    late = np.zeros((10, 3), dtype=bool)
    late[5:] = True
    masked = Trials(
        inputs=trials.inputs,
        targets=trials.targets,
        mask=late,
        labels=trials.labels,
        dt=trials.dt,
        task=trials.task,
    )
    assert answer_is_label(outputs, masked).tolist() == [True, True, False]


def test_an_answer_is_near_that_explains_half_the_variance():
    t = np.linspace(0, 1, 50)
    course = np.sin(2 * np.pi * t)[:, None, None]
    trials = Trials(
        inputs=np.zeros((50, 4, 1)),
        targets=np.tile(course, (1, 4, 1)),
        mask=np.ones((50, 4), dtype=bool),
        labels=np.zeros(4, dtype=int),
        dt=1e-3,
        task="own",
    )
    gains = np.array([1.0, 0.4, 0.2, -1.0])
    # what is left is (1 − gain)²: 0, 0.36, 0.64 and 4 of the variance
    near = answer_is_near(course * gains[:, None], trials)
    assert near.tolist() == [True, True, False, False]
    strictly = answer_is_near(course * gains[:, None], trials, explained=0.9)
    assert strictly.tolist() == [True, False, False, False]
