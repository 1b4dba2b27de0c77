"""Class names that stand for more than one class."""

import ast
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.house.tree import BENCHMARKS, Module


def measure_classes(modules: Sequence[Module]) -> dict[str, dict[str, list[str]]]:
    """Return the repeated names of the sources, and of these with the benchmarks."""
    sources = [m for m in modules if not m.place.startswith(f"{BENCHMARKS}/")]
    return {
        "sources": repeated_classes(sources),
        "with_benchmarks": repeated_classes(modules),
    }


def repeated_classes(modules: Sequence[Module]) -> dict[str, list[str]]:
    """Return the class names that are defined more than once, and where."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for node in ast.walk(module.tree):
            # Classes in functions too: their names stand in tracebacks.
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{module.place}:{node.lineno}")
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}
