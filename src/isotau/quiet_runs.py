"""Every stage without input, twice: what timescales and their noise floor come from."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from isotau.convert.quantize import messages
from isotau.convert.spikes import Spikes, window
from isotau.convert.trials import Trials, refine
from isotau.pipeline import Result
from isotau.sim.tasks import fixation
from isotau.stages import ENGINES, lif_spikes, observe_rate

STAGES = ("rate", "lif", "fixed")
QUIET = 1
"""Sets these seeds apart from those of the task's trials."""


class Twice(NamedTuple):
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
) -> Mapping[str, Twice]:
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
    silence = refine(task.draw(trials, np.random.default_rng(0)), rate.dt)
    # Other words than the run's own seeds, which come from the same number.
    sequence = np.random.SeedSequence([seed, QUIET])
    words = sequence.generate_state(2 * len(STAGES), np.uint64)
    seeds = [int(word >> np.uint64(1)) for word in words]
    return {
        stage: Twice(
            *(
                _settled(_spikes(stage, result, silence, seeds[2 * k + run]), settle)
                for run in (0, 1)
            )
        )
        for k, stage in enumerate(STAGES)
        if stage in stages
    }


def _spikes(stage: str, result: Result, silence: Trials, seed: int) -> Spikes:
    """Return one stage's spikes, without what stands before the trials."""
    plan = result.plan
    if stage == "rate":
        rng = np.random.default_rng(seed)
        return observe_rate(result.rate, result.conversion, plan, silence, rng)[0]
    if stage == "lif":
        lif = result.conversion.network
        return window(lif_spikes(lif, plan, silence, seed), plan.lead(lif.dt))
    fixed = result.fixed
    sent = messages(fixed, plan.shown(silence, fixed.dt))
    run = ENGINES[plan.engine](fixed, sent, seed=seed, progress=plan.progress)
    return window(run.spikes, plan.lead(fixed.dt))


def _settled(spikes: Spikes, settle: float) -> Spikes:
    return window(spikes, round(settle / spikes.dt))
