"""Trains, converts and scores the networks of docs/results/conversion.md.

    python -m benchmarks.conversion              everything, hours on two cores
    python -m benchmarks.conversion --only rdm   some of it
    python -m benchmarks.conversion --render     the page, from its .json alone

Networks and figures are kept in the work folder, so that an interrupted run goes on;
remove the folder to begin anew. The page and its .json are written at the end from
whatever is there.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from rich.progress import track
from threadpoolctl import threadpool_limits

from benchmarks.command import add_page_options, command_parser
from benchmarks.conversion.measure import measure
from benchmarks.conversion.page import conversion_page
from benchmarks.conversion.search import time_search
from benchmarks.conversion.studies import STUDIES
from benchmarks.conversion.summary import summarize
from benchmarks.provenance import provenance
from benchmarks.results import read_figures, write_figures, write_page, write_results
from isotau.cli.progress import bars
from isotau.convert.records import storage
from isotau.convert.records.rate import RateRNN
from isotau.jobs.train import file_name, train_networks


def main() -> None:
    """Run the studies that were asked for and write the page."""
    parser = command_parser("benchmarks.conversion", __doc__)
    parser.add_argument("--work", type=Path, default=Path("conversion-work"))
    parser.add_argument("--only", nargs="*", default=[*STUDIES, "search"])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--train-only", action="store_true")
    add_page_options(parser)
    options = parser.parse_args()
    unknown = set(options.only) - {*STUDIES, "search"}
    if unknown:
        parser.error(f"--only: got {sorted(unknown)}, need some of {[*STUDIES]}")
    if options.render:
        write_page(options.page, "conversion", conversion_page)
        return
    for name in options.only:
        if name == "search":
            if not options.train_only:
                write_figures(options.work / "search.json", time_search())
            continue
        training = train(name, options.work / name, options.jobs)
        if not options.train_only:
            convert_all(name, options.work / name, training, options.jobs)
    if not options.train_only:
        write_results(options.page, "conversion", gather(options.work), conversion_page)


def train(name: str, folder: Path, jobs: int) -> dict[str, float]:
    """Train a study's networks; return what it took, of the run that trained them."""
    record = folder / "training.json"
    if record.exists():
        return dict(read_figures(record))
    request = STUDIES[name].train
    # Networks are trained as one batch, so threads help; conversion runs one network
    # in each process, where they would get in each other's way.
    torch.set_num_threads(jobs)
    start = time.perf_counter()
    training = train_networks(request, folder, progress=bars)
    seconds = time.perf_counter() - start
    torch.set_num_threads(1)
    updates = [
        sum(stages[k].losses.size for stages in training.stages)
        for k in range(request.count)
    ]
    figures = {
        "networks": request.count,
        "seconds": seconds,
        "threads": jobs,
        "converged": training.converged,
        "median_updates": float(sorted(updates)[len(updates) // 2]),
    }
    write_figures(record, figures)
    return figures


def convert_all(name: str, folder: Path, training: dict[str, float], jobs: int) -> None:
    """Convert and score a study's networks, several at once."""
    study = STUDIES[name]

    def network_figures(k: int) -> dict[str, Any]:
        path = folder / f"figures_{k:03d}.json"
        if not path.exists():
            torch.set_num_threads(1)
            net = storage.load(folder / file_name(k), RateRNN)
            with threadpool_limits(1):
                figures = measure(net, study, seed=k, scaled=k < study.scaled)
            write_figures(path, figures)
        return dict(read_figures(path))

    jobs_of_networks: Iterable[Any] = (
        delayed(network_figures)(k) for k in range(study.train.count)
    )
    networks = track(
        Parallel(n_jobs=jobs, return_as="generator")(jobs_of_networks),
        description=name,
        total=study.train.count,
    )
    content = {"training": training, "networks": list(networks)}
    write_figures(folder / "figures.json", content)


def gather(work: Path) -> dict[str, Any]:
    """Return the figures of every study and of the search that the work folder has."""
    results = {
        name: read_figures(work / name / "figures.json")
        for name in STUDIES
        if (work / name / "figures.json").exists()
    }
    search = work / "search.json"
    return {
        "provenance": provenance("benchmarks.conversion"),
        "summary": {name: summarize(name, part) for name, part in results.items()},
        "search": read_figures(search) if search.exists() else None,
        "networks": results,
        "trials": {
            name: {"fit": study.fit, "test": study.test, "seed": study.train.seed}
            for name, study in STUDIES.items()
        },
    }


if __name__ == "__main__":
    main()
