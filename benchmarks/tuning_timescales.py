"""What tuning does to timescales, with the term for them and without."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tuning_bits import PRESERVE, on_chip, reference_of, verdict
from tuning_networks import Case, accuracies
from tuning_plans import plan_for

from isotau.pipeline import carry
from isotau.run_config import RunConfig
from isotau.sim.tasks import TASKS

WEIGHT = 1.0
TRIALS = 400


def measure(case: Case, *, seed: int = 0) -> dict[str, Any]:
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
    ways = {
        "as converted": None,
        "tuned": plan,
        "tuned, timescales of rate": replace(plan, timescale_weight=WEIGHT),
        "tuned, timescales of lif": replace(
            plan, timescale_weight=WEIGHT, reference="lif"
        ),
    }
    rows = []
    for way, chosen in ways.items():
        started = time.perf_counter()
        made = base
        if chosen is not None:
            made = carry(case.rate, replace(config, tuning=chosen))
        measured = on_chip(made)
        row = {
            "way": way,
            "seconds": time.perf_counter() - started,
            "accuracy": accuracies(made),
            **{
                f"{stage}_to_fixed": verdict(reference, stage, measured)
                for stage in ("rate", "lif")
            },
        }
        if made.tuned is not None:
            tuned = made.tuned
            row["losses"] = [tuned.evaluations[0].losses, tuned.best.losses]
        rows.append(row)
    return {
        "name": case.name,
        "task": case.task,
        "trials": PRESERVE.trials,
        "weight": WEIGHT,
        "rows": rows,
    }


def widths(rows: Sequence[Mapping[str, Any]], stage: str, method: str) -> list[float]:
    """Return the width of the interval of the shift of log τ, for each row."""
    found = []
    for row in rows:
        _, low, high = row[f"{stage}_to_fixed"]["intervals"][method]["shift"]
        found.append(float("nan") if low is None or high is None else high - low)
    return found
