import pickle

import numpy as np
import pytest

from isotau.convert.records.trials import Trials, refine
from isotau.sim.tasks import GO_NOGO, MANTE, TASKS, XOR, Task, fixation
from isotau.sim.tasks.task import during, extremes, first_step, lead_in

EVERY = [*TASKS.values(), fixation(3, 2), fixation(1, dt=0.02)]
SIGNED = [task for name, task in TASKS.items() if name != "go-nogo"]


def some_trials(steps: int, dt: float) -> Trials:
    return Trials(
        inputs=np.zeros((steps, 2, 1)),
        targets=np.zeros((steps, 2, 1)),
        mask=np.ones((steps, 2), dtype=bool),
        labels=np.array([0, 1]),
        dt=dt,
        task="some",
    )


def test_every_task_is_listed_under_its_own_name_and_draws_what_it_says() -> None:
    for name, task in TASKS.items():
        trials = task.draw(3, np.random.default_rng(0))
        assert task.name == name == trials.task
        assert (trials.inputs.shape[2], trials.targets.shape[2]) == (
            task.n_in,
            task.n_out,
        )
        assert trials.dt == task.dt


def by_name(task: Task) -> str:
    return task.name


@pytest.mark.parametrize("task", EVERY, ids=by_name)
def test_a_task_draws_what_its_generator_says_and_only_named_conditions(
    task: Task,
) -> None:
    one, same, other = (task.draw(300, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one.inputs, same.inputs)
    assert np.array_equal(one.targets, same.targets)
    assert task.name == "fixation" or not np.array_equal(one.inputs, other.inputs)
    assert set(one.labels) == set(task.conditions)
    assert one.mask.any(axis=0).all()


@pytest.mark.parametrize("task", EVERY, ids=by_name)
def test_no_trials_are_refused(task: Task) -> None:
    with pytest.raises(ValueError, match=r"batch: got 0, need 1 to"):
        task.draw(0, np.random.default_rng(0))


@pytest.mark.parametrize("task", EVERY, ids=by_name)
def test_the_target_is_right_and_far_from_it_is_wrong(task: Task) -> None:
    trials = task.draw(100, np.random.default_rng(3))
    for rule in (task.score, task.score_strict):
        right = rule(trials.targets, trials)
        assert right.dtype == bool and right.shape == (100,)
        assert right.all()
        assert not rule(trials.targets + 9 * (trials.targets <= 0), trials).all()
    assert not task.score_strict(trials.targets + 3.0, trials)[trials.labels == 0].any()


@pytest.mark.parametrize("task", SIGNED, ids=by_name)
def test_silence_and_the_contrary_are_wrong_by_both_rules(task: Task) -> None:
    trials = task.draw(100, np.random.default_rng(4))
    for rule in (task.score, task.score_strict):
        assert not rule(np.zeros_like(trials.targets), trials).any()
        assert not rule(-trials.targets, trials).any()


@pytest.mark.parametrize("task", SIGNED, ids=by_name)
def test_an_answer_that_never_changes_is_right_half_of_the_time(task: Task) -> None:
    trials = task.draw(2000, np.random.default_rng(5))
    right = task.score(np.ones_like(trials.targets), trials)
    assert abs(right.mean() - 0.5) < 4 * 0.5 / np.sqrt(2000)


@pytest.mark.parametrize("task", EVERY, ids=by_name)
def test_in_shorter_steps_the_scores_are_the_same(task: Task) -> None:
    rng = np.random.default_rng(6)
    trials = task.draw(200, rng)
    noise = 0.3 * rng.standard_normal(trials.targets.shape)
    gain = rng.uniform(-0.5, 1.5, (1, 200, 1))
    some = gain * trials.targets + noise * (rng.random((1, 200, 1)) < 0.5)
    fine = refine(trials, trials.dt / 7)
    for rule in (task.score, task.score_strict):
        coarse = rule(some, trials)
        assert 0 < coarse.sum() < 200
        assert np.array_equal(rule(np.repeat(some, 7, axis=0), fine), coarse)


@pytest.mark.parametrize("task", EVERY, ids=by_name)
def test_what_is_right_strictly_is_right(task: Task) -> None:
    rng = np.random.default_rng(7)
    trials = task.draw(500, rng)
    gain, shift = rng.normal(1.0, 1.0, (2, 1, 500, 1))
    outputs = gain * trials.targets + 0.2 * (shift - 1.0)
    lenient, strict = (r(outputs, trials) for r in (task.score, task.score_strict))
    assert not (strict & ~lenient).any()
    assert task.name == "fixation" or strict.sum() < lenient.sum()


@pytest.mark.parametrize("task", EVERY, ids=by_name)
def test_a_task_can_be_sent_to_another_process(task: Task) -> None:
    there = pickle.loads(pickle.dumps(task))
    here, copy = (t.draw(5, np.random.default_rng(8)) for t in (task, there))
    assert np.array_equal(here.inputs, copy.inputs)
    assert there.score(copy.targets, copy).all()


@pytest.mark.parametrize("task", EVERY, ids=by_name)
def test_scores_refuse_outputs_of_another_length(task: Task) -> None:
    trials = task.draw(2, np.random.default_rng(9))
    for rule in (task.score, task.score_strict):
        with pytest.raises(ValueError, match=r"outputs: got shape .* need"):
            rule(trials.targets[:-1], trials)


def test_a_lead_in_is_silent_but_for_the_channels_that_are_held() -> None:
    inputs = MANTE.draw(20, np.random.default_rng(10)).inputs
    longer = lead_in(MANTE, inputs, 7)
    assert longer.shape == (507, 20, 4)
    assert np.array_equal(longer[7:], inputs)
    assert not longer[:7, :, :2].any()
    assert (longer[:7, :, 2:].sum(axis=2) == 1).all()
    assert (longer[:7, :, 2:] == inputs[300, :, 2:]).all()
    assert not lead_in(XOR, XOR.draw(3, np.random.default_rng(0)).inputs, 4)[:4].any()
    assert np.array_equal(lead_in(MANTE, inputs, 0), inputs)


def test_a_lead_in_for_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs: got 2 channels, need 4 for mante"):
        lead_in(MANTE, np.zeros((5, 1, 2)), 3)
    with pytest.raises(ValueError, match=r"steps: got -1, need 0 to"):
        lead_in(XOR, np.zeros((5, 1, 2)), -1)


def test_during_is_true_from_the_start_for_its_length() -> None:
    each = during(np.array([0, 3, 9]), 2, 10)
    assert [np.flatnonzero(column).tolist() for column in each.T] == [
        [0, 1],
        [3, 4],
        [9],
    ]
    assert np.flatnonzero(during(4, 3, 10)[:, 0]).tolist() == [4, 5, 6]


@pytest.mark.parametrize("dt", [5e-3, 1e-3, 5e-5, 0.1 / 3])
def test_first_step_is_the_first_that_begins_at_the_time_or_later(dt: float) -> None:
    trials = some_trials(round(1 / dt), dt)
    step = first_step(0.375, trials)
    assert step * dt >= 0.375 - 1e-9 > (step - 1) * dt


def test_extremes_are_taken_within_the_window_only() -> None:
    outputs = np.zeros((10, 2, 1))
    outputs[4] = 9.0
    outputs[5, 0], outputs[9, 1] = 2.0, -3.0
    low, high = extremes(outputs, some_trials(10, 0.1), 0.5)
    assert low.tolist() == [0.0, -3.0] and high.tolist() == [2.0, 0.0]


def test_trials_too_short_to_score_are_refused() -> None:
    with pytest.raises(ValueError, match=r"trials: got 0.5 s, need more than 0.5 s"):
        extremes(np.zeros((5, 2, 1)), some_trials(5, 0.1), 0.5)


def test_outputs_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"outputs: got shape \(9, 2, 1\)"):
        extremes(np.zeros((9, 2, 1)), some_trials(10, 0.1), 0.5)


