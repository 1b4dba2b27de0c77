"""Training states on disk: one `.npz`, no pickle, written atomically."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import atomic
from isotau.convert.ground.npz import read_npz
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.storage import MAX_BYTES, fingerprint
from isotau.convert.records.trials import Trials
from isotau.convert.training.parameters import Stack
from isotau.convert.training.state import Chance, TrainingState
from isotau.convert.training.train_config import TrainConfig, describe

FORMAT = 1
DAMAGED = (KeyError, IndexError, TypeError, RuntimeError, json.JSONDecodeError)
"""What a file that is no checkpoint makes json, numpy and torch raise."""


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
        "start": None if start is None else [fingerprint(net) for net in start],
        **describe(config),
    }


def save_state(state: TrainingState, whose: dict[str, Any], path: Path) -> None:
    """Write a state and whose it is; the file appears whole or not."""
    header = {
        "whose": whose,
        "iteration": state.iteration,
        "trials": [chance.trials for chance in state.chance],
    }
    arrays: dict[str, Any] = {
        "header": np.array(json.dumps(header, sort_keys=True)),
        "noise": torch.stack([chance.noise for chance in state.chance]).numpy(),
        "losses": state.losses,
        "scores": state.scores,
        "ended": state.ended,
        "ended_at": state.ended_at,
    }
    for group, parts in _tensors(state).items():
        for name, part in parts.items():
            arrays[f"{group}.{name}"] = part.numpy()
    with atomic(path) as stream:
        np.savez(stream, **arrays)


def load_state(path: Path, whose: dict[str, Any], like: TrainingState) -> TrainingState:
    """Return the state that a file holds.

    Args:
        path: written by `save_state`.
        whose: the training that wants to go on.
        like: a state of that training, for names and shapes.

    Raises:
        ValueError: it belongs to another training.
        UnreadableFile: it is damaged.
    """
    arrays = read_npz(path, max_bytes=MAX_BYTES)
    try:
        header = json.loads(str(arrays["header"]))
        check_identity(path, header["whose"], whose)
        parts = {
            group: {
                name: _like(arrays[f"{group}.{name}"], part.numpy())
                for name, part in named.items()
            }
            for group, named in _tensors(like).items()
        }
        kept = {
            name: _like(arrays[name], getattr(like, name))
            for name in ("losses", "scores", "ended", "ended_at")
        }
        noises = np.stack([chance.noise.numpy() for chance in like.chance])
        noise = torch.tensor(_like(arrays["noise"], noises))
        chance = [
            _checked(Chance(header["trials"][k], noise[k].clone()))
            for k in range(len(like.chance))
        ]
    except DAMAGED as error:
        raise UnreadableFile(f"{path}: not a training checkpoint ({error})") from error
    tensors = {
        group: {name: torch.tensor(part) for name, part in named.items()}
        for group, named in parts.items()
    }
    return replace(
        like,
        iteration=int(header["iteration"]),
        stack=Stack(tensors["trained"], tensors["fixed"]),
        previous=tensors["previous"],
        moments=(tensors["first"], tensors["second"]),
        chance=tuple(chance),
        **kept,
    )


def _tensors(state: TrainingState) -> dict[str, Any]:
    """Return the state's groups of tensors under the names of the file."""
    return {
        "trained": state.stack.trained,
        "fixed": state.stack.fixed,
        "previous": state.previous,
        "first": state.moments[0],
        "second": state.moments[1],
    }


def _checked(chance: Chance) -> Chance:
    """Return the states of generators after trying them.

    They are copies: torch 2.13 crashes on a state that is a part of another tensor.
    """
    try:
        np.random.default_rng().bit_generator.state = chance.trials
    except ValueError as error:
        raise TypeError(str(error)) from error
    torch.Generator().set_state(chance.noise)
    return chance


def _like(array: np.ndarray, other: np.ndarray) -> np.ndarray:
    if array.shape != other.shape or array.dtype != other.dtype:
        raise TypeError(
            f"got {array.dtype} {array.shape}, need {other.dtype} {other.shape}"
        )
    return array


def check_identity(path: Path, got: dict[str, Any], need: dict[str, Any]) -> None:
    """Raise if a file is of another training than the one that wants to go on.

    Raises:
        ValueError: it names what differs.
    """
    names = sorted(set(got) | set(need))
    wrong = [name for name in names if got.get(name) != need.get(name)]
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"{path}: got a checkpoint of {name} {got.get(name)!r}, need "
            f"{need.get(name)!r}; remove the file or name another"
        )
