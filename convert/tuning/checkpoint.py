"""Tuning sessions on disk: one `.npz`, no pickle, written atomically."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import atomic
from isotau.convert.ground.npz import read_npz
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.storage import MAX_BYTES, fingerprint
from isotau.convert.training.checkpoint import check_identity
from isotau.convert.tuning.evaluate import TuneEvaluation
from isotau.convert.tuning.learner.tune_config import TuneConfig, describe
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.session import Quantization, Session

FORMAT = 1
DAMAGED = (KeyError, IndexError, TypeError, ValueError, RuntimeError)
"""What a file that is no checkpoint makes json, numpy and torch raise."""
LASTING = ("updates", "patience", "stop_accuracy")
"""What may differ between a tuning and the one that goes on from its checkpoint."""


class Snapshot(NamedTuple):
    """All that the next update needs, copied."""

    header: dict[str, Any]
    arrays: dict[str, np.ndarray]


def identity(
    net: LIFNetwork,
    objective: Objective,
    config: TuneConfig,
    quantization: Quantization | None,
) -> dict[str, Any]:
    """Return what makes a tuning what it is, as JSON can hold it."""
    said = {k: v for k, v in describe(config).items() if k not in LASTING}
    return {
        "format": FORMAT,
        "network": fingerprint(net),
        "objective": digest(objective),
        "quantization": digest(quantization),
        **said,
    }


def digest(value: Any) -> str:
    """Return a SHA-256 of records, arrays and plain values, nested as they may be."""
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()


def snapshot(session: Session) -> Snapshot:
    """Return a copy of where a session stands."""
    learner = session.learner
    arrays: dict[str, np.ndarray] = {
        "chance": learner.chance.get_state().numpy().copy()
    }
    for name, part in session.parameters().items():
        arrays[f"now.{name}"] = part.cpu().numpy()
    for name, part in session.best.items():
        arrays[f"best.{name}"] = part.cpu().numpy()
    for name, part in session.method.state().items():
        arrays[f"method.{name}"] = part.detach().cpu().numpy().copy()
    for group in learner.optimizer.param_groups:
        for name, part in learner.optimizer.state[group["params"][0]].items():
            arrays[f"adam.{group['name']}.{name}"] = part.detach().cpu().numpy().copy()
    header = {
        "update": session.update,
        "rng": session.rng.bit_generator.state,
        "losses": list(session.losses),
        "evaluations": [e._asdict() for e in session.evaluations],
        "best": None
        if session.best_evaluation is None
        else session.best_evaluation.update,
    }
    return Snapshot(header, arrays)


def write(safe: Snapshot, whose: dict[str, Any], path: Path) -> None:
    """Write a snapshot and whose it is; the file appears whole or not."""
    text = np.array(json.dumps({"whose": whose, **safe.header}, sort_keys=True))
    members: dict[str, Any] = {"header": text, **safe.arrays}
    with atomic(path) as stream:
        np.savez(stream, **members)


def restore(session: Session, path: Path, whose: dict[str, Any]) -> None:
    """Bring a session that has just begun to where a file's tuning stood.

    Args:
        session: of the same tuning; changed.
        path: written by `write`.
        whose: what the tuning is, from `identity`.

    Raises:
        ValueError: it belongs to another tuning.
        UnreadableFile: it is damaged.
    """
    arrays = read_npz(path, max_bytes=MAX_BYTES)
    try:
        header = json.loads(str(arrays["header"]))
        theirs = dict(header["whose"])
    except DAMAGED as error:
        raise UnreadableFile(f"{path}: not a tuning checkpoint ({error})") from error
    check_identity(path, theirs, json.loads(json.dumps(whose)))
    try:
        _fill(session, header, arrays)
    except DAMAGED as error:
        raise UnreadableFile(f"{path}: not a tuning checkpoint ({error})") from error


def _fill(
    session: Session, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    learner = session.learner
    groups: dict[str, dict[str, torch.Tensor]] = {"method": {}, "best": {}}
    for name, array in arrays.items():
        group, _, rest = name.partition(".")
        if group in groups:
            groups[group][rest] = torch.tensor(
                array, device=learner.module.w_rec.device
            )
    for name, part in learner.parameters().items():
        with torch.no_grad():
            part.copy_(_like(arrays[f"now.{name}"], part))
        if header["best"] is not None:
            session.best[name] = _like(arrays[f"best.{name}"], part)
    state: dict[int, Any] = {}
    for k, adam in enumerate(learner.optimizer.param_groups):
        head = f"adam.{adam['name']}."
        moments = {
            key[len(head) :]: value
            for key, value in arrays.items()
            if key.startswith(head)
        }
        if moments:
            state[k] = {key: torch.tensor(value) for key, value in moments.items()}
    packed = learner.optimizer.state_dict()
    learner.optimizer.load_state_dict({**packed, "state": state})
    # a copy: torch 2.13 crashes on a state that is a part of another tensor
    learner.chance.set_state(torch.tensor(arrays["chance"]).clone())
    session.method.restore(groups["method"])
    session.rng.bit_generator.state = header["rng"]
    session.update = int(header["update"])
    session.losses[:] = [dict(parts) for parts in header["losses"]]
    session.evaluations[:] = [TuneEvaluation(**told) for told in header["evaluations"]]
    for told in session.evaluations:
        if told.update == header["best"]:
            session.best_evaluation = told


def _like(array: np.ndarray, part: torch.Tensor) -> torch.Tensor:
    made = torch.tensor(array, device=part.device)
    if made.shape != part.shape or made.dtype != part.dtype:
        raise TypeError(
            f"got {made.dtype} {tuple(made.shape)}, need {part.dtype} "
            f"{tuple(part.shape)}"
        )
    return made


def _feed(state: Any, value: Any) -> None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            state.update(field.name.encode())
            _feed(state, getattr(value, field.name))
    elif isinstance(value, np.ndarray):
        state.update(f"{value.dtype}{value.shape}".encode())
        state.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, tuple | list):
        state.update(f"{type(value).__name__}{len(value)}".encode())
        for part in value:
            _feed(state, part)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            state.update(str(key).encode())
            _feed(state, value[key])
    else:
        state.update(repr(value).encode())
