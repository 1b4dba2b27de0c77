"""numba's `njit`, with a cache on disk that knows all that a function is compiled from.

numba looks at the file of the outermost function alone. What it inlines, and constants
that it takes in, come from other files: after a change there the old code would run on.
And an index of compiled code names the classes of its arguments: where one has moved,
after an upgrade in place, the index cannot be read at all, and numba raises. Here such
an index is out of date like any other, and the function is compiled again.
"""

import hashlib
import pickle
import re
import sys
from functools import cache
from types import ModuleType
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

PACKAGE = "isotau"
IMPORTED = re.compile(rf"^(?:from|import)\s+({PACKAGE}[\w.]*)", re.MULTILINE)
UNREADABLE = (AttributeError, EOFError, ImportError, TypeError, pickle.UnpicklingError)
"""What is raised for an index that was written by other code, or not in full."""


def njit(*, cache: bool = False, **options: Any) -> Any:
    """Return numba's decorator of a function that is compiled on its first call.

    Args:
        cache: whether to keep what is compiled, until a source of it changes.
        options: of `numba.njit`.
    """
    decorate = numba.njit(**options)

    def compiled(function: Any) -> Any:
        dispatcher = decorate(function)
        if cache:
            # as numba's own `enable_caching` does
            dispatcher._cache = SourceCache(function)
        return dispatcher

    return compiled


class _Index(IndexDataCacheFile):
    """Where compiled code is found, empty if that cannot be read."""

    def _load_index(self) -> dict[Any, str]:
        try:
            index: dict[Any, str] = super()._load_index()
        except UNREADABLE:
            return {}
        return index


class SourceCache(FunctionCache):
    """A function's compiled code on disk, out of date when any of its sources is."""

    def __init__(self, function: Any) -> None:
        """Find the place on disk, which is numba's."""
        super().__init__(function)
        own = self._impl.locator.get_source_stamp()
        stamp = (own, digest(function.__module__))
        self._cache_file = _Index(self._cache_path, self._impl.filename_base, stamp)


@cache
def digest(name: str) -> str:
    """Return a hash of a module's source and of all that it imports of isotau."""
    texts = [f"{module}\n{_source(module)}" for module in sorted(sources(name))]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def sources(name: str) -> set[str]:
    """Return the modules of isotau whose code may be compiled into a module's."""
    found, waiting = set[str](), {name}
    while waiting:
        module = waiting.pop()
        found.add(module)
        # Names after `from … import` may be modules: those that are, are globals here.
        values = vars(sys.modules[module]).values()
        inner = {x.__name__ for x in values if isinstance(x, ModuleType)}
        named = inner | set(IMPORTED.findall(_source(module)))
        waiting |= {x for x in named - found if _is_ours(x)}
    return found


def _is_ours(name: str) -> bool:
    """Return whether a name is that of a module of isotau, and of no package."""
    # A package has what happens to be imported of it, which is not what it needs.
    inside = name.startswith(f"{PACKAGE}.") and name in sys.modules
    return inside and not hasattr(sys.modules[name], "__path__")


def _source(name: str) -> str:
    """Return a module's source; nothing where there is none."""
    loader: Any = getattr(sys.modules[name].__spec__, "loader", None)
    return (hasattr(loader, "get_source") and loader.get_source(name)) or ""
