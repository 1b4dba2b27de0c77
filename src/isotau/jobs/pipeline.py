"""The main job: a trained rate network to simulated Loihi, its timescales measured."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.read.conventions import Conventions
from isotau.convert.read.read_spikernn import read_spikernn_variables
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials, refine
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.prepare import PreparedNetwork, prepare, with_silence
from isotau.convert.to_fixed.quantization_report import (
    QuantizationReport,
    report_quantization,
)
from isotau.convert.to_lif.conversion import Conversion
from isotau.convert.to_lif.convert_rate import convert_rate
from isotau.convert.to_lif.unit_diagnostics import UnitDiagnostics
from isotau.convert.tuning.tune_loop import Tuned
from isotau.jobs.comparisons import (
    KappaReading,
    compare_units,
    read_kappa,
    repeated_difference,
)
from isotau.jobs.run_config import RunConfig, draw_seeds, how_to_convert
from isotau.jobs.stages import (
    ChipRun,
    LavaStage,
    Plan,
    Stage,
    chip_stage,
    lava_stage,
    lif_stage,
    rate_stage,
)
from isotau.jobs.tune_stage import tune_conversion
from isotau.sim.tasks import Task, fixation
from isotau.sim.tasks.choose_task import choose_task

SPIKERNN = "spikeRNN .mat"


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Result:
    """A network on its way to the chip, and how it does there.

    Attributes:
        config: what was asked for.
        plan: what every stage was shown.
        rate: the network.
        conversion: of it to LIF neurons.
        fixed: what became of those on the chip.
        quantization: what that cost.
        stages: "rate", "lif" and "fixed", and "lava" if it ran.
        chip: more of the fixed-point stage.
        units: where rate and LIF network disagree.
        kappa: of a low-rank network.
        repeated: how far the rate network's outputs are from those of a second run with
            other noise, as `comparisons.output_difference`.
        tuned: how the conversion's network was tuned, if it was.
        lava: how far Lava agrees with the engine, if it ran.
    """

    config: RunConfig
    plan: Plan
    rate: RateRNN
    conversion: Conversion
    fixed: FixedPointNetwork
    quantization: QuantizationReport
    stages: dict[str, Stage]
    chip: ChipRun
    units: UnitDiagnostics
    kappa: KappaReading | None
    repeated: float
    tuned: Tuned | None = None
    lava: LavaStage | None = None


def describe_input(
    path: str | os.PathLike[str], conventions: Conventions | None = None
) -> dict[str, Any]:
    """Return what a report says of the file that a network was read from.

    Its name, its SHA-256, what its reader assumed, and 1/λ as the original code chose
    it, in Hz, if the file says so.
    """
    theirs, said = None, None
    if conventions is not None:
        said = {
            "family": conventions.family,
            "ignored": list(conventions.ignored),
            **{item.name: item._asdict() for item in conventions.items},
        }
        if conventions.family == SPIKERNN:
            found = read_spikernn_variables(path).get("opt_scaling_factor")
            theirs = None if found is None else float(np.ravel(found)[0])
    return {
        "input": Path(path).name,
        "input_sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        "input_inverse_lambda": theirs,
        "input_conventions": said,
    }


def carry(
    rate: RateRNN,
    config: RunConfig,
    *,
    timescales: bool = False,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> Result:
    """Return a network converted, tuned if asked, and quantized; and how it does.

    Every stage sees the same trials, with the noise of all on.

    Args:
        rate: the network.
        config: what to do.
        timescales: whether the stages also run without input.
        progress: is given the steps as they pass.
        checkpoint: of the tuning; see `isotau.convert.tuning.tune`.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
    """
    task, seeds = choose_task(rate, config.task), draw_seeds(config.seed)
    search = _draw(task, rate, config.search_trials, seeds.search)
    conversion = convert_rate(
        rate,
        search,
        score=task.score,
        seed=seeds.search_noise,
        config=how_to_convert(config),
        progress=progress,
    )
    quiet = fixation(rate.n_in, rate.n_out, dt=rate.dt)
    plan = Plan(
        task=task,
        test=_draw(task, rate, config.trials, seeds.test),
        quiet=_draw(quiet, rate, config.timescale_trials, 0) if timescales else None,
        burn_in=conversion.constants.burn_in,
        dt=conversion.constants.dt,
        seeds=seeds,
        engine=config.engine,
        lava_trials=config.lava_trials,
        progress=progress,
    )
    calibration = with_silence(plan.shown(search, plan.dt))
    prepared = _prepare(conversion.network, calibration, plan, config)
    fixed, quality, tuned = prepared.fixed, prepared.report, None
    if config.tuning is not None:
        tuned = tune_conversion(
            rate,
            conversion,
            plan,
            config.tuning,
            prepared,
            config.quantization,
            checkpoint=checkpoint,
        )
        conversion = replace(conversion, network=tuned.network)
        fixed, quality = _tuned_chip(tuned, calibration, plan, config)
    lif = conversion.network
    stages = {
        "rate": rate_stage(rate, conversion, plan),
        "lif": lif_stage(lif, plan),
    }
    chip = chip_stage(fixed, quality, plan)
    stages["fixed"] = chip.stage
    return Result(
        config=config,
        plan=plan,
        rate=rate,
        conversion=conversion,
        fixed=fixed,
        quantization=quality,
        stages=stages,
        chip=chip,
        units=compare_units(rate, conversion, plan, stages["lif"]),
        kappa=read_kappa(rate, conversion, fixed, plan, stages),
        repeated=repeated_difference(rate, plan, stages["rate"]),
        tuned=tuned,
    )


def run_pipeline(
    rate: RateRNN, config: RunConfig, *, progress: Progress = silent
) -> Result:
    """Return the same with timescales at each stage, and with some trials in Lava.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
        LavaError: Lava failed.
    """
    result = carry(rate, config, timescales=True, progress=progress)
    lava = lava_stage(result.fixed, result.chip, result.plan)
    return replace(result, stages=result.stages | {"lava": lava.stage}, lava=lava)


def _draw(task: Task, rate: RateRNN, batch: int, seed: int) -> Trials:
    """Return trials of a task in the network's own steps."""
    return refine(task.draw(batch, np.random.default_rng(seed)), rate.dt)


def _prepare(
    lif: LIFNetwork, calibration: np.ndarray, plan: Plan, config: RunConfig
) -> PreparedNetwork:
    return prepare(
        lif,
        calibration,
        config=config.quantization,
        seed=plan.seeds.calibration,
        progress=plan.progress,
    )


def _tuned_chip(
    tuned: Tuned, calibration: np.ndarray, plan: Plan, config: RunConfig
) -> tuple[FixedPointNetwork, QuantizationReport]:
    """Return the integers that were tuned, or those of the network that was."""
    if tuned.fixed is None:
        prepared = _prepare(tuned.network, calibration, plan, config)
        return prepared.fixed, prepared.report
    noise = torch.Generator().manual_seed(plan.seeds.calibration)
    run = simulate_lif(
        tuned.network, calibration, generator=noise, progress=plan.progress
    )
    return tuned.fixed, report_quantization(tuned.network, tuned.fixed, run.ranges)
