"""The chip's simulators: one way to call them, one table of their names.

`ENGINES` has a row for each. All give the same bits; a new one is a module that has a
`run`, an `Engine`, and a row here.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import numpy as np
from jaxtyping import Integer

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.records.chip_state import ChipState, check_state, initial_state
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import Spikes
from isotau.sim.engines.diagnostics import raise_first
from isotau.sim.engines.run import (
    EngineJob,
    Overflow,
    Recording,
    Run,
    count_payloads,
    errors_of,
)

ENGINES = {
    "compiled": "isotau.sim.engines.compiled",
    "reference": "isotau.sim.engines.reference",
    "torch": "isotau.sim.engines.torch_engine",
}
"""The module of each engine; the first is the default of every command."""
RECORDABLE = ("u", "v")
MAX_COLUMNS = 1 << 14
"""Weights times payloads of as many channels sum exactly in float64: 2^14 · 2^39."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A simulator of the chip; called, it runs a batch of trials.

    Attributes:
        name: that its spikes bear.
        simulate: does a job, fills its recording and returns the state at the end.
        options: which of the options that not all engines have this one has, "threads"
            or "device".
    """

    name: str
    simulate: Callable[[EngineJob, Recording], ChipState]
    options: tuple[str, ...] = ()

    def __call__(
        self,
        net: FixedPointNetwork,
        messages: Integer[np.ndarray, "steps batch n_in"],
        *,
        seed: int = 0,
        first_trial: int = 0,
        record: Sequence[str] = (),
        neurons: Sequence[int] | np.ndarray | None = None,
        state: ChipState | None = None,
        count_overflow: bool = False,
        strict: bool = False,
        threads: int | None = None,
        device: str | None = None,
        spikes_to: str | os.PathLike[str] | None = None,
        progress: Progress = silent,
    ) -> Run:
        """Run a batch of trials and return their spikes.

        Args:
            net: the network.
            messages: what the input channels send, int32.
            seed: of the membrane noise, 0 … 2^64 − 1.
            first_trial: number of the first trial; trial k draws the noise of
                `first_trial` + k whatever the batch.
            record: "u", "v" or both, to keep them for every step.
            neurons: indices of the neurons whose u and v are kept; None for all.
            state: where to start; None for power-up.
            count_overflow: whether to fill `Run.overflow`.
            strict: whether a number that leaves its range is an error.
            threads: of the compiled engine, that share the trials; None for one per
                processor.
            device: of the torch engine, "cpu", "cuda" or "cuda:<number>"; None for
                "cpu".
            spikes_to: where memory is too small for the spikes, one bit per neuron,
                trial and step: a `.npy` file that is filled as the run goes on and
                mapped into `Run.spikes`; `np.load(path, mmap_mode="r")` opens it again.
                Its name ends in `.part` until it is complete.
            progress: is given the steps as they pass.

        Raises:
            ValueError: messages, neurons or a state that do not fit the network, an
                unknown variable, a seed or trial number that the noise has not, an
                option that the engine has not, a device that is not there.
            ChipOverflow: `strict` was asked for and a number left its range.
        """
        options = {"threads": threads, "device": device}
        for name, value in options.items():
            # passed over, it would be taken for one that works
            if value is not None and name not in self.options:
                raise ValueError(
                    f"{name}: got {value!r}, need None for the {self.name} engine, "
                    "which has no such option; leave it out"
                )
        for name in record:
            validation.choice("record", name, RECORDABLE)
        job = check(
            net,
            messages,
            seed=seed,
            first_trial=first_trial,
            neurons=neurons,
            state=state,
        )._replace(threads=threads, device=device, progress=progress)
        counting = count_overflow or strict
        with _recording(job, record, counting=counting, path=spikes_to) as recording:
            after = self.simulate(job, recording)
        overflow = None
        if recording.counts is not None:
            # An engine counts what left 32 bits on its way to u; a connection's own sum
            # may have wrapped before.
            recording.counts[0] += count_payloads(net, job.messages)
            overflow = Overflow(*recording.counts)
        # Counts do not say when: the run is done again, in halves, to find the place.
        if strict and overflow is not None and errors_of(overflow):
            raise_first(
                partial(self, threads=threads, device=device),
                net,
                job.messages,
                seed=seed,
                first_trial=first_trial,
                state=job.state,
            )
        spikes = Spikes(
            bits=recording.bits,
            n=net.n,
            dt=net.dt,
            engine=self.name,
            network=net.fingerprint,
        )
        u, v = (
            getattr(recording, name) if name in record else None for name in RECORDABLE
        )
        return Run(spikes, u, v, after, overflow)


def engine_named(name: str) -> Engine:
    """Return an engine, imported now: two need torch or numba.

    Args:
        name: a key of `ENGINES`.

    Raises:
        ValueError: there is no such engine.
    """
    module = ENGINES[validation.choice("engine", name, tuple(ENGINES))]
    engine: Engine = import_module(module).run
    return engine


def check(
    net: FixedPointNetwork,
    messages: np.ndarray,
    *,
    seed: int = 0,
    first_trial: int = 0,
    neurons: Sequence[int] | np.ndarray | None = None,
    state: ChipState | None = None,
) -> EngineJob:
    """Return an engine's arguments, checked; see `Engine.__call__`."""
    # Recurrent blocks send 0 or 1: no number of neurons makes their sums inexact.
    for k, block in enumerate(net.blocks):
        if block.source == "input" and len(block.pre) > MAX_COLUMNS:
            raise ValueError(
                f"blocks[{k}].pre: got {len(block.pre)} input channels, need at most "
                f"{MAX_COLUMNS} for exact sums; split the block"
            )
    sent = validation.messages(messages, net.n_in)
    batch = sent.shape[1]
    seed, first_trial = validation.noise_counter(seed, first_trial, batch)
    places = np.arange(net.n) if neurons is None else np.asarray(neurons)
    if state is not None:
        check_state(state, batch, net.n, net.slots)
    return EngineJob(
        net=net,
        messages=sent,
        neurons=validation.integers(
            "neurons",
            places,
            places.shape,
            "neuron",
            dtype=np.int64,
            low=0,
            high=net.n - 1,
        ),
        state=initial_state(net, batch) if state is None else state,
        seed=seed,
        first_trial=first_trial,
    )


@contextmanager
def _recording(
    job: EngineJob,
    record: Sequence[str],
    *,
    counting: bool,
    path: str | os.PathLike[str] | None,
) -> Iterator[Recording]:
    """Give room for what a run leaves; a file gets its name once it is filled."""
    steps, batch, _ = job.messages.shape
    n, shape = job.net.n, (steps, batch, (job.net.n + 7) // 8)
    # Under its own name a file is complete, whatever ends the run.
    part = "" if path is None else f"{os.fspath(path)}.part"
    bits = (
        np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        if part
        else np.empty(shape, dtype=np.uint8)
    )
    # No steps where nothing is recorded: engines look at the length alone.
    u, v = (
        np.empty((steps * (name in record), batch, len(job.neurons)), dtype=np.int32)
        for name in RECORDABLE
    )
    counts = np.zeros((4, n), dtype=np.int64) if counting else None
    yield Recording(bits, u, v, counts)
    # not reached if the run raised
    if path is not None and isinstance(bits, np.memmap):
        bits.flush()
        os.replace(part, path)


# Records never change, so the same object is the same network; hashing a large one
# takes longer than a short run.