def test_a_task_checks_its_numbers() -> None:
    with pytest.raises(ValueError, match=r"dt: got 0\.0, need numbers greater than 0"):
        Task(
            name="x",
            n_in=1,
            n_out=1,
            dt=0.0,
            draw=GO_NOGO.draw,
            score=GO_NOGO.score,
            score_strict=GO_NOGO.score_strict,
            conditions={},
        )


def test_a_task_holds_channels_that_it_has() -> None:
    with pytest.raises(ValueError, match=r"held: got 4, need 0 to 3"):
        Task(
            name="x",
            n_in=4,
            n_out=1,
            dt=0.005,
            draw=MANTE.draw,
            score=MANTE.score,
            score_strict=MANTE.score_strict,
            conditions={},
            held=(4,),
        )


@pytest.mark.parametrize("name", ["xor", "dms-750", "dms-lowrank"])
def test_in_the_delay_the_first_stimulus_is_over_and_no_second_is_on(name) -> None:
    task = TASKS[name]
    trials = task.draw(60, np.random.default_rng(0))
    assert task.delay is not None
    first, last = (round(end / trials.dt) for end in task.delay[:2])
    assert np.abs(trials.inputs[first:last]).max() < 0.3
    before, after = trials.inputs[first - 1], trials.inputs[last]
    assert np.abs(before).max(axis=1).min() > 0.5
    assert np.abs(after).max() > 0.5 or name == "dms-lowrank"
    kinds = [np.isin(trials.labels, labels) for labels in task.delay.labels]
    assert (kinds[0] ^ kinds[1]).all()
    # One first stimulus is the same in all trials of one kind.
    one, other = (before[kind].round() for kind in kinds)
    assert (one == one[0]).all() and (other == other[0]).all()
    assert (one[0] != other[0]).any()


def test_other_tasks_have_no_delay() -> None:
    with_delay = {name for name, task in TASKS.items() if task.delay is not None}
    assert with_delay == {"xor", "dms-750", "dms-lowrank"}
