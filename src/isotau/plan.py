"""`Plan`: what every stage is shown; `Stage`: what it did."""

from dataclasses import dataclass

import numpy as np

from isotau.convert.progress import Progress, silent
from isotau.convert.spikes import Spikes, count, window
from isotau.convert.trials import Trials, refine
from isotau.run_config import Seeds
from isotau.sim.poisson import observe
from isotau.sim.tasks import Task, lead_in
from isotau.sim.timescales.kim import kim
from isotau.sim.timescales.ml import ml
from isotau.sim.timescales.record import Timescales


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
        engine: simulates the chip, one of `isotau.run_config.ENGINE_NAMES`.
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
        chance=ml(_poisson_like(spikes, rng)),
        published=kim(spikes),
    )


def _poisson_like(spikes: Spikes, rng: np.random.Generator) -> Spikes:
    """Return Poisson neurons with each neuron's mean rate, in as many trials."""
    length = spikes.steps * spikes.dt
    rates = count(spikes, width=spikes.steps).mean(axis=(0, 1)) / length
    return observe(
        np.broadcast_to(rates, (1, spikes.batch, spikes.n)),
        dt_rates=length,
        inverse_lambda=1.0,
        dt=spikes.dt,
        rng=rng,
    )
