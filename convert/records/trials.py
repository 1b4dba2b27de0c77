"""`Trials`: what a task shows a network and what it expects back."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import Numbers, Size, check_fields, freeze, length
from isotau.convert.records.content import RecordContent


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trials(RecordContent):
    """A batch of trials of equal length; time first, batch second.

    Attributes:
        inputs: steps × batch × input channel.
        targets: steps × batch × output.
        mask: steps × batch, true where the target counts.
        labels: batch, the condition of each trial (what it means is the task's).
        dt: length of a step, in seconds.
        task: the task's name, as on the command line.
    """

    inputs: Float64[np.ndarray, "steps batch n_in"]
    targets: Float64[np.ndarray, "steps batch n_out"]
    mask: Bool[np.ndarray, "steps batch"]
    labels: Int64[np.ndarray, " batch"]
    dt: float
    task: str

    steps = Size("inputs")
    """Number of time steps."""
    batch = Size("inputs", 1)
    """Number of trials."""

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        check_fields(
            self,
            RULES,
            steps=length("inputs", self.inputs, ndim=3),
            batch=length("inputs", self.inputs, axis=1, ndim=3),
            n_in=length("inputs", self.inputs, axis=2, ndim=3),
            n_out=length("targets", self.targets, axis=2, ndim=3),
        )
        # Checked as numbers, since a mask from a file may be of any type.
        mask = self.mask.astype(bool)
        mask.setflags(write=False)
        freeze(self, {"mask": mask, "task": str(self.task)})


RULES = {
    "inputs": Numbers("steps batch n_in", "steps × batch × input"),
    "targets": Numbers("steps batch n_out", "steps × batch × output"),
    # As bytes, which a boolean array of a file may be.
    "mask": Numbers("steps batch", "steps × batch", dtype=np.uint8, high=1),
    "labels": Numbers("batch", "batch", dtype=np.int64, low=-(2**31)),
    "dt": Numbers(positive=True),
}
"""What the numbers of `Trials` have to be."""


Draw = Callable[[int, np.random.Generator], Trials]
"""Takes a number of trials and the source of chance; returns as many of a task."""
Score = Callable[[Float64[np.ndarray, "steps batch n_out"], Trials], np.ndarray]
"""Takes outputs and their trials; returns which trials were right, boolean, batch."""


def refine(trials: Trials, dt: float) -> Trials:
    """Return the same trials in shorter steps, each value held for its old step.

    Raises:
        ValueError: `dt` does not divide the trials' own step.
    """
    # Steps come in decimal seconds: 0.02/0.005 need not be 4 exactly.
    factor = round(trials.dt / dt)
    if factor < 1 or abs(factor * dt - trials.dt) > 1e-9 * trials.dt:
        raise ValueError(
            f"dt: got {dt} s, need a whole fraction of the trials' {trials.dt} s"
        )
    # Held, not interpolated: a cue that jumps goes on jumping.
    finer: dict[str, Any] = {
        name: np.repeat(getattr(trials, name), factor, axis=0)
        for name in ("inputs", "targets", "mask")
    }
    return replace(trials, dt=dt, **finer)


def with_silence(
    inputs: Float64[np.ndarray, "steps batch n_in"], share: float = 0.2
) -> Float64[np.ndarray, "steps more n_in"]:
    """Return trials and, after them, trials without input, a share as many.

    At rest other neurons may lead than in a task, and their states go elsewhere; and
    weights have other work to do, to keep what no input refreshes.
    """
    steps, batch, channels = inputs.shape
    silence = np.zeros((steps, math.ceil(share * batch), channels))
    return np.concatenate([inputs, silence], axis=1)


def subset(trials: Trials, chosen: slice | Int64[np.ndarray, " k"]) -> Trials:
    """Return some of the trials alone: a slice, or their numbers in any order."""
    return replace(
        trials,
        inputs=trials.inputs[:, chosen],
        targets=trials.targets[:, chosen],
        mask=trials.mask[:, chosen],
        labels=trials.labels[chosen],
    )
