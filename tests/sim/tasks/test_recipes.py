from itertools import pairwise

import pytest

from isotau.convert.training.parameters import TrainConfig
from isotau.sim.tasks import TASKS
from isotau.sim.tasks.recipes import RECIPES


def test_every_task_has_a_recipe() -> None:
    assert TASKS.keys() <= RECIPES.keys()


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_stages_fit_together(name: str) -> None:
    stages = RECIPES[name]
    assert stages[-1].task is TASKS.get(name, stages[-1].task)
    assert stages[-1].task in TASKS.values()
    assert stages[0].truncate_to is None
    for before, after in pairwise(stages):
        rank = after.truncate_to or before.config.rank
        assert after.config.rank == rank
        for shared in ("n", "activation", "ceiling", "tau_min", "tau_max"):
            assert getattr(before.config, shared) == getattr(after.config, shared)
        assert before.task.dt == after.task.dt
    for stage in stages:
        assert isinstance(stage.config, TrainConfig)
        assert (
            stage.config.max_iterations * stage.config.batch > stage.config.min_trials
        )
