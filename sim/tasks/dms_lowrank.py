"""Delayed match to sample with a delay of 0.5 to 3 s, for low-rank networks.

Timing, noise and score of Dubreuil, Valente, Beiran, Mastrogiuseppe & Ostojic 2022,
doi:10.1038/s41593-022-01088-4, and of the code published with it.
"""

from functools import partial

import numpy as np
from jaxtyping import Int64

from isotau.convert.ground import validation
from isotau.convert.records.trials import Trials
from isotau.sim.tasks.answers import mean_is_right, mean_is_right_strictly
from isotau.sim.tasks.task import Delay, Task, during

NAME = "dms-lowrank"
DT = 0.020
FIXATION, STIMULUS, DECISION = 5, 25, 50
"""Lengths in steps: 100, 500 and 1000 ms."""
NOISE = 0.03
"""Standard deviation of the inputs' noise in each step."""
CONDITIONS = {
    0: "A, A: same",
    1: "A, B: different",
    2: "B, A: different",
    3: "B, B: same",
}


def dms_lowrank(*, shortest: float = 0.5, longest: float = 3.0) -> Task:
    """Return the task with delays in this range, in seconds.

    The published networks learned it with 0.5 to 0.7 s first, then to 1 s, then to 4 s.
    Lenient, published: the mean output in the decision has the target's sign. Strict:
    that mean is also within 0.5 of the target.

    Raises:
        ValueError: the range is empty.
    """
    shortest = validation.number("shortest", shortest, minimum=0)
    longest = validation.number("longest", longest)
    if longest <= shortest:
        raise ValueError(
            f"longest: got {longest} s, need more than {shortest} s (shortest)"
        )
    start = FIXATION + STIMULUS
    return Task(
        name=NAME,
        n_in=2,
        n_out=1,
        dt=DT,
        draw=partial(_draw, delays=(shortest, longest)),
        score=mean_is_right,
        score_strict=mean_is_right_strictly,
        conditions=CONDITIONS,
        thresholds=(0.0,),
        # Of all trials: the shortest delay, in which no second stimulus has come yet.
        delay=Delay(
            start=start * DT,
            stop=(start + int(_whole_steps(shortest))) * DT,
            labels=((0, 1), (2, 3)),
        ),
    )


def _draw(
    batch: int, rng: np.random.Generator, *, delays: tuple[float, float]
) -> Trials:
    """Return trials in steps of 20 ms, 5.1 s long, each stimulus A or B at even odds.

    Fixation 100 ms, stimulus 500 ms, delay uniform from 0.5 to 3 s (cut to whole
    steps), stimulus 500 ms, decision 1 s. Input: 1 on channel 0 during A, on channel 1
    during B, else 0; plus N(0, 0.03²) on both, fresh in each step of the whole trial.
    Target: +1 (same) or −1 (different) in the decision, which alone counts, else 0.
    All trials are as long as the longest delay needs; what is left after a decision
    is noise. Labels 0 to 3: AA, AB, BA, BB.
    """
    batch = validation.whole("batch", batch, 1, 1 << 20)
    first, second = rng.integers(2, size=(2, batch))
    delay = _whole_steps(rng.uniform(*delays, size=batch))
    most = int(_whole_steps(delays[1]))
    steps = FIXATION + STIMULUS + most + STIMULUS + DECISION
    second_start = FIXATION + STIMULUS + delay
    decision = during(second_start + STIMULUS, DECISION, steps)
    # Noise in the whole trial, fixation and delay too, as published.
    inputs = NOISE * rng.standard_normal((steps, batch, 2))
    for channel in (0, 1):
        inputs[:, :, channel] += during(FIXATION, STIMULUS, steps) * (first == channel)
        inputs[:, :, channel] += during(second_start, STIMULUS, steps) * (
            second == channel
        )
    answer = np.where(first == second, 1.0, -1.0)
    return Trials(
        inputs=inputs,
        targets=(decision * answer)[:, :, None],
        mask=decision,  # before it any output is right
        labels=2 * first + second,
        dt=DT,
        task=NAME,
    )


def _whole_steps(seconds: float | np.ndarray) -> Int64[np.ndarray, "*batch"]:
    """Return times cut to whole steps, as in the published code."""
    # The 1e-6 keeps 0.5/0.02 at 25.
    return np.floor(np.asarray(seconds) / DT + 1e-6).astype(np.int64)


DMS_LOWRANK = dms_lowrank()
