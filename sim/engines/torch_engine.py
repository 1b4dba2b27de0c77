"""The torch engine: many trials at a time on tensors, on the CPU or a CUDA device.

The step is that of `isotau.convert.chip.torch_step`: float64, and exact.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.chip import arithmetic, torch_step
from isotau.convert.ground.sparse import transposed
from isotau.convert.records.chip_state import ChipState
from isotau.convert.records.fixedpoint import resets
from isotau.convert.simulate import chip_tensors
from isotau.sim.engines.engine import Engine
from isotau.sim.engines.run import EngineJob, Recording

CHUNK_BYTES = 1 << 24
"""Room on the device for what is prepared for, and brought back from, a few steps."""
PACK = 0x0102040810204080
"""Eight bytes of 0 or 1, times this, have byte k's bit at 56 + k; nothing carries."""


class Window(NamedTuple):
    """What the next steps need, and room for what they leave; the first axis is time.

    A window as a whole takes about `CHUNK_BYTES`.
    """

    drive: Tensor
    """Bias and noise in v."""
    stirred: Tensor | None
    """Noise in u."""
    inputs: dict[int, Tensor]
    """What a connection hears of the inputs, by its place among the connections."""
    raster: Tensor
    """Spikes, bool, neurons padded to whole bytes."""
    u: Tensor
    """Of the recorded neurons; without steps if it is not recorded."""
    v: Tensor


@torch.inference_mode()
def simulate(job: EngineJob, recording: Recording) -> ChipState:
    """Fill the recording of a job and return the state at its end."""
    device = find_device(job.device or "cpu")
    net, start, wide = job.net, job.state, may_wrap(job)
    chip = chip_tensors.load_neurons(
        net, device, wide=wide, resting=bool(start.rest.any())
    )
    connections = chip_tensors.load_connections(net, device, wide=wide)
    ring = _tensor(start.ring, device)
    neurons = torch_step.on_chip(
        *(_tensor(x, device) for x in (start.u, start.v, start.rest))
    )
    counts = None
    if recording.counts is not None:
        counts = _tensor(recording.counts, device)
    places = chip_tensors.pick(job.neurons, device)
    steps, width = len(job.messages), _width(job, recording)
    # Where no channel sends anything, as between trials, the product is left out.
    busy = (job.messages != 0).any(axis=(1, 2)).tolist()
    for t in job.progress(range(steps), "torch engine"):
        # Steps are prepared, and brought back, many at a time: a transfer to or from a
        # GPU takes as long as a step.
        k, now = t % width, start.step + t
        if k == 0:
            span = range(t, min(t + width, steps))
            window = _prepare(job, recording, chip, connections, span)
        if resets(net, now):  # (H2)
            neurons.u.zero_()
            neurons.v.zero_()
        arriving = ring[now % net.slots]  # (H1)
        torch_step.advance(
            *(chip, neurons, arriving, window.drive[k]),
            current_noise=None if window.stirred is None else window.stirred[k],
            counts=counts,
        )
        arriving.zero_()  # from the next step on the ring's last slot
        # bool, an eighth of what float64 would take, and packed by `_pack`
        raster = window.raster[k, :, : net.n].copy_(neurons.fired)
        for i, link in enumerate(connections):
            if link.source == "recurrent":
                total = chip_tensors.sum_spikes(link, raster)
            elif busy[t]:
                total = window.inputs[i][k] @ link.weights
            else:
                continue
            arrival = ring[(now + 1 + link.delay) % net.slots]
            torch_step.deliver(arrival, total, link.exponent, wide=wide)
        for trace, values in ((window.u, neurons.u), (window.v, neurons.v)):
            if len(trace):
                trace[k] = values[:, places]
        if k + 1 == len(window.raster):
            _bring_back(window, recording, t - k)
    if recording.counts is not None and counts is not None:
        recording.counts[:] = counts.numpy(force=True)
    u, v, refractory_left, under_way = (
        x.to(torch.int32).numpy(force=True) for x in (*neurons[:3], ring)
    )
    return ChipState(u, v, refractory_left, under_way, start.step + steps)


def find_device(device: str) -> torch.device:
    """Return the device of that name.

    Raises:
        ValueError: it is not there.
    """
    # torch itself would fail later, with a text that names no choice.
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    if device not in there:
        raise ValueError(
            f"device: got {device!r}, need one of {', '.join(there)}; another needs "
            "its hardware and a torch built for it"
        )
    return torch.device(device)


