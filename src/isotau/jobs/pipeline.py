"""The main job: a trained rate network to simulated Loihi, its timescales measured.

A network is converted and prepared for the chip once (`convert_for`); tuned or not, it
then runs at every stage (`carry`, `run_pipeline`), or both ways (`tune_rate`). What the
stages did is compared unit by neuron, κ by κ and output by output.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.fi_curve import UNIT_RATE
from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, select
from isotau.convert.records.trials import Trials, refine, subset
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_fixed.prepare import PreparedNetwork, prepare, with_silence
from isotau.convert.to_fixed.quantization_report import (
    QuantizationReport,
    report_quantization,
)
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import Conversion, unit_rates
from isotau.convert.to_lif.convert_rate import convert_rate
from isotau.convert.to_lif.unit_diagnostics import UnitDiagnostics, diagnose_units
from isotau.convert.tuning.tune_loop import Tuned
from isotau.jobs.run_config import RunConfig, how_to_convert, run_seeds
from isotau.jobs.stages import (
    ChipStage,
    LavaStage,
    StageRun,
    TrialPlan,
    chip_stage,
    lava_stage,
    lif_stage,
    rate_stage,
)
from isotau.jobs.tune_network import Tuning, score_of, tune_conversion
from isotau.sim.lowrank.factors import factors
from isotau.sim.lowrank.trajectories import (
    KappaAgreement,
    compare_kappa,
    kappa,
    spiking_kappa,
)
from isotau.sim.tasks import Task, fixation
from isotau.sim.tasks.choose_task import choose_task

COMPARED = 1 << 15
"""Neurons times trials in which units are compared and κ is read."""
MOST_TRIALS = 100
WIDTH = 50e-3
"""About how wide the bins are in which units are compared, in seconds."""


@short_repr
class KappaReading(NamedTuple):
    """κ of the same trials at each stage, in the canonical basis of the factors.

    Attributes:
        traces: κ of every stage, and its step in seconds; the rate network's first.
        trials: which trials.
        agreement: of every spiking stage with the rate network.
    """

    traces: dict[str, tuple[np.ndarray, float]]
    trials: Trials
    agreement: dict[str, KappaAgreement]


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
    tuned: Tuned | None = None
    lava: LavaStage | None = None


def run_pipeline(
    rate: RateRNN, config: RunConfig, *, progress: Progress = silent
) -> Result:
    """Return a network at every stage, with timescales, and with some trials in Lava.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
        LavaError: Lava failed.
    """
    result = carry(rate, config, timescales=True, progress=progress)
    # Last, since it is slowest and nothing depends on it.
    lava = lava_stage(result.fixed, result.chip, result.plan)
    return replace(result, stages=result.stages | {"lava": lava.stage}, lava=lava)


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
        checkpoint: of the tuning; see `isotau.tune`.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
    """
    # Everything before tuning once, also where a tuned and an untuned chip are wanted.
    converted = convert_for(rate, config, timescales=timescales, progress=progress)
    conversion, plan, tuned = converted.conversion, converted.plan, None
    fixed, quality = converted.prepared.fixed, converted.prepared.report
    if config.tuning is not None:
        tuned, fixed, quality = _tune(converted, checkpoint)
        conversion = replace(conversion, network=tuned.network)
    stages = {
        "rate": rate_stage(rate, conversion, plan),
        "lif": lif_stage(conversion.network, plan),
    }
    # Before the result: Lava gets the messages that the engine got, not its own.
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


