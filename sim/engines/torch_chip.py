"""A fixed-point network as the torch engine computes with it, on a device.

The membrane noise of `isotau.convert.chip.philox` on tensors, many steps at once.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.chip import arithmetic
from isotau.convert.chip.philox import MASK, MULTIPLIERS, ROUNDS, WEYL
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.sim.engines.run import Job, State


def membrane_samples(seed: int, steps: range, trials: Tensor, n: int) -> Tensor:
    """Return uniform integers on −127 … 127, step × trial × neuron, int64.

    The samples are those of `isotau.convert.chip.philox.membrane_samples`. torch has no
    unsigned 64-bit product; int64 holds the same 64 bits, of which masks take the
    halves. The first rounds act on parts of the counter that many steps, trials or
    neurons share, and broadcasting leaves them small.

    Args:
        seed: 0 ≤ seed < 2^64.
        steps: successive numbers of steps since power-up, each below 2^32.
        trials: number of each trial, int64, 0 ≤ trial < 2^32; its device computes.
        n: number of neurons.
    """
    if steps.start < 0 or steps.stop - 1 > MASK:
        raise ValueError(
            f"steps: got {steps.start} to {steps.stop - 1}, need 0 to 2^32 − 1"
        )
    blocks = (n + 7) // 8
    device = trials.device
    c0 = torch.arange(blocks, device=device).view(1, 1, -1)
    c1 = torch.arange(steps.start, steps.stop, device=device).view(-1, 1, 1)
    c2 = trials.view(1, -1, 1)
    c3 = torch.zeros_like(c0)
    k0, k1 = seed & MASK, (seed >> 32) & MASK
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1 = (p1 >> 32).bitwise_and_(MASK) ^ c1 ^ k0, p1.bitwise_and_(MASK)
        c2, c3 = (p0 >> 32).bitwise_and_(MASK) ^ c3 ^ k1, p0.bitwise_and_(MASK)
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    halves = torch.stack(
        [half for c in (c0, c1, c2, c3) for half in (c & 0xFFFF, c >> 16)], dim=-1
    )
    samples = halves.mul_(255).bitwise_right_shift_(16).sub_(127)
    return samples.view(len(steps), len(trials), 8 * blocks)[..., :n]


EXACT_FLOAT32 = 1 << 24


class Connection(NamedTuple):
    """Weight blocks that are summed as one."""

    source: str
    binary: bool
    delay: int
    pre: Tensor | slice
    """Which channels of the source; a slice, which copies nothing, where it can be."""
    weights: Tensor
    """Pre × post; float32 where that is exact."""
    exponent: int
    """By which the sum has yet to be shifted."""


class Chip(NamedTuple):
    """A network on the device: float64, biases and threshold scaled."""

    connections: list[Connection]
    keep_u: Tensor
    """What u keeps in a step, in 1/4096."""
    keep_v: Tensor
    bias: Tensor
    threshold: Tensor
    refractory: Tensor | None
    """None if no neuron ever rests."""
    wide: bool
    """Whether any sum may leave 32 bits."""


class Live(NamedTuple):
    """The state on the device, float64, changed in place; and room to compute in."""

    u: Tensor
    v: Tensor
    rest: Tensor
    ring: Tensor
    fired: Tensor
    spare: Tensor


def find_device(device: str) -> torch.device:
    """Return the device of that name.

    Raises:
        ValueError: it is not there.
    """
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    if device not in there:
        raise ValueError(
            f"device: got {device!r}, need one of {', '.join(there)}; another needs "
            "its hardware and a torch built for it"
        )
    return torch.device(device)


def load(net: FixedPointNetwork, job: Job, place: torch.device) -> Chip:
    """Return a network on a device, made for one run."""

    def tensor(x: np.ndarray) -> Tensor:
        return torch.tensor(x, dtype=torch.float64, device=place)

    wide = may_wrap(net, job)
    unity = arithmetic.DECAY_UNITY
    du, dv = net.du.astype(np.int64), net.dv.astype(np.int64)
    rests = net.refractory.any() or job.state.rest.any()
    groups: dict[object, list[WeightBlock]] = {}
    for k, block in enumerate(net.blocks):
        # sums are taken together where none is floored, and none wraps before it is
        # shifted
        alone = wide or block.weight_exp < 0
        binary = block.binary or block.source == "recurrent"
        key = k if alone else (block.source, binary, block.delay)
        groups.setdefault(key, []).append(block)
    return Chip(
        connections=[_connect(blocks, net.n, place) for blocks in groups.values()],
        keep_u=tensor(unity - du - arithmetic.DU_OFFSET),
        keep_v=tensor(unity - dv),
        bias=tensor(arithmetic.effective_bias(net.bias_mant, net.bias_exp)),
        threshold=tensor(net.vth.astype(np.int64) << arithmetic.INPUT_SHIFT),
        refractory=tensor(net.refractory) if rests else None,
        wide=wide,
    )


def wake(state: State, place: torch.device) -> Live:
    """Return a state on a device."""

    def tensor(x: np.ndarray) -> Tensor:
        return torch.tensor(x, dtype=torch.float64, device=place)

    u = tensor(state.u)
    return Live(
        u=u,
        v=tensor(state.v),
        rest=tensor(state.rest),
        ring=tensor(state.ring),
        fired=torch.empty_like(u),
        spare=torch.empty_like(u),
    )


def sleep(live: Live, step: int) -> State:
    """Return the state that is left after a number of steps since power-up."""
    u, v, rest, ring = (x.to(torch.int32).numpy(force=True) for x in live[:4])
    return State(u=u, v=v, rest=rest, ring=ring, step=step)


def may_wrap(net: FixedPointNetwork, job: Job) -> bool:
    """Return whether any sum of a run could leave 32 bits, by bounds on each.

    With A the most that reaches a neuron in one step, |u| stays below the greatest of
    its first value, M and, where 64 A > 2M, 64 A · 4096/(du + 1): what it gains is then
    no more than what it loses, and the wrap at M never takes it further out.
    """
    limit = arithmetic.STATE_LIMIT
    sent = job.messages
    heard = np.maximum(sent.max(axis=(0, 1)), -sent.min(axis=(0, 1)))
    arriving = np.abs(job.state.ring.astype(np.int64)).max(axis=(0, 1)).astype(float)
    most = 0.0
    for block in net.blocks:
        loud = block.source == "input" and not block.binary
        times = heard[block.pre] if loud else np.ones(len(block.pre), dtype=np.int64)
        total = np.abs(block.weights.astype(np.int64)) @ times
        most = max(most, total.max())
        arriving += total * 2.0**block.weight_exp + 1
    gain = arriving * (1 << arithmetic.INPUT_SHIFT)
    stay = gain * arithmetic.DECAY_UNITY / (net.du.astype(float) + arithmetic.DU_OFFSET)
    u, v = (
        np.abs(x.astype(np.int64)).max(initial=limit)
        for x in (job.state.u, job.state.v)
    )
    reach = np.maximum(u, np.where(gain > 2 * limit, stay, 0)) + gain
    # 2M is more than bias and noise together
    return bool(max(most, reach.max() + v + 2 * limit) >= 2**31)


def pick(indices: np.ndarray, place: torch.device) -> Tensor | slice:
    """Return what selects some indices of an axis: a slice if they have no gaps."""
    start, count = int(indices[0]) if len(indices) else 0, len(indices)
    if np.array_equal(indices, np.arange(start, start + count)):
        return slice(start, start + count)
    return torch.tensor(indices, device=place)


def _connect(blocks: list[WeightBlock], n: int, place: torch.device) -> Connection:
    """Return blocks of one source and delay as one; together they are shifted here."""
    first = blocks[0]
    recurrent = first.source == "recurrent"
    pre = np.unique(np.concatenate([block.pre for block in blocks]))
    weights = np.zeros((len(pre), n))
    together = len(blocks) > 1
    for block in blocks:
        rows = np.searchsorted(pre, block.pre)
        weights[rows] += block.weights.T * 2.0 ** (together * block.weight_exp)
    single = recurrent and exact_in_float32(weights)
    return Connection(
        source=first.source,
        binary=first.binary,
        delay=first.delay,
        pre=pick(pre, place),
        weights=torch.tensor(
            weights, dtype=torch.float32 if single else torch.float64, device=place
        ),
        exponent=0 if together else first.weight_exp,
    )


def exact_in_float32(weights: np.ndarray) -> bool:
    """Return whether float32 sums any of the rows exactly, pre × post, in any order.

    Also where torch is allowed to round the weights to TF32 or bfloat16 before.
    """
    short = torch.tensor(weights).to(torch.bfloat16).to(torch.float64).numpy()
    total = np.abs(weights).sum(axis=0).max()
    return bool((short == weights).all() and total < EXACT_FLOAT32)
