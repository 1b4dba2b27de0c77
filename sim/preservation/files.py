"""Comparisons as JSON: plain data of any record, and files that can be read again."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import write_text
from isotau.sim.preservation.attrition import Attrition, Censored
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.distribution import Distances
from isotau.sim.preservation.preservation import NetworkResult, Preservation
from isotau.sim.preservation.verdict import Endpoint, Estimate

FORMAT = 1
MAX_BYTES = 64 << 20
"""Largest file that is read."""
INFINITIES = {"inf": math.inf, "-inf": -math.inf}
ONE: dict[type[Any], dict[str, type[Any]]] = {
    Preservation: {
        "distances": Distances,
        "censored": Censored,
        "attrition": Attrition,
        "attrition_a": Attrition,
        "attrition_b": Attrition,
        "config": PreservationConfig,
    },
    Endpoint: {"estimate": Estimate},
    NetworkResult: {"shift": Estimate},
    Censored: {"mean": Estimate, "intersection": Estimate},
}
"""Fields of records that hold a record."""
MANY: dict[str, type[Any]] = {"endpoints": Endpoint, "by_network": NetworkResult}
"""Fields that hold several."""
NAMED: dict[str, type[Any]] = {"numbers": Estimate, "covariates": Estimate}
"""Fields that hold some by name."""
GAPPY = (Estimate, Distances, NetworkResult, Attrition)
"""Records in which null stands for NaN."""


def plain(value: Any) -> Any:
    """Return a record as JSON has it: NaN is null, infinities are "inf" and "-inf"."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    # JSON has neither, and other readers refuse what Python writes in their place.
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def write_json(preservation: Preservation, path: str | os.PathLike[str]) -> Path:
    """Write a comparison with its verdict, and return the path."""
    content = {
        "isotau": "Preservation",
        "format": FORMAT,
        "verdict": preservation.verdict.value,
        "reason": preservation.reason,
        "scope": preservation.scope,
        "comparison": plain(preservation),
    }
    return write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Preservation:
    """Return the comparison that `write_json` wrote.

    Raises:
        UnreadableFile: no such file, or not one of these, or damaged.
    """
    content = _content(path)
    try:
        kind, format_ = content["isotau"], content["format"]
    except (KeyError, TypeError) as error:
        raise UnreadableFile(
            f"{path}: got no Preservation, need what write_json makes"
        ) from error
    # A later format may mean something else by the same names.
    if kind != "Preservation" or format_ != FORMAT:
        raise UnreadableFile(
            f"{path}: got {kind} of format {format_}, need Preservation of format "
            f"{FORMAT}; update isotau to read it"
        )
    try:
        comparison: Preservation = _build(Preservation, content["comparison"])
        # The verdict is computed anew; a file that was edited would say another.
        if content["verdict"] != comparison.verdict.value:
            raise ValueError(
                f"verdict: got {content['verdict']!r}, need "
                f"{comparison.verdict.value!r} by its endpoints"
            )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise UnreadableFile(f"{path}: the comparison is damaged ({error})") from error
    return comparison


def _content(path: str | os.PathLike[str]) -> Any:
    """Return what a JSON file holds, if it is not too large."""
    try:
        # Before it is read: a file of any size would be held in memory whole.
        size = os.stat(path).st_size
        if size > MAX_BYTES:
            raise UnreadableFile(
                f"{path}: got {size} bytes, need at most {MAX_BYTES} of a comparison"
            )
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except UnreadableFile:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFile(f"{path}: not a readable .json file ({error})") from error


def _build(kind: type[Any], data: Any) -> Any:
    """Construct a record from what `plain` made; the constructor checks values."""
    if not isinstance(data, dict):
        raise ValueError(f"{kind.__name__}: got {data!r}, need its fields by name")
    names = {field.name for field in fields(kind)}
    # Fields with a default may be missing: those were added later.
    needed = {f.name for f in fields(kind) if f.default is MISSING}
    if not needed <= set(data) <= names:
        odd = sorted(needed - set(data)) + sorted(set(data) - names)
        raise ValueError(f"{kind.__name__}: got odd or missing fields {', '.join(odd)}")
    return kind(**{name: _value(kind, name, item) for name, item in data.items()})


def _value(kind: type[Any], name: str, item: Any) -> Any:
    # What null meant is known by the record alone.
    if item is None:
        return math.nan if kind in GAPPY else None
    if name in ONE.get(kind, ()):
        return _build(ONE[kind][name], item)
    if name in MANY:
        return tuple(_build(MANY[name], part) for part in item)
    if name in NAMED:
        return {key: _build(NAMED[name], part) for key, part in item.items()}
    if isinstance(item, str) and kind is Estimate:
        return INFINITIES[item]
    return item
