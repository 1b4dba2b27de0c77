"""The commands of the chain that are timed, and the files that they need."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.chain.children import Machine, cost_of
from benchmarks.repository import NETWORKS
from isotau.convert.ground.files import atomic
from isotau.convert.records import storage
from isotau.convert.records.spikes import Spikes, pack
from isotau.sim.tasks import GO_NOGO

GO_NOGO_NETWORK = NETWORKS / "go_nogo_N200.mat"
DMS_NETWORK = NETWORKS / "dms_750_N200.rate.npz"
TRIALS = UNITS = 200


class ChainCommand(NamedTuple):
    """A command of isotau's.

    Attributes:
        name: in tables.
        words: its arguments, but for the folder of its results.
        goal: most seconds that it is to take, warm and on a new machine; None for none.
    """

    name: str
    words: tuple[str, ...]
    goal: tuple[float | None, float | None] = (None, None)


def make_inputs(folder: Path, machine: Machine) -> None:
    """Leave a converted network, inputs for it and spikes in a folder."""
    words = ("convert", str(GO_NOGO_NETWORK), "--trials", "20", "--out", str(folder))
    cost_of(words, machine)
    trials = GO_NOGO.draw(TRIALS, np.random.default_rng(0))
    fine = np.repeat(trials.inputs, round(trials.dt / 1e-3), axis=0)
    with atomic(folder / "inputs.npz") as stream:
        np.savez(stream, inputs=fine)
    raster = np.random.default_rng(1).random((1050, 50, UNITS)) < 0.02
    spikes = Spikes(bits=pack(raster), n=UNITS, dt=1e-3, engine="recorded")
    storage.save(spikes, folder / "spikes.npz")


def chain_commands(folder: Path) -> list[ChainCommand]:
    """Return what is timed, on the files of `make_inputs` in a folder."""
    network = folder / "network.lif.npz"
    dms = ("--task", "dms-750", "--method", "scale")
    few = ("--trials", "50", "--score-trials", "100")
    return [
        ChainCommand("run", ("run", str(GO_NOGO_NETWORK)), (10, 20)),
        ChainCommand("convert", ("convert", str(GO_NOGO_NETWORK))),
        ChainCommand(
            "convert, λ search, DMS", ("convert", str(DMS_NETWORK), *dms), (8, None)
        ),
        ChainCommand(
            "quantize",
            ("quantize", str(network), "--inputs", str(folder / "inputs.npz")),
        ),
        ChainCommand("preserve, 50 trials", ("preserve", str(GO_NOGO_NETWORK), *few)),
        ChainCommand(
            "timescales, 200 neurons, `ml` and `kim`",
            (
                *("timescales", str(folder / "spikes.npz")),
                *("--method", "ml", "--method", "kim"),
            ),
        ),
    ]
