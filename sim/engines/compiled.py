"""The compiled engine: the reference engine's bits, a thousand times faster than Lava.

The loops are in `compiled_kernels`; they are compiled by numba for the machine at hand
on the first call and then kept in numba's cache.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.chip.philox import noise_key
from isotau.convert.ground import validation
from isotau.convert.ground.sparse import values_of
from isotau.convert.records.chip_state import ChipState
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.weight_form import densified
from isotau.sim.engines import compiled_kernels as kernels
from isotau.sim.engines.engine import Engine
from isotau.sim.engines.run import EngineJob, Recording

STRIDE, TRIALS = 256, 100
"""Steps between two reports of progress, for as many trials or more; fewer trials take
more steps, since every report costs some 0.1 ms."""


def simulate(job: EngineJob, recording: Recording) -> ChipState:
    """Fill the recording of a job and return the state at its end.

    Threads share the trials, some steps at a time.
    """
    workers = validation.whole("threads", job.threads or os.cpu_count() or 1, 1, 1024)
    net, start = job.net, job.state
    steps, batch, _ = job.messages.shape
    compiled, padded = compile_network(net), _padded(net.n)
    # Messages fit 32 bits, so the loops read half of what int64 would cost.
    sent = np.ascontiguousarray(job.messages, dtype=np.int32)
    key = np.array(noise_key(job.seed), dtype=np.uint64)
    state = tuple(_pad(x, padded) for x in start[:4])
    # Trials count apart, so that threads do not write to the same numbers.
    counting = recording.counts is not None
    counts = np.zeros((batch * counting, 4, padded), dtype=np.int64)
    # Neighbouring trials share a thread: what they read lies together.
    edges = np.linspace(0, batch, min(workers, batch) + 1).astype(int).tolist()

    def part(first: int, last: int, lo: int, hi: int) -> None:
        kernels.run_trials(
            first,
            last,
            compiled,
            sent[lo:hi],
            state,
            start.step + lo,
            recording.bits[lo:hi],
            (recording.u[lo:hi], recording.v[lo:hi], job.neurons),
            key,
            job.first_trial,
            counts,
        )

    # The loops release the interpreter's lock; threads meet after each stride alone.
    stride = max(STRIDE, STRIDE * TRIALS // batch)
    with ThreadPoolExecutor(len(edges) - 1) as pool:
        for chunk in job.progress(range(-(-steps // stride)), "compiled engine"):
            lo, hi = chunk * stride, min((chunk + 1) * stride, steps)
            spans = [(first, last, lo, hi) for first, last in pairwise(edges)]
            tasks = [pool.submit(part, *span) for span in spans[1:]]
            part(*spans[0])
            for task in tasks:
                task.result()
    if recording.counts is not None:
        recording.counts[:] = counts.sum(axis=0)[:, : net.n]
    u, v, refractory_left, ring = (x[..., : net.n].copy() for x in state)
    return ChipState(u, v, refractory_left, ring, start.step + steps)


class CompiledNetwork(NamedTuple):
    """A network as `compiled_kernels.run_trials` takes it; rows are padded.

    Attributes:
        n: number of neurons.
        row_of: block × source, int64: the source's place in `rows`, or in `wide`; −1
            where the block has none.
        kinds: of each block, what it listens to: (H13).
        offsets: of each block's bytes, as `factors`: (H16).
        factors: of each block's bytes.
        exponents: of each block.
        delays: of each block, in steps.
        rows: source × post, uint8: blocks that listen to spikes, as bytes; then zeros.
        wide: source × post, int16: blocks that listen to numbers.
        keep_u: share that a decay leaves of u, as `keep_v` of v.
        keep_v: float64.
        bias: int32.
        threshold: 2^6 vth, int32.
        refractory: steps at reset after a spike, int32.
        interval: steps between resets of the state, 0 for none: (H2).
        offset: of the resets.
        noise_exp: 0 for no noise.
    """

    n: int
    row_of: np.ndarray
    kinds: np.ndarray
    offsets: np.ndarray
    factors: np.ndarray
    exponents: np.ndarray
    delays: np.ndarray
    rows: np.ndarray
    wide: np.ndarray
    keep_u: np.ndarray
    keep_v: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    refractory: np.ndarray
    interval: int
    offset: int
    noise_exp: int


@lru_cache(maxsize=8)
def compile_network(net: FixedPointNetwork) -> CompiledNetwork:
    """Return a network, arranged for the compiled loops.

    The last few are kept, since making them takes longer than a short run. Records
    never change, so the same object is the same network.
    """
    net = densified(net, "the compiled engine")
    padded, blocks = _padded(net.n), len(net.blocks)
    row_of = np.full((blocks, max(net.n, net.n_in)), -1, dtype=np.int64)
    table = np.zeros((5, blocks), dtype=np.int64)
    rows, wide = [np.zeros((0, padded), np.uint8)], [np.zeros((0, padded), np.int16)]
    for k, block in enumerate(net.blocks):
        kind = _kind(block)
        # Blocks that listen alike share one array; a place in it is block and source.
        stack = wide if kind == kernels.GRADED else rows
        row_of[k, block.pre] = sum(map(len, stack)) + np.arange(len(block.pre))
        stored, offset, factor = _bytes(block)
        table[:, k] = kind, offset, factor, block.weight_exp, block.delay
        # Messages as numbers meet the weights themselves: their sums need 32 bits.
        weights = values_of(block.weights).T if kind == kernels.GRADED else stored.T
        stack.append(_pad(weights, padded))
    keep_u = arithmetic.DECAY_UNITY - arithmetic.DU_OFFSET - net.du.astype(np.int64)
    keep_v = arithmetic.DECAY_UNITY - net.dv.astype(np.int64)
    bias = arithmetic.effective_bias(net.bias_mant, net.bias_exp)
    # Neurons that only fill a row up never spike: v saturates below M.
    threshold = np.full(padded, arithmetic.STATE_LIMIT, dtype=np.int32)
    threshold[: net.n] = net.vth << arithmetic.INPUT_SHIFT
    kinds, offsets, factors, exponents, delays = table
    return CompiledNetwork(
        n=net.n,
        row_of=row_of,
        kinds=kinds,
        offsets=offsets,
        factors=factors,
        exponents=exponents,
        delays=delays,
        rows=np.concatenate([*rows, np.zeros((1, padded), np.uint8)]),
        wide=np.concatenate(wide),
        keep_u=_pad(keep_u / arithmetic.DECAY_UNITY, padded),
        keep_v=_pad(keep_v / arithmetic.DECAY_UNITY, padded),
        bias=_pad(bias.astype(np.int32), padded),
        threshold=threshold,
        refractory=_pad(net.refractory.astype(np.int32), padded),
        interval=net.reset_interval,
        offset=net.reset_offset % (net.reset_interval or 1),
        noise_exp=net.noise_exp or 0,
    )


def _kind(block: WeightBlock) -> int:
    if block.source == "recurrent":
        return kernels.SPIKES
    return kernels.BINARY if block.binary else kernels.GRADED


def _bytes(block: WeightBlock) -> tuple[np.ndarray, int, int]:
    """Return weights as bytes b, and o and f such that w = f·(b − o): (H16)."""
    w = values_of(block.weights).astype(np.int64)
    # Bytes hold no sign; a mixed block's weights are even, so that halves fit.
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


run = Engine("compiled", simulate, options=("threads",))
