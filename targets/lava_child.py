"""The child process in which Lava runs; `to_lava` starts it and watches over it.

Lava starts a process for every population and connection, and may hang where it should
raise. It is therefore kept in a process group that can be ended.
"""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from isotau.convert import storage
from isotau.convert.fixedpoint import FixedPointNetwork
from isotau.targets.lava_compat import LavaMissing, load
from isotau.targets.lava_graph import build

NETWORK, JOB, PASSED = "network.npz", "job.npz", "passed"
"""Files in the job's folder: what to run, on what, and how many steps have passed."""
CONFIGS = {"loihi1": "Loihi1SimCfg", "loihi2": "Loihi2SimCfg"}
"""Lava's run configuration for each chip; in lava-nc both choose the same models."""
RESULTS = {"spikes": "spikes.npy", "u": "u.npy", "v": "v.npy"}
"""Files that a finished job leaves there; each appears whole or not."""
FAILED, MISSING = 1, 3
"""Exit status after an error, and when lava-nc cannot be imported."""
ORPHAN_CHECK_S = 1.0
REASON_S = 0.5
"""How long to wait for the reason of a failure, in seconds."""


def main(folder: Path) -> None:
    """Run the job in `folder` and leave its results there."""
    net = storage.load(folder / NETWORK, FixedPointNetwork)
    job = storage.read_npz(folder / JOB, max_bytes=storage.MAX_BYTES)
    steps, copies, _ = job["messages"].shape
    population = build(
        net,
        job["messages"],
        seed=int(job["seed"]),
        first_trial=int(job["first_trial"]),
    )
    # Imported here, because the caller reads this module's names without Lava.
    from isotau.targets.lava_lif.recorders import SpikeSink, StateProbe

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
    run(population, steps, CONFIGS[str(job["chip"])])


def run(population: Any, steps: int, config: str = "Loihi2SimCfg") -> None:
    """Run the Lava network that `population` belongs to.

    Raises:
        ChildProcessError: one of Lava's own processes failed or died. Left alone, Lava
            gives no reason for the one and waits for ever after the other.
    """
    signal.signal(signal.SIGCHLD, _mourn)
    try:
        population.run(
            condition=load("lava.magma.core.run_conditions").RunSteps(num_steps=steps),
            run_cfg=getattr(load("lava.magma.core.run_configs"), config)(
                select_tag="fixed_pt"
            ),
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
