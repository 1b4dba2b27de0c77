"""Processes that bring spikes and states out of Lava through files.

Lava hands variables over number by number, 10 to 16 µs each; an array that the model
itself writes to a file costs nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np

from isotau.convert.ground.files import atomic
from isotau.convert.records import spikes
from isotau.targets.on_lava.shim.lava_compat import load

AbstractProcess: Any = load("lava.magma.core.process.process").AbstractProcess
PyLoihiProcessModel: Any = load("lava.magma.core.model.py.model").PyLoihiProcessModel
decorator = load("lava.magma.core.decorator")
model_ports = load("lava.magma.core.model.py.ports")
ports = load("lava.magma.core.process.ports.ports")
LoihiProtocol = load("lava.magma.core.sync.protocols.loihi_protocol").LoihiProtocol
CPU = load("lava.magma.core.resources").CPU
LavaPyType = load("lava.magma.core.model.py.type").LavaPyType


class SpikeSink(AbstractProcess):
    """Packs the spikes of several copies of a population and writes them to `path`.

    The array is steps × copies × ceil(n/8), as in `Spikes.bits`. After each step the
    number of steps so far is written to `passed`, eight bytes.
    """

    def __init__(
        self, *, shape: tuple[int], copies: int, steps: int, path: Path, passed: Path
    ) -> None:
        """Declare one port, for the spikes."""
        super().__init__(
            shape=shape, copies=copies, steps=steps, path=path, passed=passed
        )
        self.a_in = ports.InPort(shape=shape)


@decorator.implements(proc=SpikeSink, protocol=LoihiProtocol)
@decorator.requires(CPU)
@decorator.tag("fixed_pt")
class SpikeSinkModel(PyLoihiProcessModel):
    """Keeps the bits in memory and writes them once, at the last step."""

    a_in = LavaPyType(model_ports.PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: dict[str, object]) -> None:
        """Reserve the whole array."""
        super().__init__(proc_params)
        (size,) = self.proc_params["shape"]
        self.copies = self.proc_params["copies"]
        width = (size // self.copies + 7) // 8
        self.bits = np.zeros(
            (self.proc_params["steps"], self.copies, width), dtype=np.uint8
        )
        self.passed = np.memmap(
            self.proc_params["passed"], dtype=np.int64, mode="r+", shape=(1,)
        )

    def run_spk(self) -> None:
        """Take the spikes of one step."""
        raster = self.a_in.recv().reshape(self.copies, -1) != 0
        self.bits[self.time_step - 1] = spikes.pack(raster)
        self.passed[0] = self.time_step
        if self.time_step == len(self.bits):
            write(self.proc_params["path"], self.bits)


class StateProbe(AbstractProcess):
    """Reads one variable of a population after every step and writes it to `path`.

    The array is steps × size, int32; Lava's own Monitor keeps the same numbers, but
    reading them costs 16 µs each.
    """

    def __init__(self, *, shape: tuple[int], steps: int, path: Path) -> None:
        """Declare one port, to be connected by `state.connect_var`."""
        super().__init__(shape=shape, steps=steps, path=path)
        self.state = ports.RefPort(shape=shape)


@decorator.implements(proc=StateProbe, protocol=LoihiProtocol)
@decorator.requires(CPU)
@decorator.tag("fixed_pt")
class StateProbeModel(PyLoihiProcessModel):
    """Reads after the spikes of a step, so that v is seen after its reset."""

    state = LavaPyType(model_ports.PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: dict[str, object]) -> None:
        """Reserve the whole array."""
        super().__init__(proc_params)
        (size,) = self.proc_params["shape"]
        self.values = np.zeros((self.proc_params["steps"], size), dtype=np.int32)

    def post_guard(self) -> bool:
        """Return that `run_post_mgmt` is wanted, at every step."""
        return True

    def run_post_mgmt(self) -> None:
        """Read the variable."""
        self.values[self.time_step - 1] = self.state.read()
        if self.time_step == len(self.values):
            write(self.proc_params["path"], self.values)


def write(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`; the file appears whole or not."""
    with atomic(path) as stream:
        np.save(stream, array, allow_pickle=False)
