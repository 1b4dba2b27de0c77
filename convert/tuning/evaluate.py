"""How a network does on held-out trials while it is tuned."""

import math
from typing import NamedTuple

import torch

from isotau.convert.tuning.learner.learner import Learner
from isotau.convert.tuning.loss.batch import Batch, Source
from isotau.convert.tuning.loss.observe import observe


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
        mine, theirs = self.losses["total"], other.losses["total"]
        if not (math.isfinite(mine) and math.isfinite(theirs)):
            return math.isfinite(mine)
        return (self.accuracy, -mine) > (other.accuracy, -theirs)


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
    module = learner.module
    with torch.no_grad():
        prepared = learner.dynamics.prepare(module)
        trace = observe(prepared, module, held)
        parts = learner.objective.task_parts(trace, held)
        if quiet is not None:
            alone = observe(prepared, module, quiet)
            parts |= learner.objective.quiet_parts(alone, quiet)
    told = {name: float(part) for name, part in parts.items()}
    right = source.score(trace.outputs.double().cpu().numpy(), held.trials)
    assert trace.fired is not None
    return TuneEvaluation(
        update,
        told | {"total": sum(told.values())},
        float(right.mean()),
        float(trace.fired) / module.dt,
    )
