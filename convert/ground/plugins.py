"""Parts that other installed packages bring, by entry points.

A package offers a part in its `pyproject.toml`; `GROUP` is that of the kind of part:

    [project.entry-points."isotau.readers"]
    mine = "my_package.reading:READER"
"""

import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

_T = TypeVar("_T")


class BrokenPlugin(UserWarning):
    """A part that another package offers and that cannot be used; it is left out."""


def plugins(group: str, kind: type[_T]) -> Iterator[tuple[EntryPoint, _T]]:
    """Yield every entry point of a group and its object, loaded one by one.

    Args:
        group: of the entry points, such as "isotau.readers".
        kind: type that the objects have to be of; a `BrokenPlugin` warning names what
            cannot be loaded or is of another type.
    """
    for entry in entry_points(group=group):
        try:
            part = entry.load()
        # Whatever code of others raises, the parts of all others stay usable.
        except Exception as error:
            warn_broken(entry, error)
            continue
        # An entry point may name anything, a function as well as a number.
        if isinstance(part, kind):
            yield entry, part
        else:
            need = f"got a {type(part).__name__}, need a {kind.__name__}"
            warn_broken(entry, TypeError(need))


def warn_broken(entry: EntryPoint, error: Exception) -> None:
    """Warn that the part of an entry point cannot be used, and why."""
    package = entry.dist.name if entry.dist else "a package"
    warnings.warn(
        f"{entry.group} {entry.name} of {package}: {type(error).__name__}: {error}; "
        "update or remove that package",
        BrokenPlugin,
        stacklevel=2,
    )
