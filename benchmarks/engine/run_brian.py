"""Time Brian2's C++ standalone, in floats, on the network in a folder.

A child process of `benchmarks.engine`, for an interpreter that has brian2; isotau is
not needed. Leaves `result.json`: microseconds per step, without compilation, and
activity.
"""

import json
import sys
from pathlib import Path

import brian2
import numpy as np

EQUATIONS = """
du/dt = -loss_u * u / step : 1
dv/dt = (u + bias - loss_v * v) / step : 1
bias : 1
"""


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    floats = np.load(folder / "floats.npz")
    bias, weights, steps = floats["bias"], floats["weights"], job["steps"]
    n = len(bias)
    brian2.set_device("cpp_standalone", directory=None, build_on_run=False)
    step = 1 * brian2.ms
    brian2.defaultclock.dt = step
    names = ("loss_u", "loss_v", "threshold")
    neurons = brian2.NeuronGroup(
        n,
        EQUATIONS,
        threshold="v > threshold",
        reset="v = 0",
        method="euler",
        namespace={name: job[name] for name in names} | {"step": step},
    )
    neurons.bias = bias
    synapses = brian2.Synapses(neurons, neurons, "w : 1", on_pre="u_post += w")
    # All pairs, zeros among them: the other engines' matrices are dense too.
    post, pre = np.indices((n, n))
    synapses.connect(i=pre.ravel(), j=post.ravel())
    synapses.w = weights.ravel()
    # Counts alone: to keep the spikes would be timed with the run.
    monitor = brian2.SpikeMonitor(neurons, record=False)
    brian2.run(steps * step)
    device = brian2.get_device()
    device.build(directory=str(folder / "brian"), compile=True, run=True)
    result = {
        "run_us": device._last_run_time / steps * 1e6,
        "activity": monitor.num_spikes / steps / n,
    }
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