def tune_rate(
    rate: RateRNN,
    config: RunConfig,
    *,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> Tuning:
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
    if config.tuning is None:
        raise ValueError("tuning: got none, need how to tune; set RunConfig.tuning")
    converted = convert_for(rate, config, progress=progress)
    conversion, prepared = converted.conversion, converted.prepared
    plan = converted.plan
    # Before and after on the same trials with the same noise: the difference is paired.
    before = {
        "rate": rate_stage(rate, conversion, plan),
        "lif": lif_stage(conversion.network, plan),
        "fixed": chip_stage(prepared.fixed, prepared.report, plan).stage,
    }
    tuned, fixed, quality = _tune(converted, checkpoint)
    after = {
        "lif": lif_stage(tuned.network, plan),
        "fixed": chip_stage(fixed, quality, plan).stage,
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
        config=how_to_convert(config),
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


def output_difference(stage: StageRun, rate: StageRun) -> float:
    """Return the root mean square of output less the rate network's, where scored.

    Taken at the end of each of the rate network's steps, in the trials of `stage`.
    """
    return _difference(stage.outputs, stage.trials, rate)


def repeated_difference(rate: RateRNN, plan: TrialPlan, stage: StageRun) -> float:
    """Return the output difference of a second run of the rate network, by its noise.

    What a spiking stage cannot be expected to fall below.
    """
    # A seed of its own: the same noise would give the same outputs.
    rng = np.random.default_rng(plan.seeds.rate_again)
    trials = subset(plan.test, slice(0, MOST_TRIALS))
    run = simulate_rate(rate, plan.shown(trials, rate.dt), rng=rng)
    return _difference(run.outputs[plan.lead(rate.dt) :], trials, stage)


def compare_units(
    rate: RateRNN, conversion: Conversion, plan: TrialPlan, lif: StageRun
) -> UnitDiagnostics:
    """Return where the LIF neurons' rates and those asked of them disagree, and why.

    Over means of the trials of each condition; the rate network runs without the noise
    of its steps, which no neuron could follow. In the unit of r where the network was
    scaled. A calibrated neuron is asked for its own f–I curve at the unit's x, whatever
    the activation; its r counts in units of 50 Hz and ends at 4, where the drive counts
    as beyond the fit.
    """
    trials, spikes = _compared_trials(conversion.rate.n, plan, lif)
    rng = np.random.default_rng(plan.seeds.rate)
    inputs = plan.shown(trials, rate.dt)
    # Without noise: no neuron could follow what is drawn anew in every step.
    run = simulate_rate(rate, inputs, rng=rng, noise=False, keep_x=True)
    hz = unit_rates(rate, conversion, run)
    constants, units = conversion.constants, conversion.rate
    unit_rate, volts = conversion.chosen.inverse_lambda, constants.unit
    offset = constants.v_leak - constants.v_th + conversion.chosen.drive
    # Calibrated neurons stand for x by their own f–I curve, in its units.
    if conversion.method == "calibrate":
        units = replace(units, activation="lif", ceiling=None)
        unit_rate, volts, offset = UNIT_RATE, PUBLISHED.unit, 0.0
    return diagnose_units(
        units,
        hz / unit_rate,
        conversion.network,
        spikes,
        plan.shown(trials, constants.dt),
        inverse_lambda=unit_rate,
        unit=volts,
        offset=np.full(units.n, offset),
        labels=trials.labels,
        # Bins of whole steps of the rate network, so that both are counted alike.
        width=max(1, round(WIDTH / rate.dt)) * rate.dt,
        skip=plan.lead(rate.dt) * rate.dt,
        progress=plan.progress,
    )


def read_kappa(
    rate: RateRNN,
    conversion: Conversion,
    fixed: FixedPointNetwork,
    plan: TrialPlan,
    stages: dict[str, StageRun],
) -> KappaReading | None:
    """Return κ of the rate, LIF and fixed-point stages; None for a full-rank network.

    Args:
        rate: the network.
        conversion: of it.
        fixed: the converted network on the chip.
        plan: what the stages were shown.
        stages: with the names "lif" and "fixed".
    """
    if not rate.rank:
        return None
    # The canonical basis: κ of two networks would not compare in any other.
    m_vectors = factors(rate).m_vectors
    # Where inputs lie along the modes they cannot be told apart, and are left in.
    inputs = rate.w_in if _apart(m_vectors, rate.w_in) else None
    trials, _ = _compared_trials(conversion.rate.n, plan, stages["lif"])
    rng = np.random.default_rng(plan.seeds.rate)
    run = simulate_rate(rate, plan.shown(trials, rate.dt), rng=rng, keep_x=True)
    assert run.x is not None
    x = run.x[plan.lead(rate.dt) :]
    traces = {"rate": (kappa(x, m_vectors, inputs=inputs, offset=rate.bias), rate.dt)}
    copies = conversion.rate.n // rate.n
    # x of a tanh network that was scaled as a sigmoid one is half of that one's.
    double = 2 if conversion.rate.activation != rate.activation else 1
    unit, drive = _constant_drive(conversion)
    inputs_lif = plan.shown(trials, fixed.dt)
    networks: dict[str, tuple[LIFNetwork | FixedPointNetwork, np.ndarray]] = {
        "lif": (conversion.network, inputs_lif),
        "fixed": (fixed, messages(fixed, inputs_lif)),
    }
    for name, (network, sent) in networks.items():
        trace = spiking_kappa(
            select(stages[name].whole, slice(0, trials.batch)),
            network,
            sent,
            np.repeat(m_vectors, copies, axis=0),
            inputs=None if inputs is None else np.repeat(inputs, copies, axis=0),
            unit=unit * double,
            # What the constant drive adds to the current is no κ.
            offset=np.repeat(rate.bias, copies) - drive / double,
        )
        traces[name] = trace[plan.lead(fixed.dt) :], fixed.dt
    agreement = {
        name: compare_kappa(traces["rate"][0], traces[name][0], trials.labels)
        for name in networks
    }
    return KappaReading(traces, trials, agreement)


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
) -> tuple[Tuned, FixedPointNetwork, QuantizationReport]:
    """Return the tuned network, its integers, and what quantization cost it."""
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
    noise = torch.Generator().manual_seed(plan.seeds.calibration)
    run = simulate_lif(net, calibration, generator=noise, progress=plan.progress)
    return tuned, tuned.fixed, report_quantization(net, tuned.fixed, run.ranges)


def _difference(outputs: np.ndarray, trials: Trials, rate: StageRun) -> float:
    """Return the rms difference to the rate stage's outputs, which are no finer."""
    # The spiking stages are finer: their last step in each of the rate network's.
    stride, batch = trials.steps // rate.trials.steps, slice(0, trials.batch)
    # Outside the mask nothing was asked of the outputs.
    off = outputs[stride - 1 :: stride] - rate.outputs[:, batch]
    return float(np.sqrt((off[rate.trials.mask[:, batch]] ** 2).mean()))


def _compared_trials(n: int, plan: TrialPlan, stage: StageRun) -> tuple[Trials, Spikes]:
    """Return the first trials, fewer where there are many neurons, and their spikes."""
    batch = slice(0, min(MOST_TRIALS, plan.test.batch, max(8, COMPARED // n)))
    return subset(plan.test, batch), select(stage.whole, batch)


def _constant_drive(conversion: Conversion) -> tuple[float, np.ndarray]:
    """Return volts per 1 of x, and the part of x that a constant drive makes."""
    constants = conversion.constants
    # Beyond the neuron's own rest: what conversion put into v_leak for a bias.
    v_rest = constants.v_leak + conversion.chosen.drive
    return constants.unit, (conversion.network.v_leak - v_rest) / constants.unit


def _apart(m_vectors: np.ndarray, inputs: np.ndarray) -> bool:
    """Return whether the m are no combination of each other and of the inputs."""
    # A channel without weights would lower the rank by itself.
    vectors = np.hstack([m_vectors, inputs[:, np.abs(inputs).max(axis=0) > 0]])
    return bool(np.linalg.matrix_rank(vectors) == vectors.shape[1])
