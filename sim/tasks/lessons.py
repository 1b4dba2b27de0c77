"""Lessons: easier versions of tasks, for networks to begin with.

A network that must bridge a long delay, or find a small offset in noise, gets almost no
gradient at the start. Each lesson has its task's channels, steps and inputs, shorter
and with less noise; only training uses them.
"""

from functools import partial

import numpy as np

from isotau.convert.records.trials import Trials
from isotau.sim.tasks import dms, mante, romo
from isotau.sim.tasks.answers import mean_is_right
from isotau.sim.tasks.dms_lowrank import DT as LOWRANK_DT
from isotau.sim.tasks.dms_lowrank import NAME as LOWRANK_NAME
from isotau.sim.tasks.task import Task, during

BEFORE = 5
"""Steps without input before the first stimulus of a low-rank lesson."""


def mante_lesson(*, noise: float, stimulus: int, response: int) -> Task:
    """Return `mante` with other noise and lengths.

    Args:
        noise: standard deviation of the streams, in each step; 1 in the task.
        stimulus: steps of 5 ms; 200 in the task.
        response: steps that the target stays; 250 in the task.
    """
    draw = partial(mante.draw, noise=noise, stimulus=stimulus, response=response)
    return _task(mante.NAME, 4, mante.DT, draw)


def dms_lesson(*, before: int, stimulus: int, delay: int, response: int) -> Task:
    """Return `dms-750` or `xor` with other lengths, in steps of 5 ms."""
    draw = partial(
        _draw_pairs,
        before=before,
        stimulus=stimulus,
        delays=(delay, delay),
        response=response,
        # As in the task, whose stimuli are clean.
        noise=0.0,
        signed=True,
    )
    return _task("dms", 2, dms.DT, draw)


def dms_lowrank_lesson(
    *, stimulus: int, delays: tuple[int, int], response: int, noise: float
) -> Task:
    """Return `dms-lowrank` with other lengths, in steps of 20 ms.

    Args:
        stimulus: 25 in the task.
        delays: shortest and longest; 25 and 150 in the task.
        response: 50 in the task.
        noise: standard deviation of the inputs, in each step; 0.03 in the task.
    """
    draw = partial(
        _draw_pairs,
        before=BEFORE,
        stimulus=stimulus,
        delays=delays,
        response=response,
        noise=noise,
        signed=False,
    )
    return _task(LOWRANK_NAME, 2, LOWRANK_DT, draw)


def romo_lesson(*, delays: tuple[int, int]) -> Task:
    """Return `romo` with other delays, in steps of 20 ms; 25 to 100 in the task."""
    return _task(romo.NAME, 1, romo.DT, partial(romo.draw, delays=delays))


def _task(name: str, n_in: int, dt: float, draw: partial[Trials]) -> Task:
    return Task(
        name=name,
        n_in=n_in,
        n_out=1,
        dt=dt,
        draw=draw,
        # A lesson ends by its loss; the rule only has to tell learning from not.
        score=mean_is_right,
        score_strict=mean_is_right,
        conditions={},  # lessons are in no picture
    )


def _draw_pairs(
    batch: int,
    rng: np.random.Generator,
    *,
    before: int,
    stimulus: int,
    delays: tuple[int, int],
    response: int,
    noise: float,
    signed: bool,
) -> Trials:
    """Return trials of two stimuli, the answer right after the second.

    Signed: ±1 on channel 0, then ±1 on channel 1, and every step counts. Otherwise 1 on
    channel 0 (A) or 1 (B), twice, and the answer alone counts.
    """
    kinds = rng.integers(2, size=(2, batch))
    delay = rng.integers(delays[0], delays[1] + 1, size=batch)
    second_start = before + stimulus + delay
    # All trials are as long as the longest delay needs: a batch is one array.
    steps = before + 2 * stimulus + delays[1] + response
    answer = during(second_start + stimulus, response, steps)
    inputs = noise * rng.standard_normal((steps, batch, 2))
    starts: tuple[int | np.ndarray, ...] = (before, second_start)
    for turn, start in enumerate(starts):
        present = during(start, stimulus, steps)
        for channel in (0, 1):
            # The published tasks differ: a channel for each turn, or for each stimulus.
            if signed:
                size = (1 - 2 * kinds[turn]) * (channel == turn)
            else:
                size = kinds[turn] == channel
            inputs[:, :, channel] += present * size
    same = np.where(kinds[0] == kinds[1], 1.0, -1.0)
    return Trials(
        inputs=inputs,
        targets=(answer * same)[:, :, None],
        mask=np.ones_like(answer) if signed else answer,
        labels=2 * kinds[0] + kinds[1],
        dt=dms.DT if signed else LOWRANK_DT,
        task="dms" if signed else LOWRANK_NAME,
    )
