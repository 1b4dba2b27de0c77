"""Accuracy and timescales at few bits per weight: plain rounding against tuning."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.tuning.networks import TuningCase, accuracies, paired
from benchmarks.tuning.plans import plan_for
from isotau.convert.records.spikes import mean_rate
from isotau.convert.to_fixed.quantize import QuantizeConfig
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.run_config import RunConfig
from isotau.jobs.timescales.preserve import (
    NetworkTimescales,
    PreserveConfig,
    StageTimescales,
    compare_measured,
    describe_network,
    measure_stage,
    run_quiet,
)
from isotau.sim.tasks import TASKS

BITS = (8, 4, 3, 2, 1)
"""Per weight."""
TRIALS = 1000
PRESERVE = PreserveConfig(trials=100, groups=10)
"""Quiet trials in groups: the intervals of one network come from parts of its data."""


def measure(
    case: TuningCase, *, bits: Sequence[int] = BITS, timescales: float, seed: int = 0
) -> dict[str, Any]:
    """Return a row for each number of bits and each way to it.

    The timescales of the chip are held against those of the rate network and of the
    network as it was converted, before any tuning.

    Args:
        case: the network.
        bits: per weight.
        timescales: weight of the timescale term in tuning.
        seed: of everything.
    """
    config = RunConfig(
        task=case.task, method=case.method, trials=TRIALS, lava_trials=1, seed=seed
    )
    # Carried once: all ways start from the same conversion.
    base = carry(case.rate, config)
    reference = reference_of(case.name, base)
    rows = []
    for number in bits:
        # Three ways to the same number of bits; `tuned` starts where `fit` ends.
        plain = QuantizeConfig(num_weight_bits=number)
        ways = {
            "plain": replace(config, quantization=plain),
            "fit": replace(config, quantization=replace(plain, outliers="fit")),
            "tuned": replace(
                config,
                quantization=replace(plain, outliers="fit"),
                tuning=plan_for(
                    TASKS[case.task], base, quantized=True, timescales=timescales
                ),
            ),
        }
        for way, way_config in ways.items():
            start = time.perf_counter()
            result = carry(case.rate, way_config)
            seconds = time.perf_counter() - start
            rows.append(
                {"bits": number, "way": way, "seconds": seconds}
                | _row(reference, result)
            )
    return {"name": case.name, "task": case.task, "n": case.rate.n, "rows": rows}


def reference_of(name: str, base: Result) -> NetworkTimescales:
    """Return the timescales of the rate and LIF stages, as converted."""
    quiet = run_quiet(base, seed=0, stages=("rate", "lif"), **_quiet_timing())
    return describe_network(name, base, quiet, groups=PRESERVE.groups or 0)


def on_chip(result: Result) -> StageTimescales:
    """Return the timescales of a result's chip stage."""
    quiet = run_quiet(result, seed=0, stages=("fixed",), **_quiet_timing())
    return measure_stage(quiet["fixed"], groups=PRESERVE.groups or 0)


def _quiet_timing() -> dict[str, Any]:
    """Return how long, and how often, a network runs without input."""
    return {
        "trials": PRESERVE.trials,
        "length": PRESERVE.length,
        "settle": PRESERVE.settle,
    }


def _row(reference: NetworkTimescales, result: Result) -> dict[str, Any]:
    measured = on_chip(result)
    row: dict[str, Any] = {
        "accuracy": accuracies(result),
        "fixed_minus_rate": paired(result),
        "rate_hz": mean_rate(result.stages["fixed"].spikes),
    }
    for stage in ("rate", "lif"):
        row[f"{stage}_to_fixed"] = verdict(reference, stage, measured)
    return row


def verdict(
    reference: NetworkTimescales, stage: str, measured: StageTimescales
) -> dict[str, Any]:
    """Return whether timescales of a stage of the reference are those measured."""
    comparison = compare_measured(
        [(reference, reference.stages[stage], measured)], (stage, "fixed")
    )
    return {
        "verdict": comparison.conclusion.verdict.value,
        "reason": comparison.conclusion.reason,
        "intervals": intervals(comparison.by_method),
    }


def intervals(by_method: Mapping[str, Any]) -> dict[str, Any]:
    """Return each method's endpoints, with the ends of their intervals."""
    return {
        method: {
            endpoint.name: [
                _finite(number)
                for number in (
                    endpoint.estimate.value,
                    endpoint.estimate.low,
                    endpoint.estimate.high,
                )
            ]
            for endpoint in result.endpoints
        }
        for method, result in by_method.items()
    }


def _finite(number: float) -> float | None:
    """Return a number as JSON has it, which knows no NaN; six digits say enough."""
    return float(f"{number:.6g}") if np.isfinite(number) else None
