"""Networks whose conversion loses accuracy, before and after tuning."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.repository import NETWORKS
from benchmarks.tuning.plans import plan_for
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records.rate import RateRNN
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.run_config import RunConfig
from isotau.sim.tasks import TASKS
from isotau.sim.tasks.accuracy import compare_accuracies

TRIALS, FEWER, LARGE = 1000, 400, 400
"""Trials that are scored; fewer for networks of so many units."""
LOSS = 0.01
"""Loss of accuracy, rate to chip, from which a network is tuned."""
STUDIED = (
    ("mante", 8, "calibrate"),
    ("mante-lowrank", 2, "calibrate"),
    ("softplus", 1, "calibrate"),
    ("softplus", 15, "calibrate"),
    ("dms-750", 0, "scale"),
    ("dms-750", 1, "scale"),
)
"""Networks of `benchmarks.conversion` that lost more than 0.01 there."""
TASK_OF = {"softplus": "go-nogo"}
UNSCALED = ("dms-lowrank", "scale")
"""Left out for the time that its search takes; the default conversion is in."""


class TuningCase(NamedTuple):
    """A network, its task, and the conversion it is to come through."""

    name: str
    rate: RateRNN
    task: str
    method: str


def cases(theirs: Path | None, work: Path | None) -> list[TuningCase]:
    """Return the networks that lie at hand.

    Args:
        theirs: folder with networks by others, spikeRNN `.mat`; None for none.
        work: work folder of `benchmarks.conversion`; None for none.
    """
    cases = [
        TuningCase(f"shipped {path.name}", read_rate(path).net, task, method)
        for path, task in (
            (NETWORKS / "go_nogo_N200.mat", "go-nogo"),
            (NETWORKS / "dms_750_N200.rate.npz", "dms-750"),
            (NETWORKS / "mante_N250.rate.npz", "mante"),
            (NETWORKS / "dms_lowrank_N512.npz", "dms-lowrank"),
        )
        for method in ("calibrate", "scale")
        if (task, method) != UNSCALED
    ]
    for path in sorted(theirs.glob("*.mat")) if theirs else ():
        net = read_rate(path).net
        cases += [
            TuningCase(f"by others: {path.name}", net, "go-nogo", method)
            for method in ("calibrate", "scale")
        ]
    for study, number, method in STUDIED if work else ():
        assert work is not None
        path = work / study / f"net_{number:03d}.rate.npz"
        if path.exists():
            net, task = read_rate(path).net, TASK_OF.get(study, study)
            cases.append(TuningCase(f"{study} {number}", net, task, method))
    return cases


def measure(
    case: TuningCase, *, quantized: bool = True, seed: int = 0
) -> dict[str, Any]:
    """Return a network's accuracies, as converted and, if it lost, as tuned."""
    # Lava runs one trial, since its stage is not what is measured here.
    config = RunConfig(
        task=case.task,
        method=case.method,
        trials=TRIALS if case.rate.n < LARGE else FEWER,
        lava_trials=1,
        seed=seed,
    )
    start = time.perf_counter()
    before = carry(case.rate, config)
    row: dict[str, Any] = {
        "name": case.name,
        "task": case.task,
        "method": case.method,
        "n": case.rate.n,
        "trials": config.trials,
        "seconds_to_convert": time.perf_counter() - start,
        "before": accuracies(before),
    }
    loss = row["before"]["rate"] - row["before"]["fixed"]
    row["lost"] = loss
    # Nothing to win back: the row ends with the conversion.
    if loss <= LOSS:
        return row
    start = time.perf_counter()
    plan = plan_for(TASKS[case.task], before, quantized=quantized)
    after = carry(case.rate, replace(config, tuning=plan))
    tuned = after.tuned
    assert tuned is not None
    return row | {
        # `carry` converts again before it tunes.
        "seconds_to_convert_and_tune": time.perf_counter() - start,
        "after": accuracies(after),
        "lost_after": accuracies(after)["rate"] - accuracies(after)["fixed"],
        "interval": paired(after),
        "updates": len(tuned.losses),
        "best_update": tuned.best.update,
        "status": tuned.status,
        "quantized": quantized,
    }


def accuracies(result: Result) -> dict[str, float]:
    """Return the share of right trials at each stage."""
    return {
        name: float(stage.right.mean())
        for name, stage in result.stages.items()
        if name in ("rate", "lif", "fixed")
    }


def paired(result: Result) -> tuple[float, float]:
    """Return the 95 % interval of fixed − rate on the same trials."""
    rate, fixed = (result.stages[name].right for name in ("rate", "fixed"))
    change = compare_accuracies(rate, fixed)
    return change.low, change.high
