"""Processes that bring spikes and states out of Lava through files.

Import it after Lava itself, by `lava_compat.load`. Lava hands variables over number by
number, 10 to 16 µs each; an array that the model itself writes to a file costs nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from isotau.convert.ground.files import atomic
from isotau.convert.records.spikes import pack


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
        self.a_in = InPort(shape=shape)


class StateProbe(AbstractProcess):
    """Reads one variable of a population after every step and writes it to `path`.

    The array is steps × size, int32; Lava's own Monitor keeps the same numbers, but
    reading them costs 16 µs each.
    """

    def __init__(self, *, shape: tuple[int], steps: int, path: Path) -> None:
        """Declare one port, to be connected by `state.connect_var`."""
        super().__init__(shape=shape, steps=steps, path=path)
        self.state = RefPort(shape=shape)


def model_of(process: type[AbstractProcess]) -> Any:
    """Return a decorator that makes a class Lava's model of a process, on the CPU."""

    def decorate(model: type[Any]) -> Any:
        # Runs select their models by this tag.
        model = requires(CPU)(tag("fixed_pt")(model))
        return implements(proc=process, protocol=LoihiProtocol)(model)

    return decorate


@model_of(SpikeSink)
class SpikeSinkModel(PyLoihiProcessModel):
    """Keeps the bits in memory and writes them once, at the last step."""

    a_in = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        """Reserve the whole array."""
        super().__init__(proc_params)
        self.copies: int = proc_params["copies"]
        width = (proc_params["shape"][0] // self.copies + 7) // 8
        size = (proc_params["steps"], self.copies, width)
        self.bits = np.zeros(size, dtype=np.uint8)
        # Shared with the caller's process, which watches it.
        self.passed = np.memmap(
            proc_params["passed"], dtype=np.int64, mode="r+", shape=(1,)
        )

    def run_spk(self) -> None:
        """Take the spikes of one step."""
        raster = self.a_in.recv().reshape(self.copies, -1) != 0
        keep(self, self.bits, pack(raster))
        self.passed[0] = self.time_step


@model_of(StateProbe)
class StateProbeModel(PyLoihiProcessModel):
    """Reads after the spikes of a step, so that v is seen after its reset."""

    state = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        """Reserve the whole array."""
        super().__init__(proc_params)
        size = (proc_params["steps"], proc_params["shape"][0])
        self.values = np.zeros(size, dtype=np.int32)

    # Lava asks before each phase of a step whether the model has something to do.
    def post_guard(self) -> bool:
        """Return that `run_post_mgmt` is wanted, at every step."""
        return True

    def run_post_mgmt(self) -> None:
        """Read the variable."""
        keep(self, self.values, self.state.read())


def keep(model: Any, values: np.ndarray, row: np.ndarray) -> None:
    """Store what a model got in this step; with the last one write all of it.

    The file appears whole or not, so that a run that died leaves none.
    """
    values[model.time_step - 1] = row  # Lava counts steps from 1
    if model.time_step == len(values):
        with atomic(model.proc_params["path"]) as stream:
            np.save(stream, values, allow_pickle=False)
