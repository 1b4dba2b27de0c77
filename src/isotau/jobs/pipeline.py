"""The main job: a trained rate network to simulated Loihi, its timescales measured.

A network is converted and prepared for the chip once (`convert_for`); tuned or not, it
then runs at every stage (`carry`, `run_pipeline`), or both ways (`tune_rate`). What the
stages did is compared in `compare_stages`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.stage_clock import StageClock
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials, refine, with_silence
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.prepare import PreparedNetwork, prepare
from isotau.convert.to_fixed.quantization_report import (
    QuantizationReport,
    report_quantization,
)
from isotau.convert.to_lif.conversion import Conversion
from isotau.convert.to_lif.convert_rate import convert_rate
from isotau.convert.to_lif.unit_diagnostics import UnitDiagnostics
from isotau.jobs.compare_stages import (
    KappaReading,
    compare_units,
    read_kappa,
    repeated_difference,
)
from isotau.jobs.compile_kernels import Compiling, compiling_beside
from isotau.jobs.run_config import RunConfig, how_to_convert, run_seeds
from isotau.jobs.stages import (
    ChipStage,
    LavaStage,
    StageRun,
    TrialPlan,
    chip_messages,
    chip_stage,
    lava_loads,
    lava_stage,
    lif_stage,
    rate_stage,
)
from isotau.sim.engines.state_at_rest import KeptState, compare_at_rest
from isotau.sim.tasks import Task, fixation
from isotau.sim.tasks.choose_task import choose_task
from isotau.targets.on_lava.to_lava import lava_waiting, lava_work

if TYPE_CHECKING:
    from isotau.convert.tuning.tune_loop import Tuned
    from isotau.jobs.tune_network import Tuning


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConvertedNetwork:
    """A rate network as LIF neurons, ready to be tuned, and as it comes to the chip.

    Attributes:
        config: what was asked for.
        plan: what every stage is to be shown.
        rate: the network.
        conversion: of it to LIF neurons.
        calibration: inputs on which the chip's ranges are recorded.
        prepared: the LIF network on the chip, without tuning.
    """

    config: RunConfig
    plan: TrialPlan
    rate: RateRNN
    conversion: Conversion
    calibration: np.ndarray
    prepared: PreparedNetwork


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
        at_rest: what it did to the states without input; None without noise.
        stages: "rate", "lif" and "fixed", and "lava" if it ran.
        chip: more of the fixed-point stage.
        units: where rate and LIF network disagree.
        kappa: of a low-rank network.
        repeated: how far the rate network's outputs are from those of a second run with
            other noise, as `output_difference`.
        tuned: how the conversion's network was tuned, if it was.
        lava: how far Lava agrees with the engine, if it ran.
    """

    config: RunConfig
    plan: TrialPlan
    rate: RateRNN
    conversion: Conversion
    fixed: FixedPointNetwork
    quantization: QuantizationReport
    stages: dict[str, StageRun]
    chip: ChipStage
    units: UnitDiagnostics
    kappa: KappaReading | None
    repeated: float
    at_rest: KeptState | None = None
    tuned: "Tuned | None" = None
    lava: LavaStage | None = None


