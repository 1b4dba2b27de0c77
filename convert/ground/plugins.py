"""Parts that other installed packages bring, by entry points.

A package offers a part in its `pyproject.toml`; `GROUP` is that of the kind of part:

    [project.entry-points."isotau.readers"]
    mine = "my_package.reading:READER"
"""

import warnings
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import TypeVar

_T = TypeVar("_T")


class BrokenPlugin(UserWarning):
    """A part that another package offers and that cannot be used; it is left out."""


def plugins(group: str, kind: type[_T]) -> Iterator[tuple[str, _T]]:
    """Yield name and object of every entry point of a group, loaded one by one.

    Args:
        group: of the entry points, such as "isotau.readers".
        kind: type that the objects have to be of; a `BrokenPlugin` warning names what
            cannot be loaded or is of another type.
    """
    for entry in entry_points(group=group):
        package = entry.dist.name if entry.dist else "a package"
        name = f"{group} {entry.name} of {package}"
        try:
            part = entry.load()
        # Whatever code of others raises, the parts of all others stay usable.
        except Exception as error:
            warn_broken(name, error)
            continue
        if isinstance(part, kind):
            yield name, part
        else:
            need = f"got a {type(part).__name__}, need a {kind.__name__}"
            warn_broken(name, TypeError(need))


def warn_broken(name: str, error: Exception) -> None:
    """Warn that a part cannot be used, and why."""
    warnings.warn(
        f"{name}: {type(error).__name__}: {error}; update or remove that package",
        BrokenPlugin,
        stacklevel=2,
    )
