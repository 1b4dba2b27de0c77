"""The compiled engine of an earlier commit, beside the one of this checkout."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.engine.networks import activity
from benchmarks.engine.rivals import HERE, Measure, Timed
from isotau.convert.records import storage
from isotau.convert.records.chip_state import ChipState
from isotau.convert.records.fixedpoint import FixedPointNetwork

CHECKED = 100
"""Most steps of which spikes are compared; more would be files of many megabytes."""


@contextmanager
def earlier(
    root: Path, scratch: Path, net: FixedPointNetwork, state: ChipState
) -> Iterator[Measure]:
    """Give the measurement of the engine of another checkout.

    One process stays for all runs, so that it is compiled and warm as ours is.

    Args:
        root: the checkout.
        scratch: a folder for what goes to and fro.
        net: the network.
        state: that every run starts from.
    """
    folder = scratch / f"earlier-{net.n}-{len(state.u)}"
    folder.mkdir()
    storage.save(net, folder / "network.npz")
    np.savez(
        folder / "state.npz", u=state.u, v=state.v, rest=state.rest, ring=state.ring
    )
    cache = {"NUMBA_CACHE_DIR": str(scratch / "earlier-numba")}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "run_earlier.py"), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | cache | {"PYTHONPATH": str(root / "src")},
    )
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise RuntimeError("earlier engine: got no pipes to the process, need two")

    def measure(steps: int) -> Timed:
        bits = steps <= CHECKED
        stdin.write(json.dumps({"steps": steps, "bits": bits}) + "\n")
        stdin.flush()
        us = json.loads(stdout.readline())
        if not bits:
            return Timed(us, float("nan"))
        spikes = np.load(folder / "bits.npy")
        return Timed(us, activity(spikes, net.n), spikes)

    try:
        yield measure
    finally:
        stdin.close()
        process.wait()
        stdout.close()
