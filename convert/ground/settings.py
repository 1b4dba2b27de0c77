"""Settings: configurations whose fields are checked by a table and told as JSON."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from types import NoneType
from typing import Any, get_args

import numpy as np

from isotau.convert.ground import validation

Rule = Callable[[str, Any], object]
"""Takes a field's name and its value; raises `ValueError` unless it will do."""
Rules = Sequence[tuple[Rule, Sequence[str]]]
"""Each rule with the names of the fields that obey it."""

FINITE: Rule = validation.number
POSITIVE: Rule = partial(validation.number, positive=True)
NOT_NEGATIVE: Rule = partial(validation.number, minimum=0)


def whole(low: int, high: int) -> Rule:
    """Return the rule that a value is a whole number from `low` to `high`."""
    return partial(validation.whole, low=low, high=high)


def one_of(allowed: Sequence[str]) -> Rule:
    """Return the rule that a value is one of some words."""
    return partial(validation.choice, allowed=allowed)


def share(name: str, value: float) -> None:
    """Check that a value is a number from 0 to 1."""
    if validation.number(name, value, minimum=0) > 1:
        raise ValueError(f"{name}: got {value}, need 0 to 1")


def check_settings(config: Any, rules: Iterable[tuple[Rule, Sequence[str]]]) -> None:
    """Check the fields of a configuration, a dataclass, by rules.

    None passes where the field's type allows it: what it would set is switched off.

    Raises:
        ValueError: a field breaks its rule; the message names it.
    """
    # By the field's type, so that no second list can forget one.
    optional = {f.name for f in fields(config) if NoneType in get_args(f.type)}
    for rule, names in rules:
        for name in names:
            value = getattr(config, name)
            if value is not None or name not in optional:
                rule(name, value)


def describe_settings(config: Any) -> dict[str, Any]:
    """Return a configuration's fields as JSON can hold them; an array by its hash."""
    return {field.name: _plain(getattr(config, field.name)) for field in fields(config)}


def six_digits(value: float) -> float | None:
    """Return a number in six digits, as files of many hold it; None if not finite."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _plain(value: Any) -> Any:
    # Checkpoints compare settings: an array has to weigh in with every element.
    if isinstance(value, np.ndarray):
        return hashlib.sha256(value.tobytes()).hexdigest()
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
