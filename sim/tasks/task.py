"""`Task`: how trials are drawn and how a network's answers are scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from isotau.convert.ground import validation
from isotau.convert.records.trials import Draw, Score, Trials


class Delay(NamedTuple):
    """When a first stimulus of two kinds is over, and a second has not yet come.

    Attributes:
        start: end of the first stimulus, in seconds from the start of the trial.
        stop: start of the second in the trials where it comes first.
        labels: of the trials whose first stimulus was of one kind, and of the other.
    """

    start: float
    stop: float
    labels: tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Task:
    """A task that networks are trained on and converted for.

    Attributes:
        name: as on the command line, and in the `Trials` that `draw` makes.
        n_in: number of input channels.
        n_out: number of outputs.
        dt: step of the trials that `draw` makes, in seconds.
        draw: returns a batch of fresh trials.
        score: returns which trials a network answered rightly; works at any dt of the
            trials (`isotau.convert.records.trials.refine`) on outputs of as many steps.
        score_strict: the same by the rule that training must satisfy.
        conditions: what each label of the trials is called.
        thresholds: outputs that the rules compare with, to be drawn in plots.
        held: input channels that are on from the first step of a trial and stand at
            that value also before it, where a simulation starts early; the others are
            silent there (see `lead_in`).
        delay: in which a first stimulus has to be remembered; None without one.
    """

    name: str
    n_in: int
    n_out: int
    dt: float
    draw: Draw
    score: Score
    score_strict: Score
    conditions: Mapping[int, str]
    thresholds: tuple[float, ...] = ()
    held: tuple[int, ...] = ()
    delay: Delay | None = None

    def __post_init__(self) -> None:
        """Check and freeze the numbers."""
        # Sizes first: the held channels are checked against them.
        fields: dict[str, Any] = {
            "n_in": validation.whole("n_in", self.n_in, 1, 1 << 16),
            "n_out": validation.whole("n_out", self.n_out, 1, 1 << 16),
            "dt": validation.number("dt", self.dt, positive=True),
            "thresholds": tuple(
                validation.number("thresholds", height) for height in self.thresholds
            ),
        }
        fields["held"] = tuple(
            validation.whole("held", channel, 0, fields["n_in"] - 1)
            for channel in self.held
        )
        validation.freeze(self, fields)


def lead_in(
    task: Task, inputs: Float64[np.ndarray, "steps batch n_in"], steps: int
) -> Float64[np.ndarray, "longer batch n_in"]:
    """Return inputs with `steps` before them for a network to settle in.

    In those the task's held channels stand at their first value; the others are 0.
    Steps are the inputs' own, of any length.

    Raises:
        ValueError: inputs of another number of channels than the task's.
    """
    batch = validation.length("inputs", inputs, axis=1, ndim=3)
    if inputs.shape[2] != task.n_in:
        raise ValueError(
            f"inputs: got {inputs.shape[2]} channels, need {task.n_in} for {task.name}"
        )
    before = np.zeros((validation.whole("steps", steps, 0, 1 << 30), batch, task.n_in))
    # Silent channels stay silent: their first value may be noise of the trial.
    for channel in task.held:
        before[:, :, channel] = inputs[0, :, channel]
    return np.concatenate([before, inputs])


def during(
    start: int | Int64[np.ndarray, " batch"], length: int, steps: int
) -> Bool[np.ndarray, "steps batch"]:
    """Return true from step `start` of each trial on, for `length` steps.

    One start for all trials gives one column, which fits any batch.
    """
    since = np.arange(steps)[:, None] - np.atleast_1d(start)
    return (since >= 0) & (since < length)


def first_step(seconds: float, trials: Trials) -> int:
    """Return the first step of the trials that begins at `seconds` or later.

    Raises:
        ValueError: the trials end before.
    """
    # Rounded up: a step that begins before the window is not scored; the 1e-6 keeps
    # times that are whole steps where they are.
    step = int(np.ceil(seconds / trials.dt - 1e-6))
    if step >= trials.steps:
        raise ValueError(
            f"trials: got {trials.steps * trials.dt:g} s, need more than {seconds:g} s "
            f"to score {trials.task}"
        )
    return step


def first_output(
    outputs: Float64[np.ndarray, "steps batch n_out"], trials: Trials
) -> Float64[np.ndarray, "steps batch"]:
    """Return the first output of each trial.

    Raises:
        ValueError: outputs of another shape than the targets', or not finite.
    """
    return validation.floats(
        "outputs", outputs, trials.targets.shape, "steps × batch × output"
    )[:, :, 0]


def extremes(
    outputs: Float64[np.ndarray, "steps batch n_out"], trials: Trials, since: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest first output of each trial, after `since`.

    Args:
        outputs: of as many steps and trials as `trials`.
        trials: what the network was shown.
        since: start of the window, in seconds; it lasts to the end.

    Raises:
        ValueError: outputs of another shape, or trials that end before the window.
    """
    late = first_output(outputs, trials)[first_step(since, trials) :]
    return late.min(axis=0), late.max(axis=0)
