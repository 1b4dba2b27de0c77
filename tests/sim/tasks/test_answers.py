"""Rules for answers of either sign, against a loop over trials and against hand-made
outputs at the edges."""

import numpy as np
import pytest

from isotau.convert.records.trials import Trials
from isotau.sim.tasks.answers import (
    mean_is_right,
    mean_is_right_strictly,
    peak_is_right,
    peak_is_right_strictly,
)

STEPS, DT = 10, 0.1


def trials_with(targets: np.ndarray, mask: np.ndarray | None = None) -> Trials:
    steps, batch = targets.shape
    return Trials(
        inputs=np.zeros((steps, batch, 1)),
        targets=targets[:, :, None],
        mask=np.ones((steps, batch), dtype=bool) if mask is None else mask,
        labels=np.zeros(batch),
        dt=DT,
        task="some",
    )


def answers(*signs: float) -> Trials:
    """Return trials of 1 s whose answer is asked from 0.4 to 0.8 s."""
    targets = np.zeros((STEPS, len(signs)))
    targets[4:8] = signs
    return trials_with(targets, targets != 0)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("output", "lenient", "strict"),
    [
        ([0, 0, 0, 0, 1, 1, 1, 1, 0, 0], True, True),
        ([0, 0, 0, 0, 0, 0, 0.71, 0.71, 0, 0], True, True),
        ([0, 0, 0, 0, 1, 1, 0.69, 0.69, 0, 0], False, False),  # too low in the window
        ([0, 0, 0, 0, 1, 1, 0, 0, 0.9, 0], True, False),  # a peak beside the answer
        ([0, 0, 0, 0, 0, 0, 0.9, 0.11, 0, 0], True, True),  # mean just above 0.5
        ([0, 0, 0, 0, 0, 0, 0.9, 0.09, 0, 0], True, False),  # just below
        ([0, 0, 0, 0, 1, 1, 1.49, 1.49, 0, 0], True, True),
        ([0, 0, 0, 0, 1, 1, 1.51, 1.51, 0, 0], True, False),  # three times the target
        ([0, 0, 0, 0, 1, 1, 1, 1, -0.69, 0], True, True),
        ([0, 0, 0, 0, 1, 1, 1, 1, -0.71, 0], True, False),  # also the other answer
        ([-9, -9, -9, -9, -9, -9, 1, 1, 0, 0], True, True),  # before the window
    ],
)
def test_peaks(side: int, output: list[float], lenient: bool, strict: bool) -> None:
    trials = answers(side)
    outputs = side * np.array(output, dtype=float)[:, None, None]
    assert peak_is_right(outputs, trials, since=0.6).tolist() == [lenient]
    assert peak_is_right_strictly(outputs, trials, since=0.6).tolist() == [strict]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("output", "lenient", "strict"),
    [
        ([1, 1, 1, 1], True, True),
        ([0.01, 0, 0, 0], True, False),
        ([2, 2, -0.9, -0.9], True, True),  # mean 0.55
        ([2, 2, -1.1, -1.1], True, False),  # mean 0.45
        ([1.6, 1.6, 1.6, 1.1], True, True),  # mean 1.475
        ([1.6, 1.6, 1.6, 1.3], True, False),  # mean 1.525
        ([1, -1, 1, -1], False, False),  # mean 0
        ([0.5, 0.5, -0.6, -0.6], False, False),
    ],
)
def test_means(side: int, output: list[float], lenient: bool, strict: bool) -> None:
    trials = answers(side)
    outputs = np.full((STEPS, 1, 1), -7.0 * side)
    outputs[4:8, 0, 0] = side * np.array(output, dtype=float)
    assert mean_is_right(outputs, trials).tolist() == [lenient]
    assert mean_is_right_strictly(outputs, trials).tolist() == [strict]


def test_how_near_a_mean_must_come_is_a_choice() -> None:
    trials = answers(1 / 3, 1 / 3, 1 / 3, -1 / 3)
    outputs = trials.targets + np.array([0.16, -0.17, 0.17, -0.16])[None, :, None]
    near = mean_is_right_strictly(outputs, trials, within=1 / 6)
    assert near.tolist() == [True, False, False, True]
    assert mean_is_right(outputs, trials).all()
    wrong = mean_is_right_strictly(-0.1 * trials.targets, trials, within=9.0)
    assert not wrong.any()


def test_random_outputs_are_judged_as_by_a_loop_over_trials() -> None:
    rng, batch = np.random.default_rng(0), 300
    targets = np.zeros((STEPS, batch))
    for k in range(batch):
        start = rng.integers(2, 6)
        targets[start : start + rng.integers(4, 6), k] = rng.choice([-1.0, 1.0])
    trials = trials_with(targets, targets != 0)
    outputs = 0.8 * targets[:, :, None] + 0.5 * rng.standard_normal((STEPS, batch, 1))
    expected = []
    for k in range(batch):
        sign = max(targets[:, k], key=abs)
        course = [float(sign * o) for o in outputs[:, k, 0]]
        asked = [t for t in range(STEPS) if targets[t, k] != 0]
        peak = any(course[t] > 0.7 for t in range(5, STEPS))
        other = any(course[t] < -0.7 for t in range(5, STEPS))
        late = [course[t] for t in asked if t >= 5]
        mean, mean_late = (
            sum(course[t] for t in asked) / len(asked),
            sum(late) / len(late),
        )
        strictly = peak and not other and 0.5 < mean_late < 1.5
        expected.append((peak, strictly, mean > 0, 0.5 < mean < 1.5))
    got = (
        peak_is_right(outputs, trials, since=0.5),
        peak_is_right_strictly(outputs, trials, since=0.5),
        mean_is_right(outputs, trials),
        mean_is_right_strictly(outputs, trials),
    )
    assert np.array_equal(np.transpose(got), expected)
    assert all(0 < right.sum() < batch for right in got)


@pytest.mark.parametrize("rule", [mean_is_right, mean_is_right_strictly])
def test_means_need_an_answer_in_the_mask(rule) -> None:
    unasked = answers(1.0, 0.0)
    match = r"trials: got no answer to score in trial 1 of some, need a target"
    with pytest.raises(ValueError, match=match):
        rule(unasked.targets, unasked)


@pytest.mark.parametrize("rule", [peak_is_right, peak_is_right_strictly])
def test_peaks_need_an_answer_in_the_window(rule) -> None:
    trials = answers(1.0, -1.0)
    assert rule(trials.targets, trials, since=0.7).all()
    with pytest.raises(ValueError, match=r"got no answer to score in trial 0 of some"):
        rule(trials.targets, trials, since=0.8)
    with pytest.raises(ValueError, match=r"trials: got 1 s, need more than 1 s"):
        rule(trials.targets, trials, since=1.0)
