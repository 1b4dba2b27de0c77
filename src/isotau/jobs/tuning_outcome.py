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


@short_repr
class Scored(NamedTuple):
    """How a stage did on the test trials.

    Attributes:
        right: which trials were right, boolean, batch.
        rate: mean firing rate, in Hz.
    """

    right: np.ndarray
    rate: float


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


def _scored(stage: Stage) -> Scored:
    return Scored(stage.right, mean_rate(stage.spikes))
