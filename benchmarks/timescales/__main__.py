"""Makes docs/results/timescales.md and timescales.json.

    python -m benchmarks.timescales                   everything, an hour on two cores
    python -m benchmarks.timescales --only hawkes     some of it
    python -m benchmarks.timescales --quick           all of it, too small to believe
    python -m benchmarks.timescales --render          the page, from its .json alone

Networks are those that `benchmarks.conversion` trains; they are trained if the folder
has none. Figures are kept in the work folder part by part, so that an interrupted run
goes on; remove the folder to begin anew. The page is written from whatever is there.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.command import add_page_options, command_parser
from benchmarks.provenance import provenance
from benchmarks.results import read_figures, write_figures, write_page, write_results
from benchmarks.timescales import accuracy
from benchmarks.timescales import networks as study
from benchmarks.timescales.page import timescales_page

SEED = 2026
# Trials of the task and without input, seconds of the latter, share of the networks.
FULL = accuracy.FULL | {"task": 80, "quiet": 300, "length": 2.0, "share": 1.0}
QUICK = accuracy.QUICK | {"task": 80, "quiet": 40, "length": 1.0, "share": 0.05}


def main() -> None:
    """Measure what was asked for and write the page."""
    parser = command_parser("benchmarks.timescales", __doc__)
    parser.add_argument("--work", type=Path, default=Path("timescales-work"))
    parser.add_argument("--networks", type=Path, default=Path("conversion-work"))
    parser.add_argument("--only", nargs="*", help="some of the parts")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    add_page_options(parser)
    options = parser.parse_args()
    sizes = QUICK if options.quick else FULL
    parts = all_parts(sizes, options.networks, options.jobs)
    unknown = set(options.only or []) - set(parts)
    if unknown:
        parser.error(f"--only: got {sorted(unknown)}, need some of {[*parts]}")
    if options.render:
        write_page(options.page, "timescales", timescales_page)
        return
    paths = {name: options.work / f"{name}.json" for name in parts}
    for name in options.only or parts:
        # A part that is there is not measured again, so that a run can go on.
        if not paths[name].exists():
            write_figures(paths[name], parts[name]())
    origin = provenance("benchmarks.timescales")
    content = {
        "provenance": origin | {"seed": SEED, "quick": options.quick},
        "sizes": sizes,
        "figures": {
            name: read_figures(path) for name, path in paths.items() if path.exists()
        },
    }
    write_results(options.page, "timescales", content, timescales_page)


def all_parts(
    sizes: dict[str, Any], folder: Path, jobs: int
) -> dict[str, Callable[[], Any]]:
    """Return what can be measured, by name."""
    parts: dict[str, Callable[[], Any]] = {
        "hawkes": partial(accuracy.hawkes, sizes, SEED),
        "cells": partial(accuracy.cells, sizes, SEED),
        "nulls": partial(accuracy.nulls, sizes, SEED),
        "published": partial(accuracy.published, sizes, SEED),
        "several": partial(accuracy.several, sizes, SEED),
        "speed": partial(accuracy.speed, sizes, SEED),
    }
    for name in study.CHOSEN:
        for method in study.METHODS:
            parts[f"{name} {method}"] = partial(
                of_networks, name, method, sizes, folder, jobs
            )
    return parts


def of_networks(
    name: str, method: str, sizes: dict[str, Any], folder: Path, jobs: int
) -> dict[str, Any]:
    """Return what is to be said of a study's networks, carried by one method."""
    nets = study.networks(name, folder)
    # An interval over networks needs two at least.
    nets = nets[: max(2, round(sizes["share"] * len(nets)))]
    measured = study.measure_all(name, method, nets, sizes, jobs)
    return {
        "study": name,
        "method": method,
        **study.compared(measured, SEED),
        "sensitivity": study.swept(measured, SEED),
        "memory_code": study.coded(measured, SEED),
    }


if __name__ == "__main__":
    main()
