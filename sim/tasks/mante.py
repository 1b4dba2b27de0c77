"""Context-dependent integration: the sign of the one of two noisy streams that is cued.

Timing and rules of Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, and of the
training and LIF code published with it; the task is that of Mante et al. 2013,
doi:10.1038/nature12742.
"""

from functools import partial

import numpy as np
from jaxtyping import Int64

from isotau.convert.ground import validation
from isotau.convert.records.trials import Trials
from isotau.sim.tasks.answers import HIGH, peak_is_right, peak_is_right_strictly
from isotau.sim.tasks.task import Task

NAME = "mante"
DT = 0.005
STEPS = 500
STIMULUS = slice(50, 250)
"""Steps of the streams: 250 ms to 1.25 s."""
RESPONSE = STEPS - STIMULUS.stop
OFFSET, NOISE = 0.5, 1.0
"""Mean of a stream, up or down, and its standard deviation in each step."""
SCORED_FROM = 1.3
"""Start of the scored window, in seconds; in training it was 1.5 s."""
CONDITIONS = {
    4 * context + 2 * (first < 0) + (second < 0): f"cue {context + 1}: {signs}"
    for context in (0, 1)
    for first, second, signs in (
        (1, 1, "+, +"),
        (1, -1, "+, −"),
        (-1, 1, "−, +"),
        (-1, -1, "−, −"),
    )
}


def draw(
    batch: int,
    rng: np.random.Generator,
    *,
    noise: float = NOISE,
    stimulus: int = STIMULUS.stop - STIMULUS.start,
    response: int = RESPONSE,
) -> Trials:
    """Return trials of 2.5 s in steps of 5 ms, signs and cue with probability 0.5.

    Input: channels 0 and 1 are N(±0.5, 1), fresh in each step, from 250 ms to 1.25 s,
    else 0; channel 2 is 1 throughout where stream 0 is cued, channel 3 where stream 1
    is. Target: ±1, the sign of the cued stream's mean, from 1.25 s to the end, else 0.
    Every step counts, as in the published loss. Labels: see `label`.

    Args:
        batch: number of trials.
        rng: draws them.
        noise: standard deviation of the streams, in each step.
        stimulus: length of the streams, in steps.
        response: steps that the target stays.
    """
    batch = validation.whole("batch", batch, 1, 1 << 20)
    signs = rng.choice([1, -1], size=(batch, 2))
    cued = rng.integers(2, size=batch)
    trial = np.arange(batch)
    start, end = STIMULUS.start, STIMULUS.start + stimulus
    inputs = np.zeros((end + response, batch, 4))
    # Fresh in each step: one sample says little, so that evidence must be integrated.
    streams = noise * rng.standard_normal((stimulus, batch, 2))
    inputs[start:end, :, :2] = streams + OFFSET * signs
    # The cue is on from the first step: what counts is known before the streams begin.
    inputs[:, trial, 2 + cued] = 1.0
    targets = np.zeros((len(inputs), batch, 1))
    targets[end:, :, 0] = signs[trial, cued]
    return Trials(
        inputs=inputs,
        targets=targets,
        mask=np.ones(inputs.shape[:2], dtype=bool),  # as in the published loss
        labels=label(cued, signs),
        dt=DT,
        task=NAME,
    )


def label(
    cued: Int64[np.ndarray, " batch"], signs: Int64[np.ndarray, "batch 2"]
) -> Int64[np.ndarray, " batch"]:
    """Return 4 for a cued second stream, + 2 for a falling first, + 1 for a second."""
    return 4 * cued + 2 * (signs[:, 0] < 0) + (signs[:, 1] < 0)


MANTE = Task(
    name=NAME,
    n_in=4,
    n_out=1,
    dt=DT,
    draw=draw,
    score=partial(peak_is_right, since=SCORED_FROM),
    score_strict=partial(peak_is_right_strictly, since=SCORED_FROM),
    conditions=CONDITIONS,
    thresholds=(HIGH, -HIGH),
    held=(2, 3),  # the cue stands before the trial, too
)
