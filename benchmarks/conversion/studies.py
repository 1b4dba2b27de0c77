"""Which networks the conversion is measured on, and on how many trials."""

from dataclasses import dataclass
from typing import Any

from isotau.jobs.train import TrainRequest


@dataclass(frozen=True, kw_only=True)
class ConversionStudy:
    """Networks of one kind.

    Attributes:
        task: name of the task.
        train: what the networks are trained by.
        fit: trials for the conversion, fit and choice together.
        test: other trials, for the figures.
        needed: accuracy at which a network counts as right; None where it must keep to
            within 0.03 of the rate network's.
        scaled: networks that are also converted by the published mapping with one λ.
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
"""Range of τ that the published Go-NoGo networks have, in seconds."""
STUDIES: dict[str, ConversionStudy] = {
    "go-nogo": ConversionStudy(
        task="go-nogo",
        train=_train("go-nogo", 50, **SPAN),
        fit=150,
        test=200,
        scaled=10,
    ),
    "mante": ConversionStudy(
        task="mante", train=_train("mante", 20), fit=90, test=200, scaled=2
    ),
    "dms-750": ConversionStudy(
        task="dms-750", train=_train("dms-750", 20), fit=90, test=200, scaled=2
    ),
    "relu": ConversionStudy(
        task="go-nogo",
        train=_train("go-nogo", 20, activation="relu", **SPAN),
        fit=150,
        test=200,
    ),
    "softplus": ConversionStudy(
        task="go-nogo",
        train=_train("go-nogo", 20, activation="softplus", **SPAN),
        fit=150,
        test=200,
    ),
    "lif": ConversionStudy(
        task="go-nogo",
        train=_train("go-nogo", 10, activation="lif", **SPAN),
        fit=150,
        test=200,
        scaled=5,
    ),
    "rdm": ConversionStudy(
        task="rdm", train=_train("rdm", 5), fit=75, test=100, scaled=1
    ),
    "mante-lowrank": ConversionStudy(
        task="mante-lowrank", train=_train("mante-lowrank", 5), fit=75, test=100
    ),
    "romo": ConversionStudy(task="romo", train=_train("romo", 5), fit=75, test=100),
    "dms-lowrank": ConversionStudy(
        task="dms-lowrank",
        train=_train("dms-lowrank", 5),
        fit=75,
        test=100,
    ),
    "dms-full-rank": ConversionStudy(
        task="dms-lowrank", train=_train("dms-full-rank", 1), fit=75, test=100
    ),
}
