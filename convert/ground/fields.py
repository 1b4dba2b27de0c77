"""Fields of records: rules for their numbers, and the sizes that follow from them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, overload

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.validation import freeze


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
        if value is not None or not rule.optional:
            value = _checked(name, value, shape, rule)
        values[name] = value
    freeze(record, values)


def _checked(name: str, value: Any, shape: tuple[int, ...], rule: Numbers) -> Any:
    """Return an array or, for a rule without axes, a number."""
    if rule.dtype is not None:
        array = validation.integers(
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
        array = validation.floats(
            name,
            value,
            shape,
            rule.layout or "a number",
            positive=rule.positive,
            minimum=rule.minimum,
        )
    # JSON and format strings want Python's numbers, not numpy's.
    return array if rule.axes else array.item()
