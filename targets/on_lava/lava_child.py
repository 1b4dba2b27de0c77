"""The child process in which Lava runs; `to_lava` starts it and watches over it.

Lava starts a process for every population and connection, and may hang where it should
raise. It is therefore kept in a process group that can be ended.
"""

import importlib
import os
import signal
import sys
import time
from dataclasses import fields
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
from jaxtyping import Int32, Int64, UInt64
from scipy import sparse

from isotau.convert.ground import npz
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.targets.on_lava.lava_compat import LavaMissing, load
from isotau.targets.on_lava.lava_script.network import CONFIGS, StoredNetwork

NETWORK, JOB, PASSED = "network.npz", "job.npz", "passed"
"""Files in the job's folder: what to run, on what, and how many steps have passed."""
RESULTS = {"spikes": "spikes.npy", "u": "u.npy", "v": "v.npy"}
"""Files that a finished job leaves there; each appears whole or not."""
FAILED, MISSING = 1, 3
"""Exit status after an error, and when lava-nc cannot be imported."""
PRELOADED = (
    "lava.proc.lif.process",
    "lava.magma.core.run_conditions",
    "lava.magma.core.run_configs",
)
ORPHAN_CHECK_S = 1.0
JOB_CHECK_S = 0.02
"""How often to look for the job, in seconds."""
REASON_S = 0.5
"""How long to wait for the reason of a failure, in seconds."""


def build(
    net: FixedPointNetwork,
    messages: Int32[np.ndarray, "steps batch n_in"],
    *,
    seeds: UInt64[np.ndarray, " batch"],
    trials: Int64[np.ndarray, " batch"],
) -> Any:
    """Return the population of a network wired up in Lava, ready to be recorded from.

    The trials of a batch are copies of the network side by side in one population; the
    copies are not connected. It is Lava's own `LIF` or `LIFReset` where that is enough,
    and `NoisyLIF` where the network has membrane noise or refractory periods. The noise
    depends on each trial's seed and number. Run it
    with the tag "fixed_pt" alone, and for no more steps than there are messages: the
    source begins again after them.
    """
    load("lava.proc.lif.process")
    # Imported here, because it imports Lava.
    from isotau.targets.on_lava.lava_script import wiring

    steps, copies, _ = messages.shape
    values = _by_name(net)
    stored = StoredNetwork(values, values, [_by_name(block) for block in net.blocks])
    population = wiring.population(stored, np.arange(copies * net.n), seeds, trials)
    # Blocks without any weight deliver nothing, and Lava's Sparse needs a weight.
    blocks = [block for block in stored.blocks if block["weights"].any()]
    source: Any = None
    if any(block["source"] == "input" for block in blocks):
        source = wiring.input_port(messages.reshape(steps, -1), False, False)
    for block in blocks:
        weights: Any = wiring.full_weights(stored, block)
        if copies > 1:
            diagonal = sparse.identity(copies, dtype=np.int32)
            weights = sparse.csr_matrix(sparse.kron(diagonal, weights, format="csr"))
        joint = wiring.connection(block, weights, wiring.SIM_MESSAGE_BITS)
        recurrent = block["source"] == "recurrent"
        (population.s_out if recurrent else source).connect(joint.s_in)
        joint.a_out.connect(population.a_in)
    return population


def _by_name(record: Any) -> dict[str, Any]:
    """Return the fields of a record, as a file has them."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def main(folder: Path) -> None:
    """Run the job that comes into `folder` and leave its results there."""
    # Before there is a job: these imports are most of what Lava takes to start.
    for name in PRELOADED:
        load(name)
    importlib.import_module("isotau.targets.on_lava.lava_script.wiring")
    importlib.import_module("isotau.targets.on_lava.lava_lif.recorders")
    # The counter of steps stands there from the start: without it no job will come.
    while (folder / PASSED).exists() and not (folder / JOB).exists():
        time.sleep(JOB_CHECK_S)
    net = storage.load(folder / NETWORK, FixedPointNetwork)
    job = npz.read_npz(folder / JOB, max_bytes=storage.MAX_BYTES)
    steps, copies, _ = job["messages"].shape
    population = build(net, job["messages"], seeds=job["seeds"], trials=job["trials"])
    # Imported here, because the caller reads this module's names without Lava.
    from isotau.targets.on_lava.lava_lif.recorders import SpikeSink, StateProbe

    shape = (copies * net.n,)
    sink = SpikeSink(
        shape=shape,
        copies=copies,
        steps=steps,
        path=folder / RESULTS["spikes"],
        passed=folder / PASSED,
    )
    population.s_out.connect(sink.a_in)
    for name in job["record"]:
        probe = StateProbe(shape=shape, steps=steps, path=folder / RESULTS[str(name)])
        probe.state.connect_var(getattr(population, name))
    run(population, steps, str(job["chip"]))


def run(population: Any, steps: int, chip: str = "loihi2") -> None:
    """Run the Lava network that `population` belongs to, simulating a chip.

    Raises:
        ChildProcessError: one of Lava's own processes failed or died. Left alone, Lava
            gives no reason for the one and waits for ever after the other.
    """
    # Lava waits for ever for a process that has died; this ends the wait.
    signal.signal(signal.SIGCHLD, _mourn)
    try:
        population.run(
            condition=load("lava.magma.core.run_conditions").RunSteps(num_steps=steps),
            # In lava-nc the configurations of both chips choose the same models.
            run_cfg=getattr(
                load("lava.magma.core.run_configs"), CONFIGS[f"{chip}-sim"]
            )(select_tag="fixed_pt"),
        )
    except RuntimeError as error:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raise ChildProcessError(_reason(population) or str(error)) from error
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    population.stop()


def _mourn(number: int, frame: FrameType | None) -> None:
    # Not ChildProcessError: while it waits for processes, Python catches OSErrors.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    raise RuntimeError("a process of Lava's ended before the last step")


def _reason(population: Any) -> str:
    """Return the last line of the first traceback that a process of Lava left.

    A process that failed may hand it over later than others, told to stop, have ended.
    """
    deadline = time.monotonic() + REASON_S
    while population.runtime is not None and time.monotonic() < deadline:
        for actor in population.runtime._messaging_infrastructure.actors:
            if actor.exception:
                return str(actor.exception[1]).strip().splitlines()[-1]
        time.sleep(REASON_S / 20)
    return ""


def _leave(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say in one line what went wrong and end at once.

    An ordinary exit would wait for ever for Lava's processes.
    """
    print(f"{kind.__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(MISSING if issubclass(kind, LavaMissing) else FAILED)


def _end_if_orphaned(number: int, frame: FrameType | None) -> None:
    # A caller that was killed cannot end the group itself.
    if os.getppid() != PARENT:
        os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    PARENT = os.getppid()
    sys.excepthook = _leave
    signal.signal(signal.SIGALRM, _end_if_orphaned)
    signal.setitimer(signal.ITIMER_REAL, ORPHAN_CHECK_S, ORPHAN_CHECK_S)
    main(Path(sys.argv[1]))
    # An ending interpreter no longer handles the signal, and would die of it.
    signal.setitimer(signal.ITIMER_REAL, 0)
