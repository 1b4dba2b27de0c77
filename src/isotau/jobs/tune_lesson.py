"""`TuningLesson`: what a LIF network is tuned on, from a user's file or from a task."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.representation import short_repr
from isotau.convert.read.read_inputs import read_inputs
from isotau.convert.records import storage
from isotau.convert.records.given import (
    answer_is_label,
    answer_is_near,
    split_trials,
)
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.trials import Score, Trials, refine, subset
from isotau.convert.tuning.loss.batch import (
    Source,
    from_trials,
)
from isotau.jobs.run_config import independent_seeds
from isotau.jobs.user_inputs import check_inputs
from isotau.sim.tasks import TASKS, Task

TEST = 0.5
"""Share of given trials that tuning never sees."""
FEWEST = 8
"""Trials: half of them to score, a quarter of the rest to choose the best update."""
TUNING = 8
"""Sets these seeds apart from those of a run."""
TYPICAL = 150
"""Trials, at most, in which the ranges of the states are recorded."""


@short_repr
class TuningLesson(NamedTuple):
    """What a LIF network is tuned on, and what it is scored on.

    Attributes:
        source: of the trials to learn from.
        held: of those on which the best update is chosen; None for draws of `source`.
        typical: trials to learn from, in steps of the network.
        peak: largest |input|.
        test: trials that tuning never sees, in steps of the network.
        loss: of the task, one of the `Objective`'s.
        trials: how many there are for what.
    """

    source: Source
    held: Source | None
    typical: Trials
    peak: float
    test: Trials
    loss: str
    trials: dict[str, int]


class TuningSeeds(NamedTuple):
    """Independent seeds for what is drawn, each below 2^63."""

    test: int
    held: int
    typical: int
    ranges: int
    silence: int
    lif: int
    chip: int


def tuning_seeds(seed: int) -> TuningSeeds:
    """Return the seeds that one seed stands for, other ones than a run's."""
    count = len(TuningSeeds._fields)
    return TuningSeeds(*independent_seeds([seed, TUNING], count))


def read_lesson(
    path: str | os.PathLike[str], net: LIFNetwork, *, seed: int
) -> TuningLesson:
    """Return the lesson in a user's file.

    An `.npz` with inputs and labels asks for the label's output to be the largest. One
    of isotau's `Trials` asks for its targets; which outputs are right is for its task
    to say, if it is one of `TASKS`, and `answer_is_near` otherwise.

    Raises:
        UnreadableFile: another kind of file, or a damaged one.
        ValueError: neither labels nor targets, or trials that do not fit the network.
    """
    if storage.kind_of(path) == "Trials":
        trials = storage.load(path, Trials)
        # A file may name a task and hold trials of another shape, which its rule would
        # refuse.
        task = TASKS.get(trials.task)
        fits = task is not None and task.n_out == trials.targets.shape[2]
        score = task.score if task is not None and fits else answer_is_near
        return lesson_of_trials(trials, net, score=score, loss="mse", seed=seed)
    inputs = read_inputs(path, n_in=net.n_shown)
    check_inputs(net, inputs)
    # Inputs alone say what is shown and not what is wanted.
    if inputs.labels is None:
        raise ValueError(
            f"{path}: got inputs without labels, need labels, or targets in a file of "
            "isotau's Trials, to tune on"
        )
    steps, batch = inputs.values.shape[:2]
    trials = Trials(
        inputs=inputs.values,
        # Not looked at: the loss of labels has no targets.
        targets=np.zeros((steps, batch, net.n_out)),
        mask=np.ones((steps, batch), dtype=bool),
        labels=inputs.labels,
        dt=net.dt,
        task=Path(path).name,
    )
    return lesson_of_trials(
        trials, net, score=answer_is_label, loss="labels", seed=seed
    )


def lesson_of_trials(
    trials: Trials, net: LIFNetwork, *, score: Score, loss: str, seed: int
) -> TuningLesson:
    """Return a lesson from given trials, of which half are never seen by tuning.

    Raises:
        ValueError: too few trials, or trials that do not fit the network.
    """
    # Half for the test, and of the rest some to choose by: fewer leave nothing.
    if trials.batch < FEWEST:
        raise ValueError(
            f"trials: got {trials.batch}, need at least {FEWEST}, half of them only "
            "to be scored; give more"
        )
    channels = trials.inputs.shape[2], trials.targets.shape[2]
    if channels != (net.n_shown, net.n_out):
        raise ValueError(
            f"trials: got {channels[0]} input channels and {channels[1]} outputs, need "
            f"{net.n_shown} and {net.n_out}, the network's"
        )
    seeds = tuning_seeds(seed)
    # The test first, by a seed of its own: it is the same whatever comes after.
    first, test = split_trials(refine(trials, net.dt), seed=seeds.test, held_out=TEST)
    # What chooses the best update may not be what it learned from.
    learn, held = split_trials(first, seed=seeds.held)
    return TuningLesson(
        source=from_trials(learn, score),
        held=from_trials(held, score),
        typical=subset(learn, slice(0, TYPICAL)),
        # Of all that may be shown, so that no input leaves its range while tuning.
        peak=float(np.abs(first.inputs).max()),
        test=test,
        loss=loss,
        trials={"learned": learn.batch, "held_out": held.batch, "test": test.batch},
    )


def lesson_of_task(
    task: Task, net: LIFNetwork, *, trials: int, seed: int
) -> TuningLesson:
    """Return a lesson on fresh draws of a task, from the network's start state.

    Args:
        task: to draw from.
        net: the network.
        trials: how many to score.
        seed: of everything that is drawn.

    Raises:
        ValueError: a network of other channels, or whose dt does not divide the task's.
    """
    if (task.n_in, task.n_out) != (net.n_shown, net.n_out):
        raise ValueError(
            f"network: got {net.n_shown} inputs and {net.n_out} outputs, need "
            f"{task.n_in} and {task.n_out} for {task.name}; name the task it was made "
            "for"
        )
    seeds = tuning_seeds(seed)

    def draw(batch: int, rng: np.random.Generator) -> Trials:
        return refine(task.draw(batch, rng), net.dt)

    # Trials from which the ranges of the states are taken.
    typical = draw(TYPICAL, np.random.default_rng(seeds.typical))
    return TuningLesson(
        source=Source(draw=draw, score=task.score),
        held=None,
        typical=typical,
        peak=float(np.abs(typical.inputs).max()),
        test=draw(trials, np.random.default_rng(seeds.test)),
        loss="mse",
        trials={"test": trials},
    )
