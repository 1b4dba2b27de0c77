"""`Trials`: what a task shows a network and what it expects back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trials:
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

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        steps = validation.length("inputs", self.inputs, ndim=3)
        batch = validation.length("inputs", self.inputs, axis=1, ndim=3)
        n_in = validation.length("inputs", self.inputs, axis=2, ndim=3)
        n_out = validation.length("targets", self.targets, axis=2, ndim=3)
        axes = "steps × batch"
        fields: dict[str, Any] = {
            "inputs": validation.floats(
                "inputs", self.inputs, (steps, batch, n_in), f"{axes} × input"
            ),
            "targets": validation.floats(
                "targets", self.targets, (steps, batch, n_out), f"{axes} × output"
            ),
            "mask": validation.integers(
                "mask", self.mask, (steps, batch), axes, dtype=np.uint8, low=0, high=1
            ).astype(bool),
            "labels": validation.integers(
                "labels",
                self.labels,
                (batch,),
                "batch",
                dtype=np.int64,
                low=-(2**31),
                high=2**31 - 1,
            ),
            "dt": validation.number("dt", self.dt, positive=True),
            "task": str(self.task),
        }
        fields["mask"].setflags(write=False)
        validation.freeze(self, fields)

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return self.inputs.shape[0]

    @property
    def batch(self) -> int:
        """Number of trials."""
        return self.inputs.shape[1]


def refine(trials: Trials, dt: float) -> Trials:
    """Return the same trials in shorter steps, each value held for its old step.

    Raises:
        ValueError: `dt` does not divide the trials' own step.
    """
    factor = round(trials.dt / dt)
    if factor < 1 or abs(factor * dt - trials.dt) > 1e-9 * trials.dt:
        raise ValueError(
            f"dt: got {dt} s, need a whole fraction of the trials' {trials.dt} s"
        )
    return Trials(
        inputs=np.repeat(trials.inputs, factor, axis=0),
        targets=np.repeat(trials.targets, factor, axis=0),
        mask=np.repeat(trials.mask, factor, axis=0),
        labels=trials.labels,
        dt=dt,
        task=trials.task,
    )


def subset(trials: Trials, some: slice | Int64[np.ndarray, " k"]) -> Trials:
    """Return some of the trials alone: a slice, or their numbers in any order."""
    return Trials(
        inputs=trials.inputs[:, some],
        targets=trials.targets[:, some],
        mask=trials.mask[:, some],
        labels=trials.labels[some],
        dt=trials.dt,
        task=trials.task,
    )
