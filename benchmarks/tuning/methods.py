"""Four ways to find gradients, on one task from one start."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.records.trials import Trials, refine
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.batch import Source
from isotau.convert.tuning.loss.segments import Segments
from isotau.convert.tuning.scratch import from_scratch
from isotau.convert.tuning.tune_loop import tune
from isotau.sim.tasks import TASKS

N, UPDATES, BATCH, SEEDS = 100, 100, 16, (0, 1, 2)
LEAD = 0.1
"""Seconds without input before a trial, in which the network settles."""
BASE = TuneConfig(
    updates=UPDATES,
    batch=BATCH,
    evaluate_every=10,
    evaluate_trials=200,
    train=("w_in", "w_rec", "w_out", "b_out"),
)
RATES = (0.001, 0.003, 0.01, 0.03)
"""Learning rates of which each method has its best."""
METHODS = ("bptt", "eprop", "fptt", "eventprop")
CUT = 100
"""Steps after which EventProp's gradient goes no further back: through a second of a
recurrent network it grows beyond use."""


def go_nogo() -> Source:
    """Return the shipped networks' task, in its own steps."""
    task = TASKS["go-nogo"]

    def draw(batch: int, rng: np.random.Generator) -> Trials:
        return refine(task.draw(batch, rng), task.dt)

    return Source(draw=draw, score=task.score, lead=LEAD)


def measure() -> list[dict[str, Any]]:
    """Return a row for each method: accuracy, loss and seconds an update.

    Every method starts from the same random networks without membrane noise, which
    EventProp cannot have, sees the same trials and has as many updates. Its learning
    rate is the one that did best for the first network.
    """
    rows = []
    for method in METHODS:
        # The rate is chosen on the first network alone: four times as many runs else.
        by_rate = {rate: _run(method, rate, SEEDS[0]) for rate in RATES}
        best = min(RATES, key=lambda rate: by_rate[rate]["loss"])
        runs = [by_rate[best]] + [_run(method, best, seed) for seed in SEEDS[1:]]
        rows.append(
            {
                "method": method,
                "learning_rate": best,
                "threads": torch.get_num_threads(),
                "runs": runs,
                **{
                    name: float(np.median([run[name] for run in runs]))
                    for name in ("accuracy", "loss", "seconds_per_update")
                },
                "tried": {str(rate): run["loss"] for rate, run in by_rate.items()},
            }
        )
    return rows


def _run(method: str, rate: float, seed: int) -> dict[str, Any]:
    # Constant input holds v just above threshold: without noise no neuron would spike
    # at first, and none would have a gradient.
    silent = replace(PUBLISHED, noise_std=0.0, v_leak=PUBLISHED.v_th + 1e-3)
    net = from_scratch(N, 1, 1, constants=silent, seed=seed)
    config = replace(BASE, method=method, learning_rate=rate, seed=seed)
    if method == "eventprop":
        config = replace(config, segments=Segments(truncate=CUT))
    start = time.perf_counter()
    tuned = tune(net, go_nogo(), config=config)
    seconds = time.perf_counter() - start
    # Not `tuned.best`: an untrained network that is right by chance would be it.
    least = min(tuned.evaluations, key=lambda point: point.losses["total"])
    return {
        "seed": seed,
        "accuracy": least.accuracy,
        "loss": least.losses["total"],
        "first_loss": tuned.evaluations[0].losses["total"],
        "best_update": least.update,
        "status": tuned.status,
        "problem": tuned.problem,
        "seconds_per_update": seconds / max(len(tuned.losses), 1),
        "course": [
            [point.update, point.losses["total"], point.accuracy]
            for point in tuned.evaluations
        ],
    }
