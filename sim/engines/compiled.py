"""The compiled engine: the reference engine's bits, a thousand times faster than Lava.

The loops are in `compiled_kernels`; they are compiled by numba for the machine at hand
on the first call and then kept in numba's cache.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from isotau.convert.chip.philox import noise_key
from isotau.convert.ground import validation
from isotau.convert.records.chip_state import ChipState
from isotau.sim.engines import compiled_kernels as kernels
from isotau.sim.engines.compiled_network import pad, padded, room_for, variant
from isotau.sim.engines.engine import Engine
from isotau.sim.engines.run import EngineJob, Recording

PAGED = 32
"""Neurons that are recorded on a page at most; more fill the lines of memory that they
are written to."""
STRIDE, TRIALS = 256, 100
"""Steps between two reports of progress, for as many trials or more; fewer trials take
more steps, since every report costs some 0.1 ms."""


def simulate(job: EngineJob, recording: Recording) -> ChipState:
    """Fill the recording of a job and return the state at its end.

    Threads share the trials, some steps at a time.
    """
    workers = validation.whole("threads", job.threads or os.cpu_count() or 1, 1, 1024)
    net, start, compiled = job.net, job.state, variant(job)
    steps, batch, _ = job.messages.shape
    # Messages fit 32 bits, so the loops read half of what int64 would cost.
    sent = np.ascontiguousarray(job.messages, dtype=np.int32)
    if all(block.source == "recurrent" for block in net.blocks):
        sent = sent[..., :0]  # nobody listens
    # places in memory: numba would look at the sign of others
    neurons = job.neurons.astype(np.uint64)
    key = np.array(noise_key(job.seed), dtype=np.uint64)
    synapses = None
    if compiled.words is not None and compiled.starts is not None:
        synapses = (compiled.words, compiled.starts)
    state = tuple(pad(x) for x in start[:4])
    # Neighbouring trials share a thread: what they read lies together.
    edges = np.linspace(0, batch, min(workers, batch) + 1).astype(int).tolist()
    rooms = [room_for(net) for _ in edges[1:]]
    pages = [_pages(recording, hi - lo) for lo, hi in pairwise(edges)]
    # Threads count apart, so that they do not write to the same numbers.
    counts = None
    if recording.counts is not None:
        counts = np.zeros((len(rooms), 4, padded(net.n)), dtype=np.int64)

    def part(k: int, lo: int, hi: int) -> None:
        kernels.run_trials(
            edges[k],
            edges[k + 1],
            compiled,
            synapses,
            sent[lo:hi],
            state,
            start.step + lo,
            recording.bits[lo:hi],
            (recording.u[lo:hi], recording.v[lo:hi], neurons, *pages[k]),
            (key, job.first_trial),
            None if compiled.to_v is None else (rooms[k].to_v, *compiled.to_v),
            None if compiled.to_u is None else (rooms[k].to_u, *compiled.to_u),
            None if counts is None else counts[k],
            rooms[k],
        )

    # The loops release the interpreter's lock; threads meet after each stride alone.
    stride = max(STRIDE, STRIDE * TRIALS // batch)
    with ThreadPoolExecutor(len(rooms)) as pool:
        for chunk in job.progress(range(-(-steps // stride)), "compiled engine"):
            lo, hi = chunk * stride, min((chunk + 1) * stride, steps)
            others = range(1, len(rooms))
            tasks = [pool.submit(part, k, lo, hi) for k in others]
            part(0, lo, hi)
            for task in tasks:
                task.result()
    if recording.counts is not None and counts is not None:
        recording.counts[:] = counts.sum(axis=0)[:, : net.n]
    u, v, refractory_left, ring = (x[..., : net.n].copy() for x in state)
    return ChipState(u, v, refractory_left, ring, start.step + steps)


def _pages(recording: Recording, trials: int) -> list[np.ndarray]:
    """Return a page for each of a thread's traces, without steps if they need none."""
    return [
        np.empty(
            (kernels.TURN * (0 < x.size and width <= PAGED), trials, width), x.dtype
        )
        for x in recording[1:3]
        for width in x.shape[2:]
    ]


run = Engine("compiled", simulate, options=("threads",))
