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
        least: accuracy at which a network counts as right; None where it must keep to
            within 0.03 of the rate network's.
        scaled: networks that are also converted by the published mapping with one λ.
    """

    task: str
    train: TrainRequest
    fit: int
    test: int
    least: float | None = 0.95
    scaled: int = 0


def _study(
    task: str,
    count: int,
    fit: int,
    test: int,
    *,
    scaled: int = 0,
    recipe: str | None = None,
    **changes: Any,
) -> ConversionStudy:
    """Return a study of so many networks.

    Args:
        task: that the networks are scored on.
        count: networks.
        fit: trials for the conversion.
        test: trials for the figures.
        scaled: networks that are also converted by one λ.
        recipe: what they are trained by, if not by the task's own.
        changes: to the recipe.
    """
    train = TrainRequest(task=recipe or task, count=count, seed=2026, **changes)
    return ConversionStudy(task=task, train=train, fit=fit, test=test, scaled=scaled)


SPAN: dict[str, Any] = {"tau_min": 0.020, "tau_max": 0.050}
"""Range of τ that the published Go-NoGo networks have, in seconds."""
STUDIES: dict[str, ConversionStudy] = {
    "go-nogo": _study("go-nogo", 50, 150, 200, scaled=10, **SPAN),
    "mante": _study("mante", 20, 90, 200, scaled=2),
    "dms-750": _study("dms-750", 20, 90, 200, scaled=2),
    # Other units on the same task, since a converter's fit depends on their curve.
    "relu": _study("go-nogo", 20, 150, 200, activation="relu", **SPAN),
    "softplus": _study("go-nogo", 20, 150, 200, activation="softplus", **SPAN),
    "lif": _study("go-nogo", 10, 150, 200, scaled=5, activation="lif", **SPAN),
    # Networks of 512 units take minutes to convert: fewer, and on fewer trials.
    "rdm": _study("rdm", 5, 75, 100, scaled=1),
    "mante-lowrank": _study("mante-lowrank", 5, 75, 100),
    "romo": _study("romo", 5, 75, 100),
    "dms-lowrank": _study("dms-lowrank", 5, 75, 100),
    "dms-full-rank": _study("dms-lowrank", 1, 75, 100, recipe="dms-full-rank"),
}
