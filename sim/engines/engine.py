"""The chip's simulators by name: all of them give the same bits."""

from collections.abc import Callable
from importlib import import_module

from isotau.convert.ground import validation
from isotau.sim.engines.run import Run

ENGINES = {
    "compiled": "isotau.sim.engines.compiled",
    "reference": "isotau.sim.engines.reference",
    "torch": "isotau.sim.engines.torch_engine",
}
"""The module of each engine; the first is the default of every command."""


def engine_named(name: str) -> Callable[..., Run]:
    """Return the `run` of an engine, imported now: two need torch or numba.

    Args:
        name: a key of `ENGINES`.

    Raises:
        ValueError: there is no such engine.
    """
    engine: Callable[..., Run] = import_module(
        ENGINES[validation.choice("engine", name, tuple(ENGINES))]
    ).run
    return engine
