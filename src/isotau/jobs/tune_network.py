"""Tuning by gradient on the way to the chip, scored on trials that tuning never sees.

A converted network learns the task of its run (`tune_conversion`), a LIF network of any
other origin a lesson (`tune_foreign`). Tuned through the chip's arithmetic, both begin
as `prepare` leaves them, a step early where that costs nothing; only the chip does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, mean_rate
from isotau.convert.records.trials import Trials, refine
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_fixed.prepare import PreparedNetwork, prepare
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages
from isotau.convert.to_lif.conversion import Conversion
from isotau.convert.tuning.loss.autocovariance_loss import AutocovarianceTarget
from isotau.convert.tuning.loss.batch import Source
from isotau.convert.tuning.loss.objective import Objective, label_gain
from isotau.convert.tuning.loss.rate_loss import reference_rates
from isotau.convert.tuning.session import Quantization
from isotau.convert.tuning.timescale_target import (
    Look,
    aim_at,
    target_of_lif,
    target_of_rate,
)
from isotau.convert.tuning.tune_loop import Tuned, tune
from isotau.jobs.run_config import TuningPlan
from isotau.jobs.stages import StageRun, TrialPlan
from isotau.jobs.tune_lesson import TuningLesson, TuningSeeds, tuning_seeds
from isotau.sim.engines import compiled
from isotau.sim.tasks import fixation, lead_in

REFERENCE_SEED = 7
"""Sets seeds of the reference's trials apart from those of the tuning."""
INTERVAL = 0.005
"""Seconds, about, between two samples of a LIF network's states."""
PLAIN = QuantizeConfig()
N = TypeVar("N", LIFNetwork, FixedPointNetwork)


@short_repr
class StageScore(NamedTuple):
    """How a stage did on the test trials.

    Attributes:
        right: which trials were right, boolean, batch.
        rate: mean firing rate, in Hz.
    """

    right: np.ndarray
    rate: float


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tuning:
    """A tuned network, and how it did before and after on trials it never saw.

    Attributes:
        tuned: what tuning left.
        fixed: the tuned network in the chip's integers.
        before: by stage: "lif" and "fixed" without tuning, and "rate" if the network
            was converted.
        after: by stage: "lif" and "fixed" after tuning.
        plan: how it was tuned.
        quantization: how both networks were brought to the chip.
        loss: of the task.
        trials: how many were for what; those of "test" were scored.
        seeds: of everything that was drawn.
    """

    tuned: Tuned
    fixed: FixedPointNetwork
    before: Mapping[str, StageScore]
    after: Mapping[str, StageScore]
    plan: TuningPlan
    quantization: QuantizeConfig
    loss: str
    trials: Mapping[str, int]
    seeds: Mapping[str, int]


def score_of(stage: StageRun) -> StageScore:
    """Return which trials a stage of a run had right, and how fast it fired."""
    return StageScore(stage.right, mean_rate(stage.spikes))


def tune_conversion(
    rate: RateRNN,
    conversion: Conversion,
    plan: TrialPlan,
    tuning: TuningPlan,
    prepared: PreparedNetwork,
    quantization: QuantizeConfig,
    *,
    checkpoint: Path | None = None,
) -> Tuned:
    """Return the conversion's network, tuned on the plan's task.

    Trials are fresh draws of the task with seeds of their own: none of those that are
    scored afterwards is seen.

    Args:
        rate: the network that was converted.
        conversion: of it.
        plan: what the stages are shown.
        tuning: how to tune.
        prepared: the conversion's network, as it comes to the chip without tuning.
        quantization: of the chip's arithmetic, if the plan asks for it.
        checkpoint: see `tune`.

    Raises:
        DoesNotFit: the network does not fit the chip.
    """
    # Measured only where the loss asks for it: the reference is one more run.
    timescales = None
    if tuning.timescale_weight:
        timescales = _target_of_conversion(rate, conversion, plan, tuning)
    descent = _Descent(
        net=conversion.network,
        prepared=prepared,
        quantization=quantization,
        source=task_source(plan, rate.dt),
        checkpoint=checkpoint,
        progress=plan.progress,
    )
    return _tune(descent, tuning, tuning.loss, timescales)


def task_source(plan: TrialPlan, dt: float) -> Source:
    """Return the plan's task as a source of trials in steps of dt."""

    def draw(batch: int, rng: np.random.Generator) -> Trials:
        # In the rate network's steps, as the trials of the plan are.
        return refine(plan.task.draw(batch, rng), dt)

    def before(inputs: np.ndarray, steps: int) -> np.ndarray:
        return lead_in(plan.task, inputs, steps)

    return Source(draw=draw, score=plan.task.score, lead=plan.burn_in, before=before)


