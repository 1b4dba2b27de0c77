"""The torch engine: many trials at a time on tensors, on the CPU or a CUDA device.

The step is that of `isotau.convert.chip.torch_step`: float64, and exact.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor

from isotau.convert.chip import arithmetic
from isotau.convert.chip.torch_step import (
    ChipTensors,
    advance,
    deliver,
    noisy_drive,
    on_chip,
)
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.records.fixedpoint import FixedPointNetwork, resets
from isotau.convert.records.spikes import Spikes
from isotau.convert.records.storage import fingerprint
from isotau.convert.simulate.chip_tensors import (
    Connection,
    hear_messages,
    load_connections,
    load_neurons,
    pick,
    sum_spikes,
)
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

NAME = "torch"
CHUNK_BYTES = 1 << 24
"""Room on the device for what is prepared for, and brought back from, a few steps."""
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
    wide, start = may_wrap(net, job), job.state
    chip = load_neurons(net, place, wide=wide, resting=bool(start.rest.any()))
    connections = load_connections(net, place, wide=wide)
    ring = _tensor(start.ring, place)
    live = on_chip(*(_tensor(x, place) for x in (start.u, start.v, start.rest)))
    counts = torch.zeros((4, net.n), dtype=torch.float64, device=place)
    bits = np.empty((steps, batch, (net.n + 7) // 8), dtype=np.uint8)
    shape = (steps, batch, len(job.neurons))
    kept = {name: np.empty(shape, dtype=np.int32) for name in job.record}
    chosen = pick(job.neurons, place)
    busy = (job.messages != 0).any(axis=(1, 2)).tolist()
    width = _width(net, job)
    for t in progress(range(steps), f"{NAME} engine"):
        k, now = t % width, job.state.step + t
        if k == 0:
            window = _prepare(
                net, chip, connections, job, range(t, min(t + width, steps))
            )
        if resets(net, now):  # (H2)
            live.u.zero_()
            live.v.zero_()
        arriving = ring[now % net.slots]  # (H1)
        advance(
            *(chip, live, arriving, window.drive[k]),
            counts=counts if count_overflow else None,
        )
        arriving.zero_()
        raster = window.raster[k, :, : net.n].copy_(live.fired)
        for i, link in enumerate(connections):
            if link.source == "recurrent":
                total = sum_spikes(link, raster)
            elif busy[t]:
                total = window.inputs[i][k] @ link.weights
            else:
                continue
            arrival = ring[(now + 1 + link.delay) % net.slots]
            deliver(arrival, total, link.exponent, wide=wide)
        for name, values in window.kept.items():
            values[k] = getattr(live, name)[:, chosen]
        if k + 1 == len(window.raster):
            done = slice(t - k, t + 1)
            bits[done] = _pack(window.raster)
            for name, values in window.kept.items():
                kept[name][done] = values.numpy(force=True)
    made = Spikes(bits=bits, n=net.n, dt=net.dt, engine=NAME, network=fingerprint(net))
    counted = Overflow(*counts.numpy(force=True).astype(np.int64))
    u, v, rest, under_way = (
        x.to(torch.int32).numpy(force=True) for x in (*live[:3], ring)
    )
    after = State(u, v, rest, under_way, start.step + steps)
    overflow = counted if count_overflow else None
    return Run(made, kept.get("u"), kept.get("v"), after, overflow)


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


def _prepare(
    net: FixedPointNetwork,
    chip: ChipTensors,
    connections: list[Connection],
    job: Job,
    steps: range,
) -> Window:
    place = chip.bias.device
    count, batch = len(steps), job.messages.shape[1]
    messages = torch.tensor(job.messages[steps.start : steps.stop], device=place)
    shape = (count, batch, len(job.neurons))
    return Window(
        drive=_drive(net, chip, job, steps),
        inputs={
            k: hear_messages(link, messages)
            for k, link in enumerate(connections)
            if link.source == "input"
        },
        raster=torch.zeros(
            (count, batch, 8 * ((net.n + 7) // 8)), dtype=torch.bool, device=place
        ),
        kept={
            name: torch.empty(shape, dtype=torch.int32, device=place)
            for name in job.record
        },
    )


def _drive(net: FixedPointNetwork, chip: ChipTensors, job: Job, steps: range) -> Tensor:
    """Return bias and noise for some steps of the run, step × (trial ×) neuron."""
    if net.noise_exp is None:
        return chip.bias.expand(len(steps), -1)
    first, batch = job.state.step, job.messages.shape[1]
    return noisy_drive(
        chip.bias,
        net.noise_exp,
        seed=job.seed,
        steps=range(first + steps.start, first + steps.stop),
        trials=torch.arange(batch, device=chip.bias.device) + job.first_trial,
    )


def _tensor(x: np.ndarray, place: torch.device) -> Tensor:
    return torch.tensor(x, dtype=torch.float64, device=place)


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
