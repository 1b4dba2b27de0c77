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
from isotau.convert.simulate.readout import read_out
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.loss.rate_loss import reference_rates
from isotau.convert.tuning.loss.timescale_loss import TimescaleTarget, reference_curves
from isotau.convert.tuning.session import Quantization
from isotau.convert.tuning.tune_loop import tune
from isotau.jobs.run_config import TuningPlan
from isotau.jobs.tune_lesson import Lesson, Seeds, draw_seeds
from isotau.jobs.tuning_outcome import Scored, Tuning
from isotau.sim.engines import compiled

PLAIN = QuantizeConfig()
SHARPEST = 7
"""Powers of two among which `sharpness` chooses."""
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
    gain = sharpness(net, lesson, seen.spikes) if lesson.loss == "labels" else 1.0
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


def sharpness(net: LIFNetwork, lesson: Lesson, spikes: Spikes) -> float:
    """Return the factor on outputs for which the labels are likeliest, a power of two.

    The loss of labels takes mean outputs for log odds. Those of a network whose outputs
    are small, such as spikes per step, would all be near to even, and their loss would
    fall also where answers get worse. With the factor the log odds have a standard
    deviation of 1 or more. Which output is the largest does not change.
    Source: Guo et al. 2017, doi:10.48550/arXiv.1706.04599.

    Args:
        net: the network.
        lesson: its typical trials and their labels.
        spikes: of the network in these.
    """
    odds = _outputs(net, spikes).mean(axis=0)
    odds -= odds.mean(axis=1, keepdims=True)
    if not odds.any():
        return 1.0
    least = 2.0 ** np.ceil(-np.log2(odds.std()))
    labels = torch.tensor(lesson.typical.labels)
    losses = {
        gain: float(
            torch.nn.functional.cross_entropy(torch.tensor(gain * odds), labels)
        )
        for gain in (float(least * 2.0**k) for k in range(SHARPEST))
    }
    return min(losses, key=lambda gain: losses[gain])


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
    right = lesson.source.score(_outputs(net, spikes), lesson.test)
    return Scored(np.asarray(right, dtype=bool), mean_rate(spikes))


def _outputs(net: LIFNetwork | FixedPointNetwork, spikes: Spikes) -> np.ndarray:
    return read_out(
        spikes, w_out=net.w_out, b_out=net.b_out, tau=net.tau_out, f0=net.f0
    )


def _louder(net: N, gain: float) -> N:
    """Return the network with outputs so many times as large."""
    return replace(net, w_out=gain * net.w_out, b_out=gain * net.b_out)
