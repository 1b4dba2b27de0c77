"""What docs/results/verdict.md says, from the figures in verdict.json."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
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
FOUND = (Outcome.SHIFTED.value, Outcome.NOT_PRESERVED.value)
"""Outcomes that tell of a fault."""
Rows = Sequence[Mapping[str, Any]]


def verdict_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page, of what was measured."""
    sections = {
        "cells": _cells,
        "coverage": _coverage,
        "memory": _memory,
        "networks": _networks,
        "faults": _faults,
    }
    return PageSection(
        "Is the verdict on states right?",
        [
            _made(sections[name](figures[name]["rows"]), figures[name])
            for name in sections
            if name in figures
        ],
    )


def _made(section: PageSection, part: Mapping[str, Any]) -> PageSection:
    """Return a section with what it was made by, as each part has its own commit."""
    made = made_by(part["provenance"], "benchmarks.verdict", "verdict.json")
    return PageSection(section.title, [*section.blocks, made])


def _exact(count: int, total: int) -> str:
    """Return a share with its exact interval, in percent."""
    found = stats.binomtest(count, total).proportion_ci()
    between = ends(100 * found.low, 100 * found.high, ".1f")
    return f"{percent(count / total)} {between}"


def _cells(rows: Rows) -> PageSection:
    """Return how often each outcome is reached where the answer is known."""
    table = []
    for row in rows:
        total = row["pairs"]
        said = "" if row["wrong"] / total <= MOST else " **too many**"
        table.append(
            [
                row["name"],
                str(row["units"]),
                *(percent(row["outcomes"][each.value] / total) for each in Outcome),
                f"{_exact(row['wrong'], total)}{said}",
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
            "of 5 %, preserved and not preserved. Where some units are at the very "
            "edge of theirs, and the others unchanged, nothing is wrong: they spread "
            "by half of what they may. In brackets the exact interval of "
            "95 %. Covered: intervals of 95 % that hold the truth, at the look at "
            "which it was decided. Simulated: of each stage, the median; at most 1280 "
            "s, or 2560 where units are slower by 30 %.",
            MarkdownTable(head, table),
        ],
    )


def _coverage(rows: Rows) -> PageSection:
    """Return how well single units' τ are known."""
    table = [
        [
            f"{1e3 * row['tau_s']:g}",
            f"{row['known']} of {row['units']}",
            _exact(row["covered"], row["known"]),
            number(100 * row["bias"], "+.2f"),
            number(100 * row["rms"], ".1f"),
        ]
        for row in rows
    ]
    head = ["τ (ms)", "known", "covered (%)", "bias (%)", "rms error (%)"]
    return PageSection(
        "Single units",
        [
            "Ornstein–Uhlenbeck states in 200 trials of 4 s, every 5 ms: how many have "
            "a τ and an interval, how many intervals of 95 % hold the truth, and by "
            "how much τ is off.",
            MarkdownTable(head, table),
        ],
    )


def _memory(rows: Rows) -> PageSection:
    """Return how much memory a comparison takes."""
    table = [
        [f"{row['seconds_simulated']:.0f}", f"{row['peak_mb']:.0f}"] for row in rows
    ]
    return PageSection(
        "Memory",
        [
            "The most that a comparison of two stages of 80 units has allocated, by "
            "the seconds that each of them was watched.",
            MarkdownTable(["simulated (s)", "peak (MB)"], table),
        ],
    )


def _networks(rows: Rows) -> PageSection:
    """Return how networks compare, stage by stage."""
    table = []
    for a, b in dict.fromkeys((row["a"], row["b"]) for row in rows):
        for task in dict.fromkeys(row["task"] for row in rows):
            some = [r for r in rows if (r["a"], r["b"], r["task"]) == (a, b, task)]
            counts = Counter(row["verdict"] for row in some)
            undecided = counts[Outcome.NOT_IDENTIFIABLE.value]
            table.append(
                [
                    f"{a} → {b}",
                    task,
                    str(len(some)),
                    *(str(counts[each.value]) for each in Outcome),
                    percent(1 - undecided / len(some), ".0f"),
                    *(_median(some, name) for name in ("ratio", "scatter", "order")),
                    _share(some),
                ]
            )
    head = [
        "stages", "task", "networks", *(each.value for each in Outcome), "decided (%)",
        "ratio", "scatter", "order", "neurons with a τ (%)",
    ]  # fmt: skip
    times = [
        [
            task,
            *(
                f"{np.median(values):.0f} (at most {max(values):.0f})"
                for values in (
                    [r[name] for r in rows if r["task"] == task]
                    for name in ("convert_s", "compare_s")
                )
            ),
        ]
        for task in dict.fromkeys(row["task"] for row in rows)
    ]
    return PageSection(
        "Trained networks",
        [
            "Each converted as `isotau run` does, then compared without input by x, i "
            "and u until it was decided or the time was spent; the chip and Lava bit "
            "by bit. Medians over networks; order: the rank correlation of τ.",
            MarkdownTable(head, table),
            "Seconds of one process, the other core busy with another network: of the "
            "conversion, and of all comparisons.",
            MarkdownTable(["task", "convert (s)", "compare (s)"], times),
        ],
    )


def _median(rows: Rows, name: str) -> str:
    """Return the median over networks of what is known of them; – of none."""
    values = [row.get(name) for row in rows]
    known = [each[0] if isinstance(each, list) else each for each in values]
    finite = [each for each in known if each is not None]
    return number(float(np.median(finite)), ".3f") if finite else "–"


def _share(rows: Rows) -> str:
    """Return how many neurons have a τ and an interval at both stages."""
    known = [row["with_tau"] / row["units"] for row in rows if row.get("units")]
    return percent(min(known), ".0f") + " at least" if known else "all bits"


def _faults(rows: Rows) -> PageSection:
    """Return what is found of planted faults."""
    table = []
    for fault in dict.fromkeys(row["fault"] for row in rows):
        mine = [row for row in rows if row["fault"] == fault]
        outcomes = Counter(each for row in mine for each in row["outcomes"])
        found = sum(outcomes[each] for each in FOUND)
        missed = [
            row["network"] for row in mine if not set(row["outcomes"]) <= set(FOUND)
        ]
        ratios = [row["ratio"] for row in mine if row["ratio"] is not None]
        between = f"{min(ratios):.3f} to {max(ratios):.3f}" if ratios else "–"
        table.append(
            [
                fault,
                *(str(outcomes[each.value]) for each in Outcome),
                _exact(found, outcomes.total()),
                between,
                f"{np.median([row.get('beyond', np.nan) for row in mine]):.0f}",
                f"{np.median([row['seconds'] for row in mine]):.0f}",
                ", ".join(missed) if found and missed else "",
            ]
        )
    networks = list(dict.fromkeys(row["network"] for row in rows))
    head = [
        "fault", *(each.value for each in Outcome), "found (%)", "ratios",
        "surely beyond", "time (s)",
        "not always found in",
    ]  # fmt: skip
    return PageSection(
        "Faults that were planted",
        [
            f"LIF network against the chip, with the fault on the chip alone, in "
            f"{', '.join(networks)}: {len(rows[0]['outcomes'])} comparisons of each "
            "with noise of their own. Found: shifted or not preserved; of no fault, "
            "that is a false alarm. Ratios: the networks' own, medians over "
            "comparisons. Surely beyond: neurons that are each shown to be off by more "
            "than 20 %, which 5 % of them may be. Time of one process.",
            MarkdownTable(head, table),
        ],
    )
