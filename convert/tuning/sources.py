"""Where trials come from: a task, or trials that are given once and for all."""

import numpy as np

from isotau.convert import validation
from isotau.convert.trials import Trials, subset
from isotau.convert.tuning.batch import Score, Source

HELD_OUT = 0.25
"""Share of given trials that is held out."""


def answer_is_label(outputs: np.ndarray, trials: Trials) -> np.ndarray:
    """Return in which trials the largest mean output over the mask is the label's.

    Args:
        outputs: steps × batch × output.
        trials: as many.
    """
    mask = trials.mask[:, :, None]
    mean = (outputs * mask).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    return mean.argmax(axis=1) == trials.labels


def answer_is_near(outputs: np.ndarray, trials: Trials) -> np.ndarray:
    """Return in which trials the outputs explain half of their targets' variance.

    The rule for targets that come without a rule of their own: over the masked steps,
    the squared error is less than half of what the targets' mean would leave, or than a
    hundredth where the targets are constant.
    """
    mask = trials.mask[:, :, None]
    count = np.maximum(mask.sum(axis=0), 1)
    mean = (trials.targets * mask).sum(axis=0) / count
    spread = (((trials.targets - mean) ** 2) * mask).sum(axis=0) / count
    error = (((outputs - trials.targets) ** 2) * mask).sum(axis=0) / count
    return error.sum(axis=1) < np.maximum(0.5 * spread.sum(axis=1), 0.01)


def split_trials(
    trials: Trials, *, seed: int, held_out: float = HELD_OUT
) -> tuple[Trials, Trials]:
    """Return trials to learn from and trials to be held out, at random.

    Raises:
        ValueError: fewer than two trials, or a share that leaves none on one side.
    """
    if trials.batch < 2:
        raise ValueError(
            f"trials: got {trials.batch}, need at least 2, one of them to be held out; "
            "give more trials or name a task that draws them"
        )
    share = validation.number("held_out", held_out, positive=True)
    held = round(share * trials.batch)
    if not 1 <= held < trials.batch:
        raise ValueError(
            f"held_out: got {held_out}, which holds out {held} of {trials.batch} "
            "trials, need at least one on either side"
        )
    order = np.random.default_rng(seed).permutation(trials.batch)
    return subset(trials, np.sort(order[held:])), subset(trials, np.sort(order[:held]))


def from_trials(trials: Trials, score: Score, *, lead: float = 0.0) -> Source:
    """Return a source that draws from given trials, each once before any twice.

    A batch larger than there are trials holds some of them twice.

    Args:
        trials: to learn from.
        score: see `Source`.
        lead: seconds before each trial in which the network settles.
    """

    def draw(batch: int, rng: np.random.Generator) -> Trials:
        rounds = -(-batch // trials.batch)
        order = np.concatenate([rng.permutation(trials.batch) for _ in range(rounds)])
        return subset(trials, order[:batch])

    return Source(draw=draw, score=score, lead=lead)
