"""Parametric working memory: by how much was the first of two frequencies higher?

Timing, noise and score of Dubreuil, Valente, Beiran, Mastrogiuseppe & Ostojic 2022,
doi:10.1038/s41593-022-01088-4, and of the code published with it; the task is that of
Romo et al. 1999, doi:10.1038/20939.
"""

from functools import partial

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.records.trials import Trials
from isotau.sim.tasks.answers import mean_is_right, mean_is_right_strictly
from isotau.sim.tasks.task import Task, during

NAME = "romo"
DT = 0.020
FIXATION, STIMULUS, DECISION = 5, 5, 5
"""Lengths in steps, 100 ms each."""
DELAY = (25, 100)
"""Shortest and longest delay in steps: 0.5 to 2 s."""
LOWEST, HIGHEST = 10, 34
"""Frequencies, in Hz."""
MIDDLE, SPAN = (HIGHEST + LOWEST) / 2, HIGHEST - LOWEST
DIFFERENCES = (-24, -16, -8, 8, 16, 24)
"""Second frequency less the first, in Hz."""
PAIRS = np.array(
    [
        (first, first + difference)
        for difference in DIFFERENCES
        for first in range(LOWEST, HIGHEST + 1)
        if LOWEST <= first + difference <= HIGHEST
    ],
    dtype=np.int64,
)
PAIRS.setflags(write=False)  # every caller draws from this one table
NOISE = 0.01
"""Standard deviation of the input's noise in each step."""
WITHIN = min(np.abs(DIFFERENCES)) / SPAN / 2
"""Strict rule: half of the smallest target, 1/6. Targets are 1/3 apart where they have
one sign, so a mean within this names the difference itself and not its sign alone."""


def draw(
    batch: int, rng: np.random.Generator, *, delays: tuple[int, int] = DELAY
) -> Trials:
    """Return trials of 2.4 s in steps of 20 ms, of 54 frequency pairs at even odds.

    Fixation 100 ms, stimulus 100 ms, delay of 25 to 100 steps (0.5 to 2 s) at even
    odds, stimulus 100 ms, decision 100 ms. Input: (f − 22 Hz)/24 Hz during a stimulus,
    else 0; plus N(0, 0.01²), fresh in each step of the whole trial. Target:
    (f1 − f2)/24 Hz in the decision, which alone counts, else 0. All trials are as long
    as the longest delay needs. Labels: f1 − f2 in Hz.

    Args:
        batch: number of trials.
        rng: draws them.
        delays: shortest and longest, in steps.
    """
    batch = validation.whole("batch", batch, 1, 1 << 20)
    first, second = PAIRS[rng.integers(len(PAIRS), size=batch)].T
    delay = rng.integers(delays[0], delays[1] + 1, size=batch)
    steps = FIXATION + 2 * STIMULUS + delays[1] + DECISION
    second_start = FIXATION + STIMULUS + delay
    decision = during(second_start + STIMULUS, DECISION, steps)
    # In the delay there is noise alone, so that a frequency has to be kept within.
    inputs = NOISE * rng.standard_normal((steps, batch, 1))
    starts: tuple[int | np.ndarray, ...] = (FIXATION, second_start)
    for start, frequency in zip(starts, (first, second), strict=True):
        # Centred, so that the middle of the range is silence and none is an offset.
        level = (frequency - MIDDLE) / SPAN
        inputs[:, :, 0] += during(start, STIMULUS, steps) * level
    return Trials(
        inputs=inputs,
        targets=(decision * (first - second) / SPAN)[:, :, None],
        mask=decision,
        labels=first - second,
        dt=DT,
        task=NAME,
    )


ROMO = Task(
    name=NAME,
    n_in=1,
    n_out=1,
    dt=DT,
    draw=draw,
    score=mean_is_right,
    score_strict=partial(mean_is_right_strictly, within=WITHIN),
    conditions={-d: f"f1 − f2 = {-d:+d} Hz" for d in DIFFERENCES},
    thresholds=(0.0,),
)
