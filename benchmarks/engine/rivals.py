"""What the engines are measured against: Lava, Norse and others, a loop in plain C.

Every maker returns a function that runs some steps and says how long they took.
"""

import ctypes
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.engine.networks import DU, DV, VTH, activity
from isotau.convert.chip import arithmetic
from isotau.convert.ground.supervision import supervise
from isotau.convert.records import storage
from isotau.convert.records.chip_state import ChipState
from isotau.convert.records.fixedpoint import FixedPointNetwork

HERE = Path(__file__).parent
LIMIT_S = 300
THRESHOLD = VTH << arithmetic.INPUT_SHIFT
LOSS_U, LOSS_V = (DU + arithmetic.DU_OFFSET) / 4096, DV / 4096


class Timed(NamedTuple):
    """How long one run took."""

    us: float
    """Microseconds per trial and step."""
    activity: float
    bits: np.ndarray | None = None
    """The spikes, where they are meant to equal those of our engines."""


Measure = Callable[[int], Timed]


def compile_c(folder: Path) -> ctypes.CDLL | None:
    """Return the plain C loop, compiled in `folder`; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "plain_lif.so"
    source = HERE / "plain_lif.c"
    subprocess.run(
        [compiler, "-O3", "-shared", "-fPIC", "-o", library, source], check=True
    )
    return ctypes.CDLL(str(library))


def plain_c(library: ctypes.CDLL, net: FixedPointNetwork, state: ChipState) -> Measure:
    """Return the measurement of the C loop, on one thread."""

    def int32(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values, dtype=np.int32)

    excitatory, inhibitory = net.blocks
    weights = int32(np.hstack([excitatory.weights, inhibitory.weights]).T)
    registers = [
        weights,
        int32([excitatory.weight_exp, inhibitory.weight_exp]),
        int32(4096 - arithmetic.DU_OFFSET - net.du),
        int32(4096 - net.dv.astype(np.int32)),
        int32(arithmetic.effective_bias(net.bias_mant, net.bias_exp)),
        int32(net.vth << arithmetic.INPUT_SHIFT),
    ]
    batch, n = state.u.shape

    def measure(steps: int) -> Timed:
        bits = np.empty((steps, batch, (n + 7) // 8), dtype=np.uint8)
        sums = np.empty(2 * n, dtype=np.int32)
        # Copies: every run starts from the same state.
        moving = [state.u.copy(), state.v.copy(), state.ring[0].copy(), sums]
        arrays = [x.ctypes.data_as(ctypes.c_void_p) for x in (*registers, *moving)]
        start = time.perf_counter()
        library.run(
            n,
            len(excitatory.pre),
            steps,
            batch,
            *arrays,
            bits.ctypes.data_as(ctypes.c_void_p),
        )
        seconds = time.perf_counter() - start
        return Timed(seconds / steps / batch * 1e6, activity(bits, n), bits)

    return measure


def floats(net: FixedPointNetwork) -> dict[str, np.ndarray]:
    """Return weights (post × pre) and biases in units of u and v, as floats."""
    shift = arithmetic.INPUT_SHIFT
    return {
        "weights": np.hstack(
            [block.weights * 2.0 ** (block.weight_exp + shift) for block in net.blocks]
        ),
        "bias": arithmetic.effective_bias(net.bias_mant, net.bias_exp).astype(float),
    }


def norse(net: FixedPointNetwork, state: ChipState) -> Measure:
    """Return the measurement of Norse's LIFRecurrentCell on the same weights.

    A spike is held against a threshold of 1; spikes are counted, not kept.
    """
    from norse.torch import LIFParameters, LIFRecurrentCell
    from norse.torch.functional.lif import LIFState

    # Norse's v is in units of the threshold, and its step multiplies the current by
    # the loss of v, which the chip's does not: hence the unit of weights and current.
    unit, dt = LOSS_V * THRESHOLD, net.dt
    tensors = {k: torch.tensor(x / unit).float() for k, x in floats(net).items()}
    cell = LIFRecurrentCell(
        1,
        net.n,
        p=LIFParameters(
            tau_syn_inv=torch.tensor(LOSS_U / dt),
            tau_mem_inv=torch.tensor(LOSS_V / dt),
            v_leak=tensors["bias"],
        ),
        recurrent_weights=tensors["weights"],
        autapses=True,
        dt=dt,
    )
    batch = len(state.u)
    silence = torch.zeros(batch, 1)
    at_first = LIFState(
        z=torch.zeros(batch, net.n),
        v=torch.tensor(state.v / THRESHOLD).float(),
        i=torch.tensor(state.u / unit).float(),
    )

    def measure(steps: int) -> Timed:
        now, fired = at_first, torch.zeros(())
        start = time.perf_counter()
        with torch.inference_mode():
            for _ in range(steps):
                z, now = cell(silence, now)
                fired += z.sum()
        seconds = time.perf_counter() - start
        us, spikes = seconds / steps / batch * 1e6, float(fired) / steps / batch
        return Timed(us, spikes / net.n)

    return measure


def child(python: str, module: str, folder: Path, job: dict[str, object]) -> dict:
    """Return what a module left in `result.json` for a job, under a time limit."""
    # By its path: the interpreter of Brian2 need not know of this checkout.
    command = [python, str(HERE / f"{module}.py")]
    (folder / "job.json").write_text(json.dumps(job))
    supervise([*command, str(folder)], LIMIT_S)
    return json.loads((folder / "result.json").read_text())


def lava(net: FixedPointNetwork, warm_up: int, *, read: bool) -> Measure:
    """Return the measurement of Lava, one trial; its start and compilation not counted.

    With `read`, a stock Monitor keeps the spikes, and fetching them is counted too.
    """

    def measure(steps: int) -> Timed:
        job = {"warm_up": warm_up, "steps": steps, "read": read}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            storage.save(net, folder / "network.npz")
            result = child(sys.executable, "run_lava", folder, job)
            bits = np.load(folder / "bits.npy") if read else None
        busy = activity(bits[warm_up:], net.n) if bits is not None else float("nan")
        return Timed(result["run_us"] + result["read_us"], busy, bits)

    return measure


def elsewhere(net: FixedPointNetwork, python: str, module: str) -> Measure:
    """Return the measurement of a simulator that another interpreter has, one trial.

    Its construction and compilation are not counted.

    Args:
        net: the network.
        python: the interpreter, which need not know of this checkout.
        module: of this folder, that runs there: `run_brian` or `run_nengo`.
    """
    job = {"loss_u": LOSS_U, "loss_v": LOSS_V, "threshold": THRESHOLD}

    def measure(steps: int) -> Timed:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.savez(folder / "floats.npz", **floats(net))
            result = child(python, module, folder, {**job, "steps": steps})
        return Timed(result["run_us"], result["activity"])

    return measure
