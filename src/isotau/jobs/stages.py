"""The stages of the main job: the same trials in rates, LIF, fixed point and Lava.

`Plan`: what every stage is shown; `Stage`: what it did.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, select, window
from isotau.convert.records.trials import Trials, refine, subset
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import RateRun, simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_fixed.quantization_report import QuantizationReport
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import Conversion, unit_rates
from isotau.jobs.run_config import Seeds
from isotau.sim.engines.diagnostics import Diagnostics, diagnose
from isotau.sim.engines.engine import engine_named
from isotau.sim.spikes.poisson import observe, poisson_like
from isotau.sim.tasks import Task, lead_in
from isotau.sim.timescales.estimators.kim import kim
from isotau.sim.timescales.estimators.ml import ml
from isotau.sim.timescales.records.record import Timescales
from isotau.targets.on_lava.to_lava import run_lava


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plan:
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
    seeds: Seeds
    engine: str = "compiled"
    lava_trials: int = 0
    progress: Progress = silent

    def lead(self, dt: float) -> int:
        """Return the steps of dt before a trial: as long for every stage."""
        return round(round(self.burn_in / self.test.dt) * self.test.dt / dt)

    def shown(self, trials: Trials, dt: float) -> np.ndarray:
        """Return the trials' inputs in steps of dt, with what stands before them."""
        return lead_in(self.task, refine(trials, dt).inputs, self.lead(dt))


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Quiet:
    """What a stage did without input.

    Attributes:
        spikes: of every trial.
        timescales: estimated from them by likelihood (`ml`).
        chance: the same of Poisson neurons of the same rates, which have no timescale:
            what the estimator finds where there is nothing.
        published: estimated by the published rules (`kim`), which give one to 8 to 10 %
            of Poisson neurons.
    """

    spikes: Spikes
    timescales: Timescales
    chance: Timescales
    published: Timescales


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stage:
    """What one stage did.

    Attributes:
        spikes: in the task's trials; for the rate stage those of a Poisson observer.
        whole: the same with what stands before a trial.
        outputs: of the task's trials, steps × batch × output, at `trials.dt`.
        trials: what the outputs are to be held against.
        right: trials that were right, by the task's rule.
        right_strictly: the same by the stricter rule.
        quiet: what it did without input, if it was asked.
    """

    spikes: Spikes
    whole: Spikes
    outputs: np.ndarray
    trials: Trials
    right: np.ndarray
    right_strictly: np.ndarray
    quiet: Quiet | None = None


def finish(
    whole: Spikes,
    lead: int,
    outputs: np.ndarray,
    trials: Trials,
    task: Task,
    quiet: Quiet | None,
) -> Stage:
    """Return the stage of a run whose first `lead` steps stand before the trials."""
    return Stage(
        spikes=window(whole, lead),
        whole=whole,
        outputs=outputs,
        trials=trials,
        right=task.score(outputs, trials),
        right_strictly=task.score_strict(outputs, trials),
        quiet=quiet,
    )


def listen(spikes: Spikes, plan: Plan) -> Quiet:
    """Return the timescales in trials without input."""
    rng = np.random.default_rng(plan.seeds.chance)
    return Quiet(
        spikes=spikes,
        timescales=ml(spikes),
        chance=ml(poisson_like(spikes, rng)),
        published=kim(spikes),
    )


MOST_STATES = 1 << 23
"""States of the rate network that are held at a time."""


@short_repr
class ChipRun(NamedTuple):
    """The engine's stage, what it was sent, all it did, and what was seen on the way.

    `sent` and `made` have the keys "task" and, if there are quiet trials, "quiet";
    `diagnostics` are those of the task's trials.
    """

    stage: Stage
    sent: dict[str, np.ndarray]
    made: dict[str, Spikes]
    diagnostics: Diagnostics


@short_repr
class LavaStage(NamedTuple):
    """Lava's stage; `mismatches` counts spikes not shared, of `compared` neuron-steps.

    The comparison is with the engine that made the `ChipRun`.
    """

    stage: Stage
    mismatches: int
    compared: int


def rate_stage(rate: RateRNN, conversion: Conversion, plan: Plan) -> Stage:
    """Return the rate network's stage, its spikes drawn by a Poisson observer.

    The observer sees, of every unit, as many Poisson neurons as there are LIF neurons,
    each with the rate in Hz that stands for the unit's x at that time.
    """
    rng = np.random.default_rng(plan.seeds.rate)
    spikes, outputs = observe_rate(rate, conversion, plan, plan.test, rng)
    quiet = None
    if plan.quiet is not None:
        heard, _ = observe_rate(rate, conversion, plan, plan.quiet, rng)
        quiet = listen(heard, plan)
    return finish(spikes, 0, outputs, plan.test, plan.task, quiet)


