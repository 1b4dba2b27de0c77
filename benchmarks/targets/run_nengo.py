"""nengo-loihi's emulator on a network in the chip's own integers, with noise given.

    PYTHON run_nengo.py FOLDER

For an interpreter that has nengo-loihi, whose 1.1.0 needs numpy < 2; isotau is not
needed. The folder's `network.npz` holds registers, weights in units of state (post ×
pre) and what the emulator is to draw, step × neuron, and as many draws of its own as
`own` says. `states.npz` has what it made of them.
"""

import sys
from pathlib import Path

import numpy as np
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.builder import Model
from nengo_loihi.emulator import EmulatorInterface


class GivenDraws:
    """What the emulator takes for its generator: numbers that were drawn before."""

    def __init__(self, samples: np.ndarray) -> None:
        """Take them, step × neuron."""
        self.samples = iter(samples)

    def randint(self, low: int, high: int, size: int, dtype: type) -> np.ndarray:
        """Return those of the next step."""
        sample = next(self.samples).astype(dtype)
        if sample.shape != (size,) or sample.min() < low or sample.max() >= high:
            raise ValueError(f"samples: got {sample}, need {size} in [{low}, {high})")
        return sample


def emulator(net: np.lib.npyio.NpzFile) -> EmulatorInterface:
    """Return the emulator of a network, with nothing discretized that is so already."""
    n = len(net["du"])
    block = LoihiBlock(n)
    neurons = block.compartment
    neurons.scale_u = neurons.scale_v = False
    for name, register in (
        ("decay_u", "du"),
        ("decay_v", "dv"),
        ("bias", "bias"),
        ("vth", "threshold"),
        ("refract_delay", "refract_delay"),
    ):
        setattr(neurons, name, net[register].astype(np.int32))
    neurons.vmin, neurons.vmax = 1 - (1 << 23), (1 << 23) - 1
    neurons.enable_noise = net["enable_noise"]
    neurons.noise_exp = int(net["noise_exp"])
    neurons.noise_at_membrane = int(net["noise_at_membrane"])
    synapse = Synapse(n)
    synapse.set_weights(net["weights"].T)
    synapse.weights = [row.astype(np.int32) for row in synapse.weights]
    block.add_synapse(synapse)
    axon = Axon(n)
    axon.target = synapse
    axon.set_compartment_axon_map(np.arange(n))
    block.add_axon(axon)
    model = Model()
    model.add_block(block)
    # What leaves its range is an error: there the two need not agree.
    EmulatorInterface.strict = True
    return EmulatorInterface(model, seed=0)


def main(folder: Path) -> None:
    """Run the network in a folder."""
    with np.load(folder / "network.npz") as net:
        chip = emulator(net)
        samples, own = net["samples"], int(net["own"])
    # From the emulator's own generator, before it is taken away.
    drawn = [chip.compartment.noise.sample(chip.rng) for _ in range(own)]
    chip.rng = GivenDraws(samples)
    states: dict[str, list[np.ndarray]] = {"u": [], "v": [], "fired": []}
    for _ in range(len(samples)):
        chip.step()
        states["u"].append(chip.compartment.current.copy())
        states["v"].append(chip.compartment.voltage.copy())
        states["fired"].append(chip.compartment.spiked.copy())
    arrays = {name: np.stack(steps) for name, steps in states.items()}
    np.savez(folder / "states.npz", **arrays, drawn=np.array(drawn))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
