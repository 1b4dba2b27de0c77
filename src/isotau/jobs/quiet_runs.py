"""Every stage without input, twice: what timescales and their noise floor come from.

Timescales of one stage, from two runs of it without input.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from isotau.convert.ground.representation import short_repr
from isotau.convert.records.spikes import Spikes, window
from isotau.convert.records.trials import Trials, refine
from isotau.convert.to_fixed.quantize import messages
from isotau.jobs.pipeline import Result
from isotau.jobs.stages import lif_spikes, observe_rate
from isotau.sim.engines.engine import engine_named
from isotau.sim.preservation import trial_replicates
from isotau.sim.tasks import fixation
from isotau.sim.timescales import ESTIMATORS
from isotau.sim.timescales.estimators import ml
from isotau.sim.timescales.records.autocorrelation import (
    BIN_WIDTH,
    LAGS,
    autocorrelation,
)
from isotau.sim.timescales.records.record import Timescales
from isotau.sim.timescales.records.series import as_series

STAGES = ("rate", "lif", "fixed")
QUIET = 1
"""Sets these seeds apart from those of the task's trials."""


@short_repr
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
    engine = engine_named(plan.engine)
    run = engine(fixed, sent, seed=seed, progress=plan.progress)
    return window(run.spikes, plan.lead(fixed.dt))


def _settled(spikes: Spikes, settle: float) -> Spikes:
    return window(spikes, round(settle / spikes.dt))


METHODS = ("ml", "exponential")
"""Estimators that have a say, the primary one first; the curves are a third voice."""
FINE_BINS, WIDE_BINS = 40, 20
"""Of a trial for `ml`, and for autocorrelations and what is fitted to them; fewer where
they would be shorter than these estimators' own bins, as published for 1 s."""
RESAMPLES = 50
"""Of the trials, that tell which fits to autocorrelations show a decay at all."""


@short_repr
class StageTimescales(NamedTuple):
    """What was measured at one stage.

    Attributes:
        timescales: by method, of the first run and of the repeat.
        curves: autocorrelation, run × lag × neuron.
        curve_bin: seconds between the lags.
        replicates: by method, log τ of the first run as other trials might have made
            it; empty if that was not asked for.
    """

    timescales: Mapping[str, tuple[Timescales, ...]]
    curves: np.ndarray
    curve_bin: float
    replicates: Mapping[str, np.ndarray]


def measure_stage(twice: Twice, *, groups: int = 0) -> StageTimescales:
    """Return the timescales and autocorrelations of one stage's two runs.

    Longer trials come in wider bins: half a bin is the shortest τ that `ml` looks at.
    The fits to autocorrelations have no offset, since simulated trials do not drift.
    """
    fine = _whole(twice.first, ml.BIN_WIDTH, FINE_BINS)
    wide = _whole(twice.first, BIN_WIDTH, WIDE_BINS)
    runs = list(twice)
    settings: dict[str, dict[str, Any]] = {
        "ml": {"bin_width": fine},
        "exponential": {
            "bin_width": wide,
            "max_lag": LAGS * wide,
            "offset": "none",
            "bootstrap": RESAMPLES,
            "rng": np.random.default_rng(0),
        },
    }
    timescales = {
        method: tuple(ESTIMATORS[method](run, **settings[method]) for run in runs)
        for method in METHODS
    }
    curves = [autocorrelation(as_series(run, wide).values, LAGS) for run in runs]
    replicates = {}
    if groups:
        replicates = {
            method: trial_replicates(
                as_series(twice.first, settings[method]["bin_width"]),
                partial(ESTIMATORS[method], **settings[method]),
                groups,
            )
            for method in METHODS
        }
    return StageTimescales(timescales, np.array(curves), wide, replicates)


def _whole(spikes: Spikes, shortest: float, bins: int) -> float:
    """Return the width of so many bins of a trial, in whole steps."""
    return round(max(shortest, spikes.steps * spikes.dt / bins) / spikes.dt) * spikes.dt
