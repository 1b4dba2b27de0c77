"""How many modules a folder holds."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.house.tree import Module

MOST = 15
"""Modules that a folder may hold."""


def measure_folders(modules: Sequence[Module]) -> dict[str, Any]:
    """Return the largest folder and those that hold more modules than they may.

    `__init__.py` is no module of its folder.
    """
    # Below a folder its subfolders count for themselves alone.
    counts = Counter(
        module.folder for module in modules if not module.place.endswith("/__init__.py")
    )
    return {
        "largest": max(counts.values(), default=0),
        "over": {name: n for name, n in counts.most_common() if n > MOST},
        "folders": dict(sorted(counts.items())),
    }
