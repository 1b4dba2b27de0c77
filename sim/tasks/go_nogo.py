"""Go-NoGo: answer 1 after a pulse, stay at 0 without one.

Timing and rules of Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, and of the
training and LIF code published with it.
"""

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.convert.records.trials import Trials
from isotau.sim.tasks.task import Task, extremes

NAME = "go-nogo"
DT = 0.005
STEPS = 200
STIMULUS = slice(50, 75)
"""Steps of the pulse: 250 to 375 ms."""
GO, NOGO = 1, 0
HIGH, LOW = 0.7, 0.3
"""A Go answer exceeds the one, a NoGo answer stays below the other."""
SCORED_FROM = 0.5
SCORED_STRICTLY_FROM = 0.375
"""Starts of the scored windows, in seconds."""


def draw(batch: int, rng: np.random.Generator) -> Trials:
    """Return Go-NoGo trials of 1 s in steps of 5 ms, each Go with probability 0.5.

    Input: 1 from 250 to 375 ms in a Go trial (label 1), else 0. Target: 1 from 375 ms
    to the end of a Go trial, else 0. Every step counts, as in the published loss.
    """
    batch = validation.whole("batch", batch, 1, 1 << 20)
    # Labels first: the same seed gives the same labels whatever is drawn after them.
    labels = (rng.random(batch) < 0.5).astype(np.int64)
    inputs = np.zeros((STEPS, batch, 1))
    inputs[STIMULUS, :, 0] = labels
    targets = np.zeros((STEPS, batch, 1))
    targets[STIMULUS.stop :, :, 0] = labels
    return Trials(
        inputs=inputs,
        targets=targets,
        mask=np.ones((STEPS, batch), dtype=bool),
        labels=labels,
        dt=DT,
        task=NAME,
    )


def score(
    outputs: Float64[np.ndarray, "steps batch 1"], trials: Trials
) -> Bool[np.ndarray, " batch"]:
    """Return which trials were right by the published rule for LIF networks.

    After 500 ms the output's maximum must exceed 0.7 in a Go trial and stay below 0.3
    in a NoGo trial; how far it goes below 0 does not matter.
    """
    # The published rule looks at the maximum alone.
    _, highest = extremes(outputs, trials, SCORED_FROM)
    return np.where(trials.labels == GO, highest > HIGH, highest < LOW)


def score_strict(
    outputs: Float64[np.ndarray, "steps batch 1"], trials: Trials
) -> Bool[np.ndarray, " batch"]:
    """Return which trials were right by the published rule for training.

    From the pulse's end at 375 ms the output's maximum must exceed 0.7 in a Go trial,
    and its magnitude stay below 0.3 in a NoGo trial.
    """
    lowest, highest = extremes(outputs, trials, SCORED_STRICTLY_FROM)
    # Only here: below −0.3 is as far from silence as above 0.3.
    magnitude = np.maximum(highest, -lowest)
    return np.where(trials.labels == GO, highest > HIGH, magnitude < LOW)


GO_NOGO = Task(
    name=NAME,
    n_in=1,
    n_out=1,
    dt=DT,
    draw=draw,
    score=score,
    score_strict=score_strict,
    conditions={GO: "Go", NOGO: "NoGo"},
    thresholds=(HIGH, LOW),
)
