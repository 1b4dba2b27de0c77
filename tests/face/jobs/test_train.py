import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.convert.records.storage import load, same
from isotau.convert.training import TrainConfig
from isotau.jobs.train import TrainRequest, seeds_of, summary, train_networks
from isotau.sim.tasks import GO_NOGO
from isotau.sim.tasks.recipes import RECIPES, RecipeStage


def tiny(**changed: Any) -> TrainConfig:
    fields: dict[str, Any] = {
        "n": 20,
        "batch": 4,
        "max_iterations": 4,
        "evaluate_every": 2,
        "evaluate_trials": 10,
        "min_trials": 0,
    }
    return TrainConfig(**(fields | changed))


@pytest.fixture
def recipe(monkeypatch: Any) -> None:
    """Puts two short stages in place of a recipe: full rank, then cut to rank 2."""
    low = tiny(p_inh=None, rank=2, max_iterations=6)
    stages = (
        RecipeStage(GO_NOGO, tiny(p_inh=None)),
        RecipeStage(GO_NOGO, low, truncate_to=2),
    )
    monkeypatch.setitem(RECIPES, "go-nogo", stages)


def test_a_folder_holds_networks_and_their_curves(recipe: None, tmp_path: Path) -> None:
    request = TrainRequest(count=3, tau_min=0.03, tau_max=0.03, max_iterations=2)
    training = train_networks(request, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "curves.json",
        "net_000.rate.npz",
        "net_001.rate.npz",
        "net_002.rate.npz",
        "stage_0.checkpoint.npz",
        "stage_1.checkpoint.npz",
    ]
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert curves["request"]["count"] == 3 and curves["request"]["n"] is None
    assert [stage["rank"] for stage in curves["stages"]] == [None, 2]
    assert [stage["max_iterations"] for stage in curves["stages"]] == [4, 2]
    for k, told in enumerate(curves["networks"]):
        net = load(tmp_path / told["file"], RateRNN)
        assert same(net, training.stages[-1][k].net)
        assert net.rank == 2 and net.n == 20
        assert net.tau == pytest.approx(np.full(20, 0.03))
        assert told["status"] == "exhausted"
        assert [len(stage["losses"]) for stage in told["stages"]] == [4, 2]
        assert told["stages"][1]["evaluations"][0]["iteration"] == 2
    assert "0 of 3 networks learned go-nogo (updates: median 6, most 6)" in summary(
        training
    )


def test_training_goes_on_where_it_was_interrupted(
    recipe: None, tmp_path: Path
) -> None:
    request = TrainRequest(count=2)
    seen: list[int] = []

    def interrupting(steps: range, what: str) -> Iterable[int]:
        for step in steps:
            seen.append(step)
            if len(seen) == 8:  # in the second stage
                raise KeyboardInterrupt
            yield step

    with pytest.raises(KeyboardInterrupt):
        train_networks(request, tmp_path / "a", progress=interrupting)
    assert not list((tmp_path / "a").glob("net_*"))
    resumed = train_networks(request, tmp_path / "a")
    straight = train_networks(request, tmp_path / "b")
    for a, b in zip(resumed.stages[-1], straight.stages[-1], strict=True):
        assert same(a.net, b.net) and a.losses.tolist() == b.losses.tolist()


def test_another_request_in_the_same_folder_is_refused(
    recipe: None, tmp_path: Path
) -> None:
    train_networks(TrainRequest(count=1), tmp_path)
    with pytest.raises(ValueError, match=r"stage_0.*of batch 4, need 5; remove"):
        train_networks(TrainRequest(count=1, batch=5), tmp_path)


def test_losses_that_were_no_number_are_null(
    recipe: None, tmp_path: Path, monkeypatch: Any
) -> None:
    broken = tiny(learning_rate=1e38)
    monkeypatch.setitem(RECIPES, "go-nogo", (RecipeStage(GO_NOGO, broken),))
    training = train_networks(TrainRequest(count=1), tmp_path)
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert training.stages[0][0].status == "failed"
    assert curves["networks"][0]["stages"][0]["losses"][-1] is None


def test_training_can_be_ended_early(recipe: None, tmp_path: Path) -> None:
    training = train_networks(TrainRequest(count=1), tmp_path, stop=lambda: True)
    assert training.stages[-1][0].status == "stopped" and training.converged == 0


def test_seeds_differ_between_networks_stages_and_requests() -> None:
    seeds = [
        seed
        for request in (TrainRequest(seed=0), TrainRequest(seed=1))
        for stage in (0, 1)
        for seed in seeds_of(request, stage)
    ]
    assert len(set(seeds)) == 160 and max(seeds) < 2**63


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"task": "chess"}, "task: got 'chess', need one of"),
        ({"count": 0}, "count: got 0, need 1 to"),
        ({"seed": -1}, "seed: got -1, need 0 to"),
    ],
)
def test_a_request_is_checked(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainRequest(**changed)
