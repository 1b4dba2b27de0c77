"""Time Lava on the network in a folder; a child process of `benchmarks.engine`.

Leaves `result.json`: microseconds per step of the run, and of reading the spikes, in
which case `bits.npy` holds them, from power-up.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from isotau.convert.ground import files
from isotau.convert.records import spikes, storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.targets.on_lava.lava_child import build
from isotau.targets.on_lava.lava_compat import load


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    warm_up, steps, read = job["warm_up"], job["steps"], job["read"]
    net = storage.load(folder / "network.npz", FixedPointNetwork)
    silence = np.zeros((warm_up + steps, 1, net.n_in), dtype=np.int32)
    zero = np.zeros(1, dtype=np.int64)
    population = build(net, silence, seeds=zero.astype(np.uint64), trials=zero)
    if read:
        monitor = load("lava.proc.monitor.process").Monitor()
        monitor.probe(population.s_out, warm_up + steps)
    run_steps = load("lava.magma.core.run_conditions").RunSteps
    config = load("lava.magma.core.run_configs").Loihi2SimCfg(select_tag="fixed_pt")
    population.run(condition=run_steps(num_steps=warm_up), run_cfg=config)
    start = time.perf_counter()
    population.run(condition=run_steps(num_steps=steps))
    result = {"run_us": (time.perf_counter() - start) / steps * 1e6, "read_us": 0.0}
    if read:
        start = time.perf_counter()
        (raster,) = monitor.get_data()[population.name].values()
        seconds = time.perf_counter() - start
        result["read_us"] = seconds / (warm_up + steps) * 1e6
        np.save(folder / "bits.npy", spikes.pack(raster[:, None] != 0))
    population.stop()
    files.write_text(folder / "result.json", json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