def run_pipeline(
    rate: RateRNN,
    config: RunConfig,
    *,
    progress: Progress = silent,
    clock: StageClock | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Result:
    """Return a network at every stage, with timescales, and with some trials in Lava.

    Args:
        rate: the network.
        config: what to do.
        progress: is given the steps as they pass.
        clock: is told what the stages cost.
        meanwhile: called before Lava is waited for.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
        LavaError: Lava failed.
    """
    clock = clock or StageClock()
    # Its imports take a second, in a process of its own.
    with lava_waiting() as lava, _compiling(clock) as compiling:
        ready = _make_ready(
            rate,
            config,
            timescales=True,
            progress=progress,
            clock=clock,
            compiling=compiling,
        )
        loads = lava_loads(ready.sent, ready.plan)
        # From now on beside all other stages: it is slowest, and none waits for it.
        job = lava.start(lava_work(ready.fixed, list(loads.values())))
        result = _run_stages(ready, clock, compiling)
        meanwhile()
        with clock("waiting for Lava"):
            spikes = [run.spikes for run in job.finish(progress)]
    with clock("lava"):
        compared = lava_stage(
            result.fixed,
            result.chip,
            dict(zip(loads, spikes, strict=True)),
            result.plan,
        )
    stages = result.stages | {"lava": compared.stage}
    return replace(result, stages=stages, lava=compared)


def carry(
    rate: RateRNN,
    config: RunConfig,
    *,
    timescales: bool = False,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    clock: StageClock | None = None,
) -> Result:
    """Return a network converted, tuned if asked, and quantized; and how it does.

    Every stage sees the same trials, with the noise of all on.

    Args:
        rate: the network.
        config: what to do.
        timescales: whether the stages also run without input.
        progress: is given the steps as they pass.
        checkpoint: of the tuning; see `isotau.tune`.
        clock: is told what the stages cost.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
    """
    clock = clock or StageClock()
    with _compiling(clock) as compiling:
        ready = _make_ready(
            rate,
            config,
            timescales=timescales,
            progress=progress,
            clock=clock,
            compiling=compiling,
            checkpoint=checkpoint,
        )
        return _run_stages(ready, clock, compiling)


@contextmanager
def _compiling(clock: StageClock) -> Iterator[Compiling]:
    """Compile what is in no cache, as `compiling_beside` does, on the clock."""
    with ExitStack() as stack:
        with clock("compile"):
            compiling = stack.enter_context(compiling_beside())
        yield compiling


@short_repr
class _ReadyNetwork(NamedTuple):
    """A network that is to run at every stage.

    `tuned` is None without tuning, `sent` what the chip is sent.
    """

    config: RunConfig
    plan: TrialPlan
    rate: RateRNN
    conversion: Conversion
    tuned: "Tuned | None"
    fixed: FixedPointNetwork
    quality: QuantizationReport
    sent: dict[str, np.ndarray]


def _make_ready(
    rate: RateRNN,
    config: RunConfig,
    *,
    timescales: bool,
    progress: Progress,
    clock: StageClock,
    compiling: Compiling,
    checkpoint: Path | None = None,
) -> _ReadyNetwork:
    """Return a network converted, tuned if asked, and quantized; as `carry` does."""
    # Everything before tuning once, also where a tuned and an untuned chip are wanted.
    with clock("convert and quantize"):
        compiling.wait("lif")
        # Between the loops, which use all cores, products are small: BLAS's threads
        # would wait for each other in circles.
        with threadpool_limits(1, "blas"):
            converted = convert_for(
                rate, config, timescales=timescales, progress=progress
            )
    conversion, plan, tuned = converted.conversion, converted.plan, None
    fixed, quality = converted.prepared.fixed, converted.prepared.report
    if config.tuning is not None:
        with clock("tune"):
            tuned, fixed, quality = _tune(converted, checkpoint)
        conversion = replace(conversion, network=tuned.network)
    sent = chip_messages(fixed, plan)
    return _ReadyNetwork(config, plan, rate, conversion, tuned, fixed, quality, sent)


def _run_stages(
    ready: _ReadyNetwork, clock: StageClock, compiling: Compiling
) -> Result:
    """Return how a network does in rates, in LIF neurons and in fixed point."""
    rate, conversion, plan = ready.rate, ready.conversion, ready.plan
    fixed, quality = ready.fixed, ready.quality
    # A thread that waits for a core keeps the others waiting in circles; and where
    # stages run side by side the cores have enough to do.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(1) as pool:
        rate_task = pool.submit(rate_stage, rate, conversion, plan)
        with clock("fixed, beside rate"):
            compiling.wait("chip")
            chip = chip_stage(fixed, quality, plan, ready.sent)
        with clock("lif, beside rate"):
            lif_run = lif_stage(conversion.network, plan)
        with clock("units, beside rate"):
            units = compare_units(rate, conversion, plan, lif_run)
        with clock("states at rest, beside rate"):
            at_rest = compare_at_rest(conversion.network, fixed, seed=plan.seeds.rest)
        with clock("waiting for rate"):
            rate_run = rate_task.result()
        stages = {"rate": rate_run, "lif": lif_run, "fixed": chip.stage}
        with clock("compare"):
            reading = read_kappa(rate, conversion, fixed, plan, stages)
            repeated = repeated_difference(rate, plan, rate_run)
    return Result(
        config=ready.config,
        plan=plan,
        rate=rate,
        conversion=conversion,
        fixed=fixed,
        quantization=quality,
        stages=stages,
        chip=chip,
        units=units,
        kappa=reading,
        repeated=repeated,
        at_rest=at_rest,
        tuned=ready.tuned,
    )


def tune_rate(
    rate: RateRNN,
    config: RunConfig,
    *,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> "Tuning":
    """Return the tuning of a rate network, converted once and scored before and after.

    Args:
        rate: the network.
        config: how it is converted, tuned and quantized.
        progress: is given the steps as they pass.
        checkpoint: of the tuning; see `isotau.tune`.

    Raises:
        ValueError: the network does not fit the task, or no tuning was asked for.
        DoesNotFit: it does not fit the chip.
    """
    from isotau.jobs.tune_network import Tuning, score_of

    if config.tuning is None:
        raise ValueError("tuning: got none, need how to tune; set RunConfig.tuning")
    converted = convert_for(rate, config, progress=progress)
    conversion, prepared = converted.conversion, converted.prepared
    plan = converted.plan
    # Before and after on the same trials with the same noise: the difference is paired.
    before = {
        "rate": rate_stage(rate, conversion, plan),
        "lif": lif_stage(conversion.network, plan),
        "fixed": _chip_alone(prepared.fixed, prepared.report, plan),
    }
    tuned, fixed, quality = _tune(converted, checkpoint)
    after = {
        "lif": lif_stage(tuned.network, plan),
        "fixed": _chip_alone(fixed, quality, plan),
    }
    return Tuning(
        tuned=tuned,
        fixed=fixed,
        before={name: score_of(stage) for name, stage in before.items()},
        after={name: score_of(stage) for name, stage in after.items()},
        plan=config.tuning,
        quantization=config.quantization,
        loss=config.tuning.loss,
        trials={"test": config.trials, "search": config.search_trials},
        seeds={"run": config.seed, **plan.seeds._asdict()},
    )


def convert_for(
    rate: RateRNN,
    config: RunConfig,
    *,
    timescales: bool = False,
    progress: Progress = silent,
) -> ConvertedNetwork:
    """Return a network as LIF neurons and on the chip, and what it will be shown.

    Args:
        rate: the network.
        config: what to do; its tuning does not count.
        timescales: whether the plan has trials without input.
        progress: is given the steps as they pass.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
    """
    task, seeds = choose_task(rate, config.task), run_seeds(config.seed)
    # Not the trials that are scored: a conversion chosen on those would flatter itself.
    search = _draw(task, rate, config.search_trials, seeds.search)
    conversion = convert_rate(
        rate,
        search,
        score=task.score,
        seed=seeds.search_noise,
        config=how_to_convert(config, rate),
        progress=progress,
    )
    quiet = fixation(rate.n_in, rate.n_out, dt=rate.dt)
    plan = TrialPlan(
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
    # Silence too: at rest the states visit what the task does not show.
    calibration = with_silence(plan.shown(search, plan.dt))
    return ConvertedNetwork(
        config=config,
        plan=plan,
        rate=rate,
        conversion=conversion,
        calibration=calibration,
        prepared=_prepare(conversion.network, calibration, plan, config),
    )


def _chip_alone(
    fixed: FixedPointNetwork, quality: QuantizationReport, plan: TrialPlan
) -> StageRun:
    return chip_stage(fixed, quality, plan, chip_messages(fixed, plan)).stage


def _draw(task: Task, rate: RateRNN, batch: int, seed: int) -> Trials:
    """Return trials of a task in the network's own steps."""
    return refine(task.draw(batch, np.random.default_rng(seed)), rate.dt)


def _prepare(
    lif: LIFNetwork, calibration: np.ndarray, plan: TrialPlan, config: RunConfig
) -> PreparedNetwork:
    return prepare(
        lif,
        calibration,
        config=config.quantization,
        seed=plan.seeds.calibration,
        progress=plan.progress,
    )


def _tune(
    converted: ConvertedNetwork, checkpoint: Path | None
) -> "tuple[Tuned, FixedPointNetwork, QuantizationReport]":
    """Return the tuned network, its integers, and what quantization cost it."""
    # Tuning alone needs torch and Norse, whose import takes seconds.
    from isotau.jobs.tune_network import tune_conversion

    config, plan = converted.config, converted.plan
    assert config.tuning is not None
    tuned = tune_conversion(
        converted.rate,
        converted.conversion,
        plan,
        config.tuning,
        converted.prepared,
        config.quantization,
        checkpoint=checkpoint,
    )
    net, calibration = tuned.network, converted.calibration
    if tuned.fixed is None or not tuned.best.update:
        prepared = converted.prepared
        if tuned.best.update:
            prepared = _prepare(net, calibration, plan, config)
        return tuned, prepared.fixed, prepared.report
    # These integers were tuned: only how far the states go is not known yet.
    seed = plan.seeds.calibration
    run = simulate_lif(net, calibration, seed=seed, progress=plan.progress)
    return tuned, tuned.fixed, report_quantization(net, tuned.fixed, run.ranges)
