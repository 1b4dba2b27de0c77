"""Time nengo-loihi's emulator, in the chip's integers, on the network in a folder.

A child process of `benchmarks.engine`, for an interpreter that has nengo-loihi, whose
1.1.0 needs numpy < 2; isotau is not needed. The emulator quantizes the network in its
own way. Leaves `result.json`: microseconds per step, without construction, and
activity.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.builder import Model
from nengo_loihi.builder.discretize import discretize_model
from nengo_loihi.emulator import EmulatorInterface


def emulator(floats: np.lib.npyio.NpzFile, job: dict) -> EmulatorInterface:
    # in units of the threshold, which the emulator's own are close to
    n, unit = len(floats["bias"]), job["threshold"]
    block = LoihiBlock(n)
    neurons = block.compartment
    neurons.decay_u[:], neurons.decay_v[:] = job["loss_u"], job["loss_v"]
    neurons.scale_u = neurons.scale_v = False
    neurons.refract_delay[:] = 1
    neurons.vth[:], neurons.vmin = 1, -10
    neurons.bias[:] = floats["bias"] / unit
    synapse = Synapse(n)
    synapse.set_weights(floats["weights"].T / unit)
    block.add_synapse(synapse)
    axon = Axon(n)
    axon.target = synapse
    axon.set_compartment_axon_map(np.arange(n))
    block.add_axon(axon)
    model = Model()
    model.add_block(block)
    discretize_model(model)
    return EmulatorInterface(model, seed=0)


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    steps = job["steps"]
    with np.load(folder / "floats.npz") as floats:
        chip = emulator(floats, job)
    fired = 0
    start = time.perf_counter()
    for _ in range(steps):
        chip.step()
        fired += int(chip.compartment.spiked.sum())
    result = {
        "run_us": (time.perf_counter() - start) / steps * 1e6,
        "activity": fired / steps / len(chip.compartment.spiked),
    }
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
