"""Lava's modules, imported so that Python 3.11 and newer accept them.

lava-nc 0.10.0 gives some dataclasses an instance of its own dataclass `ByteEncoder` as
a default. Since Python 3.11 a default without a hash is refused as mutable, and any
`import lava…` fails. Here that class has the identity hash for as long as its module
is imported. Nothing else in isotau imports Lava.
"""

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DEFECTIVE = "lava.magma.compiler.var_model"
"""The module of Lava that every other one needs and Python 3.11 refuses."""
UNHASHABLE = "ByteEncoder"


class LavaMissing(ImportError):
    """lava-nc, or something that it needs, is not installed."""


def load(name: str) -> Any:
    """Return one of Lava's modules.

    Args:
        name: absolute, as "lava.proc.lif.process".

    Raises:
        LavaMissing: lava-nc cannot be imported.
    """
    try:
        if DEFECTIVE not in sys.modules:
            with _hashable():
                importlib.import_module(DEFECTIVE)
        return importlib.import_module(name)
    except ImportError as error:
        raise LavaMissing(
            f"Lava: got {error}, need lava-nc 0.10.0; run `make`, or "
            "pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
        ) from error


@contextmanager
def _hashable() -> Iterator[None]:
    """Let `dataclass` keep the identity hash of one class while the block runs."""
    original: Any = dataclasses.dataclass
    made: list[Any] = []

    def dataclass(cls: type[Any] | None = None, /, **options: Any) -> Any:
        result = original(cls, **options)
        if cls is not None and (cls.__module__, cls.__name__) == (
            DEFECTIVE,
            UNHASHABLE,
        ):
            result.__hash__ = object.__hash__
            made.append(result)
        return result

    vars(dataclasses)["dataclass"] = dataclass
    try:
        yield
    finally:
        vars(dataclasses)["dataclass"] = original
        for cls in made:
            cls.__hash__ = None
