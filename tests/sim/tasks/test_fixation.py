"""Fixation: silence of the right length, and its one rule."""

import numpy as np
import pytest

from isotau.convert.records.trials import refine
from isotau.sim.tasks import TASKS, fixation


@pytest.mark.parametrize(
    ("dt", "steps"), [(0.005, 210), (0.001, 1050), (0.02, 53), (0.05, 21)]
)
def test_nothing_is_shown_for_a_second_and_a_bin(dt: float, steps: int) -> None:
    task = fixation(3, 2, dt=dt)
    trials = task.draw(4, np.random.default_rng(0))
    assert trials.inputs.shape == (steps, 4, 3)
    assert trials.targets.shape == (steps, 4, 2)
    assert not trials.inputs.any() and not trials.targets.any()
    assert trials.mask.all() and trials.dt == dt
    assert trials.labels.tolist() == [0] * 4


def test_it_draws_nothing_from_the_generator() -> None:
    rng = np.random.default_rng(0)
    fixation(1).draw(5, rng)
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("factor", [1, 20])
@pytest.mark.parametrize(
    ("value", "right"), [(0.29, True), (-0.29, True), (0.31, False), (-0.31, False)]
)
def test_any_output_beyond_the_bound_at_any_time_is_wrong(
    factor: int, value: float, right: bool
) -> None:
    task = fixation(1, 2)
    trials = refine(task.draw(3, np.random.default_rng(0)), 0.005 / factor)
    outputs = np.zeros_like(trials.targets)
    outputs[0, 0, 0] = outputs[-1, 1, 1] = value
    for rule in (task.score, task.score_strict):
        assert rule(outputs, trials).tolist() == [right, right, True]


def test_it_is_made_to_measure() -> None:
    assert "fixation" not in TASKS
    with pytest.raises(ValueError, match=r"n_in: got 0, need 1 to"):
        fixation(0)
    with pytest.raises(ValueError, match=r"n_out: got 0, need 1 to"):
        fixation(1, 0)
    with pytest.raises(ValueError, match=r"dt: got 0\.0, need numbers greater than 0"):
        fixation(1, dt=0.0)
    with pytest.raises(ValueError, match=r"length: got 0\.0, need numbers greater"):
        fixation(1, length=0.0)