def may_wrap(job: EngineJob) -> bool:
    """Return whether any sum of a run could leave 32 bits, by bounds on each.

    With A the most that reaches a neuron in one step, |u| stays below the greatest of
    its first value, M and, where 64 A > 2M, 64 A · 4096/(du + 1): what it gains is then
    no more than what it loses, and the wrap at M never takes it further out.
    """
    limit, net, sent = arithmetic.STATE_LIMIT, job.net, job.messages
    payload = np.maximum(sent.max(axis=(0, 1)), -sent.min(axis=(0, 1)))
    arriving = np.abs(job.state.ring.astype(np.int64)).max(axis=(0, 1)).astype(float)
    most = 0.0  # the largest sum of one connection, before its shift
    for block in net.blocks:
        loud = block.source == "input" and not block.binary
        times = payload[block.pre] if loud else np.ones(len(block.pre), dtype=np.int64)
        # every source at its loudest, every weight positive: the most there can be
        total = times @ abs(transposed(block.weights, np.int64))
        most = max(most, total.max())
        arriving += total * 2.0**block.weight_exp + 1
    gain = arriving * (1 << arithmetic.INPUT_SHIFT)
    loudest = np.full(net.n, arithmetic.NOISE_MAX)
    gain += arithmetic.scale_noise(loudest, net.current_noise_exp)
    stay = gain * arithmetic.DECAY_UNITY / (net.du.astype(float) + arithmetic.DU_OFFSET)
    u, v = (
        np.abs(x.astype(np.int64)).max(initial=limit)
        for x in (job.state.u, job.state.v)
    )
    reach = np.maximum(u, np.where(gain > 2 * limit, stay, 0)) + gain
    # (H15) with v and its drive: 2M is more than bias and noise together
    return bool(max(most, reach.max() + v + 2 * limit) >= 2**31)


def _width(job: EngineJob, recording: Recording) -> int:
    """Return how many steps a window holds."""
    net, batch = job.net, job.messages.shape[1]
    noise = 16 * net.n * (int(net.noise_exp.any()) + int(net.current_noise_exp.any()))
    traces = 4 * len(job.neurons) * (len(recording.u[:1]) + len(recording.v[:1]))
    inputs = 16 * net.n_in * len(net.blocks)
    return max(1, CHUNK_BYTES // (batch * (net.n + 7 + noise + traces + inputs)))


def _prepare(
    job: EngineJob,
    recording: Recording,
    chip: torch_step.ChipTensors,
    connections: list[chip_tensors.Connection],
    steps: range,
) -> Window:
    """Return the window of some steps of a run."""
    net, device = job.net, chip.bias.device
    count, batch = len(steps), job.messages.shape[1]
    messages = torch.tensor(job.messages[steps.start : steps.stop], device=device)
    drive = chip.bias.expand(count, -1)  # a view: one row serves all steps
    first = job.state.step
    to_v, to_u = torch_step.draw_noise(
        chip,
        seed=job.seed,
        steps=range(first + steps.start, first + steps.stop),
        trials=torch.arange(batch, device=device) + job.first_trial,
    )
    if to_v is not None:
        drive = to_v.add_(chip.bias)
    u, v = (
        torch.empty(
            (count if len(trace) else 0, batch, len(job.neurons)),
            dtype=torch.int32,
            device=device,
        )
        for trace in (recording.u, recording.v)
    )
    return Window(
        drive=drive,
        stirred=to_u,
        inputs={
            k: chip_tensors.hear_messages(link, messages)
            for k, link in enumerate(connections)
            if link.source == "input"
        },
        raster=torch.zeros(
            (count, batch, 8 * ((net.n + 7) // 8)), dtype=torch.bool, device=device
        ),
        u=u,
        v=v,
    )


def _bring_back(window: Window, recording: Recording, first: int) -> None:
    """Copy what a window's steps left, of which `first` is the first."""
    steps = slice(first, first + len(window.raster))
    recording.bits[steps] = _pack(window.raster)
    for trace, values in ((recording.u, window.u), (recording.v, window.v)):
        if len(trace):
            trace[steps] = values.numpy(force=True)


def _pack(raster: Tensor) -> np.ndarray:
    """Return spikes packed as `isotau.convert.records.spikes.pack` does."""
    eight = raster.view(torch.int64)
    return (eight * PACK >> 56 & 255).to(torch.uint8).numpy(force=True)


def _tensor(x: np.ndarray, device: torch.device) -> Tensor:
    return torch.tensor(x, dtype=torch.float64, device=device)


run = Engine("torch", simulate, options=("device",))
