"""Makes docs/results/tuning.md and tuning.json.

    python -m benchmarks.tuning                     all, about an hour on two cores
    python -m benchmarks.tuning --only speed        one part; the others are kept
    python -m benchmarks.tuning --theirs FOLDER     also networks by others, .mat
    python -m benchmarks.tuning --networks FOLDER   also those of benchmarks.conversion

Every part leaves its figures in the work folder; the page is made of what is there.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance
from benchmarks.repository import RESULTS
from benchmarks.tuning import (
    bits,
    device,
    gradient_memory,
    letters,
    methods,
    networks,
    speed,
    timescales,
)
from benchmarks.tuning.page import write_page
from isotau.convert.ground.files import write_text

SHOWN = ("shipped go_nogo_N200.mat", "shipped dms_750_N200.rate.npz")
"""Networks whose bits and timescales are looked at."""
DEVICE = SHOWN[:1]
Parts = dict[str, Callable[[argparse.Namespace], Any]]


def main() -> None:
    """Measure what was asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("tuning-work"))
    parser.add_argument("--only", nargs="*", choices=[*PARTS])
    parser.add_argument("--theirs", type=Path, help="folder of .mat by others")
    parser.add_argument(
        "--networks", type=Path, help="work folder of benchmarks.conversion"
    )
    parser.add_argument("--page", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    for name in chosen.only or PARTS:
        found = {"made": provenance("benchmarks.tuning"), "rows": PARTS[name](chosen)}
        text = json.dumps(found, indent=1, allow_nan=False)
        write_text(chosen.work / f"{name}.json", text + "\n")
    figures = {
        name: json.loads((chosen.work / f"{name}.json").read_text())
        for name in PARTS
        if (chosen.work / f"{name}.json").exists()
    }
    write_page(chosen.page, figures, provenance("benchmarks.tuning"))


def _networks(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    found = networks.cases(chosen.theirs, chosen.networks)
    return _kept(chosen.work / "networks", found, networks.measure)


def _timescales(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    found = [
        case
        for case in networks.cases(chosen.theirs, chosen.networks)
        if (case.name, case.method) in timescales.CASES
    ]
    return _kept(chosen.work / "timescales", found, timescales.measure)


def _kept(
    folder: Path,
    found: list[networks.Case],
    measure: Callable[[networks.Case], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return a row for each network; those in the work folder are not done again."""
    rows = []
    for case in found:
        name = f"{case.name} {case.method}".replace(" ", "_").replace(":", "")
        path = folder / f"{name}.json"
        if not path.exists():
            row = measure(case)
            row["commit"] = provenance("benchmarks.tuning")["commit"]
            write_text(path, json.dumps(row, indent=1, allow_nan=False) + "\n")
        rows.append(json.loads(path.read_text()))
    return rows


def _shown(names: tuple[str, ...]) -> list[networks.Case]:
    return [
        case
        for case in networks.cases(None, None)
        if case.name in names and case.method == "calibrate"
    ]


def _speed(_: argparse.Namespace) -> list[dict[str, Any]]:
    rows = [speed.measure(*size) for size in speed.SIZES]
    return [*rows, speed.measure(*speed.SIZES[0], readout=True)]


PARTS: Parts = {
    "speed": _speed,
    "memory": lambda _: gradient_memory.measure(),
    "networks": _networks,
    "bits": lambda _: [bits.measure(case, timescales=0.0) for case in _shown(SHOWN)],
    "letters": lambda _: letters.measure(),
    "timescales": _timescales,
    "methods": lambda _: methods.measure(),
    "device": lambda _: [device.measure(case) for case in _shown(DEVICE)],
}


if __name__ == "__main__":
    main()