def tune_foreign(
    net: LIFNetwork,
    lesson: TuningLesson,
    plan: TuningPlan,
    *,
    quantization: QuantizeConfig = PLAIN,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Tuning:
    """Return a LIF network tuned on a lesson, scored before and after on its test.

    Before and after alike the network comes to the chip by `prepare`.

    Args:
        net: the network.
        lesson: what to learn.
        plan: how; the loss is the lesson's, the reference the network itself.
        quantization: how it comes to the chip, before and after.
        seed: of what `plan.config.seed` does not draw.
        checkpoint: see `tune`.
        progress: is given the steps as they pass.

    Raises:
        ValueError: a plan or lesson that does not fit the network.
        DoesNotFit: it does not fit the chip.
    """
    if plan.timescale_weight and plan.reference != "lif" and plan.wanted is None:
        raise ValueError(
            f"reference: got {plan.reference!r} for a LIF network, need 'lif'"
        )
    seeds = tuning_seeds(seed)

    def on_chip(network: LIFNetwork) -> PreparedNetwork:
        return prepare(
            network,
            lesson.typical.inputs,
            config=quantization,
            seed=seeds.ranges,
            input_peak=lesson.peak,
            progress=progress,
        )

    # Before tuning: the ranges, the bias corrections, and the floor to compare with.
    prepared, timescales = on_chip(net), None
    if plan.timescale_weight:
        timescales = _target_of_network(
            net, lesson.source, plan, seeds.silence, progress
        )
    if lesson.held is not None:
        # No more evaluation trials than there are.
        most = min(plan.config.evaluate_trials, lesson.trials["held_out"])
        plan = replace(plan, config=replace(plan.config, evaluate_trials=most))
    gain = 1.0
    if lesson.loss == "labels":
        # Labels are read from log odds, which small outputs would make all alike.
        outputs = network_outputs(net, prepared.run.spikes)
        gain = label_gain(outputs, lesson.typical.labels)
    descent = _Descent(
        net=net,
        prepared=prepared,
        quantization=quantization,
        source=lesson.source,
        held=lesson.held,
        gain=gain,
        checkpoint=checkpoint,
        progress=progress,
    )
    tuned = _tune(descent, plan, lesson.loss, timescales)
    fixed = tuned.fixed
    if fixed is None:
        # Unchanged networks keep the very chip that stood before.
        fixed = (on_chip(tuned.network) if tuned.best.update else prepared).fixed
    return Tuning(
        tuned=tuned,
        fixed=fixed,
        # On trials that neither the updates nor the choice among them have seen.
        before=_scores(net, prepared.fixed, lesson, seeds, progress),
        after=_scores(tuned.network, fixed, lesson, seeds, progress),
        plan=plan,
        quantization=quantization,
        loss=lesson.loss,
        trials=lesson.trials,
        seeds={"run": seed, **seeds._asdict()},
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Descent:
    """What tuning begins with and learns from.

    Attributes:
        net: the LIF network.
        prepared: the network as it comes to the chip.
        quantization: of the chip's arithmetic.
        source: of the trials to learn from.
        held: of those that choose the best update; None for draws of `source`.
        gain: on the outputs, for the loss alone.
        checkpoint: see `tune`.
        progress: is given the updates as they pass.
    """

    net: LIFNetwork
    prepared: PreparedNetwork
    quantization: QuantizeConfig
    source: Source
    held: Source | None = None
    gain: float = 1.0
    checkpoint: Path | None = None
    progress: Progress = silent


def _tune(
    descent: _Descent,
    plan: TuningPlan,
    loss: str,
    timescales: AutocovarianceTarget | None,
) -> Tuned:
    """Return the tuned network, with the start state and the outputs of the given one.

    Its integers, if it was tuned through them, start a step early if `prepare` says so.
    """
    net, prepared, gain = descent.net, descent.prepared, descent.gain
    # Without the chip's arithmetic the network begins as it is.
    rates, start, chip = None, net, None
    if plan.rate_weight:
        rates = reference_rates(prepared.run.spikes, weight=plan.rate_weight)
    if plan.quantized:
        # Through the chip: from where the biases have been mended for truncation.
        start = prepared.folded
        chip = Quantization(
            prepared.run.ranges, prepared.input_peak, descent.quantization
        )
    tuned = tune(
        _amplify(start, gain),
        descent.source,
        objective=Objective(task=loss, rates=rates, timescales=timescales),
        config=plan.config,
        quantization=chip,
        held_out=descent.held,
        checkpoint=descent.checkpoint,
        progress=descent.progress,
    )
    if not tuned.best.update:
        # The network as it was, not as it was made ready to be tuned.
        fixed = prepared.fixed if plan.quantized else None
        return replace(tuned, network=net, fixed=fixed)
    # Only the chip starts a step early; the LIF network keeps its own start.
    network = replace(tuned.network, i0=net.i0, v0=net.v0, f0=net.f0)
    # The gain served the loss alone: outputs come back in their own units.
    network = _amplify(network, 1 / gain)
    if tuned.fixed is None:
        return replace(tuned, network=network)
    fixed = replace(_amplify(tuned.fixed, 1 / gain), made_from=network.fingerprint)
    return replace(tuned, network=network, fixed=fixed)


def _target_of_conversion(
    rate: RateRNN, conversion: Conversion, plan: TrialPlan, tuning: TuningPlan
) -> AutocovarianceTarget:
    """Return the autocovariances that a converted network is to aim at."""
    config, net = tuning.config, conversion.network
    # Of the tuning's seed: a resumed tuning has the same target.
    rng = np.random.default_rng([config.seed, REFERENCE_SEED])
    seed, count = int(rng.integers(1 << 62)), tuning.reference_trials
    if tuning.timescale_epoch is None:
        lead = config.quiet_settle
        length = lead + config.quiet_length
        task = fixation(rate.n_in, rate.n_out, dt=rate.dt, length=length)
        silence = refine(task.draw(count, rng), rate.dt)
        look = Look(lambda dt: refine(silence, dt).inputs, lead, seed)
    else:
        trials = refine(plan.task.draw(count, rng), rate.dt)
        _check_epoch(tuning.timescale_epoch, trials)
        lead = plan.lead(rate.dt) * rate.dt
        look = Look(lambda dt: plan.shown(trials, dt), lead, seed)
    copies = net.n // rate.n
    volts = np.full(net.n, conversion.chosen.unit)
    aim = _aim(tuning, volts, copies, rate.dt)
    if tuning.reference == "rate" and tuning.wanted is None:
        # A network that was scaled has its x in other units than the one it was.
        return target_of_rate(conversion.rate if copies == 1 else rate, look, aim)
    return target_of_lif(net, look, aim, wanted=tuning.wanted, progress=plan.progress)


def _target_of_network(
    net: LIFNetwork,
    source: Source,
    tuning: TuningPlan,
    seed: int,
    progress: Progress,
) -> AutocovarianceTarget:
    """Return the autocovariances that a LIF network of any origin is to aim at."""
    config, count = tuning.config, tuning.reference_trials
    if tuning.timescale_epoch is None:
        lead = config.quiet_settle
        steps = round(lead / net.dt) + round(config.quiet_length / net.dt)
        inputs = np.zeros((steps, count, net.n_shown))
    else:
        lead = 0.0
        trials = refine(source.draw(count, np.random.default_rng(seed)), net.dt)
        _check_epoch(tuning.timescale_epoch, trials)
        inputs = trials.inputs
    aim = _aim(tuning, np.ones(net.n), 1, max(1, round(INTERVAL / net.dt)) * net.dt)
    look = Look(lambda _: inputs, lead, seed)
    return target_of_lif(net, look, aim, wanted=tuning.wanted, progress=progress)


def _aim(
    tuning: TuningPlan, volts: np.ndarray, copies: int, interval: float
) -> AutocovarianceTarget:
    return aim_at(
        volts=volts,
        copies=copies,
        interval=interval,
        lags=tuning.timescale_lags,
        epoch=tuning.timescale_epoch,
        weight=tuning.timescale_weight,
        amplitude=tuning.timescale_amplitude,
        wanted=tuning.wanted,
    )


def _check_epoch(epoch: tuple[float, float], trials: Trials) -> None:
    length = trials.steps * trials.dt
    if epoch[1] > length * (1 + 1e-9):
        raise ValueError(
            f"timescale_epoch: got {epoch[0]:g} to {epoch[1]:g} s, need an end within "
            f"the trials' {length:g} s"
        )


def _scores(
    net: LIFNetwork,
    fixed: FixedPointNetwork,
    lesson: TuningLesson,
    seeds: TuningSeeds,
    progress: Progress,
) -> dict[str, StageScore]:
    """Return how both stages do on the test trials, with the same noise every time."""
    inputs, score = lesson.test.inputs, lesson.source.score
    # The same noise before and after, so that only the network differs.
    sent = messages(fixed, inputs, seed=seeds.chip)
    stages: dict[str, tuple[LIFNetwork | FixedPointNetwork, Spikes]] = {
        "lif": (net, _simulate(net, inputs, seeds.lif, progress)),
        "fixed": (
            fixed,
            compiled.run(fixed, sent, seed=seeds.chip, progress=progress).spikes,
        ),
    }
    scores = {}
    for name, (network, spikes) in stages.items():
        right = score(network_outputs(network, spikes), lesson.test)
        scores[name] = StageScore(np.asarray(right, dtype=bool), mean_rate(spikes))
    return scores


def _simulate(
    net: LIFNetwork, inputs: np.ndarray, seed: int, progress: Progress
) -> Spikes:
    return simulate_lif(net, inputs, seed=seed, progress=progress).spikes


def _amplify(net: N, gain: float) -> N:
    """Return the network with outputs so many times as large."""
    return replace(net, w_out=gain * net.w_out, b_out=gain * net.b_out)
