"""Makes docs/results/timescales.md and timescales.json.

    python -m benchmarks.timescales                   everything, an hour on two cores
    python -m benchmarks.timescales --only hawkes     some of it
    python -m benchmarks.timescales --quick           all of it, too small to believe

Networks are those that `benchmarks.conversion` trains; they are trained if the folder
has none. Figures are kept in the work folder part by part, so that an interrupted run
goes on; remove the folder to begin anew. The page is written from whatever is there.
"""

import argparse
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance
from benchmarks.repository import RESULTS
from benchmarks.timescales import accuracy
from benchmarks.timescales import networks as study
from benchmarks.timescales.page import write_page
from isotau.convert.ground.files import write_text

SEED = 2026
FULL = accuracy.FULL | {"task": 80, "quiet": 300, "length": 2.0, "share": 1.0}
QUICK = accuracy.QUICK | {"task": 80, "quiet": 40, "length": 1.0, "share": 0.05}


def main() -> None:
    """Measure what was asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("timescales-work"))
    parser.add_argument("--networks", type=Path, default=Path("conversion-work"))
    parser.add_argument("--only", nargs="*", help="some of the parts")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--page", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    sizes = QUICK if chosen.quick else FULL
    parts = all_parts(sizes, chosen.networks, chosen.jobs)
    unknown = set(chosen.only or []) - set(parts)
    if unknown:
        parser.error(f"--only: got {sorted(unknown)}, need some of {[*parts]}")
    for name in chosen.only or parts:
        kept = chosen.work / f"{name}.json"
        if not kept.exists():
            text = json.dumps(parts[name](), indent=1, allow_nan=False)
            write_text(kept, text + "\n")
    figures = {
        name: json.loads((chosen.work / f"{name}.json").read_text())
        for name in parts
        if (chosen.work / f"{name}.json").exists()
    }
    made = provenance("benchmarks.timescales") | {"seed": SEED, "quick": chosen.quick}
    write_page(chosen.page, figures, made, sizes)


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
