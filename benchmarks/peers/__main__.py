"""Compares our estimators of timescales with those of others, on the same data.

python -m benchmarks.peers                 200 units a cell, a quarter of an hour
python -m benchmarks.peers --quick         a few, too little to believe
python -m benchmarks.peers --render        the page, from its .json alone

Packages of others come from checkouts that are named: --abctau, --voytek, --levina,
--geometric; what they import, and mrestimator, from the folders of --site and from
where Python looks anyway. The page says which were not had, and why.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from benchmarks.command import add_page_options, command_parser
from benchmarks.peers import outside
from benchmarks.peers.known import CELLS, cell_named
from benchmarks.peers.methods import BASELINE, ML, ML_ALL, OURS, STATE, Answer, answers
from benchmarks.peers.outside import PEERS, Told
from benchmarks.peers.page import peers_page
from benchmarks.peers.scores import compared, scored
from benchmarks.provenance import provenance
from benchmarks.results import write_page, write_results

SEED = 2026
CLAIMS = {"signal": (STATE, ML), "counts": (ML, ML_ALL)}
"""Methods of ours that are held against those of others."""
HERE = "isotau"
CHECKOUTS = ("abctau", "voytek", "levina", "geometric")


def main() -> None:
    """Measure and write the page."""
    parser = command_parser("benchmarks.peers", __doc__)
    add_page_options(parser)
    for name in CHECKOUTS:
        parser.add_argument(f"--{name}", type=Path, help="checkout of this package")
    parser.add_argument(
        "--site", type=Path, nargs="*", default=[], help="folders with what they need"
    )
    parser.add_argument("--units", type=int, default=200, help="of each cell")
    parser.add_argument("--few", type=int, default=4, help="units for abcTau")
    parser.add_argument("--limit", type=float, default=600.0, help="s for an answer")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "peers", peers_page)
        return
    units, few = (8, 1) if options.quick else (options.units, options.few)
    # Before it is measured: the commit is that of the code that runs.
    origin = provenance("benchmarks.peers")
    jobs = {"cells": [cell.name for cell in CELLS], "units": units, "seed": SEED}
    checkouts = {name: getattr(options, name) for name in CHECKOUTS}
    told = everyone(checkouts, options.site, jobs, few, options.limit, options.jobs)
    content = {
        "provenance": origin | {"seed": SEED},
        "units": units,
        **shortened(figures(told)),
    }
    write_results(options.page, "peers", content, peers_page)


def everyone(
    checkouts: Mapping[str, Path | None],
    sites: Sequence[Path],
    jobs: Mapping[str, Any],
    few: int,
    limit: float,
    cores: int,
) -> list[Told]:
    """Return what we and all others say, ours first.

    Args:
        checkouts: of packages, by their options.
        sites: folders with what they need.
        jobs: arguments of `answers`, without the methods.
        few: units for what takes minutes for one.
        limit: seconds for each answer of others.
        cores: packages that run at a time.
    """
    tasks = [
        delayed(outside.ask)(
            key, checkouts.get(key), sites, {**jobs, "few": few}, limit
        )
        for key in PEERS
    ]
    return [
        # Threads, which only wait: others run in processes of their own.
        *Parallel(n_jobs=cores, prefer="threads")([delayed(ourselves)(jobs), *tasks]),
        outside.without_estimator(checkouts.get("geometric")),
        outside.in_julia(),
    ]


def ourselves(jobs: Mapping[str, Any]) -> Told:
    """Return what our methods say, and a plain fit."""
    return Told(peer=HERE, answers=list(answers((*OURS, BASELINE), **jobs)))


def figures(told: Sequence[Told]) -> dict[str, Any]:
    """Return what the page is made of, from what everyone said."""
    rows, comparisons = [], []
    by_name = {
        (answer.cell, answer.method): answer for one in told for answer in one.answers
    }
    for one in told:
        for answer in one.answers:
            rows.append(_row(one.peer, answer))
            if one.peer != HERE:
                comparisons += _against(answer, by_name)
    asked = {row["cell"] for row in rows}
    return {
        "cells": [
            {
                "name": cell.name,
                "process": cell.process,
                "label": cell.label,
                "group": cell.group,
                "size": cell.size,
                "truths": dict(cell.truths),
            }
            for cell in CELLS
            if cell.name in asked
        ],
        "packages": [
            {
                "peer": one.peer,
                "reason": one.reason,
                "commit": one.commit,
                "version": one.version,
                "missing": one.missing,
            }
            for one in told
            if one.peer != HERE
        ],
        "rows": rows,
        "comparisons": comparisons,
    }


def shortened(value: Any) -> Any:
    """Return figures with five digits each: there are thousands of them."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value]
    return value


def _row(peer: str, answer: Answer) -> dict[str, Any]:
    return {
        "cell": answer.cell,
        "peer": peer,
        "method": answer.method,
        "seconds": answer.seconds,
        **scored(answer.found, cell_named(answer.cell).truths),
    }


def _against(
    answer: Answer, by_name: Mapping[tuple[str, str], Answer]
) -> list[dict[str, Any]]:
    """Return our methods beside an answer of others to the same cell."""
    cell = cell_named(answer.cell)
    return [
        {
            "cell": cell.name,
            "ours": ours,
            "theirs": answer.method,
            **compared(
                by_name[cell.name, ours].found,
                answer.found,
                cell.truths,
                np.random.default_rng(SEED),
            ),
        }
        for ours in CLAIMS[cell.kind]
    ]


if __name__ == "__main__":
    main()
