"""The way of one network through `isotau run`: which files it enters, and how often.

A program of its own, run by the checkout's interpreter: `isotau run` under a profile
hook. Where a function of isotau is called with the network in hand, at whatever stage
and in whatever record, the network enters that function's file. Calls in one file, one
after another, are one stay.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from benchmarks.house.checkout import Checkout

NETWORKS = ("RateRNN", "LIFNetwork", "FixedPointNetwork")
DEPTH = 4
"""Records in records in which a network is looked for."""
SMALL = (
    "--trials=12 --search-trials=12 --timescale-trials=4 --lava-trials=1 --seed=0"
).split()
NETWORK = "examples/data/go_nogo_N200.mat"


class Walk:
    """A profile hook that writes down the files in which networks are handed over.

    Attributes:
        entries: names of modules, one for each stay, in order.
    """

    def __init__(self, package: str = "isotau") -> None:
        """Follow calls in the modules of a package."""
        self.prefix = f"{package}."
        self.entries: list[str] = []
        self._ours: dict[CodeType, str] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Look at a call; what `sys.setprofile` calls."""
        if event != "call":
            return
        code = frame.f_code
        if code not in self._ours:
            self._ours[code] = self._module(frame)
        name = self._ours[code]
        # One more call in the same file changes nothing: no need to look into it.
        if not name or (self.entries and self.entries[-1] == name):
            return
        if any(self.holds_network(value) for value in _arguments(frame)):
            self.entries.append(name)

    def holds_network(self, value: Any, depth: int = DEPTH) -> bool:
        """Return whether a value is a network, or a record or sequence with one."""
        kind = type(value)
        own_class = str(kind.__module__).startswith(self.prefix)
        if own_class and kind.__name__ in NETWORKS:
            return True
        if depth == 0:
            return False
        parts: Sequence[Any] = ()
        if own_class:
            names = getattr(kind, "__dataclass_fields__", ())
            parts = [getattr(value, name, None) for name in names]
        if isinstance(value, tuple | list):
            # A network stands among the first, if it is no list of numbers.
            parts = [*parts, *value[:8]]
        elif isinstance(value, dict):
            parts = [*parts, *list(value.values())[:8]]
        return any(self.holds_network(part, depth - 1) for part in parts)

    def _module(self, frame: FrameType) -> str:
        """Return the module of a function that is followed, "" for all others.

        Not followed are comprehensions and lambdas, which are part of a function,
        descriptors, and what dataclasses write themselves.
        """
        name = str(frame.f_globals.get("__name__", ""))
        code = frame.f_code
        # What dataclasses write is of a file "<string>", a comprehension "<listcomp>".
        generated = code.co_filename.startswith("<") or code.co_name.startswith("<")
        # A descriptor reads a field, as a property does (see `_arguments`).
        passed_over = generated or code.co_name == "__get__"
        return "" if passed_over or not name.startswith(self.prefix) else name


def summarize(entries: Sequence[str]) -> dict[str, Any]:
    """Return the rooms of a walk, its stays, and how often it comes back to a room."""
    rooms = len(set(entries))
    return {
        "rooms": rooms,
        "stays": len(entries),
        "returns": len(entries) - rooms,
        "walk": list(entries),
    }


def measure_walk(checkout: Checkout) -> dict[str, Any]:
    """Return the walk of the example network through a small `isotau run`."""
    network = str((checkout.root / NETWORK).resolve())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "walk.json")
        checkout.run_checked(
            "-m",
            "benchmarks.house.walk",
            str(path),
            "run",
            network,
            f"--out={folder}/out",
            *SMALL,
            folder=Path(folder),
        )
        return summarize(json.loads(path.read_text(encoding="utf-8")))


def _arguments(frame: FrameType) -> list[Any]:
    """Return the arguments of a call that begins, without the object of a method.

    To read a property of a record is no way of the network through the record's file.
    """
    code = frame.f_code
    flags = bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    # *args and **kwargs stand behind all others.
    count = code.co_argcount + code.co_kwonlyargcount + flags
    names = code.co_varnames[:count]
    return [
        frame.f_locals.get(name)
        for k, name in enumerate(names)
        if k or name not in ("self", "cls")
    ]


def main(out: str, *words: str) -> None:
    """Run isotau's command line with some arguments and write the walk to a file."""
    from isotau.cli import main as isotau

    walk = Walk()
    sys.argv = ["isotau", *words]
    sys.setprofile(walk)
    try:
        isotau()
    except SystemExit as end:
        # The command line ends so when all is well, too.
        if end.code:
            raise
    finally:
        sys.setprofile(None)
    Path(out).write_text(json.dumps(walk.entries), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
