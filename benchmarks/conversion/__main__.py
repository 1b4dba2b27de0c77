"""Trains, converts and scores the networks of docs/results/conversion.md.

    python -m benchmarks.conversion              everything, hours on two cores
    python -m benchmarks.conversion --only rdm   some of it

Networks and figures are kept in the work folder, so that an interrupted run goes on;
remove the folder to begin anew. The page and its .json are written at the end from
whatever is there.
"""

import argparse
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from rich.progress import track
from threadpoolctl import threadpool_limits

from benchmarks.conversion.measure import measure
from benchmarks.conversion.page import write_page
from benchmarks.conversion.search import time_search
from benchmarks.conversion.studies import STUDIES
from benchmarks.provenance import provenance
from benchmarks.repository import RESULTS
from isotau.cli.progress import bars
from isotau.convert.ground import files
from isotau.convert.records import storage
from isotau.convert.records.rate import RateRNN
from isotau.jobs.train import file_name, train_networks


def main() -> None:
    """Run the studies that were asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("conversion-work"))
    parser.add_argument("--only", nargs="*", default=[*STUDIES, "search"])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--page", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    unknown = set(chosen.only) - {*STUDIES, "search"}
    if unknown:
        parser.error(f"--only: got {sorted(unknown)}, need some of {[*STUDIES]}")
    for name in chosen.only:
        if name == "search":
            if not chosen.train_only:
                keep(chosen.work / "search.json", time_search())
            continue
        seconds = train(name, chosen.work / name, chosen.jobs)
        if not chosen.train_only:
            convert_all(name, chosen.work / name, seconds, chosen.jobs)
    if not chosen.train_only:
        results = {
            name: json.loads((chosen.work / name / "figures.json").read_text())
            for name in STUDIES
            if (chosen.work / name / "figures.json").exists()
        }
        search = chosen.work / "search.json"
        found = json.loads(search.read_text()) if search.exists() else None
        write_page(chosen.page, results, found, provenance("benchmarks.conversion"))


def train(name: str, folder: Path, jobs: int) -> dict[str, float]:
    """Train a study's networks and return what it took, kept from the first time."""
    record = folder / "training.json"
    if record.exists():
        return dict(json.loads(record.read_text()))
    request = STUDIES[name].train
    torch.set_num_threads(jobs)
    started = time.perf_counter()
    made = train_networks(request, folder, progress=bars)
    seconds = time.perf_counter() - started
    torch.set_num_threads(1)
    updates = [sum(s[k].losses.size for s in made.stages) for k in range(request.count)]
    figures = {
        "networks": request.count,
        "seconds": seconds,
        "threads": jobs,
        "converged": made.converged,
        "median_updates": float(sorted(updates)[len(updates) // 2]),
    }
    keep(record, figures)
    return figures


def convert_all(name: str, folder: Path, training: dict[str, float], jobs: int) -> None:
    """Convert and score a study's networks, several at once."""
    study = STUDIES[name]

    def one(k: int) -> dict[str, Any]:
        kept = folder / f"figures_{k:03d}.json"
        if not kept.exists():
            torch.set_num_threads(1)
            net = storage.load(folder / file_name(k), RateRNN)
            with threadpool_limits(1):
                keep(kept, measure(net, study, seed=k, scaled=k < study.scaled))
        return dict(json.loads(kept.read_text()))

    tasks: Iterable[Any] = (delayed(one)(k) for k in range(study.train.count))
    found = track(
        Parallel(n_jobs=jobs, return_as="generator")(tasks),
        description=name,
        total=study.train.count,
    )
    keep(folder / "figures.json", {"training": training, "networks": list(found)})


def keep(path: Path, figures: Any) -> None:
    """Write figures to a file, whole or not at all."""
    files.write_text(path, json.dumps(figures, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
