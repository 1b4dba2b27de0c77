"""Which networks are carried: trained ones by task, files, those that come along."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.repository import NETWORKS
from isotau.cli.progress import bars
from isotau.convert.read.read_rate import read_rate
from isotau.jobs.train import TrainRequest, train_networks
from isotau.sim.tasks import TASKS
from isotau.sim.tasks.choose_task import choose_task

TRAINED = {"go-nogo": "Go-NoGo", "dms-750": "DMS", "mante": "Mante"}
"""Tasks whose networks are trained for this, and what their families are called."""
FILES, SHIPPED = "files", "shipped"
SEED, COUNT = 11, 20
ALONG = {
    "go_nogo_N200.mat": "go-nogo",
    "dms_750_N200.rate.npz": "dms-750",
    "mante_N250.rate.npz": "mante",
}
LOW_RANK = {"dms_lowrank_N512.npz": "dms-lowrank"}
"""Networks that come with isotau. Those of the first were looked at while the
conversion was made: they are shown, and count in no median over all."""


class Carried(NamedTuple):
    """A network that is carried.

    Attributes:
        family: that it counts in.
        name: within the family.
        path: of its file.
        task: that it was trained on.
    """

    family: str
    name: str
    path: Path
    task: str


def trained(folder: Path, *, train: bool, most: int | None) -> list[Carried]:
    """Return the networks of a folder that bears its task's name.

    Args:
        folder: of `*.rate.npz`.
        train: whether networks are trained where there are none.
        most: networks; None for all.

    Raises:
        ValueError: a folder that no task is called like, or that has no networks.
    """
    task = folder.name
    if task not in TASKS:
        raise ValueError(
            f"networks: got a folder {task!r}, need one called like a task, one of "
            f"{sorted(TASKS)}; rename it"
        )
    paths = sorted(folder.glob("*.rate.npz"))
    if not paths and train:
        request = TrainRequest(task=task, count=most or COUNT, seed=SEED)
        train_networks(request, folder, progress=bars)
        paths = sorted(folder.glob("*.rate.npz"))
    if not paths:
        raise ValueError(
            f"networks: got no *.rate.npz in {folder}, need some; give --train, or "
            f"`isotau train --task {task} --count {COUNT} --seed {SEED} --out {folder}`"
        )
    return [Carried(task, _stem(path), path, task) for path in paths[:most]]


def files(also: Sequence[str]) -> list[Carried]:
    """Return networks of files, each given as a path or as TASK=PATH.

    Raises:
        UnreadableFile: a file that is damaged or no network.
        ValueError: a network that does not fit the task.
    """
    networks = [
        Carried(FILES, _stem(Path(name)), NETWORKS / name, task)
        for name, task in LOW_RANK.items()
    ]
    for word in also:
        task, _, path = word.rpartition("=")
        chosen = choose_task(read_rate(path).net, task or None)
        networks.append(Carried(FILES, _stem(Path(path)), Path(path), chosen.name))
    return networks


def shipped() -> list[Carried]:
    """Return the networks that come along and were looked at in development."""
    return [
        Carried(SHIPPED, _stem(Path(name)), NETWORKS / name, task)
        for name, task in ALONG.items()
    ]


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]
