"""Delayed match to sample: are two stimuli, a delay apart, the same?

`XOR` (50 ms delay) has the timing and rules of Kim, Li & Sejnowski 2019,
doi:10.1073/pnas.1905926116, and of the training and LIF code published with it.
`DMS_750` (750 ms delay) has the stimuli of Kim & Sejnowski 2021,
doi:10.1038/s41593-020-00753-w, and of the analysis code published with it, which shows
411 samples and simulates 410 steps; it contains no target and no score, so both stand
here as long after the second stimulus as in `XOR`.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.records.trials import Trials
from isotau.sim.tasks.answers import HIGH, peak_is_right, peak_is_right_strictly
from isotau.sim.tasks.task import Delay, Task

DT = 0.005
STIMULUS = 50
"""Steps that each stimulus lasts: 250 ms."""
TARGET = slice(10, 110)
"""Steps of the answer, from the second stimulus's end: 50 to 550 ms after it."""
SCORED_FROM = 40
"""Start of the scored window, from the second stimulus's end: 200 ms after it."""
CONDITIONS = {
    0: "+1, +1: same",
    1: "+1, −1: different",
    2: "−1, +1: different",
    3: "−1, −1: same",
}


class DelayTiming(NamedTuple):
    """When a trial's parts begin, in steps of 5 ms."""

    name: str
    first: int
    delay: int
    steps: int

    @property
    def second(self) -> int:
        """Start of the second stimulus."""
        return self.first + STIMULUS + self.delay

    @property
    def over(self) -> int:
        """End of the second stimulus."""
        return self.second + STIMULUS


def draw(batch: int, rng: np.random.Generator, *, timing: DelayTiming) -> Trials:
    """Return trials in steps of 5 ms, each stimulus +1 or −1 with probability 0.5.

    Input: the first stimulus on channel 0, the second on channel 1, each for 250 ms,
    else 0. Target: +1 (same) or −1 (different) from 50 to 550 ms after the second
    stimulus, else 0. Every step counts, as in the published loss.
    Labels 0 to 3: ++, +−, −+, −−.

    xor: 1.5 s; stimuli from 250 and 550 ms, target from 0.85 to 1.35 s.
    dms-750: 2.05 s; stimuli from 150 and 1150 ms, target from 1.45 to 1.95 s.
    """
    batch = validation.whole("batch", batch, 1, 1 << 20)
    first, second = rng.choice([1, -1], size=(2, batch))
    # Silence but for the stimuli: what is between them has to be held by the network.
    inputs = np.zeros((timing.steps, batch, 2))
    inputs[timing.first : timing.first + STIMULUS, :, 0] = first
    inputs[timing.second : timing.over, :, 1] = second
    targets = np.zeros((timing.steps, batch, 1))
    # Equal signs have a product of 1, different ones of −1: the answer itself.
    targets[timing.over :][TARGET, :, 0] = first * second
    return Trials(
        inputs=inputs,
        targets=targets,
        mask=np.ones((timing.steps, batch), dtype=bool),  # as in the published loss
        labels=2 * (first < 0) + (second < 0),
        dt=DT,
        task=timing.name,
    )


def _task(timing: DelayTiming) -> Task:
    """Return the task of this timing.

    Lenient, published for xor: after 1 s (dms-750: 1.6 s) the output exceeds 0.7 where
    the stimuli were the same, falls below −0.7 where they differed. Strict: see
    `isotau.sim.tasks.answers.peak_is_right_strictly`.
    """
    # Later than the target begins: the answer has 150 ms to build up.
    since = (timing.over + SCORED_FROM) * DT
    return Task(
        name=timing.name,
        n_in=2,
        n_out=1,
        dt=DT,
        draw=partial(draw, timing=timing),
        score=partial(peak_is_right, since=since),
        score_strict=partial(peak_is_right_strictly, since=since),
        conditions=CONDITIONS,
        thresholds=(HIGH, -HIGH),
        delay=Delay(
            start=(timing.first + STIMULUS) * DT,
            stop=timing.second * DT,
            labels=((0, 1), (2, 3)),
        ),
    )


XOR = _task(DelayTiming(name="xor", first=50, delay=10, steps=300))
DMS_750 = _task(DelayTiming(name="dms-750", first=30, delay=150, steps=410))
