"""Where the training of many networks stands between two updates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.settings import describe_settings
from isotau.convert.records.checkpoint import (
    FORMAT,
    Checkpoint,
    damage_named,
    fitting,
    read_checkpoint,
    write_checkpoint,
)
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Draw, Trials
from isotau.convert.training.parameters import (
    Stack,
    as_rate_rnn,
    from_net,
    initial,
    join,
)
from isotau.convert.training.train_config import TrainConfig

RUNNING, CONVERGED, FAILED = 0, 1, 2
STATUS = {CONVERGED: "converged", FAILED: "failed"}
"""What the end of a network that left the batch is called."""
CURVES = ("losses", "scores", "ended", "ended_at")
"""Arrays of a state that a checkpoint holds under their own names."""


class Chance(NamedTuple):
    """The states of one network's generators: of its trials, and of its noise."""

    trials: dict[str, Any]
    noise: Tensor

    def generators(self) -> tuple[np.random.Generator, torch.Generator]:
        """Return generators in these states, to be used up."""
        rng, noise = np.random.default_rng(), torch.Generator()
        rng.bit_generator.state = self.trials
        # torch 2.13 crashes on a state that is a part of another tensor
        noise.set_state(self.noise.clone())
        return rng, noise


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
    # generators of its own for each network: none depends on which others train
    for place, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        # noise has a generator of its own: its draws depend on how long trials are
        noise = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        # tells the channels; drawn for given networks, too: their trials stay the same
        first = draw(1, rng)
        if start is None:
            stacks.append(initial(config, first, noise))
        else:
            _check_task(start[place], first)
            stacks.append(from_net(start[place], config))
        chances.append(Chance(dict(rng.bit_generator.state), noise.get_state()))
    stack, nets = join(stacks), len(seeds)
    # room for all that may come: an update then copies arrays of one size
    evaluations = config.max_iterations // config.evaluate_every
    state = TrainingState(
        iteration=0,
        stack=stack,
        previous=dict(stack.trained),  # nothing to go back to but the start
        moments=(_zeros(stack.trained), _zeros(stack.trained)),
        chance=tuple(chances),
        # NaN is what was not reached
        losses=np.full((nets, config.max_iterations), np.nan),
        scores=np.full((nets, evaluations, 2), np.nan),
        ended=np.full(nets, RUNNING),
        ended_at=np.zeros(nets, dtype=np.int64),
    )
    return state, first


def finish(state: TrainingState, config: TrainConfig, dt: float) -> tuple[Trained, ...]:
    """Return the networks as they stand."""
    results = []
    for k, (ended, updates) in enumerate(
        zip(state.ended.tolist(), state.ended_at.tolist(), strict=True)
    ):
        scores = state.scores[k, : updates // config.evaluate_every]
        evaluations = tuple(
            TrainEvaluation((i + 1) * config.evaluate_every, *score)
            for i, score in enumerate(scores.tolist())
            if not np.isnan(score[1])  # it had failed before
        )
        # of a failed one, the parameters before its last update (`_accept`)
        net = as_rate_rnn(state.stack, config, dt, k)
        losses = state.losses[k, :updates].copy()
        over = updates == config.max_iterations
        status = STATUS.get(ended, "exhausted" if over else "stopped")
        results.append(Trained(net, losses, evaluations, status))
    return tuple(results)


def identity(
    config: TrainConfig,
    seeds: Sequence[int],
    start: Sequence[RateRNN] | None,
    first: Trials,
) -> dict[str, Any]:
    """Return what makes a training what it is, as JSON can hold it."""
    return {
        "format": FORMAT,
        "task": first.task,
        "dt": first.dt,
        "channels": [first.inputs.shape[2], first.targets.shape[2]],
        "seeds": [int(seed) for seed in seeds],
        "start": None if start is None else [net.fingerprint for net in start],
        **describe_settings(config),
    }


def save_state(state: TrainingState, run: dict[str, Any], path: Path) -> None:
    """Write a state and its training's identity; the file appears whole or not."""
    # generators' states have whole numbers of 128 bits, which JSON holds and npz not
    header = {
        "iteration": state.iteration,
        "trials": [chance.trials for chance in state.chance],
    }
    # "first" and "second" are Adam's moments; the names are those of older files
    arrays = {name: getattr(state, name) for name in CURVES}
    arrays["noise"] = torch.stack([chance.noise for chance in state.chance]).numpy()
    for group, parts in _tensors(state).items():
        for name, part in parts.items():
            arrays[f"{group}.{name}"] = part.numpy()
    write_checkpoint(path, run, Checkpoint(header, arrays))


def load_state(path: Path, run: dict[str, Any], like: TrainingState) -> TrainingState:
    """Return the state that a file holds.

    Args:
        path: written by `save_state`.
        run: the training that wants to go on, from `identity`.
        like: a state of that training, for names and shapes.

    Raises:
        ValueError: it belongs to another training.
        UnreadableFile: it is damaged.
    """
    header, arrays = read_checkpoint(path, run, "training")
    with damage_named(path, "training"):
        tensors = {
            group: {
                name: torch.tensor(fitting(arrays[f"{group}.{name}"], part.numpy()))
                for name, part in parts.items()
            }
            for group, parts in _tensors(like).items()
        }
        curves = {name: fitting(arrays[name], getattr(like, name)) for name in CURVES}
        noises = np.stack([chance.noise.numpy() for chance in like.chance])
        noise = torch.tensor(fitting(arrays["noise"], noises))
        chances = tuple(
            Chance(header["trials"][k], noise[k]) for k in range(len(noise))
        )
        for chance in chances:  # damaged ones are refused here, not at the next update
            chance.generators()
        return replace(
            like,
            iteration=int(header["iteration"]),
            stack=Stack(tensors["trained"], tensors["fixed"]),
            previous=tensors["previous"],
            moments=(tensors["first"], tensors["second"]),
            chance=chances,
            **curves,
        )


def _tensors(state: TrainingState) -> dict[str, dict[str, Tensor]]:
    """Return the state's groups of tensors under the names of the file."""
    return {
        "trained": state.stack.trained,
        "fixed": state.stack.fixed,
        "previous": state.previous,
        "first": state.moments[0],
        "second": state.moments[1],
    }


def _check_task(net: RateRNN, first: Trials) -> None:
    sizes = (net.n_in, net.n_out, net.dt)
    need = (first.inputs.shape[2], first.targets.shape[2], first.dt)
    if sizes != need:
        raise ValueError(
            f"start: got (inputs, outputs, dt) = {sizes}, the task's trials have {need}"
        )


def _zeros(like: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.zeros_like(part) for name, part in like.items()}
