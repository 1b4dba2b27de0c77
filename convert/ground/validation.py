"""Checks that records make of their fields, and the sizes that follow from them.

Every message reads *what: got X, need Y; what to do*.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.errors import DoesNotFit


class Numbers(NamedTuple):
    """What the numbers in a field have to be; floats if no `dtype` is named.

    Attributes:
        axes: names of the array's sizes, such as "n n_in"; none for a single number.
        layout: how messages name the axes, such as "post × input".
        positive: whether every number is greater than 0.
        minimum: least of the floats; None for any.
        dtype: of whole numbers.
        low: least of the whole numbers.
        high: largest of them.
        remedy: what to do about a whole number out of range; may be empty.
        empty: what an array without elements stands for: a number for all, or the
            values of a field that stands before.
        optional: whether None is allowed, and kept.
        spread: whether one number stands for all.
        sparse: makes `SparseWeights` of them and of scipy's sparse arrays; where None,
            an array has to be dense.
    """

    axes: str = ""
    layout: str = ""
    positive: bool = False
    minimum: float | None = None
    dtype: type[np.integer[Any]] | None = None
    low: int = 0
    high: int = 2**31 - 1
    remedy: str = ""
    empty: float | str | None = None
    optional: bool = False
    spread: bool = False
    sparse: Callable[[Any], Any] | None = None


class Size:
    """Length of an axis of one of a record's arrays, read from the array."""

    def __init__(self, field: str, axis: int = 0) -> None:
        """Name the array's field and the axis."""
        self.field = field
        self.axis = axis

    @overload
    def __get__(self, record: None, owner: type) -> "Size": ...
    @overload
    def __get__(self, record: object, owner: type) -> int: ...
    def __get__(self, record: object | None, owner: type) -> "int | Size":
        """Return the length; of a class itself this description."""
        if record is None:  # tools that look at a class ask for it, too
            return self
        return int(getattr(record, self.field).shape[self.axis])


def floats(
    name: str,
    value: npt.ArrayLike,
    shape: Sequence[int],
    layout: str,
    *,
    positive: bool = False,
    minimum: float | None = None,
) -> npt.NDArray[np.float64]:
    """Return a read-only float64 copy of `value` after checking it.

    `layout` names the axes in messages ("post × pre"). NaN and infinity are
    refused; `positive` needs every element > 0, `minimum` every element ≥ it.
    """
    try:
        real = np.asarray(value).dtype.kind in "fiub"
    except ValueError:  # rows of unequal length
        real = False
    if not real:
        raise TypeError(
            f"{name}: got {type(value).__name__} that is no array of real numbers, "
            f"need shape {tuple(shape)} ({layout})"
        )
    # A copy: whoever made the array may go on writing to it.
    array = np.array(value, dtype=np.float64)
    _check_shape(name, array, shape, layout)
    # First, as NaN passes every comparison below.
    _refuse(name, array, ~np.isfinite(array), "need finite numbers")
    if positive:
        _refuse(name, array, array <= 0, "need numbers greater than 0")
    if minimum is not None:
        _refuse(name, array, array < minimum, f"need numbers of at least {minimum}")
    array.setflags(write=False)
    return array


def integers(
    name: str,
    value: npt.ArrayLike,
    shape: Sequence[int],
    layout: str,
    *,
    dtype: type[np.integer[Any]],
    low: int,
    high: int,
    remedy: str = "",
) -> npt.NDArray[Any]:
    """Return a read-only copy of `value` as `dtype` after checking low ≤ it ≤ high.

    Raises:
        TypeError: `value` is no array of whole numbers.
        DoesNotFit: an element lies outside the range.
    """
    array = np.asarray(value)
    # Whole floats pass, as files and MATLAB have them.
    if array.dtype.kind not in "iub" and not _whole(array):
        raise TypeError(
            f"{name}: got dtype {array.dtype}, need whole numbers; round before"
        )
    if array.dtype.kind == "f":  # a narrow type may not hold the range's ends
        array = array.astype(np.float64)
    _check_shape(name, array, shape, layout)
    # The first is named, as weights by the million would fill the screen.
    outside = (array < low) | (array > high)
    if outside.any():
        k = first(outside)
        raise DoesNotFit(
            f"{name}: got {array[k]}{at(k)}, need {low} to {high}"
            + (f"; {remedy}" if remedy else "")
        )
    # Safe only now: a cast wraps what the narrow type cannot hold.
    narrow = array.astype(dtype)
    narrow.setflags(write=False)
    return narrow


def population(value: npt.ArrayLike, n: int) -> npt.NDArray[np.int64]:
    """Return the population of each of n neurons, checked; all 0 if none is given.

    Raises:
        ValueError: another shape, or numbers that do not run from 0 without a gap.
    """
    stated = np.asarray(value)
    checked = integers(
        "population",
        stated if stated.size else np.zeros(n, np.int64),
        (n,),
        "neuron",
        dtype=np.int64,
        low=0,
        high=n - 1,
    )
    # A number that nobody has would be a population without neurons.
    present = np.unique(checked)
    if (present != np.arange(len(present))).any():
        raise ValueError(
            f"population: got numbers {present.tolist()}, need 0 to "
            f"{len(present) - 1} without a gap"
        )
    return checked


def messages(
    value: npt.ArrayLike, n_in: int, dtype: type[np.integer[Any]] = np.int64
) -> npt.NDArray[Any]:
    """Return what input channels send, steps × batch × channel, within int32.

    Raises:
        ValueError: another shape, nothing in it, or a number beyond 32 bits.
    """
    steps = length("messages", value, ndim=3)
    batch = length("messages", value, axis=1, ndim=3)
    return integers(
        "messages",
        value,
        (steps, batch, n_in),
        "steps × batch × channel",
        dtype=dtype,
        low=-(2**31),
        high=2**31 - 1,
    )


