"""What the tests of training share."""

from typing import Any

import pytest

from isotau.convert.training import TrainConfig, Trained, train_many
from isotau.sim.tasks import GO_NOGO


def _few(**changed: Any) -> TrainConfig:
    fields: dict[str, Any] = {
        "n": 20,
        "batch": 4,
        "max_iterations": 6,
        "evaluate_every": 3,
        "evaluate_trials": 10,
    }
    return TrainConfig(**(fields | changed))


def _after(
    config: TrainConfig, seeds: tuple[int, ...] = (0,), **more: Any
) -> tuple[Trained, ...]:
    return train_many(
        GO_NOGO.draw, GO_NOGO.score_strict, config, seeds=seeds, workers=1, **more
    )


@pytest.fixture(scope="session")
def few() -> Any:
    """Makes the configuration of six updates of 20 units."""
    return _few


@pytest.fixture(scope="session")
def after() -> Any:
    """Trains Go-NoGo networks by a configuration, from seeds."""
    return _after
