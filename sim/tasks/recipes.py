"""Recipes: how networks for each task are trained, found by trying."""

import dataclasses
from typing import Any, NamedTuple

from isotau.convert.training import TrainConfig
from isotau.sim.tasks import TASKS, Task
from isotau.sim.tasks.lessons import (
    dms_lesson,
    dms_lowrank_lesson,
    mante_lesson,
    romo_lesson,
)


class RecipeStage(NamedTuple):
    """A part of a recipe; it goes on from the networks of the one before.

    Attributes:
        task: what is trained.
        config: how.
        truncate_to: rank to which the given networks are cut first; None for as is.
    """

    task: Task
    config: TrainConfig
    truncate_to: int | None = None


GO_NOGO = TrainConfig(
    n=200,
    # More than published, found by trying (see `RECIPES`).
    inhibition=4.0,
    tau_max=0.050,
    clip=1.0,
    batch=16,
    min_trials=6400,
    stop_loss=1.5,
)
UNBOUNDED: dict[str, Any] = {"ceiling": 20.0, "rate_penalty": 0.02}
"""What relu and softplus networks need besides: spikeRNN's ceiling, lower rates."""
KIM = TrainConfig(
    inhibition=4.0,
    batch=16,
    evaluate_every=20,
    min_trials=0,
    stop_accuracy=0.98,
    # Three looks in a row: one may be luck on few trials.
    stop_after=3,
    max_iterations=600,
)
# A lesson is left as soon as it is understood: the task itself asks for more.
LESSON: dict[str, Any] = {"stop_after": 1, "stop_loss": 4.0, "max_iterations": 400}
LOW_RANK = TrainConfig(
    n=512,
    p_inh=None,
    rank=2,
    overlap=1.5,
    activation="tanh",
    loss="mse",
    tau_min=0.100,
    tau_max=0.100,
    noise_std=0.05,
    training_noise_std=0.05,
    x0_std=0.0,
    # Outputs of the published networks are sums divided by N.
    w_out_std=4 / 512,
    train_inputs="gains",
    train_outputs="gains",
    clip=1.0,
    max_iterations=600,
    evaluate_every=25,
    min_trials=0,
    stop_loss=0.05,
    stop_after=2,
)


def _with(config: TrainConfig, **changes: Any) -> TrainConfig:
    return dataclasses.replace(config, **changes)


def _kim_dms(n: int, task: str) -> tuple[RecipeStage, ...]:
    """Return the recipe of a DMS task, up to the task's own delay."""
    config = _with(KIM, n=n, tau_max=0.125)
    short = _with(config, **LESSON)
    # From a delay of 25 ms up: at 750 ms a random network gets almost no gradient.
    lessons = [dms_lesson(before=20, stimulus=20, delay=5, response=40)]
    lessons += [dms_lesson(before=30, stimulus=50, delay=10, response=60)]
    if task == "dms-750":
        lessons += [dms_lesson(before=30, stimulus=50, delay=60, response=80)]
    last = RecipeStage(TASKS[task], _with(config, stop_loss=4.5))
    return (*(RecipeStage(lesson, short) for lesson in lessons), last)


def _mante() -> tuple[RecipeStage, ...]:
    config = _with(KIM, n=250, tau_max=0.050)
    short = _with(config, **LESSON)
    lessons = (
        # First which stream counts, without noise; then the noise; then the length.
        mante_lesson(noise=0.0, stimulus=40, response=40),
        mante_lesson(noise=0.5, stimulus=60, response=60),
        mante_lesson(noise=1.0, stimulus=120, response=120),
    )
    last = RecipeStage(TASKS["mante"], _with(config, stop_loss=5.0))
    return (*(RecipeStage(lesson, short) for lesson in lessons), last)


REMEMBER = (
    dms_lowrank_lesson(stimulus=10, delays=(1, 3), response=10, noise=0.0),
    dms_lowrank_lesson(stimulus=25, delays=(25, 35), response=50, noise=0.03),
    dms_lowrank_lesson(stimulus=25, delays=(25, 75), response=50, noise=0.03),
)
"""Lessons before the low-rank papers' DMS."""


def _dms_lowrank() -> tuple[RecipeStage, ...]:
    short = _with(LOW_RANK, stop_after=1)
    last = RecipeStage(TASKS["dms-lowrank"], _with(LOW_RANK, learning_rate=0.003))
    return (*(RecipeStage(lesson, short) for lesson in REMEMBER), last)


def _dms_full_rank() -> tuple[RecipeStage, ...]:
    """Return the recipe of a network of full rank for the low-rank papers' DMS."""
    config = _with(
        LOW_RANK, rank=None, p_rec=1.0, gain=0.8, overlap=0.0, learning_rate=1e-4
    )
    short = _with(config, stop_after=1)
    last = RecipeStage(TASKS["dms-lowrank"], config)
    return (*(RecipeStage(lesson, short) for lesson in REMEMBER), last)


def _romo() -> tuple[RecipeStage, ...]:
    config = _with(
        LOW_RANK,
        noise_std=0.005,
        training_noise_std=0.01,
        overlap=0.8,
        stop_loss=0.002,
        max_iterations=800,
    )
    short = _with(config, stop_after=1, stop_loss=0.01)
    lessons = (romo_lesson(delays=(5, 10)), romo_lesson(delays=(25, 50)))
    last = RecipeStage(
        TASKS["romo"], _with(config, learning_rate=0.003, stop_accuracy=0.97)
    )
    return (*(RecipeStage(lesson, short) for lesson in lessons), last)


RECIPES: dict[str, tuple[RecipeStage, ...]] = {
    "go-nogo": (RecipeStage(TASKS["go-nogo"], GO_NOGO),),
    "xor": _kim_dms(200, "xor"),
    "dms-750": _kim_dms(200, "dms-750"),
    "mante": _mante(),
    "rdm": (RecipeStage(TASKS["rdm"], _with(LOW_RANK, rank=1, overlap=0.0)),),
    "mante-lowrank": (
        RecipeStage(
            TASKS["mante-lowrank"],
            _with(
                LOW_RANK,
                rank=1,
                overlap=0.0,
                train_inputs="weights",
                max_iterations=1500,
            ),
        ),
    ),
    "romo": _romo(),
    "dms-lowrank": _dms_lowrank(),
    "dms-full-rank": _dms_full_rank(),
}
"""By the task's name, and one more of full rank. Sigmoid networks under Dale's law
follow Kim, Li & Sejnowski 2019 (doi:10.1073/pnas.1905926116), with more inhibition and
easier lessons first; tanh networks of low rank follow Dubreuil et al. 2022,
doi:10.1038/s41593-022-01088-4."""
