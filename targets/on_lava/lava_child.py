"""The child process in which Lava runs; `to_lava` starts it and watches over it.

Lava starts a process for every population and connection, and may hang where it should
raise. It is therefore kept in a process group that can be ended.

A `FixedPointNetwork` as Lava processes: populations, connections and a source.

The trials of a batch are copies of the network side by side in one population; the
copies are not connected.
"""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
from jaxtyping import Int32
from scipy import sparse

from isotau.convert.chip import arithmetic
from isotau.convert.chip.philox import membrane_samples
from isotau.convert.ground import npz
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.targets.on_lava.shim.lava_compat import LavaMissing, load

MESSAGE_BITS = 32
"""Declares input messages as numbers instead of spikes; Lava keeps them in int32."""


def build(
    net: FixedPointNetwork,
    messages: Int32[np.ndarray, "steps batch n_in"],
    *,
    seed: int,
    first_trial: int,
) -> Any:
    """Return the population of a network wired up in Lava, ready to be recorded from.

    It is Lava's own `LIF` or `LIFReset` where that is enough, and `NoisyLIF` where the
    network has membrane noise or refractory periods. Run it with the tag "fixed_pt"
    alone, and for no more steps than there are messages: the source begins again after
    them.
    """
    steps, copies, _ = messages.shape
    population = _population(net, copies, seed, first_trial)
    # Blocks without any weight deliver nothing, and Lava's Sparse needs a weight.
    blocks = [block for block in net.blocks if block.weights.any()]
    source: Any = None
    if any(block.source == "input" for block in blocks):
        data = np.ascontiguousarray(messages.reshape(steps, -1).T)
        source = load("lava.proc.io.source").RingBuffer(data=data)
    for block in blocks:
        connection = _connection(net, block, copies)
        origin = population if block.source == "recurrent" else source
        origin.s_out.connect(connection.s_in)
        connection.a_out.connect(population.a_in)
    return population


def _population(
    net: FixedPointNetwork, copies: int, seed: int, first_trial: int
) -> Any:
    """Return copies·n neurons; every register is an array with one number for each.

    Lava declares du, dv and vth as one number for the population and does not look;
    its models compute elementwise with whatever integers they are given.
    """

    def tiled(register: np.ndarray, dtype: type[np.integer[Any]]) -> np.ndarray:
        return np.tile(register.astype(dtype), copies)

    registers: dict[str, Any] = {
        "shape": (copies * net.n,),
        "u": tiled(net.u0, np.int32),
        "v": tiled(net.v0, np.int32),
        "du": tiled(net.du, np.int32),
        "dv": tiled(net.dv, np.int32),
        "vth": tiled(net.vth, np.int32),
        "bias_mant": tiled(net.bias_mant, np.int16),
        "bias_exp": tiled(net.bias_exp, np.int16),
    }
    if net.reset_interval:
        registers["reset_interval"] = net.reset_interval
        registers["reset_offset"] = net.reset_offset
    if net.noise_exp is None and not net.refractory.any():
        stock = load("lava.proc.lif.process")
        return (stock.LIFReset if net.reset_interval else stock.LIF)(**registers)
    load("lava.proc.lif.process")
    # Imported here, because defining the class imports Lava.
    from isotau.targets.on_lava.lava_lif.noisy_lif import NoisyLIF

    trials = np.arange(first_trial, first_trial + copies)
    return NoisyLIF(
        refractory=tiled(net.refractory, np.int32),
        noise=None
        if net.noise_exp is None
        else partial(noise, net.noise_exp, seed, trials, net.n),
        **registers,
    )


def noise(
    noise_exp: int, seed: int, trials: np.ndarray, n: int, step: int
) -> np.ndarray:
    """Return the membrane noise of a step in all copies, one after the other."""
    sample = membrane_samples(seed, step, trials, n)
    return arithmetic.scale_noise(sample, noise_exp).ravel().astype(np.int32)


def _connection(net: FixedPointNetwork, block: WeightBlock, copies: int) -> Any:
    """Return one block as a connection from all of its source's columns.

    Delayed ones are `DelaySparse` even for one copy: `DelayDense` sums in 64 bits, and
    shifts a sum beyond 32 to the right before it is wrapped.
    """
    recurrent = block.source == "recurrent"
    weights = np.zeros((net.n, net.n if recurrent else net.n_in), dtype=np.int32)
    weights[:, block.pre] = block.weights
    modes = load("lava.utils.weightutils").SignMode
    chosen = {
        "weight_exp": block.weight_exp,
        "num_weight_bits": block.num_weight_bits,
        "sign_mode": modes[block.sign_mode.name],
        "num_message_bits": 0 if recurrent or block.binary else MESSAGE_BITS,
    }
    if copies == 1 and not block.delay:
        return load("lava.proc.dense.process").Dense(weights=weights, **chosen)
    # Lava knows scipy's matrices alone and hangs on its newer arrays.
    diagonal = sparse.csr_matrix(
        sparse.kron(sparse.identity(copies, dtype=np.int32), weights, format="csr")
    )
    stock = load("lava.proc.sparse.process")
    if not block.delay:
        return stock.Sparse(weights=diagonal, **chosen)
    # Lava checks for this very type of integer.
    delays = diagonal.astype(bool).astype(np.int64) * block.delay
    return stock.DelaySparse(weights=diagonal, delays=delays, **chosen)


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
    job = npz.read_npz(folder / JOB, max_bytes=storage.MAX_BYTES)
    steps, copies, _ = job["messages"].shape
    population = build(
        net,
        job["messages"],
        seed=int(job["seed"]),
        first_trial=int(job["first_trial"]),
    )
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
