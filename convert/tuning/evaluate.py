"""How a network does on held-out trials while it is tuned."""

import math
from typing import NamedTuple

import torch

from isotau.convert.tuning.learner.learner import Learner
from isotau.convert.tuning.loss.batch import Batch, Source


class TuneEvaluation(NamedTuple):
    """How a network did on held-out trials after some updates.

    Attributes:
        update: number of updates before it.
        losses: parts of the loss, and their sum as "total".
        accuracy: share of trials that were right.
        rate: mean firing rate, in Hz.
    """

    update: int
    losses: dict[str, float]
    accuracy: float
    rate: float

    def better_than(self, other: "TuneEvaluation | None") -> bool:
        """Return whether it is more accurate, or as accurate with less loss.

        One whose loss is no finite number is better than nothing only.
        """
        if other is None:
            return True
        loss, other_loss = self.losses["total"], other.losses["total"]
        if not (math.isfinite(loss) and math.isfinite(other_loss)):
            return math.isfinite(loss)
        # accuracy first: it is what the network is for, and the loss only its proxy
        return (self.accuracy, -loss) > (other.accuracy, -other_loss)


def evaluate(
    learner: Learner, source: Source, held: Batch, quiet: Batch | None, update: int
) -> TuneEvaluation:
    """Return how the learner's module does, without the noise of a device.

    Args:
        learner: whose module is looked at.
        source: scores the outputs.
        held: held-out trials.
        quiet: trials without input, for the timescale term; None without it.
        update: number of updates so far.
    """
    with torch.no_grad():
        observation, parts = learner.observe(held, quiet)
    losses = {name: float(part) for name, part in parts.items()}
    # in float64, as the score of every other stage has its outputs
    right = source.score(observation.outputs.double().cpu().numpy(), held.trials)
    assert observation.fired is not None
    return TuneEvaluation(
        update,
        losses | {"total": sum(losses.values())},
        float(right.mean()),
        float(observation.fired) / learner.module.dt,
    )
