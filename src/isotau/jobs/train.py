"""`isotau train`: many rate networks for one task, into one folder."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import isotau
from isotau.convert.ground import files, validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.settings import describe_settings, six_digits
from isotau.convert.records import storage
from isotau.convert.records.rate import RateRNN
from isotau.convert.training import Trained, train_many, truncate
from isotau.jobs.run_config import independent_seeds
from isotau.sim.tasks.recipes import RECIPES, UNBOUNDED, RecipeStage

CURVES = "curves.json"
SHARED = ("n", "tau_min", "tau_max", "activation", "training_noise_std", "batch")
"""Fields of a request that every stage of the recipe takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainRequest:
    """What `train_networks` is asked for; None stands for what the recipe says.

    Attributes:
        task: a key of `RECIPES`.
        count: number of networks.
        seed: of everything that is drawn.
        n: units of each network.
        tau_min: lower end of the range of τ, in seconds.
        tau_max: its upper end.
        activation: one of `activation.ACTIVATIONS`; relu and softplus come with
            `recipes.UNBOUNDED`.
        training_noise_std: noise on x in every step while training.
        batch: trials per update.
        max_iterations: updates of the last stage, after which training ends.
    """

    task: str = "go-nogo"
    count: int = 40
    seed: int = 0
    n: int | None = None
    tau_min: float | None = None
    tau_max: float | None = None
    activation: str | None = None
    training_noise_std: float | None = None
    batch: int | None = None
    max_iterations: int | None = None

    def __post_init__(self) -> None:
        """Check what the configurations of the stages do not."""
        validation.choice("task", self.task, sorted(RECIPES))
        validation.whole("count", self.count, 1, 1 << 16)
        validation.whole("seed", self.seed, 0, 2**63 - 1)

    def stages(self) -> tuple[RecipeStage, ...]:
        """Return the recipe with the changes."""
        options = {name: getattr(self, name) for name in SHARED}
        changes = {name: value for name, value in options.items() if value is not None}
        if self.activation in ("relu", "softplus"):
            changes |= UNBOUNDED
        *before, last = (_changed(stage, changes) for stage in RECIPES[self.task])
        # Earlier stages end by their own rules: only the last one may take long.
        if self.max_iterations is not None:
            last = _changed(last, {"max_iterations": self.max_iterations})
        return (*before, last)


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Training:
    """Networks that were trained, and where they are.

    Attributes:
        request: what was asked for.
        folder: holds net_000.rate.npz, …, and curves.json.
        stages: the networks after each stage.
    """

    request: TrainRequest
    folder: Path
    stages: tuple[tuple[Trained, ...], ...]

    @property
    def converged(self) -> int:
        """Number of networks that met the last stage's stop rule."""
        return sum(trained.converged for trained in self.stages[-1])


def train_networks(
    request: TrainRequest,
    folder: Path,
    *,
    progress: Progress = silent,
    stop: Callable[[], bool] | None = None,
) -> Training:
    """Return networks trained by their task's recipe, after writing them to a folder.

    The folder also takes a checkpoint of each stage; asked again with the same request,
    training goes on from there, and what is finished is not done again.

    Args:
        request: what to train.
        folder: is made if it does not exist.
        progress: is given the updates as they pass.
        stop: asked before every update; True ends training early.

    Raises:
        ValueError: the folder's checkpoints are of another request.
    """
    stages: list[tuple[Trained, ...]] = []
    start: list[RateRNN] | None = None
    for number, stage in enumerate(request.stages()):
        # A low-rank network is trained at full rank first, and then cut.
        if start is not None and stage.truncate_to is not None:
            start = [truncate(net, stage.truncate_to) for net in start]
        stages.append(
            train_many(
                stage.task.draw,
                # Its margin to the published rule is for the noise of the stages after.
                stage.task.score_strict,
                stage.config,
                # Seeds of the stage: one that is done changes none that follows.
                seeds=seeds_of(request, number),
                start=start,
                progress=progress,
                checkpoint=folder / f"stage_{number}.checkpoint.npz",
                stop=stop,
            )
        )
        start = [trained.net for trained in stages[-1]]
    # Only now: a folder with networks holds those of the last stage.
    training = Training(request=request, folder=folder, stages=tuple(stages))
    _write(training)
    return training


def seeds_of(request: TrainRequest, stage: int) -> list[int]:
    """Return a seed for each network of a stage, each below 2^63."""
    return independent_seeds([request.seed, stage], request.count)


def summary(training: Training) -> str:
    """Return what came of it, in one line."""
    last = training.stages[-1]
    updates = [sum(s[k].losses.size for s in training.stages) for k in range(len(last))]
    return (
        f"{training.converged} of {len(last)} networks learned {training.request.task} "
        f"(updates: median {np.median(updates):.0f}, most {max(updates)}); "
        f"in {training.folder}"
    )


def file_name(k: int) -> str:
    """Return the name of network k's file."""
    return f"net_{k:03d}.rate.npz"


def _write(training: Training) -> None:
    last = training.stages[-1]
    for k, trained in enumerate(last):
        storage.save(trained.net, training.folder / file_name(k))
    networks = [
        {
            "file": file_name(k),
            "status": trained.status,
            "stages": [_curve(stage[k]) for stage in training.stages],
        }
        for k, trained in enumerate(last)
    ]
    stages = [
        {"task": stage.task.name, "truncate_to": stage.truncate_to}
        | describe_settings(stage.config)
        for stage in training.request.stages()
    ]
    content = {
        "isotau": isotau.__version__,
        "request": dataclasses.asdict(training.request),
        "stages": stages,
        "networks": networks,
    }
    # A loss may have left the range of floats; JSON has no word for that but null.
    text = json.dumps(content, indent=1, allow_nan=False)
    files.write_text(training.folder / CURVES, text + "\n")


def _curve(trained: Trained) -> dict[str, Any]:
    """Return a network's learning curve; a loss that was no finite number is null."""
    return {
        "status": trained.status,
        "losses": [six_digits(loss) for loss in trained.losses.tolist()],
        "evaluations": [
            {
                "iteration": e.iteration,
                "loss": six_digits(e.loss),
                "accuracy": e.accuracy,
            }
            for e in trained.evaluations
        ],
    }


def _changed(stage: RecipeStage, changes: dict[str, Any]) -> RecipeStage:
    return stage._replace(config=dataclasses.replace(stage.config, **changes))
