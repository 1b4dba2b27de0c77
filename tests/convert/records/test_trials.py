"""`Trials` and its finer steps."""

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from isotau.convert.records.trials import Trials, refine, subset, with_silence

FIELDS = {
    "inputs": np.arange(12.0).reshape(3, 2, 2),
    "targets": np.arange(6.0).reshape(3, 2, 1),
    "mask": np.array([[True, False], [True, True], [False, True]]),
    "labels": np.array([0, 1]),
    "dt": 0.005,
    "task": "go-nogo",
}


def test_sizes():
    trials = Trials(**FIELDS)
    assert (trials.steps, trials.batch) == (3, 2)
    assert trials.mask.dtype == bool


@pytest.mark.parametrize("name", ["inputs", "targets", "mask", "labels"])
def test_arrays_are_read_only_copies(name):
    given = FIELDS[name].copy()
    kept = getattr(Trials(**FIELDS | {name: given}), name)
    given[...] = 0
    assert kept.tolist() == FIELDS[name].tolist()
    assert not kept.flags.writeable


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError):
        Trials(**FIELDS).task = "other"


REFUSED = [
    ("inputs", np.zeros((3, 2)), "inputs: got shape (3, 2), need 3 axes"),
    ("inputs", np.zeros((3, 0, 2)), "inputs: got shape (3, 0, 2), need at least one"),
    ("targets", np.zeros((3, 3, 1)), "targets: got shape (3, 3, 1), need (3, 2, 1)"),
    ("mask", np.zeros((3, 1)), "mask: got shape (3, 1), need (3, 2) (steps × batch)"),
    ("mask", np.full((3, 2), 2), "mask: got 2 at [0, 0], need 0 to 1"),
    ("labels", np.zeros(3), "labels: got shape (3,), need (2,) (batch)"),
    ("dt", -1.0, "dt: got -1.0, need numbers greater than 0"),
]


@pytest.mark.parametrize(("name", "value", "text"), REFUSED)
def test_refusals(name, value, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Trials(**FIELDS | {name: value})


def test_refine_holds_each_value():
    fine = refine(Trials(**FIELDS), 0.001)
    assert (fine.steps, fine.dt) == (15, 0.001)
    for step in range(15):
        assert fine.inputs[step].tolist() == FIELDS["inputs"][step // 5].tolist()
        assert fine.targets[step].tolist() == FIELDS["targets"][step // 5].tolist()
        assert fine.mask[step].tolist() == FIELDS["mask"][step // 5].tolist()
    assert fine.labels.tolist() == [0, 1]


def test_refine_to_the_same_step_changes_nothing():
    assert refine(Trials(**FIELDS), 0.005).inputs.tolist() == FIELDS["inputs"].tolist()


@pytest.mark.parametrize("dt", [0.002, 0.01, 0.0049])
def test_refine_needs_a_whole_fraction(dt):
    with pytest.raises(ValueError, match=rf"dt: got {dt} s, need a whole fraction of"):
        refine(Trials(**FIELDS), dt)


def test_subset_keeps_some_trials():
    some = subset(Trials(**FIELDS), slice(1, 2))
    assert (some.steps, some.batch, some.dt, some.task) == (3, 1, 0.005, "go-nogo")
    assert some.inputs.tolist() == FIELDS["inputs"][:, 1:].tolist()
    assert some.targets.tolist() == FIELDS["targets"][:, 1:].tolist()
    assert some.mask.tolist() == FIELDS["mask"][:, 1:].tolist()
    assert some.labels.tolist() == [1]


@pytest.mark.parametrize(("share", "more"), [(0.2, 2), (0.5, 3), (1.0, 6), (0.0, 0)])
def test_silence_comes_after_the_trials(share, more):
    inputs = np.random.default_rng(0).standard_normal((200, 6, 2))
    longer = with_silence(inputs, share)
    assert longer.shape == (200, 6 + more, 2)
    np.testing.assert_array_equal(longer[:, :6], inputs)
    assert not longer[:, 6:].any()
