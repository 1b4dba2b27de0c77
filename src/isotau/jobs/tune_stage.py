"""Tuning between conversion and quantization, on the task that a run is about."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, count, window
from isotau.convert.records.storage import fingerprint
from isotau.convert.records.trials import Trials, refine
from isotau.convert.to_fixed.prepare import PreparedNetwork
from isotau.convert.to_fixed.quantize import QuantizeConfig
from isotau.convert.to_lif.conversion import Conversion
from isotau.convert.tuning.loss.batch import Source
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.loss.rate_loss import RateTarget
from isotau.convert.tuning.loss.timescale_loss import TimescaleTarget, reference_curves
from isotau.convert.tuning.session import Quantization
from isotau.convert.tuning.tune_loop import Tuned, tune
from isotau.jobs.run_config import TuningPlan
from isotau.jobs.stages import Plan, lif_spikes, observe_rate
from isotau.sim.tasks import fixation, lead_in

AMPLITUDES = {"rate": 0.0, "lif": 1.0}
"""How much errors of amplitude and of variance count: see `TimescaleTarget`."""
APART = 7
"""Sets these seeds apart from those of the run."""


def tune_conversion(
    rate: RateRNN,
    conversion: Conversion,
    plan: Plan,
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
    net, begin, chip = conversion.network, conversion.network, None
    if tuning.quantized:
        begin = prepared.folded
        chip = Quantization(prepared.run.ranges, prepared.input_peak, quantization)
    tuned = tune(
        begin,
        source_of(plan, rate.dt),
        objective=objective_of(rate, conversion, plan, tuning, prepared.run.spikes),
        config=tuning.config,
        quantization=chip,
        checkpoint=checkpoint,
        progress=plan.progress,
    )
    # Only the chip starts a step early.
    network = replace(tuned.network, i0=net.i0, v0=net.v0, f0=net.f0)
    if tuned.fixed is None:
        return replace(tuned, network=network)
    fixed = replace(tuned.fixed, made_from=fingerprint(network))
    return replace(tuned, network=network, fixed=fixed)


def source_of(plan: Plan, dt: float) -> Source:
    """Return the plan's task as a source of trials in steps of dt."""

    def draw(batch: int, rng: np.random.Generator) -> Trials:
        return refine(plan.task.draw(batch, rng), dt)

    def before(inputs: np.ndarray, steps: int) -> np.ndarray:
        return lead_in(plan.task, inputs, steps)

    return Source(draw=draw, score=plan.task.score, lead=plan.burn_in, before=before)


def objective_of(
    rate: RateRNN,
    conversion: Conversion,
    plan: Plan,
    tuning: TuningPlan,
    seen: Spikes,
) -> Objective:
    """Return what the loss asks for, with the references it needs."""
    rates = timescales = None
    if tuning.rate_weight:
        seconds = seen.steps * seen.dt
        target = count(seen, width=seen.steps).mean(axis=(0, 1)) / seconds
        rates = RateTarget(rates=target, weight=tuning.rate_weight)
    if tuning.timescale_weight:
        timescales = _timescales(rate, conversion, plan, tuning)
    return Objective(task=tuning.loss, rates=rates, timescales=timescales)


def _timescales(
    rate: RateRNN, conversion: Conversion, plan: Plan, tuning: TuningPlan
) -> TimescaleTarget:
    """Return the autocorrelations that are to be kept, from trials without input."""
    config = tuning.config
    settle, length = config.quiet_settle, config.quiet_length
    task = fixation(rate.n_in, rate.n_out, dt=rate.dt, length=settle + length)
    rng = np.random.default_rng([config.seed, APART])
    silence = refine(task.draw(tuning.reference_trials, rng), rate.dt)
    spikes = _reference(rate, conversion, plan, tuning, silence, rng)
    reference = window(spikes, round(settle / spikes.dt))
    return reference_curves(
        reference,
        weight=tuning.timescale_weight,
        amplitude=AMPLITUDES[tuning.reference],
        variance_weight=AMPLITUDES[tuning.reference],
    )


def _reference(
    rate: RateRNN,
    conversion: Conversion,
    plan: Plan,
    tuning: TuningPlan,
    silence: Trials,
    rng: np.random.Generator,
) -> Spikes:
    if tuning.reference == "rate":
        return observe_rate(rate, conversion, plan, silence, rng)[0]
    net: LIFNetwork = conversion.network
    spikes = lif_spikes(net, plan, silence, int(rng.integers(1 << 62)))
    return window(spikes, plan.lead(net.dt))
