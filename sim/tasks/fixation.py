"""Fixation: nothing is shown and nothing asked, so that timescales can be measured.

The 1.05 s without input of Kim & Sejnowski 2021, doi:10.1038/s41593-020-00753-w, and of
the analysis code published with it: 21 bins of 50 ms, as `isotau.sim.timescales` takes
them.
"""

from functools import partial

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.convert.records.trials import Trials
from isotau.sim.tasks.task import Task

NAME = "fixation"
LENGTH = 1.05
"""Seconds."""
LOW = 0.3
"""What no output may reach; the published bound for a NoGo answer."""


def fixation(
    n_in: int, n_out: int = 1, *, dt: float = 0.005, length: float = LENGTH
) -> Task:
    """Return the task for networks of so many inputs and outputs.

    It is made to measure and no member of `TASKS`, because its channels are the
    network's.

    Args:
        n_in: number of input channels.
        n_out: number of outputs.
        dt: step of its trials, in seconds.
        length: of a trial, in seconds; rounded up to whole steps.
    """
    n_in = validation.whole("n_in", n_in, 1, 1 << 16)
    n_out = validation.whole("n_out", n_out, 1, 1 << 16)
    dt = validation.number("dt", dt, positive=True)
    length = validation.number("length", length, positive=True)
    # Rounded up: a bin that a trial does not fill would have no counts.
    steps = max(1, int(np.ceil(length / dt - 1e-6)))
    return Task(
        name=NAME,
        n_in=n_in,
        n_out=n_out,
        dt=dt,
        draw=partial(_draw, shape=(steps, n_in, n_out), dt=dt),
        score=score,
        score_strict=score,  # see `score`: it cannot be stricter
        conditions={0: "fixation"},
        thresholds=(LOW, -LOW),
    )


def score(
    outputs: Float64[np.ndarray, "steps batch n_out"], trials: Trials
) -> Bool[np.ndarray, " batch"]:
    """Return in which trials every output stayed within ±0.3 in every step.

    No rule is published. This one is the published one for NoGo answers, over the whole
    trial and with both signs, which leaves nothing for a strict rule to add.
    """
    outputs = validation.floats(
        "outputs", outputs, trials.targets.shape, "steps × batch × output"
    )
    return np.abs(outputs).max(axis=(0, 2)) < LOW


def _draw(
    batch: int, rng: np.random.Generator, *, shape: tuple[int, int, int], dt: float
) -> Trials:
    """Return trials of silence with a target of 0, which counts in every step.

    Labels: 0. Nothing is drawn from `rng`.
    """
    batch = validation.whole("batch", batch, 1, 1 << 20)
    steps, n_in, n_out = shape
    return Trials(
        inputs=np.zeros((steps, batch, n_in)),
        targets=np.zeros((steps, batch, n_out)),
        mask=np.ones((steps, batch), dtype=bool),
        labels=np.zeros(batch, dtype=np.int64),
        dt=dt,
        task=NAME,
    )
