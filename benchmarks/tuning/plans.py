"""How the networks of the tuning benchmark are tuned."""

from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.jobs.pipeline import Result
from isotau.jobs.run_config import TuningPlan
from isotau.sim.tasks import Task

STEPS = 2_000_000
"""Neuron-steps of a trial from which on batches are half as large."""


def plan_for(
    task: Task, before: Result, *, quantized: bool, timescales: float = 0.0
) -> TuningPlan:
    """Return a plan that takes a few minutes at most.

    Args:
        task: that the network was trained on.
        before: the network as converted.
        quantized: whether to tune through the chip's arithmetic.
        timescales: weight of the timescale term.
    """
    whole = before.stages["lif"].whole
    size = whole.steps * whole.n
    # The tape of a batch must fit into memory, and an update into its seconds.
    batch = 32 if size < STEPS else 16
    return TuningPlan(
        config=TuneConfig(
            batch=batch,
            updates=300,
            halve_every=75,
            evaluate_every=20,
            evaluate_trials=400,
        ),
        quantized=quantized,
        timescale_weight=timescales,
    )
