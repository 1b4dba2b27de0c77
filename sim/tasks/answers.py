"""Answers of either sign: whether the first output's peak, or its mean, is right.

Two families of rules. Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, and the
code published with it let an output pass whose largest value exceeds 0.7 on the right
side, at any time in a window, whatever else it does: an oscillation is right on every
trial. Dubreuil, Valente, Beiran, Mastrogiuseppe & Ostojic 2022,
doi:10.1038/s41593-022-01088-4, compare the sign of the mean output with the target's,
which half of all trials pass by chance. The strict rules here ask for more: an answer
that stands, about as large as the target.
"""

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.records.trials import Trials
from isotau.sim.tasks.task import extremes, first_output, first_step

HIGH = 0.7
"""What the output must exceed on the right side, by the rule of peaks."""
WITHIN = 0.5
"""How near the mean must come to a target of ±1, by the strict rules."""


def peak_is_right(
    outputs: Float64[np.ndarray, "steps batch 1"], trials: Trials, *, since: float
) -> Bool[np.ndarray, " batch"]:
    """Return which trials were right by their peak.

    From `since` to the end the output must exceed 0.7 once where the target is
    positive, and fall below −0.7 once where it is negative.

    Raises:
        ValueError: outputs of another shape; a trial without an answer in the window.
    """
    # By the published rule only the peak counts, whatever else the output does.
    lowest, highest = extremes(outputs, trials, since)
    _, target = _means(first_output(outputs, trials), trials, _asked(trials, since))
    return np.where(target > 0, highest > HIGH, lowest < -HIGH)


def peak_is_right_strictly(
    outputs: Float64[np.ndarray, "steps batch 1"], trials: Trials, *, since: float
) -> Bool[np.ndarray, " batch"]:
    """Return which trials were right by their peak and by their mean.

    As `peak_is_right`; and from `since` to the end the output must not pass 0.7 on the
    wrong side, and its mean over the steps of that window in which the target is not 0
    must lie within 0.5 of the target's.

    Raises:
        ValueError: outputs of another shape; a trial without an answer in the window.
    """
    lowest, highest = extremes(outputs, trials, since)
    mean, target = _means(first_output(outputs, trials), trials, _asked(trials, since))
    # An oscillation passes the rule of peaks on every trial; it fails here.
    one_sided = np.where(target > 0, lowest > -HIGH, highest < HIGH)
    near = np.abs(mean - target) < WITHIN
    return peak_is_right(outputs, trials, since=since) & one_sided & near


def mean_is_right(
    outputs: Float64[np.ndarray, "steps batch 1"], trials: Trials
) -> Bool[np.ndarray, " batch"]:
    """Return in which trials the mean output over the mask has the target's sign.

    Raises:
        ValueError: outputs of another shape; a trial without an answer in the mask.
    """
    mean, target = _means(first_output(outputs, trials), trials, trials.mask)
    return np.sign(mean) == np.sign(target)


def mean_is_right_strictly(
    outputs: Float64[np.ndarray, "steps batch 1"],
    trials: Trials,
    *,
    within: float = WITHIN,
) -> Bool[np.ndarray, " batch"]:
    """Return in which trials the mean output over the mask is near the target's.

    It must have the target's sign and differ by less than `within`.

    Raises:
        ValueError: outputs of another shape; a trial without an answer in the mask.
    """
    mean, target = _means(first_output(outputs, trials), trials, trials.mask)
    return (np.sign(mean) == np.sign(target)) & (np.abs(mean - target) < within)


def _asked(trials: Trials, since: float) -> Bool[np.ndarray, "steps batch"]:
    """Return the steps from `since` on in which the target is not 0."""
    # Where the target is 0 nothing is asked; a mean over it would dilute the answer.
    answering = trials.targets[:, :, 0] != 0
    answering[: first_step(since, trials)] = False
    return answering


def _means(
    course: Float64[np.ndarray, "steps batch"],
    trials: Trials,
    counted: Bool[np.ndarray, "steps batch"],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of the output's course and of the target over `counted`."""
    # A trial without counted steps must not divide by 0: it is refused just below.
    steps = np.maximum(counted.sum(axis=0), 1)
    target = (trials.targets[:, :, 0] * counted).sum(axis=0) / steps
    if not target.all():
        raise ValueError(
            f"trials: got no answer to score in trial {int(np.argmin(target != 0))} of "
            f"{trials.task}, need a target other than 0; leave such trials out"
        )
    return (course * counted).sum(axis=0) / steps, target
