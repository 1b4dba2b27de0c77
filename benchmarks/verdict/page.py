"""What docs/results/verdict.md says, from the figures in verdict.json."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from scipy import stats

from benchmarks.page import (
    MarkdownTable,
    PageSection,
    ends,
    made_by,
    number,
    percent,
)
from isotau.sim.states import Outcome

MOST = 0.05
"""Errors of either kind that are allowed."""


def verdict_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page."""
    return PageSection(
        "Is the verdict on states right?",
        [
            made_by(figures["provenance"], "benchmarks.verdict", "verdict.json"),
            _cells(figures["cells"]),
            _faults(figures["faults"], figures["budget_s"]),
        ],
    )


def _cells(rows: Sequence[Mapping[str, Any]]) -> PageSection:
    """Return how often each outcome is reached where the answer is known."""
    table = []
    for row in rows:
        total = row["pairs"]
        exact = stats.binomtest(row["wrong"], total).proportion_ci()
        between = ends(100 * exact.low, 100 * exact.high, ".1f")
        share = row["wrong"] / total
        said = "" if share <= MOST else " **too many**"
        table.append(
            [
                row["name"],
                str(row["units"]),
                *(percent(row["outcomes"][each.value] / total) for each in Outcome),
                f"{percent(share)} {between}{said}",
                percent(row["covered"]),
                percent(row["units_covered"]),
                f"{row['seconds_simulated']:.0f}",
            ]
        )
    head = [
        "second stage", "units", *(f"{each.value} (%)" for each in Outcome),
        "wrong (%)", "ratio covered (%)", "units covered (%)", "simulated (s)",
    ]  # fmt: skip
    return PageSection(
        "Where the answer is known",
        [
            f"Ornstein–Uhlenbeck units, {rows[0]['pairs']} pairs each, with the "
            "default margins; τ from 40 to 200 ms. Wrong: preserved at a margin or "
            "beyond it; shifted or not preserved where nothing was changed; of a shift "
            "of 5 %, preserved and not preserved. In brackets the exact interval of "
            "95 %. Covered: intervals of 95 % that hold the truth, at the look at "
            "which it was decided. Simulated: of each stage, the median.",
            MarkdownTable(head, table),
        ],
    )


def _faults(rows: Sequence[Mapping[str, Any]], budget: float) -> PageSection:
    """Return what is found of planted faults."""
    networks = list(dict.fromkeys(row["network"] for row in rows))
    table = []
    for fault in dict.fromkeys(row["fault"] for row in rows):
        cells = [fault]
        for name in networks:
            (row,) = (r for r in rows if (r["fault"], r["network"]) == (fault, name))
            counts = Counter(row["outcomes"]).most_common()
            cells.append(
                ", ".join(f"{outcome} {count}" for outcome, count in counts)
                + f"; {number(row['ratio'], '.3f')}, {percent(row['within'], '.0f')} % "
                f"within, {row['seconds']:.0f} s"
            )
        table.append(cells)
    return PageSection(
        "Faults that were planted",
        [
            "LIF network against the chip, with the fault on the chip alone: outcomes "
            f"of {len(rows[0]['outcomes'])} comparisons with noise of their own, "
            f"within {budget:g} s each; the median ratio, neurons shown to be within "
            "20 %, and the time of one process.",
            MarkdownTable(["fault", *networks], table),
        ],
    )
