"""The stages of the main job: the same trials in rates, LIF, fixed point and Lava."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, select, window
from isotau.convert.records.trials import Trials, refine, subset
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_fixed.quantization_report import QuantizationReport
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import Conversion, unit_rates
from isotau.jobs.run_config import RunSeeds
from isotau.sim.engines.diagnostics import Diagnostics, diagnose
from isotau.sim.engines.engine import engine_named
from isotau.sim.engines.run import Run
from isotau.sim.spikes.poisson import observe, poisson_like
from isotau.sim.tasks import Task, lead_in
from isotau.sim.timescales.estimators.kim import kim
from isotau.sim.timescales.estimators.ml import ml
from isotau.sim.timescales.records.record import Timescales
from isotau.targets.on_lava.to_lava import LavaLoad

MOST_STATES = 1 << 20
"""States of the rate network that are held at a time."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrialPlan:
    """What every stage is shown, and how.

    Attributes:
        task: gives the rules and what stands before a trial.
        test: the trials that are scored, in the rate network's steps.
        quiet: trials without input, for the timescales; None to leave them out.
        burn_in: seconds before each trial in which networks settle; 0 where they start
            in the state that stands for the rate network's x0.
        dt: step of the spiking stages, in seconds.
        seeds: of everything that is drawn.
        engine: simulates the chip, one of `isotau.sim.engines.engine.ENGINES`.
        lava_trials: how many of the scored trials also run in Lava.
        progress: is given the steps as they pass.
    """

    task: Task
    test: Trials
    quiet: Trials | None
    burn_in: float
    dt: float
    seeds: RunSeeds
    engine: str = "compiled"
    lava_trials: int = 0
    progress: Progress = silent

    def lead(self, dt: float) -> int:
        """Return the steps of dt before a trial: as long for every stage."""
        # Whole steps of the rate network, the coarsest, which dt divides.
        return round(round(self.burn_in / self.test.dt) * self.test.dt / dt)

    def shown(self, trials: Trials, dt: float) -> np.ndarray:
        """Return the trials' inputs in steps of dt, with what stands before them."""
        # Refined first: held inputs then stand as long before the trial at every step.
        return lead_in(self.task, refine(trials, dt).inputs, self.lead(dt))

    def loads(self, task: int, quiet: int) -> dict[str, tuple[Trials, int]]:
        """Return what a spiking stage runs, by "task" and "quiet", and its seeds."""
        trials = {"task": (self.test, task)}
        if self.quiet is not None:
            trials["quiet"] = self.quiet, quiet
        return trials


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class QuietRun:
    """What a stage did without input.

    Attributes:
        spikes: of every trial.
        timescales: estimated from them by likelihood (`ml`).
        chance: estimated from Poisson neurons of the same rates, which have no
            timescale: what the estimator finds where there is nothing.
        published: estimated by the published rules (`kim`), which give one to 8 to 10 %
            of Poisson neurons.
    """

    spikes: Spikes
    timescales: Timescales
    chance: Timescales
    published: Timescales


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StageRun:
    """What one stage did.

    Attributes:
        spikes: in the task's trials; for the rate stage those of a Poisson observer.
        whole: the same spikes, with what stands before a trial.
        outputs: of the task's trials, steps × batch × output, at `trials.dt`.
        trials: what the outputs are to be held against.
        right: trials that were right, by the task's rule.
        right_strictly: trials that were right by the stricter rule.
        quiet: what it did without input, if it was asked.
    """

    spikes: Spikes
    whole: Spikes
    outputs: np.ndarray
    trials: Trials
    right: np.ndarray
    right_strictly: np.ndarray
    quiet: QuietRun | None = None


@short_repr
class ChipStage(NamedTuple):
    """The engine's stage, what it was sent, all it did, and what was seen on the way.

    `sent` and `spikes` have the keys "task" and, if there are quiet trials, "quiet";
    `diagnostics` are those of the task's trials.
    """

    stage: StageRun
    sent: dict[str, np.ndarray]
    spikes: dict[str, Spikes]
    diagnostics: Diagnostics


@short_repr
class LavaStage(NamedTuple):
    """Lava's stage; `mismatches` counts spikes not shared, of `compared` neuron-steps.

    The comparison is with the engine that made the `ChipStage`.
    """

    stage: StageRun
    mismatches: int
    compared: int


