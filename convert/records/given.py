"""Trials that a user gives: split, drawn from, scored without a rule of their own."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.trials import Trials, subset

HELD_OUT = 0.25
"""Share of given trials that is held out."""
EXPLAINED = 0.5
"""Share of its targets' variance that an answer has to explain."""


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class TrialPool:
    """Draws from given trials, each once before any twice.

    A batch larger than there are trials holds some of them twice.
    """

    trials: Trials

    def __call__(self, batch: int, rng: np.random.Generator) -> Trials:
        """Return so many of the trials."""
        # Rounded up: in a batch larger than the trials each comes as often as another.
        rounds = -(-batch // self.trials.batch)
        order = [rng.permutation(self.trials.batch) for _ in range(rounds)]
        return subset(self.trials, np.concatenate(order)[:batch])


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
    # sorted again: recordings drift, and trials stay in the order of their recording
    order = np.random.default_rng(seed).permutation(trials.batch)
    return subset(trials, np.sort(order[held:])), subset(trials, np.sort(order[:held]))


def answer_is_label(
    outputs: Float64[np.ndarray, "steps batch n_out"], trials: Trials
) -> Bool[np.ndarray, " batch"]:
    """Return in which trials the largest mean output over the mask is the label's.

    Args:
        outputs: steps × batch × output.
        trials: as many.
    """
    # (O10)
    mask = trials.mask[:, :, None]
    mean = (outputs * mask).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    return np.asarray(mean.argmax(axis=1) == trials.labels)


def answer_is_near(
    outputs: Float64[np.ndarray, "steps batch n_out"],
    trials: Trials,
    *,
    explained: float = EXPLAINED,
) -> Bool[np.ndarray, " batch"]:
    """Return in which trials the outputs explain half of their targets' variance.

    The rule for targets that come without a rule of their own: over the masked steps,
    the squared error is less than half of what the targets' mean would leave, or than a
    hundredth where the targets are constant.

    Args:
        outputs: steps × batch × output.
        trials: as many.
        explained: share of the variance, in place of a half.
    """
    # (O10); a trial without a masked step counts as wrong, not as NaN
    mask = trials.mask[:, :, None]
    count = np.maximum(mask.sum(axis=0), 1)
    mean = (trials.targets * mask).sum(axis=0) / count
    spread = (((trials.targets - mean) ** 2) * mask).sum(axis=0) / count
    error = (((outputs - trials.targets) ** 2) * mask).sum(axis=0) / count
    most = np.maximum((1 - explained) * spread.sum(axis=1), 0.01)
    return np.asarray(error.sum(axis=1) < most)
