"""What every stage of a converted network does without input, twice."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.representation import short_repr
from isotau.convert.records.spikes import Spikes, window
from isotau.convert.records.trials import Trials, refine
from isotau.convert.to_fixed.quantize import messages
from isotau.jobs.pipeline import Result
from isotau.jobs.run_config import independent_seeds
from isotau.jobs.stages import lif_spikes, observe_rate, run_chip
from isotau.sim.tasks import fixation

STAGES = ("rate", "lif", "fixed")
QUIET = 1
"""Sets these seeds apart from those of the task's trials."""


@short_repr
class RepeatedRun(NamedTuple):
    """The spikes of one stage in trials without input, and again with other noise."""

    first: Spikes
    again: Spikes


def run_quiet(
    result: Result,
    *,
    trials: int,
    length: float,
    settle: float,
    seed: int,
    stages: Sequence[str] = STAGES,
) -> Mapping[str, RepeatedRun]:
    """Return what each stage of a converted network does without input, twice.

    The rate stage is the rate network through a Poisson observer, as everywhere.

    Args:
        result: the network at every stage.
        trials: in each of the two runs.
        length: of a trial, in seconds.
        settle: seconds that pass before it, besides the plan's burn-in.
        seed: of all noise; the stages and the two runs draw independently.
        stages: to run; what one draws does not depend on which others run.
    """
    rate = result.rate
    task = fixation(rate.n_in, rate.n_out, dt=rate.dt, length=settle + length)
    # Nothing is drawn for silence; the seed does not matter.
    silence = refine(task.draw(trials, np.random.default_rng(0)), rate.dt)
    # Two for every stage, whether it runs or not: the others then keep theirs.
    seeds = independent_seeds([seed, QUIET], 2 * len(STAGES))

    def settled(stage: str, seed: int) -> Spikes:
        spikes = _quiet_spikes(stage, result, silence, seed)
        # What a network does right after its start is not what it does at rest.
        return window(spikes, round(settle / spikes.dt))

    return {
        stage: RepeatedRun(settled(stage, first), settled(stage, again))
        for stage, first, again in zip(STAGES, seeds[::2], seeds[1::2], strict=True)
        if stage in stages
    }


def _quiet_spikes(stage: str, result: Result, silence: Trials, seed: int) -> Spikes:
    """Return one stage's spikes, without what stands before the trials."""
    plan = result.plan
    if stage == "rate":
        return observe_rate(result.rate, result.conversion, plan, silence, seed)[0]
    if stage == "lif":
        lif = result.conversion.network
        return window(lif_spikes(lif, plan, silence, seed), plan.lead(lif.dt))
    fixed = result.fixed
    sent = messages(fixed, plan.shown(silence, fixed.dt), seed=seed)
    return window(run_chip(fixed, sent, plan, seed).spikes, plan.lead(fixed.dt))
