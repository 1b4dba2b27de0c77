"""Tells how often the verdict on states is wrong, and which faults it finds.

python -m benchmarks.verdict               1000 pairs a cell, about an hour
python -m benchmarks.verdict --quick       a few, too little to believe
python -m benchmarks.verdict --render      the page, from its .json alone
"""

import os
from typing import Any

from joblib import Parallel, delayed

from benchmarks.command import add_page_options, command_parser
from benchmarks.provenance import provenance
from benchmarks.results import write_page, write_results
from benchmarks.verdict import cells, faults
from benchmarks.verdict.page import verdict_page

PARTS = 4
"""A cell is measured in so many, so that cores are busy to the end."""


def main() -> None:
    """Measure and write the page."""
    parser = command_parser("benchmarks.verdict", __doc__)
    add_page_options(parser)
    parser.add_argument("--pairs", type=int, default=1000, help="of each cell")
    parser.add_argument("--repeats", type=int, default=10, help="of each fault")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each fault")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "verdict", verdict_page)
        return
    pairs, repeats = (8, 1) if options.quick else (options.pairs, options.repeats)
    content = {
        # Before it is measured: the commit is that of the code that runs.
        "provenance": provenance("benchmarks.verdict"),
        "cells": measure_cells(pairs, options.jobs),
        "faults": [
            row
            for rows in Parallel(n_jobs=options.jobs)(
                delayed(faults.measure_faults)(
                    name, seconds=options.seconds, repeats=repeats
                )
                for name in faults.NETWORKS
            )
            for row in rows
        ],
        "budget_s": options.seconds,
    }
    write_results(options.page, "verdict", content, verdict_page)


def measure_cells(pairs: int, jobs: int) -> list[dict[str, Any]]:
    """Return the figures of every cell, from so many pairs of each."""
    each = max(1, pairs // PARTS)
    tasks = (
        delayed(cells.measure_cell)(cell, each, part)
        for cell in cells.CELLS
        for part in range(PARTS)
    )
    rows = Parallel(n_jobs=jobs)(tasks)
    return [pooled(rows[PARTS * k : PARTS * (k + 1)]) for k in range(len(cells.CELLS))]


def pooled(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return parts of a cell, each of as many pairs, as one."""
    counts = {
        name: sum(row["outcomes"][name] for row in rows) for name in rows[0]["outcomes"]
    }

    def mean(name: str) -> float | None:
        values = [row[name] for row in rows if row[name] is not None]
        return sum(values) / len(values) if values else None

    return rows[0] | {
        "pairs": sum(row["pairs"] for row in rows),
        "outcomes": counts,
        "wrong": sum(row["wrong"] for row in rows),
        "covered": mean("covered"),
        "units_covered": mean("units_covered"),
        "seconds_simulated": mean("seconds_simulated"),
    }


if __name__ == "__main__":
    main()
