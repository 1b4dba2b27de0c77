"""Makes docs/results/tuning.md and tuning.json.

    python -m benchmarks.tuning                     all, about an hour on two cores
    python -m benchmarks.tuning --only speed        one part; the others are kept
    python -m benchmarks.tuning --theirs FOLDER     also networks by others, .mat
    python -m benchmarks.tuning --networks FOLDER   also those of benchmarks.conversion
    python -m benchmarks.tuning --render            the page, from its .json alone

Every part leaves its figures in the work folder; the page is made of what is there.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.command import add_page_options, command_parser
from benchmarks.provenance import provenance
from benchmarks.results import read_figures, write_figures, write_page, write_results
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
from benchmarks.tuning.page import tuning_page

EXAMPLES = ("shipped go_nogo_N200.mat", "shipped dms_750_N200.rate.npz")
"""Networks whose bits and timescales are looked at."""
DEVICE = EXAMPLES[:1]
Parts = dict[str, Callable[[argparse.Namespace], Any]]


def main() -> None:
    """Measure what was asked for and write the page."""
    parser = command_parser("benchmarks.tuning", __doc__)
    parser.add_argument("--work", type=Path, default=Path("tuning-work"))
    parser.add_argument("--only", nargs="*", choices=[*PARTS])
    parser.add_argument("--theirs", type=Path, help="folder of .mat by others")
    parser.add_argument(
        "--networks", type=Path, help="work folder of benchmarks.conversion"
    )
    add_page_options(parser)
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "tuning", tuning_page)
        return
    paths = {name: options.work / f"{name}.json" for name in PARTS}
    for name in options.only or PARTS:
        # Before it is measured: the commit is that of the code that runs.
        origin = provenance("benchmarks.tuning")
        write_figures(paths[name], {"made": origin, "rows": PARTS[name](options)})
    content = {
        "provenance": provenance("benchmarks.tuning"),
        "figures": {
            name: read_figures(path) for name, path in paths.items() if path.exists()
        },
    }
    write_results(options.page, "tuning", content, tuning_page)


def _networks(options: argparse.Namespace) -> list[dict[str, Any]]:
    cases = networks.cases(options.theirs, options.networks)
    return _rows(options.work / "networks", cases, networks.measure)


def _timescales(options: argparse.Namespace) -> list[dict[str, Any]]:
    cases = [
        case
        for case in networks.cases(options.theirs, options.networks)
        if (case.name, case.method) in timescales.CASES
    ]
    return _rows(options.work / "timescales", cases, timescales.measure)


def _rows(
    folder: Path,
    cases: list[networks.TuningCase],
    measure: Callable[[networks.TuningCase], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return a row for each network; those in the work folder are not done again."""
    rows = []
    for case in cases:
        # One file a network: an hour of tuning survives an interruption.
        name = f"{case.name} {case.method}".replace(" ", "_").replace(":", "")
        path = folder / f"{name}.json"
        if not path.exists():
            row = measure(case)
            row["commit"] = provenance("benchmarks.tuning")["commit"]
            write_figures(path, row)
        rows.append(read_figures(path))
    return rows


def _examples(names: tuple[str, ...]) -> list[networks.TuningCase]:
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
    "bits": lambda _: [
        bits.measure(case, timescales=0.0) for case in _examples(EXAMPLES)
    ],
    "letters": lambda _: letters.measure(),
    "timescales": _timescales,
    "methods": lambda _: methods.measure(),
    "device": lambda _: [device.measure(case) for case in _examples(DEVICE)],
}


if __name__ == "__main__":
    main()
