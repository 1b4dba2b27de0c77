"""The checks of fields: what passes, what is refused, and in which words."""

import re
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest

from isotau.convert.ground import validation
from isotau.convert.ground.errors import DoesNotFit


def test_floats_returns_a_read_only_copy():
    given = np.arange(3, dtype=np.float32)
    kept = validation.floats("x", given, (3,), "neuron")
    given[0] = 9
    assert kept.dtype == np.float64
    assert kept.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1


@pytest.mark.parametrize("value", [[1, 2], (1.0, 2.0), np.array([True, False])])
def test_floats_takes_any_real_numbers(value):
    assert validation.floats("x", value, (2,), "neuron").shape == (2,)


@pytest.mark.parametrize(
    "value", ["1.5", None, 1j, [[1, 2], [3]], [2**80], np.array({})]
)
def test_floats_refuses_what_is_no_real_number(value):
    with pytest.raises(TypeError, match=r"x: got \w+ that is no array of real numbers"):
        validation.floats("x", value, (), "a number")


def test_floats_names_the_axes():
    with pytest.raises(
        ValueError, match=re.escape("w: got shape (3, 2), need (2, 3) (post × pre)")
    ):
        validation.floats("w", np.zeros((3, 2)), (2, 3), "post × pre")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_floats_refuses_what_is_not_finite(bad):
    value = np.zeros((2, 3))
    value[1, 2] = bad
    with pytest.raises(
        ValueError, match=rf"x: got {bad} at \[1, 2\], need finite numbers"
    ):
        validation.floats("x", value, (2, 3), "a × b")


def test_floats_bounds():
    assert validation.floats("x", [0.5], (1,), "n", minimum=0.5) == [0.5]
    with pytest.raises(
        ValueError, match=r"got 0.0 at \[1\], need numbers greater than"
    ):
        validation.floats("x", [1, 0], (2,), "n", positive=True)
    with pytest.raises(
        ValueError, match=r"got -1.0 at \[0\], need numbers of at least"
    ):
        validation.floats("x", [-1, 0], (2,), "n", minimum=0)


def whole_numbers(value, shape, **changes):
    settings = {"dtype": np.int8, "low": -4, "high": 5} | changes
    return validation.integers("k", value, shape, "neuron", **settings)


def test_integers_narrows_a_copy():
    given = np.array([-4, 5], dtype=np.int64)
    kept = whole_numbers(given, (2,))
    given[0] = 0
    assert kept.dtype == np.int8
    assert kept.tolist() == [-4, 5]
    assert not kept.flags.writeable


@pytest.mark.parametrize("value", [[1.0, -2.0], [True, False], np.uint8([1, 2])])
def test_integers_takes_whole_numbers_of_any_type(value):
    assert whole_numbers(value, (2,)).tolist() == [int(x) for x in value]


def test_integers_takes_halves_that_cannot_hold_the_range():
    value = np.array([3, 4], dtype=np.float16)
    settings = {"dtype": np.int32, "low": -(2**31), "high": 2**31 - 1}
    assert whole_numbers(value, (2,), **settings).tolist() == [3, 4]


@pytest.mark.parametrize("value", [[0.5], [np.nan], ["1"], [1j], [2**80], [None]])
def test_integers_refuses_what_is_not_whole(value):
    with pytest.raises(TypeError, match=r"k: got dtype \S+, need whole numbers"):
        whole_numbers(value, (1,))


@pytest.mark.parametrize("value", [6, -5, 2**40, np.inf, np.uint64(2**63 + 9)])
def test_integers_refuses_what_is_out_of_range(value):
    with pytest.raises(DoesNotFit, match=r"k: got \S+ at \[1\], need -4 to 5$"):
        whole_numbers(np.array([0, value]), (2,))


def test_integers_says_what_to_do():
    with pytest.raises(DoesNotFit, match=r"k: got 6 at \[0\], need -4 to 5; clip it"):
        whole_numbers([6], (1,), remedy="clip it")
    with pytest.raises(ValueError, match=re.escape("k: got shape (2,), need (3,)")):
        whole_numbers([1, 2], (3,))


def test_number():
    assert type(validation.number("dt", np.float32(0.5))) is float
    with pytest.raises(ValueError, match=r"dt: got 0\.0, need numbers greater than 0"):
        validation.number("dt", 0, positive=True)
    with pytest.raises(ValueError, match=r"dt: got -1\.0, need numbers of at least 0"):
        validation.number("dt", -1, minimum=0)
    with pytest.raises(ValueError, match=re.escape("dt: got shape (1,), need ()")):
        validation.number("dt", [1.0])


def test_whole():
    assert type(validation.whole("n", np.int8(3), 1, 3)) is int
    with pytest.raises(DoesNotFit, match="n: got 0, need 1 to 3"):
        validation.whole("n", 0, 1, 3)
    with pytest.raises(TypeError, match="n: got dtype float64, need whole numbers"):
        validation.whole("n", 2.5, 1, 3)


def test_choice():
    assert validation.choice("kind", "b", ("a", "b")) == "b"
    with pytest.raises(ValueError, match="kind: got 'c', need one of a, b"):
        validation.choice("kind", "c", ("a", "b"))


def test_length():
    assert validation.length("w", np.zeros((2, 3)), axis=1) == 3
    assert validation.length("w", [1, 2], ndim=1) == 2
    with pytest.raises(ValueError, match=re.escape("w: got shape (2,), need 2 axes")):
        validation.length("w", [1, 2])
    with pytest.raises(ValueError, match=r"w: got shape \(0, 3\), need at least one"):
        validation.length("w", np.zeros((0, 3)))


def test_freeze_sets_fields_of_a_frozen_record():
    @dataclass(frozen=True)
    class Record:
        x: int

    record = Record(1)
    validation.freeze(record, {"x": 2})
    assert record.x == 2
    with pytest.raises(FrozenInstanceError):
        record.x = 3


def test_first():
    assert validation.first(np.array([[False, False], [False, True]])) == (1, 1)
    assert validation.first(np.bool_(True)) == ()
