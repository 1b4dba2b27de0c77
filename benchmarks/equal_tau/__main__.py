"""Carries many networks to the chip and holds their states against each other.

    python -m benchmarks.equal_tau --train               everything, hours with training
    python -m benchmarks.equal_tau --networks nets/*     networks that are there
    python -m benchmarks.equal_tau --also mante-lowrank=net.pt     files besides
    python -m benchmarks.equal_tau --quick               a few, too little to believe
    python -m benchmarks.equal_tau --render              the page, from its .json alone

Folders of networks are called like their tasks; without --networks they are those of
`networks` in the work folder. Every network's figures are kept in the work folder, so
that an interrupted run goes on; remove it to begin anew. How copies of a unit stay
apart is measured by `benchmarks.equal_tau.copies`.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from rich.progress import track
from threadpoolctl import threadpool_limits

from benchmarks.command import add_page_options, command_parser
from benchmarks.equal_tau import families
from benchmarks.equal_tau.families import Carried
from benchmarks.equal_tau.measure import QUICK, Sizes, measure
from benchmarks.equal_tau.page import equal_tau_page
from benchmarks.equal_tau.summary import summarize
from benchmarks.provenance import provenance
from benchmarks.results import read_figures, write_figures, write_page, write_results
from isotau.convert.read.read_rate import read_rate

MOST_NEURONS = 1024
"""Of a network with several copies of a unit: weights of more take minutes each."""


def main() -> None:
    """Measure what was asked for and write the page."""
    parser = command_parser("benchmarks.equal_tau", __doc__)
    parser.add_argument("--work", type=Path, default=Path("equal-tau-work"))
    parser.add_argument("--networks", type=Path, nargs="*", metavar="DIR")
    parser.add_argument("--also", nargs="*", default=[], metavar="[TASK=]FILE")
    parser.add_argument("--train", action="store_true", help="where there are none")
    parser.add_argument("--copies", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--most", type=int, help="networks of a folder")
    parser.add_argument(
        "--spikes", type=int, help="networks of a family whose spikes are looked at"
    )
    parser.add_argument(
        "--wide", type=int, help="networks of a family that get several copies"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    add_page_options(parser)
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "equal_tau", equal_tau_page)
        return
    sizes = QUICK if options.quick else Sizes()
    work = options.work / ("quick" if options.quick else "full")
    most = 2 if options.quick and options.most is None else options.most
    folders = options.networks
    if folders is None:
        folders = [options.work / "networks" / task for task in families.TRAINED]
    try:
        networks = [
            network
            for folder in folders
            for network in families.trained(folder, train=options.train, most=most)
        ]
        networks += families.files(options.also) + families.shipped()
    except ValueError as error:
        parser.error(str(error))
    measure_all(networks, work, sizes, options)
    write_results(options.page, "equal_tau", gather(work, sizes), equal_tau_page)


def measure_all(
    networks: list[Carried], work: Path, sizes: Sizes, options: Any
) -> None:
    """Measure networks, several at once; those that are there are not done again."""
    place: dict[str, int] = {}
    jobs = []
    for network in networks:
        number = place[network.family] = place.get(network.family, -1) + 1
        spikes = options.spikes is None or number < options.spikes
        wide = options.wide is None or number < options.wide
        jobs += [
            (network, number, copies, spikes)
            for copies in options.copies
            if wide or copies == 1
        ]
    # One neuron a unit first: a run that is stopped then has all networks once.
    jobs.sort(key=lambda job: job[2])
    missing = [job for job in jobs if not _path(work, job[0], job[2]).exists()]
    tasks = (delayed(_measure)(*job, work=work, sizes=sizes) for job in missing)
    done = Parallel(n_jobs=options.jobs, return_as="generator_unordered")(tasks)
    for _ in track(done, description="networks", total=len(missing)):
        pass


def _measure(
    network: Carried,
    number: int,
    copies: int,
    spikes: bool,
    *,
    work: Path,
    sizes: Sizes,
) -> None:
    """Measure one network and write its figures, in a process of its own."""
    rate = read_rate(network.path).net
    if copies > 1 and copies * rate.n > MOST_NEURONS:
        return
    # Processes run side by side; threads within them would compete for the cores.
    with threadpool_limits(1):
        figures = measure(
            rate,
            network.task,
            copies=copies,
            seed=number,
            sizes=sizes,
            # Copies are one unit's: what an experimenter sees of one is no unit's τ.
            spikes=spikes and copies == 1,
        )
    # Of the code that ran: networks may be measured at several commits.
    made = provenance("benchmarks.equal_tau")
    named = {"family": network.family, "name": network.name}
    named |= {key: made[key] for key in ("commit", "uncommitted")}
    write_figures(_path(work, network, copies), named | figures)


def _path(work: Path, network: Carried, copies: int) -> Path:
    return work / network.family / f"{network.name}_copies_{copies}.json"


def gather(work: Path, sizes: Sizes) -> dict[str, Any]:
    """Return the figures of every network that the work folder has, and medians."""
    networks = [read_figures(path) for path in sorted(work.glob("*/*_copies_*.json"))]
    made = provenance("benchmarks.equal_tau") | {
        "commit": ", ".join(sorted({network["commit"] for network in networks})),
        "uncommitted": any(network["uncommitted"] for network in networks),
    }
    return {
        "provenance": made,
        "sizes": dataclasses.asdict(sizes),
        "quick": sizes == QUICK,
        "summary": summarize(networks),
        "networks": networks,
    }


if __name__ == "__main__":
    main()
