"""What tuning does to timescales, with the term for them and without."""

import time
from dataclasses import replace
from typing import Any

from benchmarks.tuning.bits import PRESERVE, on_chip, reference_of, verdict
from benchmarks.tuning.networks import TuningCase, accuracies
from benchmarks.tuning.plans import plan_for
from isotau.jobs.pipeline import carry
from isotau.jobs.run_config import RunConfig
from isotau.sim.tasks import TASKS

WEIGHT = 10.0
"""Of the term that keeps autocorrelations, beside the task's loss."""
TRIALS = 400
UPDATES, HALVE_EVERY = 120, 40
CASES = (
    ("shipped dms_750_N200.rate.npz", "calibrate"),
    ("by others: spikernn_gonogo_N200.mat", "scale"),
    ("dms-750 1", "scale"),
)
"""Networks and conversions: one that lost nothing, two that lost accuracy."""


def measure(case: TuningCase, *, seed: int = 0) -> dict[str, Any]:
    """Return the comparison of stages for a network as converted and as tuned.

    The chip's timescales are held against those of the rate network and of the LIF
    network before tuning; the references are measured once.

    Args:
        case: the network.
        seed: of everything.
    """
    config = RunConfig(
        task=case.task, method=case.method, trials=TRIALS, lava_trials=1, seed=seed
    )
    base = carry(case.rate, config)
    reference = reference_of(case.name, base)
    plan = plan_for(TASKS[case.task], base, quantized=False)
    # Three ways are tuned: fewer updates each than for accuracy alone.
    brief = replace(plan.config, updates=UPDATES, halve_every=HALVE_EVERY)
    plan = replace(plan, config=brief)
    ways = {
        "as converted": None,
        "tuned": plan,
        "tuned, with the term": replace(
            plan,
            config=replace(brief, learning_rate=0.003),
            timescale_weight=WEIGHT,
            reference="lif",
        ),
        # A control: the readout is behind the neurons, whose spikes it cannot change.
        "readout tuned": replace(plan, config=replace(brief, train=("w_out", "b_out"))),
    }
    rows = []
    for way, tuning in ways.items():
        start = time.perf_counter()
        result = base
        if tuning is not None:
            result = carry(case.rate, replace(config, tuning=tuning))
        measured = on_chip(result)
        row = {
            "way": way,
            "seconds": time.perf_counter() - start,
            "accuracy": accuracies(result),
            **{
                f"{stage}_to_fixed": verdict(reference, stage, measured)
                for stage in ("rate", "lif")
            },
        }
        tuned = result.tuned
        if tuned is not None:
            row["best_update"] = tuned.best.update
            row["course"] = [
                {"update": point.update, "accuracy": point.accuracy, **point.losses}
                for point in tuned.evaluations
            ]
        rows.append(row)
    return {
        "name": case.name,
        "task": case.task,
        "trials": PRESERVE.trials,
        "weight": WEIGHT,
        "method": case.method,
        "rows": rows,
    }
