import numpy as np
import pytest

from isotau.convert.trials import Trials
from isotau.sim.tasks import GO_NOGO, TASKS, Task
from isotau.sim.tasks.task import extremes, first_step


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
