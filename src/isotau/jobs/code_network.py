"""Do the units with long timescales hold a memory stably, and still do on the chip?

A network is carried to the chip, its timescales are measured without input, and the
memory code of its long- and short-τ units in the task's delay at every stage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.rate import RateRNN
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.quiet import run_quiet
from isotau.jobs.run_config import RunConfig
from isotau.sim.coding.discriminability import stability
from isotau.sim.coding.measure import StageData, measure_stages, published
from isotau.sim.coding.memory_code import CodingConfig, MemoryCode
from isotau.sim.coding.responses import WIDTH, Contrast, respond
from isotau.sim.tasks import TASKS, Task
from isotau.sim.tasks.choose_task import choose_task
from isotau.sim.timescales.estimators.ml import ml
from isotau.sim.timescales.records.record import Timescales

EVERY = 0.01
"""Seconds between samples of the smoothed rates: a fifth of the smoothing window."""
TRAINING = 0.2
"""Seconds of the delay's start in which decoders are trained; the half-lives follow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeConfig:
    """How a network's memory code is measured.

    Attributes:
        run: how the network is converted; its trials are those that are decoded.
        quiet_trials: without input, from which timescales come.
        length: of such a trial, in seconds.
        settle: seconds before it in which the network settles.
        coding: how codes are measured; its times come from the task instead.
    """

    run: RunConfig = field(default_factory=lambda: RunConfig(task="dms-750"))
    quiet_trials: int = 100
    length: float = 1.0
    settle: float = 0.5
    coding: CodingConfig = field(default_factory=CodingConfig)

    def __post_init__(self) -> None:
        """Check the numbers."""
        validation.whole("quiet_trials", self.quiet_trials, 3, 1 << 20)
        validation.number("length", self.length, positive=True)
        validation.number("settle", self.settle, minimum=0)


@short_repr
class NetworkCode(NamedTuple):
    """The memory code of a network at every stage.

    Attributes:
        result: the network, carried to the chip.
        timescales: of each stage's neurons without input.
        codes: of each stage, by its own timescales.
        as_published: mean discriminability off over on the diagonal in the delay, of
            each stage's "all", "long" and "short" units, by the published measure.
    """

    result: Result
    timescales: Mapping[str, Timescales]
    codes: Mapping[str, MemoryCode]
    as_published: Mapping[str, Mapping[str, float]]


def code_network(
    rate: RateRNN, config: CodeConfig | None = None, *, progress: Progress = silent
) -> NetworkCode:
    """Return what a network's units hold of the first stimulus, at every stage.

    Args:
        rate: the network.
        config: how; None for the defaults, of a `dms-750` network.
        progress: is given the steps as they pass.

    Raises:
        ValueError: a task without a delay between two stimuli, or one too short; a
            network that does not fit the task, has too few units with a timescale or
            was shown too few trials.
        DoesNotFit: it does not fit the chip.
    """
    config = CodeConfig() if config is None else config
    # Refused before the network is carried, which takes most of the time.
    contrast, coding = _in_delay(choose_task(rate, config.run.task), config)
    result = carry(rate, config.run, progress=progress)
    quiet = run_quiet(
        result,
        trials=config.quiet_trials,
        length=config.length,
        settle=config.settle,
        seed=config.run.seed,
    )
    timescales = {stage: ml(runs.first) for stage, runs in quiet.items()}
    data, as_published = {}, {}
    for stage, runs in quiet.items():
        spikes, labels = result.stages[stage].spikes, result.plan.test.labels
        responses = [respond(spikes, labels, contrast, every=EVERY)]
        # Fano factors are of trials without input, where no stimulus makes counts vary.
        data[stage] = StageData(responses, [timescales[stage]], [runs.first])
        # All trials: the published dozen is for networks by the score.
        halves = published(responses, [timescales[stage]], trials=None)
        as_published[stage] = {
            name: stability(c.matrix, c.times, coding.delay, lag=coding.lag).ratio
            for name, c in halves.items()
        }
    rng = np.random.default_rng(config.run.seed)
    codes = measure_stages(data, rng, coding, progress=progress)
    return NetworkCode(result, timescales, codes, as_published)


def _in_delay(task: Task, config: CodeConfig) -> tuple[Contrast, CodingConfig]:
    """Return what is to be told apart in a task's delay, and how that is measured."""
    delay = task.delay
    if delay is None:
        able = ", ".join(name for name in TASKS if TASKS[name].delay is not None)
        raise ValueError(
            f"task: got {task.name}, which has no delay after a first of two stimuli, "
            f"need one that has: {able}"
        )
    # Before, the window of the rates still sees the stimulus.
    start = delay.start + WIDTH
    coding = config.coding
    # Two samples further apart than the lag, behind the window: else nothing is "off".
    shortest = WIDTH + coding.lag + coding.step
    if delay.stop - delay.start <= shortest:
        raise ValueError(
            f"task: got {task.name} with a delay of "
            f"{1e3 * (delay.stop - delay.start):.0f} ms, need more than "
            f"{1e3 * shortest:.0f} ms to see a code stay"
        )
    coding = replace(coding, delay=(start, delay.stop), train=(start, start + TRAINING))
    return Contrast(*delay.labels), coding
