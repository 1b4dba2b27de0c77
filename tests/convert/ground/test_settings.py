"""Configurations are checked by a table, and told as JSON can hold them."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from isotau.convert.ground import settings


class Cut(NamedTuple):
    steps: int = 5


NONE = Cut()


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    number: int = 3
    gain: float = 1.0
    clip: float | None = None
    spread: float = 0.0
    share: float = 0.5
    kind: str = "a"
    offset: float = -1.0
    names: tuple[str, ...] = ("x", "y")
    cut: Cut = NONE
    mask: Any = None

    def __post_init__(self) -> None:
        settings.check_settings(self, RULES)


RULES: settings.Rules = (
    (settings.whole(1, 9), ("number",)),
    (settings.POSITIVE, ("gain", "clip")),
    (settings.NOT_NEGATIVE, ("spread",)),
    (settings.share, ("share",)),
    (settings.one_of(("a", "b")), ("kind",)),
    (settings.FINITE, ("offset",)),
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"number": 10}, "number: got 10, need 1 to 9"),
        ({"gain": 0.0}, "gain: got 0.0, need numbers greater than 0"),
        ({"clip": -1.0}, "clip: got -1.0, need numbers greater than 0"),
        ({"spread": -0.5}, "spread: got -0.5, need numbers of at least 0"),
        ({"share": 1.5}, "share: got 1.5, need 0 to 1"),
        ({"kind": "c"}, "kind: got 'c', need one of a, b"),
        ({"offset": float("nan")}, "offset: got nan, need finite numbers"),
    ],
)
def test_a_broken_rule_names_its_field(changes, message):
    with pytest.raises(ValueError, match=message):
        Example(**changes)


def test_none_passes_where_the_type_has_it_alone():
    assert Example(clip=None).clip is None
    with pytest.raises(TypeError, match="gain: got NoneType"):
        Example(gain=None)


def test_a_description_is_json_and_tells_arrays_apart():
    one, other = (
        settings.describe_settings(Example(mask=np.array([0, k]))) for k in (1, 2)
    )
    assert json.loads(json.dumps(one)) == one
    assert one["names"] == ["x", "y"] and one["cut"] == {"steps": 5}
    assert {name for name in one if one[name] != other[name]} == {"mask"}
