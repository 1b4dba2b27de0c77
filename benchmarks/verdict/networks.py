"""Networks compared stage by stage: what is decided, and how long it takes."""

import time
from pathlib import Path
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from benchmarks.repository import ROOT
from isotau.convert.read.read_rate import read_rate
from isotau.jobs.pipeline import ConvertedNetwork, convert_for
from isotau.jobs.run_config import RunConfig
from isotau.jobs.timescales.lava_states import lava_resting, numbers
from isotau.jobs.timescales.preserve import COMPARED
from isotau.sim.states import StateBudget, compare_states, summary
from isotau.sim.states.observables import stage_sources

SHIPPED = {
    "go_nogo_N200.mat": "go-nogo",
    "mante_N250.rate.npz": "mante",
    "dms_750_N200.rate.npz": "dms-750",
}
"""Files in examples/data, and their tasks."""


class NetworkFile(NamedTuple):
    """A rate network's file, what it was trained on, and whether it is in examples."""

    path: Path
    task: str
    shipped: bool = False

    @property
    def name(self) -> str:
        """What the page calls it; of many folders the same file name."""
        return self.path.name if self.shipped else f"{self.task} {self.path.stem}"


def shipped() -> list[NetworkFile]:
    """Return the networks of the repository."""
    folder = ROOT / "examples/data"
    return [NetworkFile(folder / name, task, True) for name, task in SHIPPED.items()]


def given(folders: list[str], most: int | None = None) -> list[NetworkFile]:
    """Return the networks in folders.

    Args:
        folders: each as TASK=FOLDER.
        most: of each; all if None.

    Raises:
        ValueError: not of that form, or a folder without networks.
    """
    found = []
    for text in folders:
        task, equals, folder = text.partition("=")
        if not equals:
            raise ValueError(f"also: got {text!r}, need TASK=FOLDER")
        paths = sorted(Path(folder).glob("*.rate.npz"))
        if not paths:
            raise ValueError(f"also: got no .rate.npz in {folder}, need some")
        found += [NetworkFile(path, task) for path in paths[:most]]
    return found


def converted(file: NetworkFile, seed: int = 0) -> ConvertedNetwork:
    """Return a network as `isotau run` converts it."""
    net = read_rate(file.path).net
    return convert_for(net, RunConfig(task=file.task, seed=seed, trials=60))


def measure(file: NetworkFile, seconds: float) -> list[dict[str, Any]]:
    """Return how the stages of one network compare.

    Args:
        file: of the network.
        seconds: for all comparisons of states.
    """
    with threadpool_limits(1):
        begun = time.perf_counter()
        made = converted(file)
        took = time.perf_counter() - begun
        begun = time.perf_counter()
        fixed = made.prepared.fixed
        with lava_resting(fixed) as lava:
            found = compare_states(
                stage_sources(made.rate, made.conversion, fixed),
                COMPARED,
                budget=StateBudget(seconds=seconds),
            )
            rows = [summary(each) for each in found] + [numbers(lava.finish())]
        compared = time.perf_counter() - begun
    about = {
        "network": file.name,
        "task": file.task,
        "shipped": file.shipped,
        "n": made.rate.n,
        "convert_s": took,
        "compare_s": compared,
    }
    return [about | row for row in rows]
