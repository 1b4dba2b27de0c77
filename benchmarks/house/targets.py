"""The targets: what is read from the measures, and what it should be."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Measures = Mapping[str, Any]


class Target(NamedTuple):
    """A row of the table.

    Attributes:
        text: what is counted.
        measure: the measure that has it.
        figure: reads it from that measure.
        most: what it should not be above.
        least: what it should not be below.
        halved: whether it should be less than half of what it was.
    """

    text: str
    measure: str
    figure: Callable[[Any], float]
    most: float | None = None
    least: float | None = None
    halved: bool = False

    @property
    def goal(self) -> str:
        """The goal as it stands in the table."""
        if self.halved:
            return "less than half"
        if self.most is not None:
            return f"≤ {self.most:,g}" if self.most else "0"
        return "" if self.least is None else f"≥ {self.least:,g}"

    def read(self, measures: Measures) -> float | None:
        """Return the figure, None where it was not measured."""
        part = measures.get(self.measure)
        return None if part is None else self.figure(part)

    def reached(self, now: float, before: float | None = None) -> bool | None:
        """Return whether a figure is as it should be, None where there is no goal.

        Args:
            now: the figure.
            before: what it was.
        """
        # Half of what the same hook counted before: other counts do not compare.
        if self.halved:
            return None if before is None else now < before / 2
        if self.most is not None:
            return now <= self.most
        return None if self.least is None else now >= self.least


TARGETS = (
    Target("modules in the largest folder", "folders", lambda m: m["largest"], most=15),
    Target(
        "folders with more than 15 modules", "folders", lambda m: len(m["over"]), most=0
    ),
    Target(
        "comments in 100 lines of code", "comments", lambda m: m["overall"], least=6
    ),
    Target(
        "comments in 100 lines of compiled kernels",
        "comments",
        lambda m: m["kernels"],
        least=10,
    ),
    Target("citations of numbered equations", "equations", lambda m: m["citations"]),
    Target(
        "equations that are cited and are not there",
        "equations",
        lambda m: len(m["absent"]),
        most=0,
    ),
    Target(
        "class names defined more than once",
        "classes",
        lambda m: len(m["sources"]),
        most=0,
    ),
    Target(
        "class names defined more than once, with benchmarks",
        "classes",
        lambda m: len(m["with_benchmarks"]),
    ),
    Target(
        "public names that dir() or mypy do not see",
        "names",
        lambda m: m["unseen"],
        most=0,
    ),
    Target(
        "chip networks of one LIF network, made in five ways",
        "chips",
        lambda m: m["different"],
        most=1,
    ),
    Target(
        "rooms of one network in isotau run", "walk", lambda m: m["rooms"], halved=True
    ),
    Target("stays in them", "walk", lambda m: m["stays"], halved=True),
    Target("returns to them", "walk", lambda m: m["returns"], halved=True),
    Target("lines of the sources", "lines", lambda m: m["total"], most=46_000),
    Target("lines of code among them", "lines", lambda m: m["code"]),
    Target("pairs of duplicates", "duplicates", lambda m: m["pairs"], most=60),
    Target("pairs that agree exactly", "duplicates", lambda m: m["exact"]),
    Target("variables that are pronouns or participles", "words", lambda m: m["empty"]),
    Target("variables that are assigned", "words", lambda m: m["assignments"]),
    Target(
        "questions of ten answered by the first guess",
        "questions",
        lambda m: m["answered"],
        least=10,
    ),
)
