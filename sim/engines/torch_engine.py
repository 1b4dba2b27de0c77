"""The torch engine: the chip's time step on tensors, on the CPU or a CUDA device.

All numbers are whole and held in float64. None reaches 2^53, powers of two scale
without rounding, and division truncates: every operation is exact and the bits are
those of the reference engine. float64 needs half the operations that int64 would.

Spikes times weights are summed in float32 where that is exact in any order: while the
absolute weights of a neuron sum to less than 2^24. It stays exact at reduced precision
(TF32, bfloat16, if a program has asked torch for them): 0, 1 and weights of 8
significant bits fit either format, and sums are kept in float32.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor
from torch.nn.functional import embedding_bag

from isotau.convert.chip import arithmetic
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.records.fixedpoint import FixedPointNetwork, resets
from isotau.convert.records.spikes import Spikes
from isotau.convert.records.storage import fingerprint
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
from isotau.sim.engines.torch_chip import (
    Chip,
    Connection,
    Live,
    find_device,
    load,
    membrane_samples,
    pick,
    sleep,
    wake,
)

NAME = "torch"
CHUNK_BYTES = 1 << 24
"""Room on the device for what is prepared for, and brought back from, a few steps."""
SPARSE = 4
"""On a CPU, weights are added spike by spike if fewer than 1 in 4 neurons spike."""
PACK = 0x0102040810204080
"""Eight bytes of 0 or 1, times this, have byte k's bit at 56 + k; nothing carries."""


class Window(NamedTuple):
    """What the next steps need, and room for what they leave; the first axis is time.

    A window as a whole takes about `CHUNK_BYTES`.
    """

    drive: Tensor
    """Bias and noise."""
    inputs: dict[int, Tensor]
    """What a connection hears of the inputs, by its place among the connections."""
    raster: Tensor
    """Spikes, bool, neurons padded to whole bytes."""
    kept: dict[str, Tensor]


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
    device: str = "cpu",
    progress: Progress = silent,
) -> Run:
    """Run a batch of trials and return their spikes.

    Arguments and errors are those of `isotau.sim.engines.run.check`; `count_overflow`
    fills `Run.overflow`, `progress` is given the steps as they pass, `device` is "cpu",
    "cuda" or "cuda:<number>".

    Raises:
        ValueError: a device that is not there.
        ChipOverflow: `strict` was asked for and a number left its range.
    """
    place = find_device(device)
    job = check(
        net,
        messages,
        seed=seed,
        first_trial=first_trial,
        record=record,
        neurons=neurons,
        state=state,
    )
    with torch.inference_mode():
        made = _run(net, job, place, count_overflow or strict, progress)
    if made.overflow:
        made.overflow.sum_wraps[:] += count_payloads(net, job.messages)
    if strict and made.overflow and overflowed(made.overflow):
        raise_first(
            partial(run, device=device),
            net,
            job.messages,
            seed=seed,
            first_trial=first_trial,
            state=job.state,
        )
    return made