def rate_stage(rate: RateRNN, conversion: Conversion, plan: TrialPlan) -> StageRun:
    """Return the rate network's stage, its spikes drawn by a Poisson observer.

    The observer sees, of every unit, as many Poisson neurons as there are LIF neurons,
    each with the rate in Hz that stands for the unit's x at that time.
    """
    seed, counted = plan.seeds.rate, plan.test.batch
    spikes, outputs = observe_rate(rate, conversion, plan, plan.test, seed)
    quiet = None
    if plan.quiet is not None:
        # Quiet trials go on counting: other noise, and no seed of their own.
        alone, _ = observe_rate(rate, conversion, plan, plan.quiet, seed, counted)
        quiet = measure_quiet(alone, plan)
    return score_stage(spikes, 0, outputs, plan.test, plan.task, quiet)


def observe_rate(
    rate: RateRNN,
    conversion: Conversion,
    plan: TrialPlan,
    trials: Trials,
    seed: int,
    first_trial: int = 0,
) -> tuple[Spikes, np.ndarray]:
    """Return the observer's spikes and the network's outputs, without the lead.

    Args:
        rate: the network.
        conversion: says what of a unit the observer sees.
        plan: of the run.
        trials: shown to the network.
        seed: of the network's start and noise, and of the observer.
        first_trial: number of the first trial.
    """
    rng = np.random.default_rng([seed, first_trial])
    lead = plan.lead(rate.dt)
    # A few trials at a time: x of all of them may not fit the memory.
    size = max(1, MOST_STATES // ((lead + trials.steps) * conversion.rate.n))
    spikes, outputs = [], []
    for start in range(0, trials.batch, size):
        part = subset(trials, slice(start, start + size))
        # x is kept: a Poisson neuron is drawn from every step of it.
        run = simulate_rate(
            rate,
            plan.shown(part, rate.dt),
            seed=seed,
            first_trial=first_trial + start,
            keep_x=True,
        )
        outputs.append(run.outputs[lead:])
        spikes.append(
            observe(
                unit_rates(rate, conversion, run)[lead:],
                dt_rates=rate.dt,
                inverse_lambda=1.0,
                dt=plan.dt,
                rng=rng,
                network=rate.fingerprint,
            )
        )
    # Packed eight to a byte along neurons, so that trials join without unpacking.
    bits = np.concatenate([part.bits for part in spikes], axis=1)
    return replace(spikes[0], bits=bits), np.concatenate(outputs, axis=1)


def lif_stage(lif: LIFNetwork, plan: TrialPlan) -> StageRun:
    """Return the float LIF network's stage."""
    loads = plan.loads(plan.seeds.lif, plan.seeds.lif_spontaneous)
    spikes = {
        name: lif_spikes(lif, plan, trials, seed)
        for name, (trials, seed) in loads.items()
    }
    return _spiking_stage(lif, spikes, refine(plan.test, lif.dt), plan)


def lif_spikes(lif: LIFNetwork, plan: TrialPlan, trials: Trials, seed: int) -> Spikes:
    """Return the float LIF network's spikes, with what stands before the trials."""
    return simulate_lif(
        lif,
        plan.shown(trials, lif.dt),
        seed=seed,
        progress=plan.progress,
    ).spikes


def chip_messages(fixed: FixedPointNetwork, plan: TrialPlan) -> dict[str, np.ndarray]:
    """Return what the chip is sent of the task and, if planned, the quiet trials."""
    # What is shown is drawn with the trials; noise that neurons share is of the seed.
    loads = plan.loads(plan.seeds.chip, plan.seeds.chip_spontaneous)
    return {
        name: messages(fixed, plan.shown(trials, fixed.dt), seed=seed)
        for name, (trials, seed) in loads.items()
    }


def chip_stage(
    fixed: FixedPointNetwork,
    quality: QuantizationReport,
    plan: TrialPlan,
    sent: dict[str, np.ndarray],
) -> ChipStage:
    """Return the fixed-point network's stage in the plan's engine.

    Args:
        fixed: the network.
        quality: what quantization cost.
        plan: what it is shown.
        sent: that as messages, from `chip_messages`.
    """
    loads = plan.loads(plan.seeds.chip, plan.seeds.chip_spontaneous)
    runs = {
        name: run_chip(fixed, sent[name], plan, seed, count_overflow=True)
        for name, (_, seed) in loads.items()
    }
    spikes = {name: run.spikes for name, run in runs.items()}
    return ChipStage(
        stage=_spiking_stage(fixed, spikes, refine(plan.test, fixed.dt), plan),
        sent=sent,
        spikes=spikes,
        # Of the task alone: at rest few states come near their limits.
        diagnostics=diagnose(fixed, runs["task"], report=quality),
    )


def run_chip(
    fixed: FixedPointNetwork,
    sent: np.ndarray,
    plan: TrialPlan,
    seed: int,
    *,
    count_overflow: bool = False,
) -> Run:
    """Return the run of a fixed-point network on messages in the plan's engine."""
    # Looked up when it is needed: two of the engines import torch or numba.
    engine = engine_named(plan.engine)
    return engine(
        fixed, sent, seed=seed, count_overflow=count_overflow, progress=plan.progress
    )


def lava_loads(sent: dict[str, np.ndarray], plan: TrialPlan) -> dict[str, LavaLoad]:
    """Return what Lava runs: some of the task's trials and all of the quiet ones."""
    # The seeds of the engine: noise is counted, and Lava must draw the same samples.
    seeds = {"task": plan.seeds.chip, "quiet": plan.seeds.chip_spontaneous}
    return {
        name: LavaLoad(values[:, _in_lava(name, plan)], seeds[name])
        for name, values in sent.items()
    }


def lava_stage(
    fixed: FixedPointNetwork,
    chip: ChipStage,
    spikes: Mapping[str, Spikes],
    plan: TrialPlan,
) -> LavaStage:
    """Return Lava's stage.

    Args:
        fixed: the network.
        chip: the engine's stage.
        spikes: Lava's, of `lava_loads`.
        plan: what both were shown.
    """
    engine = {
        name: select(chip.spikes[name], _in_lava(name, plan)).bits for name in spikes
    }
    # What is set in one of the two alone: spikes that the other does not have.
    off = {
        name: int(np.unpackbits(engine[name] ^ s.bits).sum())
        for name, s in spikes.items()
    }
    quiet = None
    if chip.stage.quiet is not None and off["quiet"] == 0:
        # The same spikes have the same timescales.
        alone = window(spikes["quiet"], plan.lead(fixed.dt))
        quiet = replace(chip.stage.quiet, spikes=alone)
    trials = subset(refine(plan.test, fixed.dt), _in_lava("task", plan))
    return LavaStage(
        stage=_spiking_stage(fixed, spikes, trials, plan, quiet),
        mismatches=sum(off.values()),
        compared=sum(s.steps * s.batch * s.n for s in spikes.values()),
    )


def _in_lava(name: str, plan: TrialPlan) -> slice:
    """Return which trials of "task" or "quiet" run in Lava."""
    return slice(plan.lava_trials) if name == "task" else slice(None)


def score_stage(
    whole: Spikes,
    lead: int,
    outputs: np.ndarray,
    trials: Trials,
    task: Task,
    quiet: QuietRun | None,
) -> StageRun:
    """Return the stage of a run whose first `lead` steps stand before the trials."""
    return StageRun(
        spikes=window(whole, lead),
        whole=whole,
        outputs=outputs,
        trials=trials,
        right=task.score(outputs, trials),
        right_strictly=task.score_strict(outputs, trials),
        quiet=quiet,
    )


def measure_quiet(spikes: Spikes, plan: TrialPlan) -> QuietRun:
    """Return the timescales in trials without input."""
    rng = np.random.default_rng(plan.seeds.chance)
    return QuietRun(
        spikes=spikes,
        timescales=ml(spikes),
        # What the estimator finds where there is nothing to be found.
        chance=ml(poisson_like(spikes, rng)),
        published=kim(spikes),
    )


def _spiking_stage(
    net: LIFNetwork | FixedPointNetwork,
    spikes: Mapping[str, Spikes],
    trials: Trials,
    plan: TrialPlan,
    quiet: QuietRun | None = None,
) -> StageRun:
    """Return the stage of a spiking network, from its spikes with the lead.

    Args:
        net: the network.
        spikes: of "task" and, if they ran, of the trials without input, "quiet".
        trials: the task's, in steps of the network.
        plan: what was shown.
        quiet: what is known of the trials without input; None to measure it.
    """
    whole, lead = spikes["task"], plan.lead(net.dt)
    # The filters of the readout start with the trial, not with its lead.
    outputs = network_outputs(net, window(whole, lead))
    if quiet is None and "quiet" in spikes:
        quiet = measure_quiet(window(spikes["quiet"], lead), plan)
    return score_stage(whole, lead, outputs, trials, plan.task, quiet)
