"""The compiled engine: the reference engine's bits, a thousand times faster than Lava.

The loops are in `kernels`; they are compiled by numba for the machine at hand on the
first call and then kept in numba's cache.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Integer

from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.chip.philox import MASK
from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.spikes import Spikes
from isotau.convert.records.storage import fingerprint
from isotau.sim.engines import compiled_kernels as kernels
from isotau.sim.engines.diagnostics import raise_first
from isotau.sim.engines.run import (
    Job,
    Overflow,
    Run,
    State,
    check,
    count_payloads,
    overflowed,
)

NAME = "compiled"
STRIDE, TRIALS = 256, 100
"""Steps between two reports of progress, for as many trials or more; fewer trials take
more steps, since every report costs some 0.1 ms."""


def run(
    net: FixedPointNetwork,
    messages: Integer[np.ndarray, "steps batch n_in"],
    *,
    seed: int = 0,
    first_trial: int = 0,
    record: Sequence[str] = (),
    neurons: Sequence[int] | np.ndarray | None = None,
    state: State | None = None,
    count_overflow: bool = False,
    strict: bool = False,
    threads: int | None = None,
    spikes_to: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Run:
    """Run a batch of trials and return their spikes.

    Arguments and errors are those of `isotau.sim.engines.run.check`; `count_overflow`
    fills `Run.overflow`, `threads` is the number of threads that share the trials
    (None: one per processor), `progress` is given the steps as they pass.

    Spikes take one bit per neuron, trial and step. Where memory is too small for them,
    `spikes_to` names a `.npy` file that is filled as the run goes on and mapped into
    `Run.spikes`; `np.load(path, mmap_mode="r")` opens it again. Its name ends in
    `.part` until it is complete.

    Raises:
        ChipOverflow: `strict` was asked for and a number left its range.
    """
    job = check(
        net,
        messages,
        seed=seed,
        first_trial=first_trial,
        record=record,
        neurons=neurons,
        state=state,
    )
    workers = validation.whole("threads", threads or os.cpu_count() or 1, 1, 1024)
    work = _workspace(net, job, counting=count_overflow or strict, path=spikes_to)
    _run_trials(plan(net), job, work, workers, progress)
    if isinstance(work.bits, np.memmap) and spikes_to is not None:
        work.bits.flush()
        os.replace(_partial(spikes_to), spikes_to)
    overflow = None
    if len(work.counts):
        counts = work.counts.sum(axis=0)[:, : net.n]
        counts[0] += count_payloads(net, job.messages)
        overflow = Overflow(*counts)
    if strict and overflow is not None and overflowed(overflow):
        start = job.state
        raise_first(
            run, net, job.messages, seed=seed, first_trial=first_trial, state=start
        )
    after = [x[..., : net.n].copy() for x in work.state]
    name = plan(net).network
    return Run(
        Spikes(bits=work.bits, n=net.n, dt=net.dt, engine=NAME, network=name),
        work.u if "u" in record else None,
        work.v if "v" in record else None,
        State(
            after[0], after[1], after[2], after[3], job.state.step + len(job.messages)
        ),
        overflow,
    )


class Plan(NamedTuple):
    """A network as the kernels want it, and its fingerprint."""

    arrays: tuple[Any, ...]
    network: str


class Workspace(NamedTuple):
    """What the kernels write: state, spikes, what is recorded, what is counted."""

    state: tuple[np.ndarray, ...]
    bits: npt.NDArray[np.uint8]
    u: np.ndarray
    v: np.ndarray
    counts: np.ndarray


def _workspace(
    net: FixedPointNetwork,
    job: Job,
    *,
    counting: bool,
    path: str | os.PathLike[str] | None,
) -> Workspace:
    """Return room for a run; the spikes in memory, or in a file."""
    steps, batch, _ = job.messages.shape
    padded, shape = _padded(net.n), (steps, batch, (net.n + 7) // 8)
    if path is None:
        bits = np.empty(shape, dtype=np.uint8)
    else:
        bits = np.lib.format.open_memmap(
            _partial(path), mode="w+", dtype=np.uint8, shape=shape
        )
    u, v = (
        np.empty((steps * (name in job.record), batch, len(job.neurons)), np.int32)
        for name in ("u", "v")
    )
    state = tuple(_pad(x, padded) for x in job.state[:4])
    counts = np.zeros((batch * counting, 4, padded), dtype=np.int64)
    return Workspace(state, bits, u, v, counts)


def _partial(path: str | os.PathLike[str]) -> str:
    """Return the name of a file that is not yet complete."""
    return f"{os.fspath(path)}.part"


def _run_trials(
    made_of: Plan, job: Job, work: Workspace, workers: int, progress: Progress
) -> None:
    """Share the trials among threads, some steps at a time."""
    steps, batch, _ = job.messages.shape
    sent = np.ascontiguousarray(job.messages, dtype=np.int32)
    key = np.array([job.seed & MASK, job.seed >> 32], dtype=np.uint64)
    edges = np.linspace(0, batch, min(workers, batch) + 1).astype(int).tolist()

    def part(first: int, last: int, lo: int, hi: int) -> None:
        kernels.run_trials(
            first,
            last,
            made_of.arrays,
            sent[lo:hi],
            work.state,
            job.state.step + lo,
            work.bits[lo:hi],
            (work.u[lo:hi], work.v[lo:hi], job.neurons),
            key,
            job.first_trial,
            work.counts,
        )

    stride = max(STRIDE, STRIDE * TRIALS // batch)
    with ThreadPoolExecutor(len(edges) - 1) as pool:
        for chunk in progress(range(-(-steps // stride)), "compiled engine"):
            lo, hi = chunk * stride, min((chunk + 1) * stride, steps)
            spans = [(first, last, lo, hi) for first, last in pairwise(edges)]
            others = [pool.submit(part, *span) for span in spans[1:]]
            part(*spans[0])
            for other in others:
                other.result()


@lru_cache(maxsize=8)
def plan(net: FixedPointNetwork) -> Plan:
    """Return a network's plan; the last few are kept, since making one takes longer
    than a short run. Records never change, so the same object is the same network.
    """
    return Plan(compile_network(net), fingerprint(net))


def compile_network(net: FixedPointNetwork) -> tuple[Any, ...]:
    """Return a network as the arrays that `kernels.run_trials` takes."""
    padded, many = _padded(net.n), len(net.blocks)
    row_of = np.full((many, max(net.n, net.n_in)), -1, dtype=np.int64)
    meta = np.zeros((5, many), dtype=np.int64)
    rows, wide = [np.zeros((0, padded), np.uint8)], [np.zeros((0, padded), np.int16)]
    for k, block in enumerate(net.blocks):
        kind = _kind(block)
        where = wide if kind == kernels.GRADED else rows
        row_of[k, block.pre] = sum(map(len, where)) + np.arange(len(block.pre))
        stored, offset, factor = _bytes(block)
        meta[:, k] = kind, offset, factor, block.weight_exp, block.delay
        kept = block.weights.T if kind == kernels.GRADED else stored.T
        where.append(_pad(kept, padded))
    interval = net.reset_interval
    registers = {
        "du": (arithmetic.DECAY_UNITY - arithmetic.DU_OFFSET - net.du.astype(np.int64)),
        "dv": (arithmetic.DECAY_UNITY - net.dv.astype(np.int64)),
    }
    bias = arithmetic.effective_bias(net.bias_mant, net.bias_exp)
    threshold = np.full(padded, arithmetic.STATE_LIMIT, dtype=np.int32)
    threshold[: net.n] = net.vth << arithmetic.INPUT_SHIFT
    return (
        net.n,
        many,
        row_of,
        *meta,
        np.concatenate([*rows, np.zeros((1, padded), np.uint8)]),
        np.concatenate(wide),
        *(_pad(x / arithmetic.DECAY_UNITY, padded) for x in registers.values()),
        _pad(bias.astype(np.int32), padded),
        threshold,
        _pad(net.refractory.astype(np.int32), padded),
        interval,
        net.reset_offset % interval if interval else 0,
        net.noise_exp or 0,
    )


def _kind(block: WeightBlock) -> int:
    if block.source == "recurrent":
        return kernels.SPIKES
    return kernels.BINARY if block.binary else kernels.GRADED


def _bytes(block: WeightBlock) -> tuple[np.ndarray, int, int]:
    """Return weights as bytes b, and o and f such that w = f·(b − o)."""
    w = block.weights.astype(np.int64)
    match block.sign_mode:
        case SignMode.EXCITATORY:
            return w.astype(np.uint8), 0, 1
        case SignMode.INHIBITORY:
            return (-w).astype(np.uint8), 0, -1
        case _:
            return (w // 2 + 128).astype(np.uint8), 128, 2


def _padded(n: int) -> int:
    return -(-n // kernels.PAD) * kernels.PAD


def _pad(x: np.ndarray, padded: int) -> np.ndarray:
    """Return x with zeros after its last axis, contiguous and writable."""
    out = np.zeros((*x.shape[:-1], padded), dtype=x.dtype)
    out[..., : x.shape[-1]] = x
    return out
