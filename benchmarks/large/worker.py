"""One case in a process of its own, whose largest memory is the case's.

    python -m benchmarks.large.worker '{"n": 1000, "density": 0.1, …}'

prints its figures as JSON. With "chain" in the case the whole way is gone, from the
record to its cores, else the compiled engine alone is timed.
"""

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from benchmarks.large.networks import large_chip, large_lif
from benchmarks.large.page import FLOOR_BYTES, STATE_BYTES, SUM_BYTES, SYNAPSE_BYTES
from isotau.convert.ground.errors import Severity, of_severity
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.weight_form import densified
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import messages
from isotau.sim.engines import compiled, reference
from isotau.sim.engines.synapses import pays
from isotau.targets.loihi.limits import LOIHI1, LOIHI2
from isotau.targets.loihi.place import place
from isotau.targets.onnx_model.check_onnx import check_onnx

SECONDS = 0.3
"""That a timed run takes, about."""
REPEATS = 5
LEAST = 100
"""Steps of a run: what a run takes besides its steps is then little."""
COMPARED = 20
"""Steps that the reference engine runs."""


@njit(cache=True)
def plain_loop(x: np.ndarray, y: np.ndarray) -> None:
    """Read two arrays and write one, as plainly as can be."""
    for j in range(x.shape[0]):
        x[j] += y[j]


def memory_mib() -> float:
    """Return the most that this process has taken so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bandwidth(size: int) -> float:
    """Return the bytes a second of a plain loop over two arrays of a size together.

    Seconds are those of the processor, which other programs do not lengthen.
    """
    x, y = np.zeros((2, max(64, size // 8)), np.int32)
    plain_loop(x, y)
    count = max(1, int(2e7 // x.size))
    start = time.process_time()
    for _ in range(count):
        plain_loop(x, y)
    return 3 * x.nbytes * count / (time.process_time() - start)


def traffic(net: FixedPointNetwork, share: float) -> float:
    """Return the seconds that what a step reads and writes takes in plain loops.

    Each part has the speed of what lies as far away as it does.

    Args:
        net: the network.
        share: of its neurons that spike in a step.
    """
    recurrent = [block for block in net.blocks if block.source == "recurrent"]
    sparse = [block for block in recurrent if pays(block)]
    floored = sum(block.weight_exp < 0 for block in sparse)
    size = STATE_BYTES * net.n
    seconds = (size + FLOOR_BYTES * floored * net.n) / bandwidth(size)
    if sparse:
        synapses = sum(block.weights.synapses for block in sparse)
        read = SYNAPSE_BYTES * share * synapses / bandwidth(SYNAPSE_BYTES * synapses)
        return seconds + read + SUM_BYTES * share * synapses / bandwidth(4 * net.n)
    # Rows of a small network are floored in passing.
    return seconds + share * net.n * net.n / bandwidth(net.n * net.n)


def engine(case: dict[str, Any]) -> dict[str, Any]:
    """Return what a step of a trial costs, and whether its spikes are right."""
    base = memory_mib()
    net, batch, threads = (
        large_chip(case["n"], case["density"]),
        case["batch"],
        case["threads"],
    )
    recurrent = [block for block in net.blocks if block.source == "recurrent"]
    synapses = sum(block.weights.synapses for block in recurrent)

    def sent(steps: int) -> np.ndarray:
        return np.zeros((steps, batch, net.n_in), np.int64)

    def run(steps: int) -> np.ndarray:
        """Return seconds of the clock, and of all processors."""
        start = np.array([time.perf_counter(), time.process_time()])
        compiled.run(net, sent(steps), threads=threads)
        return np.array([time.perf_counter(), time.process_time()]) - start

    run(4)  # compiled, and the network arranged
    steps = max(LEAST, int(SECONDS / (run(COMPARED)[0] / COMPARED)))
    fired = compiled.run(net, sent(steps), threads=threads).spikes
    share = float(np.unpackbits(fired.bits).sum()) / (steps * batch * net.n)
    times: list[np.ndarray] = []
    floors: list[float] = []
    for _ in range(REPEATS):
        times.append(run(steps) / (steps * batch))
        floors.append(traffic(net, share))
    peak = memory_mib()
    ratios = [cpu / floor for (_, cpu), floor in zip(times, floors, strict=True)]
    few = compiled.run(net, sent(COMPARED)[:, :1]).spikes
    same = (few.bits == reference.run(net, sent(COMPARED)[:, :1]).spikes.bits).all()
    figures = {
        "us": 1e6 * statistics.median(wall for wall, _ in times),
        "cpu_us": 1e6 * statistics.median(cpu for _, cpu in times),
        "floor_us": 1e6 * statistics.median(floors),
        "ratio": statistics.median(ratios),
        "synapses": synapses,
        "steps": steps,
        "spikes_per_step": share * net.n,
        "peak_mib": peak,
        "base_mib": base,
        "same_as_reference": bool(same),
    }
    if net.n <= 1000:
        whole = compiled.run(densified(net, "a comparison"), sent(steps))
        figures["same_as_dense"] = bool((whole.spikes.bits == fired.bits).all())
    return case | figures


def chain(case: dict[str, Any]) -> dict[str, Any]:
    """Return what each stage takes from the record of a network to its cores."""
    base, seconds = memory_mib(), {}

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        seconds[stage] = time.perf_counter() - start
        return result

    net = large_lif(case["n"], case["density"])
    inputs = np.zeros((case["steps"], case["batch"], net.n_in))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.lif.npz"
        timed("save", lambda: storage.save(net, path))
        size = path.stat().st_size
        net = timed("load", lambda: storage.load(path))
    prepared = timed("LIF stage and quantizer", lambda: prepare(net, inputs))
    fixed = prepared.fixed
    run = timed("engine", lambda: compiled.run(fixed, messages(fixed, inputs)))
    cores = {}
    for chip in (LOIHI1, LOIHI2):
        placed = timed(
            f"place, {chip.name}", lambda c=chip: place(fixed, c, chips=None)
        )
        cores[chip.name] = [placed.cores, placed.chips]
    errors = of_severity(check_onnx(fixed), Severity.ERROR)
    return case | {
        "synapses": net.w_rec.synapses,
        "seconds": seconds,
        "file_mib": size / 2**20,
        "cores": cores,
        "onnx": errors[0].message if errors else "",
        "lif_hz": float(np.unpackbits(prepared.run.spikes.bits).sum())
        / (net.n * inputs.shape[0] * inputs.shape[1] * net.dt),
        "chip_hz": float(np.unpackbits(run.spikes.bits).sum())
        / (net.n * inputs.shape[0] * inputs.shape[1] * net.dt),
        "peak_mib": memory_mib(),
        "base_mib": base,
    }


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    print(json.dumps(chain(job) if job.pop("chain", False) else engine(job)))
