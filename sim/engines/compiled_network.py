"""A network and its trials, arranged for the compiled engine's loops."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from isotau.convert.chip import arithmetic, compiled_step, vector_noise
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.chip.vector_rows import COLUMNS, in_lanes
from isotau.convert.ground.sparse import dense, row_sums, values_of
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.sim.engines import compiled_kernels as kernels
from isotau.sim.engines.run import EngineJob
from isotau.sim.engines.synapses import pack_synapses

ALIGNMENT = 64
"""Bytes of a cache line: what crosses one is read twice."""
SPACE = 48
"""Neurons between the rows of a trial: addresses that agree in their last 12 bits make
loads wait for stores."""
REACH = 1 << 18
"""The most that may arrive at a neuron in a step for |u| to stay within 2M: (H15)."""


NoiseScale = tuple[int, int] | tuple[np.ndarray, np.ndarray]
"""Places to the left and to the right, or rows of factors and of places."""


class CompiledNetwork(NamedTuple):
    """A network as `compiled_kernels.run_trials` takes it; rows are padded.

    Attributes:
        n: number of neurons.
        row_of: block × source, int64: where the source's row begins in `rows`, or in
            `wide`; −1 where the block has none.
        blocks: block × column, int64. By the columns that `compiled_kernels` names:
            what the block listens to, (H13); offset, (H16), and exponent of its bytes;
            delay in steps; and for neighbours where the row of source 0 would begin,
            their first source and one beyond the last.
        rows: source × post, uint8, flat: blocks that listen to spikes, as bytes, in
            the order of `vector_rows.in_lanes`.
        wide: source × post, int16, flat: blocks that listen to numbers; None if there
            are none.
        words: synapses of the sparse blocks, see `synapses`; None if there are none.
        starts: sparse block × source, likewise. Of such a block the offset says which.
        keep_u: share that a decay leaves of u, as `keep_v` of v; float32, or float64
            where u may leave 2^24.
        keep_v: see there.
        bias: int32.
        threshold: 2^6 vth, int32.
        refractory: steps at reset after a spike, int32; None if nobody ever rests.
        interval: steps between resets of the state, 0 for none: (H2).
        offset: of the resets.
        to_v: how samples of the noise in v are scaled, see `vector_step.advance`; None
            for no noise.
        to_u: the same for u.
    """

    n: int
    row_of: np.ndarray
    blocks: np.ndarray
    rows: np.ndarray
    wide: np.ndarray | None
    words: np.ndarray | None
    starts: np.ndarray | None
    keep_u: np.ndarray
    keep_v: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    refractory: np.ndarray | None
    interval: int
    offset: int
    to_v: NoiseScale | None
    to_u: NoiseScale | None


class Room(NamedTuple):
    """What one trial works on; each thread has its own."""

    u: np.ndarray
    v: np.ndarray
    left: np.ndarray
    total: np.ndarray
    to_v: np.ndarray
    """Room for samples of the noise in some steps, see `vector_noise`."""
    to_u: np.ndarray
    fired: np.ndarray
    """A bit per neuron, in words of 64, and as bytes."""
    fired_bytes: np.ndarray
    before: np.ndarray
    """How many spikes a list has before each of these words."""
    spike_list: np.ndarray
    sender_list: np.ndarray
    row_list: np.ndarray
    numbers: np.ndarray
    """Messages of the channels in a list."""
    sums: np.ndarray
    """Of sparse weights; 0 between their uses."""


def padded(n: int) -> int:
    """Return the neurons of a row that has room for n."""
    return -(-n // COLUMNS) * COLUMNS


def pad(x: np.ndarray) -> np.ndarray:
    """Return x with zeros after its last axis, aligned and writable."""
    out = aligned((*x.shape[:-1], padded(x.shape[-1])), x.dtype)
    out[..., : x.shape[-1]] = x
    return out


def aligned(shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """Return zeros that begin at a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def room_for(net: FixedPointNetwork) -> Room:
    """Return room for a trial of a network."""
    row = padded(net.n) + SPACE
    rows = aligned((5, row), np.int32)
    # one word more than needed, which stays 0: see `list_bits`
    fired = aligned((padded(net.n) // 64 + 1,), np.uint64)
    most = max(padded(net.n), net.n_in)
    u, v, left, total, sums = (x[: padded(net.n)] for x in rows)
    samples = aligned((2, padded(net.n) * vector_noise.STEPS), np.int8)
    return Room(
        u=u,
        v=v,
        left=left,
        total=total,
        to_v=samples[0],
        to_u=samples[1],
        fired=fired,
        fired_bytes=fired.view(np.uint8),
        before=np.zeros(len(fired), np.int64),
        # places in memory: numba would look at the sign of others
        spike_list=np.zeros(most + compiled_step.SPARE_PLACES, np.uint64),
        sender_list=np.zeros(net.n_in, np.uint64),
        row_list=np.zeros(most + 1, np.uint64),
        numbers=np.zeros(net.n_in + 1, np.int32),
        sums=sums,
    )


def variant(job: EngineJob) -> CompiledNetwork:
    """Return a job's network, without what this run has no need of."""
    net, state = compile_network(job.net), job.state
    if not stays_narrow(job):
        wide = {name: getattr(net, name).astype(float) for name in ("keep_u", "keep_v")}
        net = net._replace(**wide)
    if not (job.net.refractory.any() or state.rest.any()):
        net = net._replace(refractory=None)
    return net


def stays_narrow(job: EngineJob) -> bool:
    """Return whether |u| and |v| stay within 2^24, by bounds on each.

    With at most 2^18 arriving, noise included, u gains 2M in a step at most, and the
    wrap (H5) takes it back within 2M whatever it was within 2M before. v is cut in
    every step.
    """
    limit, state = 2 * arithmetic.STATE_LIMIT, job.state
    if any(_largest(x) > limit for x in state[:2]):
        return False
    payload = np.maximum(
        job.messages.max(axis=(0, 1), initial=0),
        -job.messages.min(axis=(0, 1), initial=0),
    )
    spikes, channels = _reach(job.net)
    loudest = np.full(job.net.n, arithmetic.NOISE_MAX)
    noise = arithmetic.scale_noise(loudest, job.net.current_noise_exp).max()
    arriving = _largest(state.ring) + spikes + channels @ payload.astype(float)
    return bool(arriving + noise / (1 << arithmetic.INPUT_SHIFT) <= REACH)


def _largest(x: np.ndarray) -> int:
    """Return the largest magnitude."""
    return max(int(x.max(initial=0)), -int(x.min(initial=0)))


@lru_cache(maxsize=8)
def _reach(net: FixedPointNetwork) -> tuple[float, np.ndarray]:
    """Return the most that spikes deliver in a step, and a message of 1 per channel."""
    spikes, channels = 0.0, np.zeros(net.n_in)
    for block in net.blocks:
        spikes += 1  # what a floor adds
        weights = block.weights
        if _kind(block) == kernels.GRADED:
            weights = dense(weights, "the compiled engine")
            most = np.abs(weights.astype(np.int64)).max(axis=0, initial=0)
            channels[block.pre] += most * 2.0**block.weight_exp
        else:
            magnitudes = np.abs(values_of(weights).astype(np.int64))
            most = row_sums(weights, magnitudes).max(initial=0)
            spikes += most * 2.0**block.weight_exp
    return spikes, channels


@lru_cache(maxsize=8)
def compile_network(net: FixedPointNetwork) -> CompiledNetwork:
    """Return a network, arranged for the compiled loops, with all that it may need.

    The last few are kept, since making them takes longer than a short run. Records
    never change, so the same object is the same network.
    """
    synapses = pack_synapses(net)
    width, blocks = padded(net.n), len(net.blocks)
    row_of = np.full((blocks, max(net.n, net.n_in)), -1, dtype=np.int64)
    table, spans = np.zeros((5, blocks), np.int64), np.zeros((blocks, 2), np.int64)
    rows, wide = [np.zeros((0, width), np.uint8)], [np.zeros((0, width), np.int16)]
    for k, block in enumerate(net.blocks):
        if synapses is not None and synapses.place[k] >= 0:
            place, kind = synapses.place[k], kernels.SYNAPSES
            table[:, k] = kind, place, block.weight_exp, block.delay, 0
            continue
        kind = _kind(block)
        # Blocks that listen alike share one array; a place in it is block and source.
        stack = wide if kind == kernels.GRADED else rows
        places = sum(map(len, stack)) + np.arange(len(block.pre))
        row_of[k, block.pre] = places * width
        stored, offset, doubled = _bytes(block)
        # Messages as numbers meet the weights themselves: their sums need 32 bits.
        if kind == kernels.GRADED:
            stack.append(pad(dense(block.weights, "the compiled engine").T))
            offset, doubled = 0, 0
        else:
            stack.append(in_lanes(pad(stored.T)))
        base, spans[k] = 0, (block.pre[0], block.pre[-1] + 1)
        if kind == kernels.NEIGHBOURS:
            base = (places[0] - block.pre[0]) * width
        table[:, k] = kind, offset, block.weight_exp + doubled, block.delay, base
    keep_u = arithmetic.DECAY_UNITY - arithmetic.DU_OFFSET - net.du.astype(np.int64)
    keep_v = arithmetic.DECAY_UNITY - net.dv.astype(np.int64)
    bias = arithmetic.effective_bias(net.bias_mant, net.bias_exp)
    # Neurons that only fill a row up never spike: v saturates below M.
    threshold = aligned((width,), np.int32)
    threshold[:] = arithmetic.STATE_LIMIT
    threshold[: net.n] = net.vth << arithmetic.INPUT_SHIFT
    return CompiledNetwork(
        n=net.n,
        row_of=row_of,
        # in the order of `compiled_kernels.KIND` and the others
        blocks=np.ascontiguousarray(np.vstack([table, spans.T]).T),
        rows=_flat(rows),
        wide=_flat(wide) if len(wide) > 1 else None,
        words=None if synapses is None else synapses.words,
        starts=None if synapses is None else synapses.starts,
        keep_u=pad((keep_u / arithmetic.DECAY_UNITY).astype(np.float32)),
        keep_v=pad((keep_v / arithmetic.DECAY_UNITY).astype(np.float32)),
        bias=pad(bias.astype(np.int32)),
        threshold=threshold,
        refractory=pad(net.refractory.astype(np.int32)),
        interval=net.reset_interval,
        offset=net.reset_offset % (net.reset_interval or 1),
        to_v=_noise_scale(net.noise_exp),
        to_u=_noise_scale(net.current_noise_exp),
    )


def _noise_scale(noise_exp: np.ndarray) -> NoiseScale | None:
    """Return how samples are scaled: (P6)."""
    if not noise_exp.any():
        return None
    factor, down = arithmetic.noise_scale(noise_exp)
    # Two numbers for all are faster than two rows.
    if (noise_exp == noise_exp[0]).all():
        return int(factor[0]).bit_length() - 1, int(down[0])
    return pad(factor.astype(np.int32)), pad(down.astype(np.int32))


def _kind(block: WeightBlock) -> int:
    if block.source == "recurrent":
        without_gap = block.pre[-1] - block.pre[0] == len(block.pre) - 1
        return kernels.NEIGHBOURS if without_gap else kernels.SPIKES
    return kernels.BINARY if block.binary else kernels.GRADED


def _bytes(block: WeightBlock) -> tuple[np.ndarray, int, int]:
    """Return weights as bytes b, and o and k such that w = 2^k·(b − o): (H16)."""
    w = dense(block.weights, "the compiled engine").astype(np.int64)
    # Bytes hold no sign; a mixed block's weights are even, so that halves fit.
    match block.sign_mode:
        case SignMode.EXCITATORY:
            return w.astype(np.uint8), 0, 0
        case SignMode.INHIBITORY:
            return (w + 255).astype(np.uint8), 255, 0
        case _:
            return (w // 2 + 128).astype(np.uint8), 128, 1


def _flat(stack: list[np.ndarray]) -> np.ndarray:
    """Return rows one after the other, aligned."""
    out = aligned((sum(x.size for x in stack),), stack[0].dtype)
    return np.concatenate([x.ravel() for x in stack], out=out)
