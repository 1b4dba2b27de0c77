"""Tells how often the verdict on states is wrong, and which faults it finds.

python -m benchmarks.verdict               1000 pairs a cell, about two hours
python -m benchmarks.verdict --only cells  a part of it; the others stay as they were
python -m benchmarks.verdict --quick       a few, too little to believe
python -m benchmarks.verdict --render      the page, from its .json alone

Networks besides those in examples/data are given with their tasks, as
--also go-nogo=FOLDER: every .rate.npz in it is compared stage by stage, and faults are
planted in the first two.
"""

import os
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from joblib import Parallel, delayed

from benchmarks.command import add_page_options, command_parser
from benchmarks.provenance import provenance
from benchmarks.results import read_figures, write_page, write_results
from benchmarks.verdict import cells, coverage, faults, networks
from benchmarks.verdict.page import verdict_page

PARTS = 4
"""A cell is measured in so many, so that cores are busy to the end."""
FAULTY = 2
"""Networks of each folder in which faults are planted."""


def main() -> None:
    """Measure and write the page."""
    parser = command_parser("benchmarks.verdict", __doc__)
    add_page_options(parser)
    parser.add_argument("--only", nargs="*", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--pairs", type=int, default=1000, help="of each cell")
    parser.add_argument("--repeats", type=int, default=5, help="of each fault")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each network")
    parser.add_argument("--also", nargs="*", default=[], metavar="TASK=FOLDER")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "verdict", verdict_page)
        return
    if options.quick:
        options.pairs, options.repeats = 8, 1
    path = options.page / "verdict.json"
    content = read_figures(path) if path.exists() else {}
    for name in options.only:
        # Before it is measured: the commit is that of the code that runs.
        made = provenance("benchmarks.verdict")
        content[name] = {"provenance": made, "rows": MEASURES[name](options)}
        write_results(options.page, "verdict", content, verdict_page)


def measure_cells(options: Namespace) -> list[dict[str, Any]]:
    """Return the figures of every cell, from so many pairs of each."""
    each = max(1, options.pairs // PARTS)
    tasks = (
        delayed(cells.measure_cell)(cell, each, part)
        for cell in cells.CELLS
        for part in range(PARTS)
    )
    rows = Parallel(n_jobs=options.jobs)(tasks)
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


def measure_faults(options: Namespace) -> list[dict[str, Any]]:
    """Return what is found of each fault in each network."""
    files = networks.shipped() + networks.given(options.also, FAULTY)
    tasks = (
        delayed(faults.measure_faults)(
            file, seconds=options.seconds, repeats=options.repeats
        )
        for file in files
    )
    return [row for rows in Parallel(n_jobs=options.jobs)(tasks) for row in rows]


def measure_networks(options: Namespace) -> list[dict[str, Any]]:
    """Return how networks compare stage by stage."""
    files = networks.shipped() + networks.given(options.also)
    tasks = (delayed(networks.measure)(file, options.seconds) for file in files)
    return [row for rows in Parallel(n_jobs=options.jobs)(tasks) for row in rows]


MEASURES: dict[str, Callable[[Namespace], list[dict[str, Any]]]] = {
    "coverage": lambda options: coverage.measure_coverage(options.pairs),
    "memory": lambda options: coverage.measure_memory(),
    "cells": measure_cells,
    "faults": measure_faults,
    "networks": measure_networks,
}

if __name__ == "__main__":
    main()
