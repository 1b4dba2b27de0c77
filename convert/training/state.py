"""Where the training of many networks stands between two updates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from isotau.convert.ground.representation import short_repr
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials
from isotau.convert.training.parameters import (
    Stack,
    as_rate_rnn,
    from_net,
    initial,
    join,
)
from isotau.convert.training.train_config import TrainConfig

Draw = Callable[[int, np.random.Generator], Trials]
Score = Callable[[Any, Trials], np.ndarray]
RUNNING, CONVERGED, FAILED = 0, 1, 2
STATUS = {CONVERGED: "converged", FAILED: "failed"}
"""What the end of a network that left the batch is called."""


class Chance(NamedTuple):
    """The states of one network's generators: of its trials, and of its noise."""

    trials: dict[str, Any]
    noise: Tensor


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingState:
    """All that the next update needs; K networks, those that ended among them.

    An update returns a new state and leaves the old one as it is, so that an interrupt
    loses at most one update.

    Attributes:
        iteration: updates done.
        stack: the networks.
        previous: the trained parameters before the last update of each.
        moments: Adam's first and second moments, by the names of the parameters.
        chance: of each network.
        losses: K × iterations; before each update.
        scores: K × evaluations × (loss, accuracy).
        ended: K, one of RUNNING, CONVERGED, FAILED.
        ended_at: K, the updates that each network has had.
    """

    iteration: int
    stack: Stack
    previous: dict[str, Tensor]
    moments: tuple[dict[str, Tensor], dict[str, Tensor]]
    chance: tuple[Chance, ...]
    losses: Float64[np.ndarray, "nets iterations"]
    scores: Float64[np.ndarray, "nets evaluations 2"]
    ended: Int64[np.ndarray, " nets"]
    ended_at: Int64[np.ndarray, " nets"]

    @property
    def running(self) -> list[int]:
        """Places of the networks that still train."""
        return np.flatnonzero(self.ended == RUNNING).tolist()


class TrainEvaluation(NamedTuple):
    """How a network did on fresh trials after some updates."""

    iteration: int
    loss: float
    accuracy: float


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network and how it came about.

    Attributes:
        net: the network after its last update; of a failed one, before it failed.
        losses: loss of every update, before it.
        evaluations: in order.
        status: "converged" where the stop rule was met, "failed" where the loss or its
            gradient was no finite number any more, "exhausted" after the last update
            allowed, "stopped" where training was ended before.
    """

    net: RateRNN
    losses: Float64[np.ndarray, " iterations"]
    evaluations: tuple[TrainEvaluation, ...]
    status: str

    @property
    def converged(self) -> bool:
        """Whether the stop rule was met."""
        return self.status == "converged"


def begin(
    draw: Draw,
    config: TrainConfig,
    seeds: Sequence[int],
    start: Sequence[RateRNN] | None = None,
) -> tuple[TrainingState, Trials]:
    """Return the state before the first update, and one trial of the task.

    Raises:
        ValueError: the networks to start from are not as many as the seeds, or not as
            the configuration and the task need them.
    """
    if start is not None and len(start) != len(seeds):
        raise ValueError(
            f"start: got {len(start)} networks, need as many as seeds ({len(seeds)})"
        )
    stacks, chances = [], []
    for place, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        noise = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        first = draw(1, rng)
        if start is None:
            stacks.append(initial(config, first, noise))
        else:
            _check_task(start[place], first)
            stacks.append(from_net(start[place], config))
        chances.append(Chance(dict(rng.bit_generator.state), noise.get_state()))
    stack, nets = join(stacks), len(seeds)
    evaluations = config.max_iterations // config.evaluate_every
    state = TrainingState(
        iteration=0,
        stack=stack,
        previous=dict(stack.trained),
        moments=(_zeros(stack.trained), _zeros(stack.trained)),
        chance=tuple(chances),
        losses=np.full((nets, config.max_iterations), np.nan),
        scores=np.full((nets, evaluations, 2), np.nan),
        ended=np.full(nets, RUNNING),
        ended_at=np.zeros(nets, dtype=np.int64),
    )
    return state, first


def finish(state: TrainingState, config: TrainConfig, dt: float) -> tuple[Trained, ...]:
    """Return the networks as they stand."""
    found = []
    for k, (ended, updates) in enumerate(
        zip(state.ended.tolist(), state.ended_at.tolist(), strict=True)
    ):
        scores = state.scores[k, : updates // config.evaluate_every]
        evaluations = tuple(
            TrainEvaluation((i + 1) * config.evaluate_every, *score)
            for i, score in enumerate(scores.tolist())
            if not np.isnan(score[1])  # it had failed before
        )
        net = as_rate_rnn(state.stack, config, dt, k)
        losses = state.losses[k, :updates].copy()
        over = updates == config.max_iterations
        status = STATUS.get(ended, "exhausted" if over else "stopped")
        found.append(Trained(net, losses, evaluations, status))
    return tuple(found)


def _check_task(net: RateRNN, first: Trials) -> None:
    got = (net.n_in, net.n_out, net.dt)
    need = (first.inputs.shape[2], first.targets.shape[2], first.dt)
    if got != need:
        raise ValueError(
            f"start: got (inputs, outputs, dt) = {got}, the task's trials have {need}"
        )


def _zeros(like: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.zeros_like(part) for name, part in like.items()}
