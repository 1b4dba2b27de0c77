"""What `isotau preserve` says of states: numbers, sentences and a table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from isotau.sim.states import StateComparison, sentence, summary

FEW = 4
"""Networks up to which every comparison has its sentence."""
HEADINGS = (
    "network", "stages", "verdict", "τ ratio", "neurons within", "scatter",
    "two runs of the first", "in words",
)  # fmt: skip
Report = Mapping[str, Sequence[Mapping[str, Any]]]
"""By the names of networks, `numbers` of each."""


def numbers(comparisons: Sequence[StateComparison]) -> list[dict[str, Any]]:
    """Return the numbers of a network's comparisons, ready for JSON."""
    return [summary(each) | {"sentence": sentence(each)} for each in comparisons]


def sentences(report: Report) -> list[str]:
    """Return what states say: of few networks a sentence each, of many how many."""
    if len(report) <= FEW:
        named = len(report) > 1
        return [
            f"{name}: {each['sentence']}" if named else each["sentence"]
            for name, compared in report.items()
            for each in compared
        ]
    verdicts: dict[str, Counter[str]] = {}
    for compared in report.values():
        for each in compared:
            stages = f"{each['a']} → {each['b']}"
            verdicts.setdefault(stages, Counter())[each["verdict"]] += 1
    return [
        f"{stages}, by states: "
        + ", ".join(f"{verdict} in {n}" for verdict, n in counts.most_common())
        + f" of {counts.total()} networks."
        for stages, counts in verdicts.items()
    ]


def rows(report: Report) -> list[list[str]]:
    """Return a row of text for each comparison of each network."""
    return [
        [
            name,
            f"{each['a']} → {each['b']}",
            each["verdict"],
            interval(each["ratio"], ".3f"),
            f"{each['within']} of {each['units']}",
            _number(each["scatter"]),
            _number(each["floor"]["scatter"]),
            each["sentence"],
        ]
        for name, compared in report.items()
        for each in compared
    ]


def interval(ends: Sequence[float | None], form: str) -> str:
    """Return a value, its lower and its upper end as text."""
    value, low, high = ends
    if value is None:
        return "none"
    if low is None or high is None:
        return f"{value:{form}} (no interval)"
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
