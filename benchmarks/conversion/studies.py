"""Which networks the conversion is measured on, and on how many trials."""

from dataclasses import dataclass
from typing import Any

from isotau.jobs.train import TrainRequest


@dataclass(frozen=True, kw_only=True)
class Study:
    """Networks of one kind.

    `fit` trials are for the conversion, fit and choice together, `test` other trials
    are for the figures; `scaled` of the networks are also converted by the published
    mapping with one λ; `needed` is the accuracy at which a network counts as right, or
    None where it must keep to within 0.03 of the rate network's.
    """

    task: str
    train: TrainRequest
    fit: int
    test: int
    needed: float | None = 0.95
    scaled: int = 0


def _train(task: str, count: int, **changes: Any) -> TrainRequest:
    return TrainRequest(task=task, count=count, seed=2026, **changes)


SPAN = {"tau_min": 0.020, "tau_max": 0.050}
STUDIES: dict[str, Study] = {
    "go-nogo": Study(
        task="go-nogo",
        train=_train("go-nogo", 50, **SPAN),
        fit=150,
        test=200,
        scaled=10,
    ),
    "mante": Study(task="mante", train=_train("mante", 20), fit=90, test=200, scaled=2),
    "dms-750": Study(
        task="dms-750", train=_train("dms-750", 20), fit=90, test=200, scaled=2
    ),
    "relu": Study(
        task="go-nogo",
        train=_train("go-nogo", 20, activation="relu", **SPAN),
        fit=150,
        test=200,
    ),
    "softplus": Study(
        task="go-nogo",
        train=_train("go-nogo", 20, activation="softplus", **SPAN),
        fit=150,
        test=200,
    ),
    "lif": Study(
        task="go-nogo",
        train=_train("go-nogo", 10, activation="lif", **SPAN),
        fit=150,
        test=200,
        scaled=5,
    ),
    "rdm": Study(task="rdm", train=_train("rdm", 5), fit=75, test=100, scaled=1),
    "mante-lowrank": Study(
        task="mante-lowrank", train=_train("mante-lowrank", 5), fit=75, test=100
    ),
    "romo": Study(task="romo", train=_train("romo", 5), fit=75, test=100),
    "dms-lowrank": Study(
        task="dms-lowrank",
        train=_train("dms-lowrank", 5),
        fit=75,
        test=100,
    ),
    "dms-full-rank": Study(
        task="dms-lowrank", train=_train("dms-full-rank", 1), fit=75, test=100
    ),
}
