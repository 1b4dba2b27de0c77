"""The engines' names stand for their `run`."""

import pytest

from isotau.sim.engines import compiled, reference, torch_engine
from isotau.sim.engines.engine import ENGINES, engine_named


def test_every_name_is_an_engine():
    runs = {"compiled": compiled, "reference": reference, "torch": torch_engine}
    assert {name: engine_named(name) for name in ENGINES} == {
        name: module.run for name, module in runs.items()
    }
    assert {module.NAME for module in runs.values()} == set(ENGINES)


def test_another_name_is_an_error():
    with pytest.raises(ValueError, match="engine: got 'lava', need one of compiled, "):
        engine_named("lava")
