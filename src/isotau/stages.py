"""The stages of the main job: the same trials in rates, LIF, fixed point and Lava."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from isotau.convert import storage
from isotau.convert.fixedpoint import FixedPointNetwork
from isotau.convert.lif import LIFNetwork
from isotau.convert.lif_dynamics import simulate_lif
from isotau.convert.progress import Progress
from isotau.convert.quantization_report import QuantizationReport
from isotau.convert.quantize import messages
from isotau.convert.rate import RateRNN
from isotau.convert.rate_dynamics import simulate_rate
from isotau.convert.rate_to_lif import Conversion
from isotau.convert.readout import read_out
from isotau.convert.spikes import Spikes, count, select, window
from isotau.convert.trials import Trials, refine, subset
from isotau.run_config import RunConfig, Seeds
from isotau.sim.engines import compiled, reference, torch_engine
from isotau.sim.engines.diagnostics import Diagnostics, diagnose
from isotau.sim.engines.run import Run
from isotau.sim.poisson import observe
from isotau.sim.tasks import Task
from isotau.sim.timescales.kim import kim
from isotau.sim.timescales.record import Timescales
from isotau.targets.to_lava import run_lava

ENGINES: dict[str, Callable[..., Run]] = {
    "compiled": compiled.run,
    "reference": reference.run,
    "torch": torch_engine.run,
}
SPONTANEOUS = 1.05
"""Length of a trial without input, from which timescales are estimated, in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stage:
    """What one stage did.

    Attributes:
        spikes: in the task's trials; for the rate stage those of a Poisson observer.
        outputs: of the task's trials, steps × batch × output, at `trials.dt`.
        trials: what the outputs are to be held against.
        right: trials that were right, by the task's rule.
        right_strictly: the same by the stricter rule.
        spontaneous: spikes without input.
        timescales: estimated from `spontaneous`.
        chance: estimated from Poisson neurons of the same rates, which have no
            timescale: what the estimator finds where there is nothing.
    """

    spikes: Spikes
    outputs: np.ndarray
    trials: Trials
    right: np.ndarray
    right_strictly: np.ndarray
    spontaneous: Spikes
    timescales: Timescales
    chance: Timescales


class ChipStages(NamedTuple):
    """The engine's stage and Lava's, and what was seen on the way.

    `mismatches` counts the spikes that the two do not share, of `compared`
    neuron-steps; `diagnostics` are the engine's on the task's trials.
    """

    fixed: Stage
    lava: Stage
    mismatches: int
    compared: int
    diagnostics: Diagnostics


def rate_stage(
    rate: RateRNN,
    conversion: Conversion,
    test: Trials,
    task: Task,
    config: RunConfig,
    seeds: Seeds,
) -> Stage:
    """Return the rate network's stage, its spikes drawn by a Poisson observer."""
    rng = np.random.default_rng(seeds.rate)
    burn_in = round(config.constants.burn_in / rate.dt)
    task_run = simulate_rate(rate, _lead(test.inputs, burn_in), rng=rng)
    quiet = np.zeros(
        (burn_in + round(SPONTANEOUS / rate.dt), config.timescale_trials, rate.n_in)
    )
    free_run = simulate_rate(rate, quiet, rng=rng)

    def seen(rates: np.ndarray) -> Spikes:
        return observe(
            rates[burn_in:],
            dt_rates=rate.dt,
            inverse_lambda=conversion.chosen.inverse_lambda,
            dt=config.constants.dt,
            rng=rng,
            network=storage.fingerprint(rate),
        )

    return _stage(
        seen(task_run.rates),
        task_run.outputs[burn_in:],
        test,
        task,
        seen(free_run.rates),
        seeds,
    )


def lif_stage(
    lif: LIFNetwork,
    test: Trials,
    task: Task,
    config: RunConfig,
    seeds: Seeds,
    progress: Progress,
) -> Stage:
    """Return the float LIF network's stage."""
    fine = refine(test, lif.dt)
    quiet = np.zeros((round(SPONTANEOUS / lif.dt), config.timescale_trials, lif.n_in))
    spikes, spontaneous = (
        simulate_lif(
            lif,
            inputs,
            generator=torch.Generator().manual_seed(seed),
            burn_in=config.constants.burn_in_steps,
            progress=progress,
        ).spikes
        for inputs, seed in (
            (fine.inputs, seeds.lif),
            (quiet, seeds.lif_spontaneous),
        )
    )
    outputs = read_out(spikes, w_out=lif.w_out, b_out=lif.b_out, tau=lif.tau_syn)
    return _stage(spikes, outputs, fine, task, spontaneous, seeds)


def chip_stages(
    fixed: FixedPointNetwork,
    quality: QuantizationReport,
    test: Trials,
    task: Task,
    config: RunConfig,
    seeds: Seeds,
    progress: Progress,
) -> ChipStages:
    """Return the engine's and Lava's stages, and how far they agree."""
    burn_in = config.constants.burn_in_steps
    fine = refine(test, fixed.dt)
    quiet_shape = (round(SPONTANEOUS / fixed.dt), config.timescale_trials, fixed.n_in)
    loads = {
        "task": (messages(fixed, _lead(fine.inputs, burn_in)), seeds.chip),
        "quiet": (
            messages(fixed, _lead(np.zeros(quiet_shape), burn_in)),
            seeds.chip_spontaneous,
        ),
    }
    runs = {
        name: ENGINES[config.engine](
            fixed, sent, seed=seed, count_overflow=True, progress=progress
        )
        for name, (sent, seed) in loads.items()
    }
    ours = {name: run.spikes for name, run in runs.items()}
    some = slice(0, config.lava_trials)
    few = subset(fine, some)
    limits = {"task": some, "quiet": slice(None)}
    theirs = {
        name: run_lava(
            fixed, sent[:, limits[name]], seed=seed, progress=progress
        ).spikes
        for name, (sent, seed) in loads.items()
    }
    differ = [
        np.unpackbits(select(ours[name], limits[name]).bits ^ theirs[name].bits)
        for name in loads
    ]

    def finish(spikes: dict[str, Spikes], trials: Trials) -> Stage:
        seen = window(spikes["task"], burn_in)
        outputs = read_out(
            seen, w_out=fixed.w_out, b_out=fixed.b_out, tau=fixed.tau_out
        )
        quiet = window(spikes["quiet"], burn_in)
        return _stage(seen, outputs, trials, task, quiet, seeds)

    return ChipStages(
        fixed=finish(ours, fine),
        lava=finish(theirs, few),
        mismatches=int(sum(int(d.sum()) for d in differ)),
        compared=sum(s.steps * s.batch * s.n for s in theirs.values()),
        diagnostics=diagnose(fixed, runs["task"], report=quality),
    )


def _lead(inputs: np.ndarray, steps: int) -> np.ndarray:
    """Return the inputs with `steps` of silence before them."""
    return np.concatenate([np.zeros((steps, *inputs.shape[1:])), inputs])


def _stage(
    spikes: Spikes,
    outputs: np.ndarray,
    trials: Trials,
    task: Task,
    spontaneous: Spikes,
    seeds: Seeds,
) -> Stage:
    return Stage(
        spikes=spikes,
        outputs=outputs,
        trials=trials,
        right=task.score(outputs, trials),
        right_strictly=task.score_strict(outputs, trials),
        spontaneous=spontaneous,
        timescales=kim(spontaneous),
        chance=kim(_poisson_like(spontaneous, np.random.default_rng(seeds.chance))),
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
