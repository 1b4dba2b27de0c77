"""Running a `FixedPointNetwork` in Lava, under a time limit."""

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, Integer

from isotau.convert.ground import validation
from isotau.convert.ground.files import atomic
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.supervision import RunningCommand, Unfinished, running
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


class LavaLoad(NamedTuple):
    """Trials that are to run in Lava from power-up.

    Attributes:
        messages: what the input channels send; see `run_lava`.
        seed: of the membrane noise, as in the reference engine.
        first_trial: number of the first trial.
    """

    messages: Messages
    seed: int = 0
    first_trial: int = 0

    @property
    def batch(self) -> int:
        """Number of trials."""
        return int(self.messages.shape[1])


class LavaWork(NamedTuple):
    """What Lava is to do, checked; from `lava_work`.

    Attributes:
        net: the network.
        loads: what it runs on, with messages of int32.
        chip: a key of `CHIPS`.
        record: the variables that are recorded.
        limit_s: seconds after which Lava is ended.
    """

    net: FixedPointNetwork
    loads: list[LavaLoad]
    chip: str
    record: tuple[str, ...]
    limit_s: float

    @property
    def steps(self) -> int:
        """Of the longest load."""
        return max(len(load.messages) for load in self.loads)


@dataclass(frozen=True, slots=True, eq=False)
class LavaJob:
    """Lava at work in child processes; see `lava_running`.

    Attributes:
        work: what it does.
        folder: where it leaves its results.
        command: the running processes.
        started: when it was given its work, by the monotonic clock.
    """

    work: LavaWork
    folder: Path
    command: RunningCommand
    started: float

    def finish(self, progress: Progress = silent) -> list[LavaRun]:
        """Return the run of each load once Lava has ended.

        Raises:
            LavaMissing: lava-nc is not installed.
            LavaError: Lava failed, died or hung.
        """
        work = self.work
        net, steps = work.net, work.steps
        passing = iter(progress(range(steps), "Lava"))
        follow = _follow(passing, self.folder / lava_child.PASSED)
        wall_s = _watch(self.command, self.started, work.limit_s, follow)
        for _ in passing:  # those that passed since the last look at the counter
            continue
        results = {
            name: np.load(self.folder / lava_child.RESULTS[name], allow_pickle=False)
            for name in ("spikes", *work.record)
        }
        # Lava has the trials side by side in one population.
        shape = (steps, -1, net.n)
        for name in work.record:
            results[name] = results[name].reshape(shape)
        runs, start = [], 0
        for load in work.loads:
            part = slice(len(load.messages)), slice(start, start + load.batch)
            start += load.batch
            spikes = Spikes(
                bits=np.ascontiguousarray(results["spikes"][part]),
                n=net.n,
                dt=net.dt,
                engine=NAME,
                network=net.fingerprint,
            )
            states = {name: results[name][part] for name in work.record}
            runs.append(LavaRun(spikes, states.get("u"), states.get("v"), wall_s))
        return runs


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
    load = LavaLoad(messages, seed, first_trial)
    with lava_running(
        net, [load], chip=chip, record=record, timeout_s=timeout_s
    ) as job:
        return job.finish(progress)[0]


@contextmanager
def lava_running(
    net: FixedPointNetwork,
    loads: Sequence[LavaLoad],
    *,
    chip: str = "loihi2",
    record: Sequence[str] = (),
    timeout_s: float | None = None,
) -> Iterator[LavaJob]:
    """Start Lava on several loads and give its job; it is ended with the context.

    All trials of all loads run side by side, so that the loads cost little more than
    the longest of them; the time limit counts from here. Arguments and errors are those
    of `run_lava`, but that Lava's own errors come when the job is finished.
    """
    work = lava_work(net, loads, chip=chip, record=record, timeout_s=timeout_s)
    with lava_waiting() as lava:
        yield lava.start(work)


