"""A tuned network, before and after: what `isotau tune` reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import mean_rate
from isotau.convert.to_fixed.quantize import QuantizeConfig
from isotau.convert.tuning.tune_loop import Tuned
from isotau.jobs.pipeline import Result
from isotau.jobs.run_config import TuningPlan, draw_seeds
from isotau.jobs.stages import Stage

Z = 1.959963984540054


@short_repr
class Scored(NamedTuple):
    """How a stage did on the test trials.

    Attributes:
        right: which trials were right, boolean, batch.
        rate: mean firing rate, in Hz.
    """

    right: np.ndarray
    rate: float


class Change(NamedTuple):
    """Difference of two accuracies on the same trials, and its 95 % interval."""

    difference: float
    low: float
    high: float


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tuning:
    """A tuned network, and how it did before and after on trials it never saw.

    Attributes:
        tuned: what tuning left.
        fixed: the tuned network in the chip's integers.
        before: by stage: "lif" and "fixed" without tuning, and "rate" if the network
            was converted.
        after: the same of "lif" and "fixed" after it.
        plan: how it was tuned.
        quantization: how both networks were brought to the chip.
        loss: of the task.
        trials: how many were for what; those of "test" were scored.
        seeds: of everything that was drawn.
    """

    tuned: Tuned
    fixed: FixedPointNetwork
    before: Mapping[str, Scored]
    after: Mapping[str, Scored]
    plan: TuningPlan
    quantization: QuantizeConfig
    loss: str
    trials: Mapping[str, int]
    seeds: Mapping[str, int]


def of_runs(before: Result, after: Result) -> Tuning:
    """Return the tuning of a converted network from a run without and one with it.

    Raises:
        ValueError: the second run was not tuned.
    """
    config = after.config
    if after.tuned is None or config.tuning is None:
        raise ValueError(
            "after: got a run without tuning, need one with; set RunConfig.tuning"
        )
    return Tuning(
        tuned=after.tuned,
        fixed=after.fixed,
        before={name: _scored(stage) for name, stage in before.stages.items()},
        after={name: _scored(after.stages[name]) for name in ("lif", "fixed")},
        plan=config.tuning,
        quantization=config.quantization,
        loss=config.tuning.loss,
        trials={"test": config.trials, "search": config.search_trials},
        seeds={"run": config.seed, **draw_seeds(config.seed)._asdict()},
    )


def compare(before: np.ndarray, after: np.ndarray) -> Change:
    """Return how accuracy changed on the same trials, with a 95 % interval.

    d = (gained − lost)/n; the interval is Wald's after half a trial was added to each
    of the four kinds of trials, so that it has a width also where no trial changed.
    Source: Agresti & Min 2005, doi:10.1002/sim.1781.

    Args:
        before: which trials were right, boolean.
        after: the same trials.
    """
    n = len(before) + 2
    gained, lost = (~before & after).sum() + 0.5, (before & ~after).sum() + 0.5
    middle = (gained - lost) / n
    reach = Z * np.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    difference = float(after.mean() - before.mean())
    return Change(difference, float(middle - reach), float(middle + reach))


def _scored(stage: Stage) -> Scored:
    return Scored(stage.right, mean_rate(stage.spikes))
