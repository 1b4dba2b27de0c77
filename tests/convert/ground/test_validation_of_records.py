from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.ground.validation import Numbers, Size, check_fields

RULES = {
    "weights": Numbers("n pre", "post × pre"),
    "tau": Numbers("n", "neuron", positive=True),
    "start": Numbers("n", "neuron", empty="tau"),
    "shift": Numbers("n", "neuron", empty=0.5),
    "steps": Numbers(dtype=np.int64, low=1, high=9, remedy="take fewer"),
    "signs": Numbers("pre", "column", dtype=np.int8, low=-1, high=1),
    "dt": Numbers(minimum=0.1),
    "ceiling": Numbers(positive=True, optional=True),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layer:
    weights: Any = ((1, 2, 3), (4, 5, 6))
    tau: Any = (0.25, 2)
    start: Any = ()
    shift: Any = ()
    steps: Any = 3
    signs: Any = (1, 0, -1)
    dt: Any = 1
    ceiling: Any = None

    n = Size("weights")
    pre = Size("weights", 1)

    def __post_init__(self) -> None:
        check_fields(self, RULES, n=2, pre=3)


def test_fields_are_read_only_copies_of_their_type():
    values = np.array([0.25, 2.0])
    layer = Layer(tau=values)
    values[:] = 7
    assert layer.tau.tolist() == [0.25, 2.0]
    for name, dtype in (("weights", "f8"), ("tau", "f8"), ("signs", "i1")):
        array = getattr(layer, name)
        assert array.dtype == dtype and not array.flags.writeable
    assert type(layer.steps) is int and type(layer.dt) is float


def test_sizes_follow_the_arrays():
    assert (Layer().n, Layer().pre) == (2, 3)
    assert Layer.n.field == "weights"


def test_what_stands_for_nothing():
    layer = Layer()
    assert layer.start.tolist() == [0.25, 2.0]
    assert layer.shift.tolist() == [0.5, 0.5]
    assert layer.ceiling is None
    assert Layer(ceiling=2).ceiling == 2.0


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weights": ((1, 2),)}, ValueError, r"weights: got shape \(1, 2\), need \(2,"),
        ({"tau": (1, 0)}, ValueError, r"tau: got 0\.0 at \[1\], need numbers greater"),
        ({"start": (1, 2, 3)}, ValueError, r"start: got shape \(3,\), need \(2,\) \(n"),
        ({"steps": 10}, DoesNotFit, "steps: got 10, need 1 to 9; take fewer"),
        ({"steps": None}, TypeError, "steps: got dtype object, need whole numbers"),
        ({"signs": (2, 0, 0)}, DoesNotFit, r"signs: got 2 at \[0\], need -1 to 1"),
        ({"dt": 0}, ValueError, r"dt: got 0\.0, need numbers of at least 0\.1"),
        ({"ceiling": 0}, ValueError, r"ceiling: got 0\.0, need numbers greater than 0"),
        ({"dt": "a"}, TypeError, "dt: got str that is no array of real numbers"),
    ],
)
def test_fields_that_break_a_rule(changes, error, message):
    with pytest.raises(error, match=message):
        Layer(**changes)
