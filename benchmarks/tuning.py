"""Makes docs/results/tuning.md and tuning.json.

    python benchmarks/tuning.py                     all, about an hour on two cores
    python benchmarks/tuning.py --only speed        one part; the others are kept
    python benchmarks/tuning.py --theirs FOLDER     also networks by others, .mat
    python benchmarks/tuning.py --networks FOLDER   also conversion.py's work folder

Every part leaves its figures in the work folder; the page is made of what is there.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tuning_bits
import tuning_device
import tuning_letters
import tuning_memory
import tuning_methods
import tuning_networks
import tuning_speed
import tuning_timescales
from provenance import provenance
from tuning_page import write_page

from isotau.convert.ground.files import write_text

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "results"
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
    parser.add_argument("--networks", type=Path, help="work folder of conversion.py")
    parser.add_argument("--page", type=Path, default=PAGE)
    chosen = parser.parse_args()
    for name in chosen.only or PARTS:
        found = {"made": provenance("tuning"), "rows": PARTS[name](chosen)}
        text = json.dumps(found, indent=1, allow_nan=False)
        write_text(chosen.work / f"{name}.json", text + "\n")
    figures = {
        name: json.loads((chosen.work / f"{name}.json").read_text())
        for name in PARTS
        if (chosen.work / f"{name}.json").exists()
    }
    write_page(chosen.page, figures, provenance("tuning"))


def _networks(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    found = tuning_networks.cases(chosen.theirs, chosen.networks)
    return _kept(chosen.work / "networks", found, tuning_networks.measure)


def _timescales(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    found = [
        case
        for case in tuning_networks.cases(chosen.theirs, chosen.networks)
        if (case.name, case.method) in tuning_timescales.CASES
    ]
    return _kept(chosen.work / "timescales", found, tuning_timescales.measure)


def _kept(
    folder: Path,
    found: list[tuning_networks.Case],
    measure: Callable[[tuning_networks.Case], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return a row for each network; those in the work folder are not done again."""
    rows = []
    for case in found:
        name = f"{case.name} {case.method}".replace(" ", "_").replace(":", "")
        path = folder / f"{name}.json"
        if not path.exists():
            row = measure(case)
            row["commit"] = provenance("tuning")["commit"]
            write_text(path, json.dumps(row, indent=1, allow_nan=False) + "\n")
        rows.append(json.loads(path.read_text()))
    return rows


def _shown(names: tuple[str, ...]) -> list[tuning_networks.Case]:
    return [
        case
        for case in tuning_networks.cases(None, None)
        if case.name in names and case.method == "calibrate"
    ]


def _speed(_: argparse.Namespace) -> list[dict[str, Any]]:
    rows = [tuning_speed.measure(*size) for size in tuning_speed.SIZES]
    return [*rows, tuning_speed.measure(*tuning_speed.SIZES[0], readout=True)]


PARTS: Parts = {
    "speed": _speed,
    "memory": lambda _: tuning_memory.measure(),
    "networks": _networks,
    "bits": lambda _: [
        tuning_bits.measure(case, timescales=0.0) for case in _shown(SHOWN)
    ],
    "letters": lambda _: tuning_letters.measure(),
    "timescales": _timescales,
    "methods": lambda _: tuning_methods.measure(),
    "device": lambda _: [tuning_device.measure(case) for case in _shown(DEVICE)],
}


if __name__ == "__main__":
    main()