def observe_rate(
    rate: RateRNN,
    conversion: Conversion,
    plan: Plan,
    trials: Trials,
    rng: np.random.Generator,
) -> tuple[Spikes, np.ndarray]:
    """Return what the observer saw, and the outputs; a few trials at a time."""
    lead = plan.lead(rate.dt)
    size = max(1, MOST_STATES // ((lead + trials.steps) * conversion.rate.n))
    seen, outputs = [], []
    for start in range(0, trials.batch, size):
        some = subset(trials, slice(start, start + size))
        run = run_rate(rate, plan, some, rng, keep_x=True)
        outputs.append(run.outputs[lead:])
        spikes = observe(
            unit_rates(rate, conversion, run)[lead:],
            dt_rates=rate.dt,
            inverse_lambda=1.0,
            dt=plan.dt,
            rng=rng,
            network=storage.fingerprint(rate),
        )
        seen.append(spikes)
    bits = np.concatenate([spikes.bits for spikes in seen], axis=1)
    return replace(seen[0], bits=bits), np.concatenate(outputs, axis=1)


def lif_stage(lif: LIFNetwork, plan: Plan) -> Stage:
    """Return the float LIF network's stage."""
    lead, whole = plan.lead(lif.dt), lif_spikes(lif, plan, plan.test, plan.seeds.lif)
    outputs = network_outputs(lif, window(whole, lead))
    quiet = None
    if plan.quiet is not None:
        alone = lif_spikes(lif, plan, plan.quiet, plan.seeds.lif_spontaneous)
        quiet = listen(window(alone, lead), plan)
    fine = refine(plan.test, lif.dt)
    return finish(whole, lead, outputs, fine, plan.task, quiet)


def lif_spikes(lif: LIFNetwork, plan: Plan, trials: Trials, seed: int) -> Spikes:
    """Return the float LIF network's spikes, with what stands before the trials."""
    return simulate_lif(
        lif,
        plan.shown(trials, lif.dt),
        generator=torch.Generator().manual_seed(seed),
        progress=plan.progress,
    ).spikes


def chip_stage(
    fixed: FixedPointNetwork, quality: QuantizationReport, plan: Plan
) -> ChipRun:
    """Return the fixed-point network's stage in the plan's engine."""
    loads = {"task": (plan.test, plan.seeds.chip)}
    if plan.quiet is not None:
        loads["quiet"] = plan.quiet, plan.seeds.chip_spontaneous
    sent = {
        name: messages(fixed, plan.shown(trials, fixed.dt))
        for name, (trials, _) in loads.items()
    }
    runs = {
        name: engine_named(plan.engine)(
            fixed, sent[name], seed=seed, count_overflow=True, progress=plan.progress
        )
        for name, (_, seed) in loads.items()
    }
    made = {name: run.spikes for name, run in runs.items()}
    return ChipRun(
        stage=_chip_stage(fixed, made, refine(plan.test, fixed.dt), plan),
        sent=sent,
        made=made,
        diagnostics=diagnose(fixed, runs["task"], report=quality),
    )


def lava_stage(fixed: FixedPointNetwork, chip: ChipRun, plan: Plan) -> LavaStage:
    """Return Lava's stage, on some of the task's trials and all of the quiet ones."""
    some = slice(0, plan.lava_trials)
    limits = {"task": some, "quiet": slice(None)}
    seeds = {"task": plan.seeds.chip, "quiet": plan.seeds.chip_spontaneous}
    theirs = {
        name: run_lava(
            fixed, sent[:, limits[name]], seed=seeds[name], progress=plan.progress
        ).spikes
        for name, sent in chip.sent.items()
    }
    differ = [
        np.unpackbits(select(chip.made[name], limits[name]).bits ^ theirs[name].bits)
        for name in theirs
    ]
    few = subset(refine(plan.test, fixed.dt), some)
    return LavaStage(
        stage=_chip_stage(fixed, theirs, few, plan),
        mismatches=int(sum(int(d.sum()) for d in differ)),
        compared=sum(s.steps * s.batch * s.n for s in theirs.values()),
    )


def run_rate(
    rate: RateRNN,
    plan: Plan,
    trials: Trials,
    rng: np.random.Generator,
    *,
    keep_x: bool = False,
) -> RateRun:
    """Return the rate network's run on trials, with what stands before them."""
    return simulate_rate(rate, plan.shown(trials, rate.dt), rng=rng, keep_x=keep_x)


def _chip_stage(
    fixed: FixedPointNetwork, made: dict[str, Spikes], trials: Trials, plan: Plan
) -> Stage:
    """Return the stage of spikes that an engine or Lava made."""
    lead = plan.lead(fixed.dt)
    outputs = network_outputs(fixed, window(made["task"], lead))
    alone = made.get("quiet")
    quiet = None if alone is None else listen(window(alone, lead), plan)
    return finish(made["task"], lead, outputs, trials, plan.task, quiet)