def noise_counter(seed: int, first_trial: int, batch: int) -> tuple[int, int]:
    """Return the seed and the number of the first trial, which membrane noise has.

    Raises:
        ValueError: they leave the 64 and 32 bits that (P1) has for them.
    """
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"seed: got {seed}, need 0 to 2^64 − 1")
    return seed, whole("first_trial", first_trial, 0, 2**32 - batch)


def number(
    name: str, value: float, *, positive: bool = False, minimum: float | None = None
) -> float:
    """Return `value` as a finite float, checked like `floats`."""
    return float(
        floats(name, value, (), "a number", positive=positive, minimum=minimum)
    )


def whole(name: str, value: int, low: int, high: int) -> int:
    """Return `value` as an int from `low` to `high`."""
    return int(
        integers(name, value, (), "a whole number", dtype=np.int64, low=low, high=high)
    )


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name}: got {value!r}, need one of {', '.join(allowed)}")
    return value


def length(name: str, value: npt.ArrayLike, *, axis: int = 0, ndim: int = 2) -> int:
    """Return how long `value` is along `axis`; it must have `ndim` axes."""
    shape = np.shape(value)
    if len(shape) != ndim:
        raise ValueError(f"{name}: got shape {shape}, need {ndim} axes")
    if shape[axis] == 0:
        raise ValueError(f"{name}: got shape {shape}, need at least one element")
    return shape[axis]


def freeze(record: object, fields: dict[str, Any]) -> None:
    """Store checked values in a frozen record; for use in `__post_init__` alone."""
    # A frozen dataclass refuses its own constructor's assignments as well.
    for name, value in fields.items():
        object.__setattr__(record, name, value)


def check_fields(record: object, rules: Mapping[str, Numbers], **sizes: int) -> None:
    """Check and freeze the fields of a record that have a rule; in `__post_init__`.

    Args:
        record: whose fields are replaced by read-only arrays, floats and ints.
        rules: by field, in the order in which they are checked.
        sizes: lengths of the axes that the rules name.

    Raises:
        TypeError: no numbers, or no whole ones where a rule needs them.
        ValueError: another shape, or a number out of range.
    """
    # Nothing is set before all is checked: a record is whole or not there.
    values: dict[str, Any] = {}
    for name, rule in rules.items():
        value = getattr(record, name)
        shape = tuple(sizes[axis] for axis in rule.axes.split())
        # A dataclass cannot make a default of n elements; it makes one of none.
        if rule.empty is not None and np.size(value) == 0:
            empty = rule.empty
            value = values[empty] if isinstance(empty, str) else np.full(shape, empty)
        elif rule.spread and np.ndim(value) == 0:
            value = np.full(shape, value)
        if value is not None or not rule.optional:
            value = _checked(name, value, shape, rule)
        values[name] = value
    freeze(record, values)


def first(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the first true element; () for a single number."""
    if np.ndim(mask) == 0:
        return ()
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def at(index: tuple[int, ...]) -> str:
    """Return " at [3, 7]" for messages; "" for the index of a single number."""
    return f" at {list(index)}" if index else ""


def _checked(name: str, value: Any, shape: tuple[int, ...], rule: Numbers) -> Any:
    """Return an array or, for a rule without axes, a number."""
    # Both have it by that name.
    if hasattr(value, "indptr") or hasattr(value, "tocsc"):
        if rule.sparse is not None:
            return _checked_sparse(name, rule.sparse(value), shape, rule)
        raise TypeError(
            f"{name}: got sparse weights, need a dense array; only those of one neuron "
            "on another may be sparse"
        )
    if rule.dtype is not None:
        array = integers(
            name,
            value,
            shape,
            rule.layout or "a whole number",
            dtype=rule.dtype,
            low=rule.low,
            high=rule.high,
            remedy=rule.remedy,
        )
    else:
        array = floats(
            name,
            value,
            shape,
            rule.layout or "a number",
            positive=rule.positive,
            minimum=rule.minimum,
        )
    # JSON and format strings want Python's numbers, not numpy's.
    return array if rule.axes else array.item()


def _checked_sparse(
    name: str, weights: Any, shape: tuple[int, ...], rule: Numbers
) -> Any:
    """Return sparse weights whose numbers are what the rule says."""
    if weights.shape != shape:
        raise ValueError(
            f"{name}: got shape {weights.shape}, need {shape} ({rule.layout})"
        )
    numbers = rule._replace(axes="synapses", layout="synapse")
    data = _checked(f"{name}.data", weights.data, weights.data.shape, numbers)
    # Of the type already: the weights never change, and need no copy.
    return weights if weights.data.dtype == data.dtype else replace(weights, data=data)


def _whole(array: npt.NDArray[Any]) -> bool:
    return array.dtype.kind == "f" and bool(np.all(array == np.floor(array)))


def _check_shape(
    name: str, array: npt.NDArray[Any], shape: Sequence[int], layout: str
) -> None:
    if array.shape != tuple(shape):
        raise ValueError(
            f"{name}: got shape {array.shape}, need {tuple(shape)} ({layout})"
        )


def _refuse(
    name: str, array: npt.NDArray[Any], bad: npt.NDArray[np.bool_], need: str
) -> None:
    if bad.any():
        k = first(bad)
        raise ValueError(f"{name}: got {array[k]}{at(k)}, {need}")