def _run(
    net: FixedPointNetwork,
    job: Job,
    place: torch.device,
    count_overflow: bool,
    progress: Progress,
) -> Run:
    steps, batch, _ = job.messages.shape
    chip, live = load(net, job, place), wake(job.state, place)
    counts = torch.zeros((4, net.n), dtype=torch.float64, device=place)
    bits = np.empty((steps, batch, (net.n + 7) // 8), dtype=np.uint8)
    shape = (steps, batch, len(job.neurons))
    kept = {name: np.empty(shape, dtype=np.int32) for name in job.record}
    chosen = pick(job.neurons, place)
    told = (job.messages != 0).any(axis=(1, 2)).tolist()
    width = _width(net, job)
    for t in progress(range(steps), f"{NAME} engine"):
        k, now = t % width, job.state.step + t
        if k == 0:
            window = _prepare(net, chip, job, range(t, min(t + width, steps)))
        if resets(net, now):
            live.u.zero_()
            live.v.zero_()
        arrived = live.ring[now % net.slots]
        _step(chip, live, arrived, window.drive[k], counts if count_overflow else None)
        arrived.zero_()
        raster = window.raster[k, :, : net.n].copy_(live.fired)
        heard = {i: x[k] for i, x in window.inputs.items()} if told[t] else {}
        _deliver(chip, live.ring, now, raster, heard)
        for name, values in window.kept.items():
            values[k] = getattr(live, name)[:, chosen]
        if k + 1 == len(window.raster):
            done = slice(t - k, t + 1)
            bits[done] = _pack(window.raster)
            for name, values in window.kept.items():
                kept[name][done] = values.numpy(force=True)
    made = Spikes(bits=bits, n=net.n, dt=net.dt, engine=NAME, network=fingerprint(net))
    counted = Overflow(*counts.numpy(force=True).astype(np.int64))
    after = sleep(live, job.state.step + steps)
    overflow = counted if count_overflow else None
    return Run(made, kept.get("u"), kept.get("v"), after, overflow)


def _step(
    chip: Chip, live: Live, a: Tensor, drive: Tensor, counts: Tensor | None
) -> None:
    """Change u, v, rest and fired by one time step, as `reference.step` does."""
    u, v, rest, _, fired, spare = live
    limit, unity = arithmetic.STATE_LIMIT, arithmetic.DECAY_UNITY
    scale = 1 << arithmetic.INPUT_SHIFT
    u.mul_(chip.keep_u).div_(unity, rounding_mode="trunc")
    if chip.wide:
        _wrap(u.add_(_wrap(a * scale)))
    else:
        u.add_(a, alpha=scale)
    # by how many 2M, of −1, 0 and 1, u is off: u = M is in place, u = −M is not
    off = torch.mul(u, 0.5 / limit, out=spare).sub_(0.5).ceil_().clamp_(-1, 1)
    u.sub_(off, alpha=2 * limit)
    if counts is not None:
        half = (1 << 31) // scale
        counts[0] += ((a < -half) | (a >= half)).sum(dim=0)
        counts[1] += off.abs_().sum(dim=0)
    v.mul_(chip.keep_v).div_(unity, rounding_mode="trunc").add_(u).add_(drive)
    if chip.wide:
        _wrap(v)
    if counts is not None:
        counts[2] += ((rest <= 0) & (v < 1 - limit)).sum(dim=0)
        counts[3] += ((rest <= 0) & (v > limit - 1)).sum(dim=0)
    v.clamp_(1 - limit, limit - 1)
    if chip.refractory is not None:
        v.mul_(torch.le(rest, 0, out=spare))
    torch.gt(v, chip.threshold, out=fired)
    v.addcmul_(v, fired, value=-1)
    if chip.refractory is not None:
        # a neuron at rest has v = 0 and does not spike: the period is added to 0
        rest.sub_(1).clamp_(min=0).addcmul_(fired, chip.refractory)


def _deliver(
    chip: Chip, ring: Tensor, now: int, raster: Tensor, heard: dict[int, Tensor]
) -> None:
    """Add to the ring what the connections hand over after a step.

    `heard` holds the sources of input connections; empty if no channel sent anything.
    """
    for k, link in enumerate(chip.connections):
        if link.source == "recurrent":
            total = _summed(link, raster)
        elif k in heard:
            total = heard[k] @ link.weights
        else:
            continue
        arrival = ring[(now + 1 + link.delay) % len(ring)]
        factor = 2.0**link.exponent
        if chip.wide:
            total = _wrap(total.to(torch.float64)).mul_(factor).floor_()
            _wrap(arrival.add_(_wrap(total)))
        elif link.exponent < 0:
            arrival.add_(total.mul_(factor).floor_())
        else:
            arrival.add_(total, alpha=factor)


def _summed(link: Connection, raster: Tensor) -> Tensor:
    """Return the sums of the weights of neurons that spiked, batch × post."""
    source = raster[:, link.pre]
    if source.device.type == "cpu":
        trial, pre = source.nonzero().T.contiguous()
        if len(pre) * SPARSE < source.numel():
            starts = torch.searchsorted(trial, torch.arange(len(source)))
            return embedding_bag(pre, link.weights, starts, mode="sum")
    return source.to(link.weights.dtype) @ link.weights


def _wrap(x: Tensor) -> Tensor:
    """Change whole numbers to what int32 keeps of them; see `arithmetic.wrap_int32`."""
    return x.sub_(x.add(2**31).mul_(2.0**-32).floor_(), alpha=2**32)


def _pack(raster: Tensor) -> np.ndarray:
    """Return spikes packed as `isotau.convert.records.spikes.pack` does."""
    eight = raster.view(torch.int64)
    return (eight * PACK >> 56 & 255).to(torch.uint8).numpy(force=True)


def _width(net: FixedPointNetwork, job: Job) -> int:
    """Return how many steps a window holds."""
    noise = 0 if net.noise_exp is None else 16 * net.n
    kept = 4 * len(job.neurons) * len(job.record)
    heard = 16 * net.n_in * len(net.blocks)
    batch = job.messages.shape[1]
    return max(1, CHUNK_BYTES // (batch * (net.n + 7 + noise + kept + heard)))


def _prepare(net: FixedPointNetwork, chip: Chip, job: Job, steps: range) -> Window:
    place = chip.bias.device
    count, batch = len(steps), job.messages.shape[1]
    messages = torch.tensor(job.messages[steps.start : steps.stop], device=place)
    inputs = {}
    for k, link in enumerate(chip.connections):
        if link.source == "input":
            heard = messages[:, :, link.pre]
            heard = heard != 0 if link.binary else heard
            inputs[k] = heard.to(torch.float64)
    shape = (count, batch, len(job.neurons))
    return Window(
        drive=_drive(net, chip, job, steps),
        inputs=inputs,
        raster=torch.zeros(
            (count, batch, 8 * ((net.n + 7) // 8)), dtype=torch.bool, device=place
        ),
        kept={
            name: torch.empty(shape, dtype=torch.int32, device=place)
            for name in job.record
        },
    )


def _drive(net: FixedPointNetwork, chip: Chip, job: Job, steps: range) -> Tensor:
    """Return bias and noise for some steps of the run, step × (trial ×) neuron."""
    if net.noise_exp is None:
        return chip.bias.expand(len(steps), -1)
    first = job.state.step
    samples = membrane_samples(
        job.seed,
        range(first + steps.start, first + steps.stop),
        torch.arange(job.messages.shape[1], device=chip.bias.device) + job.first_trial,
        net.n,
    )
    scaled = samples.to(torch.float64).mul_(2.0 ** (net.noise_exp - 7)).floor_()
    return scaled.add_(chip.bias)
