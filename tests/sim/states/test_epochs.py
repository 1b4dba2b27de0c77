"""What is shown in each epoch, and which trials were shown the same."""

import numpy as np
import pytest

from isotau.sim.states.epochs import EPOCHS, SETTLE, resting, task_epoch
from isotau.sim.tasks import TASKS

DT = 0.005


def test_at_rest_nothing_is_shown():
    shown = resting(3, DT)(4, 8, 1.0, 5)
    assert shown.inputs.shape == (round((SETTLE + 1) / DT), 4, 3)
    assert not shown.inputs.any() and shown.before == round(SETTLE / DT)
    assert shown.conditions is None
    assert resting(3, DT, settle=0.1)(4, 8, 1.0, 5).before == 20


def test_the_delay_follows_the_first_stimulus():
    task = TASKS["dms-750"]
    shown = task_epoch("delay", task, DT)(40, 0, 3.0, 5)
    assert shown.before == round(task.delay.start / DT)
    assert len(shown.inputs) == shown.before + round(3.0 / DT)
    assert not shown.inputs[shown.before :].any()
    assert set(shown.conditions) == {0, 1}
    # Of one condition all trials were shown the same, and of the others something else.
    seen = [shown.inputs[:, shown.conditions == k] for k in (0, 1)]
    assert all(np.ptp(each, axis=1).max() == 0 for each in seen)
    assert (seen[0][:, 0] != seen[1][:, 0]).any()


def test_what_is_held_stands_on():
    task = TASKS["mante"]
    assert task.held
    held = list(task.held)
    for name in ("fixation", "after"):
        shown = task_epoch(name, task, DT)(60, 0, 2.0, 5)
        long = shown.inputs[shown.before :]
        assert len(long) == round(2.0 / DT)
        assert (long[:, :, held] == long[0][:, held]).all() and long[:, :, held].any()
        assert not np.delete(long, held, axis=2).any()
        if name == "fixation":
            assert not np.delete(shown.inputs, held, axis=2).any()
            rows = np.unique(long[0][:, held], axis=0)
            assert len(set(shown.conditions)) == len(rows) > 1
        else:
            assert np.delete(shown.inputs, held, axis=2).any()


def test_a_task_that_holds_nothing_rests_in_its_fixation():
    task = TASKS["go-nogo"]
    for name in ("rest", "fixation"):
        assert not task_epoch(name, task, DT)(4, 0, 1.0, 5).inputs.any()
    after = task_epoch("after", task, DT)(40, 0, 1.0, 5)
    assert (
        not after.inputs[after.before :].any() and after.inputs[after.before - 1].any()
    )
    assert set(after.conditions) == set(task.conditions)


@pytest.mark.parametrize("name", EPOCHS[1:])
def test_trials_are_known_by_their_numbers(name):
    show = task_epoch(name, TASKS["dms-750"], DT)
    first, again, later = show(6, 0, 1.0, 5), show(6, 0, 1.0, 5), show(40, 6, 1.0, 5)
    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert later.inputs.shape[1] == 40


def test_other_epochs_are_refused():
    with pytest.raises(ValueError, match="epoch: got 'sleep'"):
        task_epoch("sleep", TASKS["go-nogo"], DT)
    with pytest.raises(ValueError, match="need one of a task with a delay; go-nogo"):
        task_epoch("delay", TASKS["go-nogo"], DT)
