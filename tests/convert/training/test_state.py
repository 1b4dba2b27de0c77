"""Where training stands, and its checkpoints."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.storage import same
from isotau.convert.training import TrainConfig
from isotau.convert.training.state import FAILED, begin, finish, identity, load_state
from isotau.sim.tasks import GO_NOGO, MANTE


def test_each_seed_begins_its_own_network(few: Any) -> None:
    both, first = begin(GO_NOGO.draw, few(), [3, 8])
    (three, eight) = finish(both, few(), first.dt)
    alone, _ = begin(GO_NOGO.draw, few(), [8])
    assert same(eight.net, finish(alone, few(), first.dt)[0].net)
    assert not same(three.net, eight.net)
    assert first.task == "go-nogo" and both.running == [0, 1]


def test_results_say_how_far_each_network_came(few: Any) -> None:
    config = few(max_iterations=12)
    state, first = begin(GO_NOGO.draw, config, [0, 1, 2])
    state.losses[:] = np.arange(12)
    state.scores[:] = np.arange(8).reshape(4, 2)
    state.scores[2, 1:] = np.nan
    state.ended[1] = FAILED
    state.ended_at[:] = (12, 7, 7)
    full, failed, early = finish(state, config, first.dt)
    assert [one.status for one in (full, failed, early)] == [
        "exhausted",
        "failed",
        "stopped",
    ]
    assert failed.losses.tolist() == list(range(7)) and not full.converged
    assert [tuple(e) for e in failed.evaluations] == [(3, 0.0, 1.0), (6, 2.0, 3.0)]
    assert [tuple(e) for e in early.evaluations] == [(3, 0.0, 1.0)]


def test_a_start_must_be_as_many_as_the_seeds(few: Any) -> None:
    state, first = begin(GO_NOGO.draw, few(), [0])
    net = finish(state, few(), first.dt)[0].net
    with pytest.raises(ValueError, match=r"start: got 1 networks, need as .* \(2\)"):
        begin(GO_NOGO.draw, few(), [0, 1], [net])


def test_a_start_must_have_the_tasks_channels(few: Any) -> None:
    state, first = begin(GO_NOGO.draw, few(), [0])
    net = finish(state, few(), first.dt)[0].net
    with pytest.raises(ValueError, match=r"dt\) = \(1, 1, 0\.005\), the task's .*\(4,"):
        begin(MANTE.draw, TrainConfig(n=20), [0], [net])


@pytest.fixture
def path(few: Any, after: Any, tmp_path: Path) -> Path:
    after(few(), (0, 1), checkpoint=tmp_path / "state.npz")
    return tmp_path / "state.npz"


@pytest.mark.parametrize(
    ("changed", "seeds", "message"),
    [
        ({"tau_max": 0.05}, (0, 1), r"state\.npz: got .* of tau_max 0\.1, need 0\.05"),
        ({"rank": 2, "p_inh": None}, (0, 1), r"got .* of p_inh 0\.2, need None"),
        ({}, (0, 2), r"of seeds \[0, 1\], need \[0, 2\]; remove the file"),
    ],
)
def test_another_trainings_checkpoint_is_refused(
    changed: dict[str, Any],
    seeds: tuple[int, ...],
    message: str,
    few: Any,
    after: Any,
    path: Path,
) -> None:
    with pytest.raises(ValueError, match=message):
        after(few(**changed), seeds, checkpoint=path)


def test_a_checkpoint_of_other_starts_is_refused(
    few: Any, after: Any, path: Path
) -> None:
    nets = [trained.net for trained in after(few(), (0, 1))]
    with pytest.raises(ValueError, match=r"got a checkpoint of start None, need \['"):
        after(few(), (0, 1), start=nets, checkpoint=path)


def test_a_state_comes_back_whole(few: Any, path: Path) -> None:
    like, first = begin(GO_NOGO.draw, few(), [0, 1])
    whose = identity(few(), [0, 1], None, first)
    state = load_state(path, whose, like)
    assert state.iteration == 6 and state.ended_at.tolist() == [6, 6]
    assert np.isfinite(state.losses).all() and np.isfinite(state.scores).all()
    assert not np.array_equal(state.stack.trained["w"], like.stack.trained["w"])
    assert state.moments[1]["w"].any()
    assert state.chance[0].trials != like.chance[0].trials


def test_damaged_checkpoints_are_refused(few: Any, path: Path) -> None:
    like, first = begin(GO_NOGO.draw, few(), [0, 1])
    whose = identity(few(), [0, 1], None, first)
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)

    def refused(message: str, **changed: Any) -> None:
        np.savez(path, **(arrays | changed))
        with pytest.raises(UnreadableFile, match=message):
            load_state(path, whose, like)

    refused("not a training checkpoint .*float32", losses=np.zeros((2, 6), "f4"))
    refused("not a training checkpoint", header=np.array("{"))
    refused("not a training checkpoint", noise=np.zeros((1, 5), np.uint8))
    refused("not a training checkpoint", noise=np.full_like(arrays["noise"], 255))
    header = json.loads(str(arrays["header"]))
    for trials in ([], [{}, {}], [{"bit_generator": "MT19937"}] * 2):
        text = json.dumps(header | {"trials": trials})
        refused("not a training checkpoint", header=np.array(text))
    del arrays["first.w"]
    refused("not a training checkpoint .*first.w")
    path.write_bytes(b"PK nothing")
    with pytest.raises(UnreadableFile, match="not a readable"):
        load_state(path, whose, like)


def test_an_identity_names_the_task(few: Any) -> None:
    _, first = begin(GO_NOGO.draw, few(), [0])
    whose = identity(few(), [0], None, first)
    assert whose["task"] == "go-nogo" and whose["channels"] == [1, 1]
    other = dataclasses.replace(first, task="xor")
    assert identity(few(), [0], None, other) != whose
