"""Running a `FixedPointNetwork` in Lava, under a time limit."""

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, Integer

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.supervision import Unfinished, supervise
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import Spikes
from isotau.convert.records.weight_form import densified
from isotau.targets.loihi.limits import CHIPS
from isotau.targets.on_lava import lava_child
from isotau.targets.on_lava.lava_compat import LavaMissing

NAME = "lava"
RECORDABLE = ("u", "v")
Messages = (
    Integer[np.ndarray, "steps batch n_in"] | Bool[np.ndarray, "steps batch n_in"]
)
"""Numbers, or a raster where they are spikes."""


class LavaError(RuntimeError):
    """Lava did not finish: it failed, died, or took longer than allowed."""


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class LavaRun:
    """What a run in Lava left behind.

    Attributes:
        spikes: all spikes.
        u: steps × batch × n, int32, after each step; None unless recorded.
        v: the same for v, after the reset.
        wall_s: how long Lava took from start to end, in seconds.
    """

    spikes: Spikes
    u: Int32[np.ndarray, "steps batch n"] | None
    v: Int32[np.ndarray, "steps batch n"] | None
    wall_s: float


def run_lava(
    net: FixedPointNetwork,
    messages: Messages,
    *,
    chip: str = "loihi2",
    seed: int = 0,
    first_trial: int = 0,
    record: Sequence[str] = (),
    timeout_s: float | None = None,
    progress: Progress = silent,
) -> LavaRun:
    """Run a batch of trials from power-up in lava-nc and return their spikes.

    The trials run as copies of the network side by side in one Lava runtime, in child
    processes, none of which survives the call. It takes about a second to start, 1 ms a
    step, and with many trials 0.1 ms per trial and step at n = 200; `record` adds half.

    Args:
        net: the network.
        messages: what the input channels send; int32, steps × batch × channel. A
            graded block multiplies its weights by the message; a block with `binary`
            takes any message but 0 for one spike, so a raster of booleans will do.
        chip: a key of `CHIPS`, for Lava's run configuration of that name; its
            simulations give the same bits.
        seed: of the membrane noise, as in the reference engine.
        first_trial: number of the first trial.
        record: "u", "v" or both, to keep them for every step.
        timeout_s: seconds after which Lava is ended; by default `time_limit`.
        progress: is given the steps as they pass.

    Raises:
        ValueError: messages of another shape or beyond int32, an unknown chip or
            variable, a seed or a trial number that the noise has not.
        LavaMissing: lava-nc is not installed.
        LavaError: Lava failed, died or hung.
    """
    # Checked here, where an error names the argument, not in the child.
    job = _job(net, messages, chip, seed, first_trial, record)
    steps, batch, _ = job["messages"].shape
    limit = (
        time_limit(net, steps, batch)
        if timeout_s is None
        else validation.number("timeout_s", timeout_s, positive=True)
    )
    with tempfile.TemporaryDirectory(prefix="isotau-lava-") as scratch:
        folder = Path(scratch)
        storage.save(densified(net, "Lava"), folder / lava_child.NETWORK)
        np.savez(folder / lava_child.JOB, **job)
        passing = iter(progress(range(steps), "Lava"))
        wall_s = _watch(folder, limit, _follow(passing, folder / lava_child.PASSED))
        for _ in passing:  # those that passed since the last look at the counter
            continue
        results = {
            name: np.load(folder / lava_child.RESULTS[name], allow_pickle=False)
            for name in ("spikes", *record)
        }
    spikes = Spikes(
        bits=results.pop("spikes"),
        n=net.n,
        dt=net.dt,
        engine=NAME,
        network=net.fingerprint,
    )
    # Lava has the trials side by side in one population.
    shape = (steps, batch, net.n)
    states = {name: values.reshape(shape) for name, values in results.items()}
    return LavaRun(spikes, states.get("u"), states.get("v"), wall_s)


def time_limit(net: FixedPointNetwork, steps: int, batch: int) -> float:
    """Return how long Lava may take by default, in seconds.

    One minute, and for every step 10 ms, 5 µs for each neuron and 10 ns for each
    synapse of every trial; for a delayed synapse 1 µs, and 10 ns for each step of
    delay. About ten times what an idle machine needs.
    """
    neurons = batch * net.n
    synapses_s = sum(
        batch
        * math.prod(block.weights.shape)
        * (1e-6 + 1e-8 * block.delay if block.delay else 1e-8)
        for block in net.blocks
    )
    return 60 + steps * (0.01 + 5e-6 * neurons + synapses_s)


def _job(
    net: FixedPointNetwork,
    messages: Messages,
    chip: str,
    seed: int,
    first_trial: int,
    record: Sequence[str],
) -> dict[str, Any]:
    """Return what the child process needs besides the network, checked."""
    validation.choice("chip", chip, list(CHIPS))
    for name in record:
        validation.choice("record", name, RECORDABLE)
    sent = validation.messages(messages, net.n_in, np.int32)
    seed, first_trial = validation.noise_counter(seed, first_trial, sent.shape[1])
    return {
        "messages": sent,
        "chip": np.array(chip),
        "seed": np.uint64(seed),
        "first_trial": np.int64(first_trial),
        "record": np.array(list(record), dtype=np.str_),
    }


def _watch(folder: Path, limit: float, meanwhile: Callable[[], None]) -> float:
    """Run the job in `folder` in a child process and return how long it took."""
    start = time.monotonic()
    try:
        supervise(
            [sys.executable, "-m", lava_child.__name__, str(folder)],
            limit,
            meanwhile=meanwhile,
        )
    except Unfinished as end:
        # The child alone imports Lava, and so it is the first to miss it.
        if end.status == lava_child.MISSING:
            raise LavaMissing(end.tail) from end
        # No status: it was ended at the limit.
        outcome = f"got exit status {end.status}, need 0; its last lines follow"
        if end.status is None:
            outcome = f"got no result after {limit:g} s, need one; raise timeout_s"
        raise LavaError(f"Lava: {outcome}\n{end.tail}") from end
    return time.monotonic() - start  # with the child's imports


def _follow(passing: Iterator[int], counter: Path) -> Callable[[], None]:
    """Return a function that advances `passing` to the step that Lava has reached."""
    counter.write_bytes(bytes(8))  # one int64, which the child maps
    steps = 0

    def advance() -> None:
        nonlocal steps
        reached = int(np.fromfile(counter, dtype=np.int64)[0])
        for _ in islice(passing, reached - steps):
            steps += 1

    return advance
