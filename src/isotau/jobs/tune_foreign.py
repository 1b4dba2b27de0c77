"""Tuning a LIF network of any origin, scored on trials that tuning never sees."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes, mean_rate, window
from isotau.convert.records.storage import fingerprint
from isotau.convert.simulate.lif_dynamics import LIFRun, simulate_lif
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.objective import Objective, label_gain
from isotau.convert.tuning.loss.rate_loss import reference_rates
from isotau.convert.tuning.loss.timescale_loss import TimescaleTarget, reference_curves
from isotau.convert.tuning.session import Quantization
from isotau.convert.tuning.tune_loop import tune
from isotau.jobs.run_config import TuningPlan
from isotau.jobs.tune_lesson import Lesson, Seeds, draw_seeds
from isotau.jobs.tuning_outcome import Scored, Tuning
from isotau.sim.engines import compiled

PLAIN = QuantizeConfig()
N = TypeVar("N", LIFNetwork, FixedPointNetwork)


def tune_foreign(
    net: LIFNetwork,
    lesson: Lesson,
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
    if plan.timescale_weight and plan.reference != "lif":
        raise ValueError(
            f"reference: got {plan.reference!r} for a LIF network, need 'lif'"
        )
    seeds, inputs = draw_seeds(seed), lesson.typical.inputs
    recipe: dict[str, Any] = {
        "config": quantization,
        "seed": seeds.ranges,
        "input_peak": lesson.peak,
        "progress": progress,
    }
    before = prepare(net, inputs, **recipe)
    start, chip, seen = net, None, before.run
    if plan.quantized:
        start = before.folded
        chip = Quantization(seen.ranges, before.input_peak, quantization)
    config = _choosing(plan.config, lesson)
    gain = 1.0
    if lesson.loss == "labels":
        outputs = network_outputs(net, seen.spikes)
        gain = label_gain(outputs, lesson.typical.labels)
    tuned = tune(
        _louder(start, gain),
        lesson.source,
        objective=_objective(net, lesson, plan, seen, seeds, progress),
        config=config,
        quantization=chip,
        held_out=lesson.held,
        checkpoint=checkpoint,
        progress=progress,
    )
    made = replace(tuned.network, i0=net.i0, v0=net.v0, f0=net.f0)
    made = _louder(made, 1 / gain)
    if tuned.fixed is None:
        after = prepare(made, inputs, **recipe).fixed
    else:
        after = replace(_louder(tuned.fixed, 1 / gain), made_from=fingerprint(made))
    return Tuning(
        tuned=replace(tuned, network=made),
        fixed=after,
        before=_scores(net, before.fixed, lesson, seeds, progress),
        after=_scores(made, after, lesson, seeds, progress),
        plan=replace(plan, config=config),
        quantization=quantization,
        loss=lesson.loss,
        trials=lesson.trials,
        seeds={"run": seed, **seeds._asdict()},
    )


def _choosing(config: TuneConfig, lesson: Lesson) -> TuneConfig:
    """Return the configuration with no more evaluation trials than there are."""
    if lesson.held is None:
        return config
    most = min(config.evaluate_trials, lesson.trials["held_out"])
    return replace(config, evaluate_trials=most)


def _objective(
    net: LIFNetwork,
    lesson: Lesson,
    plan: TuningPlan,
    seen: LIFRun,
    seeds: Seeds,
    progress: Progress,
) -> Objective:
    rates = timescales = None
    if plan.rate_weight:
        rates = reference_rates(seen.spikes, weight=plan.rate_weight)
    if plan.timescale_weight:
        timescales = _timescales(net, plan, seeds, progress)
    return Objective(task=lesson.loss, rates=rates, timescales=timescales)


def _simulate(
    net: LIFNetwork, inputs: np.ndarray, seed: int, progress: Progress
) -> LIFRun:
    generator = torch.Generator().manual_seed(seed)
    return simulate_lif(net, inputs, generator=generator, progress=progress)


def _timescales(
    net: LIFNetwork, plan: TuningPlan, seeds: Seeds, progress: Progress
) -> TimescaleTarget:
    """Return the network's own autocorrelations in trials without input."""
    settle = round(plan.config.quiet_settle / net.dt)
    steps = settle + round(plan.config.quiet_length / net.dt)
    silence = np.zeros((steps, plan.reference_trials, net.n_in))
    spikes = _simulate(net, silence, seeds.silence, progress).spikes
    return reference_curves(window(spikes, settle), weight=plan.timescale_weight)


def _scores(
    net: LIFNetwork,
    fixed: FixedPointNetwork,
    lesson: Lesson,
    seeds: Seeds,
    progress: Progress,
) -> dict[str, Scored]:
    """Return how both stages do on the test trials, with the same noise every time."""
    inputs = lesson.test.inputs
    lif = _simulate(net, inputs, seeds.lif, progress).spikes
    sent = messages(fixed, inputs)
    chip = compiled.run(fixed, sent, seed=seeds.chip, progress=progress).spikes
    return {"lif": _scored(net, lif, lesson), "fixed": _scored(fixed, chip, lesson)}


def _scored(
    net: LIFNetwork | FixedPointNetwork, spikes: Spikes, lesson: Lesson
) -> Scored:
    right = lesson.source.score(network_outputs(net, spikes), lesson.test)
    return Scored(np.asarray(right, dtype=bool), mean_rate(spikes))


def _louder(net: N, gain: float) -> N:
    """Return the network with outputs so many times as large."""
    return replace(net, w_out=gain * net.w_out, b_out=gain * net.b_out)
