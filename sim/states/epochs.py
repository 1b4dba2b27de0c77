"""What a network is shown while it is watched: nothing, or a part of its task.

A part is drawn out for as long as units are to be watched: a stimulus is followed by a
delay that does not end, or by silence. Trials that were shown the same until then are
of one condition, and what all of them do is no memory.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.ground import validation
from isotau.convert.records.trials import refine
from isotau.sim.tasks.task import Task, lead_in

EPOCHS = ("rest", "fixation", "delay", "after")
"""No input; what stands before a stimulus; what follows it, with and without channels
that are held."""
SETTLE = 2.0
"""Seconds in which networks come to rest."""


class Situation(NamedTuple):
    """What a network is shown in some trials.

    Attributes:
        inputs: in steps of the rate network.
        before: steps of them that are not looked at.
        conditions: of the trials, each of which has a mean of its own; None of trials
            that are all alike.
    """

    inputs: Float64[np.ndarray, "steps trials n_in"]
    before: int
    conditions: Int64[np.ndarray, " trials"] | None = None


Epoch = Callable[[int, int, float, int], Situation]
"""Returns what is shown in so many trials from the first one on, for so many seconds
that are looked at, by a seed."""


def resting(n_in: int, dt: float, *, settle: float = SETTLE) -> Epoch:
    """Return an epoch without input, settled.

    Args:
        n_in: input channels.
        dt: step, in seconds.
        settle: seconds that are not looked at.
    """
    before = round(settle / dt)

    def show(trials: int, first: int, length: float, seed: int) -> Situation:
        steps = before + round(length / dt)
        return Situation(np.zeros((steps, trials, n_in)), before)

    return show


def task_epoch(name: str, task: Task, dt: float, *, settle: float = SETTLE) -> Epoch:
    """Return a part of a task as an epoch.

    Args:
        name: one of `EPOCHS`. The fixation of a task that holds no channel is rest.
        task: what the network was trained on.
        dt: step of the rate network, in seconds.
        settle: seconds of a rest or a fixation that are not looked at.

    Raises:
        ValueError: no such epoch, or a delay of a task that has none.
    """
    validation.choice("epoch", name, EPOCHS)
    if name == "delay" and task.delay is None:
        raise ValueError(
            f"epoch: got delay, need one of a task with a delay; {task.name} has rest, "
            "fixation and after"
        )
    if name == "rest" or (name == "fixation" and not task.held):
        return resting(task.n_in, dt, settle=settle)

    def show(trials: int, first: int, length: float, seed: int) -> Situation:
        drawn = refine(task.draw(trials, np.random.default_rng([seed, first])), dt)
        shown, labels = drawn.inputs, np.asarray(drawn.labels)
        long = np.zeros((round(length / dt), trials, task.n_in))
        held = list(task.held)
        long[:, :, held] = shown[0, :, held].T if held else 0.0
        if name == "fixation":
            before = round(settle / dt)
            rows = np.unique(shown[0][:, held], axis=0, return_inverse=True)[1]
            return Situation(lead_in(task, long, before), before, rows.reshape(-1))
        if name == "delay":
            assert task.delay is not None
            before = round(task.delay.start / dt)
            labels = np.isin(labels, task.delay.labels[1]).astype(np.int64)
        else:
            others = np.delete(shown, held, axis=2)
            before = int(np.flatnonzero(others.any(axis=(1, 2))).max()) + 1
        return Situation(np.concatenate([shown[:before], long]), before, labels)

    return show