def lava_work(
    net: FixedPointNetwork,
    loads: Sequence[LavaLoad],
    *,
    chip: str = "loihi2",
    record: Sequence[str] = (),
    timeout_s: float | None = None,
) -> LavaWork:
    """Return what Lava is to do; arguments and errors are those of `run_lava`."""
    # Checked here, where an error names the argument, not in the child.
    validation.choice("chip", chip, list(CHIPS))
    for name in record:
        validation.choice("record", name, RECORDABLE)
    checked = [_checked(net, load) for load in loads]
    steps = max(len(load.messages) for load in checked)
    limit = (
        time_limit(net, steps, sum(load.batch for load in checked))
        if timeout_s is None
        else validation.number("timeout_s", timeout_s, positive=True)
    )
    return LavaWork(net, checked, chip, tuple(record), limit)


@contextmanager
def lava_waiting() -> Iterator["WaitingLava"]:
    """Start Lava's imports, which take a second; the context's end is Lava's.

    For work that is not known yet: it is given by `start`, once.
    """
    with tempfile.TemporaryDirectory(prefix="isotau-lava-") as scratch:
        # One int64, which the child maps.
        (Path(scratch) / lava_child.PASSED).write_bytes(bytes(8))
        with running([sys.executable, "-m", lava_child.__name__, scratch]) as command:
            yield WaitingLava(Path(scratch), command)


@dataclass(frozen=True, slots=True, eq=False)
class WaitingLava:
    """Lava in a child process, without work; see `lava_waiting`.

    Attributes:
        folder: where it looks for its work.
        command: the running process.
    """

    folder: Path
    command: RunningCommand

    def start(self, work: LavaWork) -> LavaJob:
        """Return the job that Lava now begins."""
        net, loads = work.net, work.loads
        storage.save(densified(net, "Lava"), self.folder / lava_child.NETWORK)
        sizes = [load.batch for load in loads]
        # Last, and whole: the child begins when it is there.
        with atomic(self.folder / lava_child.JOB) as stream:
            np.savez(
                stream,
                messages=_side_by_side([load.messages for load in loads]),
                chip=np.array(work.chip),
                seeds=np.repeat(
                    np.array([load.seed for load in loads], np.uint64), sizes
                ),
                trials=np.concatenate(
                    [load.first_trial + np.arange(load.batch) for load in loads]
                ),
                record=np.array(list(work.record), dtype=np.str_),
            )
        return LavaJob(work, self.folder, self.command, time.monotonic())


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


def _checked(net: FixedPointNetwork, load: LavaLoad) -> LavaLoad:
    """Return a load with its messages as int32."""
    sent = validation.messages(load.messages, net.n_in, np.int32)
    return LavaLoad(
        sent, *validation.noise_counter(load.seed, load.first_trial, sent.shape[1])
    )


def _side_by_side(parts: list[np.ndarray]) -> np.ndarray:
    """Return messages of all trials; shorter ones are followed by none."""
    steps = max(map(len, parts))
    longer = [np.pad(part, ((0, steps - len(part)), (0, 0), (0, 0))) for part in parts]
    return np.concatenate(longer, axis=1)


def _watch(
    command: RunningCommand, started: float, limit: float, meanwhile: Callable[[], None]
) -> float:
    """Wait for Lava's end and return how long it took, with what it imported since."""
    try:
        # The command counts from its own start, when there was no work yet.
        command.wait(limit + started - command.started, meanwhile=meanwhile)
    except Unfinished as end:
        # The child alone imports Lava, and so it is the first to miss it.
        if end.status == lava_child.MISSING:
            raise LavaMissing(end.tail) from end
        # No status: it was ended at the limit.
        outcome = f"got exit status {end.status}, need 0; its last lines follow"
        if end.status is None:
            outcome = f"got no result after {limit:g} s, need one; raise timeout_s"
        raise LavaError(f"Lava: {outcome}\n{end.tail}") from end
    return time.monotonic() - started


def _follow(passing: Iterator[int], counter: Path) -> Callable[[], None]:
    """Return a function that advances `passing` to the step that Lava has reached."""
    steps = 0

    def advance() -> None:
        nonlocal steps
        reached = int(np.fromfile(counter, dtype=np.int64)[0])
        for _ in islice(passing, reached - steps):
            steps += 1

    return advance
