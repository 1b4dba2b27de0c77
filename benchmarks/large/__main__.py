"""Makes docs/results/large.md and large.json.

    python -m benchmarks.large             ten minutes
    python -m benchmarks.large --quick     one, small networks, prints only
    python -m benchmarks.large --render    the page, from its .json alone

What do sparse networks of many neurons take of time and memory, and are their spikes
those of the reference engine? Each case runs in a process of its own (`worker`). Exit
status 1 if a spike differs.
"""

import json
import subprocess
import sys
from typing import Any

from benchmarks.command import add_page_options, command_parser
from benchmarks.large.page import large_page
from benchmarks.provenance import provenance
from benchmarks.repository import ROOT
from benchmarks.results import write_page, write_results

SIZES = ((1_000, 0.01), (1_000, 0.1), (10_000, 0.001), (10_000, 0.01))
LARGEST = ((100_000, 0.0001), (100_000, 0.001))
BATCHES = (1, 10, 100)
LIMIT_S = 1200
"""That one case may take."""


def engine_cases(*, quick: bool) -> list[dict[str, Any]]:
    """Return the cases of the engine: over N and density, batch, threads."""
    sizes = SIZES[:2] if quick else SIZES + LARGEST
    cases = []
    for n, density in sizes:
        for batch in BATCHES:
            # A hundred trials of 100,000 neurons are no other case than ten.
            if n * batch > 1_000_000:
                continue
            for threads in (1, 2) if batch > 1 else (1,):
                case = {"n": n, "density": density, "batch": batch, "threads": threads}
                cases.append(case)
    return cases


def chain_cases(*, quick: bool) -> list[dict[str, Any]]:
    """Return the cases of the way from a record to cores."""
    sizes = SIZES[:1] if quick else (SIZES[0], SIZES[-1], LARGEST[-1])
    return [
        {"n": n, "density": density, "batch": 2, "steps": 100} for n, density in sizes
    ]


def run_case(case: dict[str, Any]) -> dict[str, Any]:
    """Return a case's figures, from a process of its own."""
    print(json.dumps(case), file=sys.stderr, flush=True)
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.large.worker", json.dumps(case)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    figures: dict[str, Any] = json.loads(process.stdout)
    return figures


def main() -> int:
    """Measure what was asked for and write the page."""
    parser = command_parser("benchmarks.large", __doc__)
    parser.add_argument("--quick", action="store_true", help="small, prints only")
    add_page_options(parser)
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "large", large_page)
        return 0
    origin = provenance("benchmarks.large")
    figures: dict[str, Any] = {
        "provenance": origin,
        "engine": [run_case(case) for case in engine_cases(quick=options.quick)],
        "chain": [
            run_case(case | {"chain": True})
            for case in chain_cases(quick=options.quick)
        ],
    }
    if options.quick:
        print(json.dumps(figures, indent=1, ensure_ascii=False))
    else:
        write_results(options.page, "large", figures, large_page)
    wrong = [
        row
        for row in figures["engine"]
        if not (row["same_as_reference"] and row.get("same_as_dense", True))
    ]
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
