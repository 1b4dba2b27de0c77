"""Run the compiled engine of another commit; a child of `benchmarks.engine`.

Its `isotau` is that commit's, by PYTHONPATH; only names that have always been there are
used. Reads a job a line from its standard input, {"steps", "bits"}, and answers with a
line, microseconds per trial and step; with `bits`, `bits.npy` holds the spikes.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

import isotau
from isotau.sim.engines import compiled


def main(folder: Path) -> None:
    net = isotau.load(folder / "network.npz", isotau.FixedPointNetwork)
    with np.load(folder / "state.npz") as file:
        arrays = dict(file)
    batch = len(arrays["u"])
    silence = np.zeros((1, batch, net.n_in), dtype=np.int32)
    # The class of a state has moved; any run leaves one.
    state = compiled.run(net, silence).state._replace(step=0, **arrays)
    for line in sys.stdin:
        job = json.loads(line)
        messages = np.zeros((job["steps"], batch, net.n_in), dtype=np.int32)
        start = time.perf_counter()
        run = compiled.run(net, messages, state=state)
        seconds = time.perf_counter() - start
        if job["bits"]:
            np.save(folder / "bits.npy", run.spikes.bits)
        print(json.dumps(seconds / job["steps"] / batch * 1e6), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
