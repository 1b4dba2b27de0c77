"""How fast is a training step, and how much memory does it take?

Usage: python -m benchmarks.tuning.speed OUT.json [--repetitions 9] [--threads 2]

One training step is a forward pass, a loss that is a fixed random weighting of the
spikes (or of the outputs, with readout) and the backward pass to W_in and W_rec (and
W_out). Norse's own `LIFRecurrentCell` in a loop, the loop over Norse's step that
isotau takes as its reference, and the fused pass run the same float32 network on the
same inputs, one after another in turns, and only ratios of turns are compared. Peak
memory is that of a process that does nothing else.
"""

import ctypes
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from norse.torch import LIFParameters, LIFRecurrentCell
from torch import Tensor

from benchmarks.command import command_parser
from benchmarks.provenance import provenance
from benchmarks.results import write_figures
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.forward.dynamics import NorseLoop
from isotau.convert.tuning.forward.filtered_readout import read_filtered
from isotau.convert.tuning.forward.fused import Fused

SIZES = ((200, 1000, 32), (50, 1000, 32), (500, 1000, 32), (200, 600, 64))
"""Neurons, steps, trials."""
CHANNELS, OUTPUTS = 2, 1
SHARE = 0.04
"""Of the neurons, that are to spike in a step."""
VOLTAGES_AND_RATES = ("tau_syn_inv", "tau_mem_inv", "v_leak", "v_th", "v_reset")
"""Of Norse's parameters: one number each here, as Norse's cell has them."""
WAYS = ("norse_cell", "norse_loop", "fused")


class TrainingStep(NamedTuple):
    """A training step: module, inputs, and the loss's weighting."""

    module: LIFModule
    cell: LIFRecurrentCell
    inputs: Tensor
    weighting: Tensor
    readout: bool


def network(neurons: int, drive: float) -> LIFNetwork:
    """Return a random network; thresholds are 1 and `drive` scales its inputs."""
    rng = np.random.default_rng(neurons)
    constant = np.ones(neurons)
    return LIFNetwork(
        w_in=drive * rng.standard_normal((neurons, CHANNELS)),
        w_rec=0.5 * rng.standard_normal((neurons, neurons)) / np.sqrt(neurons),
        w_out=rng.standard_normal((OUTPUTS, neurons)) / neurons,
        b_out=np.zeros(OUTPUTS),
        tau_syn=0.01 * constant,
        tau_mem=0.01 * constant,
        v_th=constant,
        v_leak=0 * constant,
        v_reset=0 * constant,
        refractory=0 * constant,
        noise_std=0.0,
        dt=1e-3,
    )


def job(neurons: int, steps: int, batch: int, *, readout: bool) -> TrainingStep:
    """Return a training step in which about `SHARE` of the neurons spike in a step."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(steps, batch, CHANNELS, generator=generator)
    # Halving the range: activity rises with the drive.
    low, high = 0.0, 4.0
    for _ in range(12):
        drive = (low + high) / 2
        module = LIFModule(network(neurons, drive), dtype=torch.float32)
        sample = inputs[:300, :8]
        with torch.no_grad():
            run = Fused().prepare(module)
            spikes, _ = run.run(sample, run.start(sample.shape[1]), seed=None, step=0)
        low, high = (drive, high) if spikes.mean() < SHARE else (low, drive)
    parameters = module.norse_parameters()._asdict()
    numbers = {name: parameters[name][0] for name in VOLTAGES_AND_RATES}
    # Norse's own cell takes one number for all neurons.
    cell = LIFRecurrentCell(
        CHANNELS,
        neurons,
        p=LIFParameters(**numbers, method=module.surrogate),
        autapses=True,
        dt=module.dt,
        input_weights=module.w_in.detach().clone(),
        recurrent_weights=module.w_rec.detach().clone(),
    )
    # Leaves of their own, so that each way has gradients of its own.
    for name in ("input_weights", "recurrent_weights"):
        setattr(cell, name, torch.nn.Parameter(getattr(cell, name).detach()))
    shape = (steps, batch, OUTPUTS if readout else neurons)
    return TrainingStep(
        module, cell, inputs, torch.randn(shape, generator=generator), readout
    )


def norse_cell(task: TrainingStep) -> tuple[Tensor, Tensor, Tensor]:
    """Do the step with Norse's cell; return spikes and the weights' gradients."""
    cell, state, spikes = task.cell, None, []
    # Gradients add up from run to run otherwise.
    cell.zero_grad()
    task.module.zero_grad()
    for x in task.inputs.unbind():
        z, state = cell(x, state)
        spikes.append(z)
    if task.readout:
        loss = torch.dot(
            task.module.read_out(spikes).flatten(), task.weighting.flatten()
        )
    else:
        loss = torch.dot(torch.stack(spikes).flatten(), task.weighting.flatten())
    loss.backward()
    return (
        torch.stack([z.detach() for z in spikes]),
        cell.input_weights.grad,
        cell.recurrent_weights.grad,
    )


def dynamics(
    task: TrainingStep, way: NorseLoop | Fused
) -> tuple[Tensor, Tensor, Tensor]:
    """Do the step with one of isotau's ways; return spikes and gradients."""
    module = task.module
    module.zero_grad()
    run = way.prepare(module)
    start = run.start(task.inputs.shape[1])
    spikes, _ = run.run(task.inputs, start, seed=None, step=0)
    read = spikes
    if task.readout:
        read, _ = read_filtered(module, spikes, module.f0.expand_as(start.v))
    torch.dot(read.flatten(), task.weighting.flatten()).backward()
    return spikes.detach(), module.w_in.grad, module.w_rec.grad


def step_of(way: str) -> Callable[[TrainingStep], tuple[Tensor, Tensor, Tensor]]:
    """Return the function that does the step in one of `WAYS`."""
    if way == "norse_cell":
        return norse_cell
    loop = NorseLoop() if way == "norse_loop" else Fused()
    return lambda task: dynamics(task, loop)


def measure(
    neurons: int,
    steps: int,
    batch: int,
    *,
    readout: bool = False,
    repetitions: int = 9,
    threads: int = 2,
    memory: bool = True,
) -> dict[str, Any]:
    """Return a row: times, ratios, agreement and memory of the three ways.

    Args:
        neurons: of the network.
        steps: of a trial.
        batch: trials.
        readout: whether the loss looks at outputs.
        repetitions: of each way, in turns; medians are reported.
        threads: of torch.
        memory: whether the peak memory is measured, in processes of their own.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        task = job(neurons, steps, batch, readout=readout)
        # A step of each before the clock starts compiles what has to be compiled.
        results = {way: step_of(way)(task) for way in WAYS}
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        # In turns, so that what else the machine does slows all of them alike.
        for _ in range(repetitions):
            for way in WAYS:
                start = time.perf_counter()
                step_of(way)(task)
                times[way].append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    fused, cell = results["fused"], results["norse_cell"]
    row = {
        "neurons": neurons,
        "steps": steps,
        "batch": batch,
        "readout": readout,
        "threads": threads,
        "repetitions": repetitions,
        "share": float(fused[0].mean()),
        "spikes_that_differ": int((fused[0] != cell[0]).sum()),
        "gradients_differ": max(
            _distance(*gradients) for gradients in zip(fused[1:], cell[1:], strict=True)
        ),
    }
    for way in WAYS:
        row[f"{way}_s"] = statistics.median(times[way])
        row[f"{way}_over_fused"] = statistics.median(
            seconds / fused_seconds
            for seconds, fused_seconds in zip(times[way], times["fused"], strict=True)
        )
        if memory:
            row[f"{way}_mib"] = _memory_of(way, neurons, steps, batch, readout, threads)
    return row


def _distance(gradient: Tensor, expected: Tensor) -> float:
    """Return how far a gradient is from the one expected, relative to its length."""
    return float((gradient - expected).norm() / expected.norm())


def _memory_of(way: str, *sizes: int) -> float:
    """Return the MiB that a step takes at its peak: the most of three processes."""
    words = [
        sys.executable,
        "-m",
        "benchmarks.tuning.speed",
        "--memory",
        way,
        *(str(int(x)) for x in sizes),
    ]
    peaks = []
    for _ in range(3):
        process = subprocess.run(words, capture_output=True, text=True, check=True)
        peaks.append(float(process.stdout.split()[-1]))
    return max(peaks)


def _peak(way: str, sizes: list[str]) -> float:
    """Return the MiB by which a step raises the peak of this process above what it has.

    A step over a few steps goes before, so that libraries have what they keep.
    """
    neurons, steps, batch, readout, threads = (int(x) for x in sizes)
    torch.set_num_threads(threads)
    task = job(neurons, steps, batch, readout=bool(readout))
    step_of(way)(task._replace(inputs=task.inputs[:5], weighting=task.weighting[:5]))
    # What was freed but not given back would be used again, and not be seen.
    ctypes.CDLL(None).malloc_trim(0)
    resident = _mib("VmRSS")
    step_of(way)(task)
    return _mib("VmHWM") - resident


def _mib(name: str) -> float:
    """Return a line of Linux's account of this process, in MiB.

    Not `ru_maxrss`: a process starts with the one of the process that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    entries = dict(line.split(":", maxsplit=1) for line in lines)
    return int(entries[name].split()[0]) / 2**10


def main() -> int:
    # A child's call, with numbers alone: no option that a user would give.
    if sys.argv[1:2] == ["--memory"]:
        print(_peak(sys.argv[2], sys.argv[3:]))
        return 0
    parser = command_parser("benchmarks.tuning.speed", __doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    settings = {"repetitions": options.repetitions, "threads": options.threads}
    rows = [measure(*size, **settings) for size in SIZES]
    rows.append(measure(*SIZES[0], readout=True, **settings))
    origin = provenance("benchmarks.tuning.speed")
    write_figures(options.out, {"provenance": origin, "rows": rows})
    for row in rows:
        print(
            f"N = {row['neurons']}, T = {row['steps']}, batch {row['batch']}"
            f"{', with readout' * row['readout']}: "
            f"fused {row['fused_s'] * 1e3:.1f} ms, "
            f"Norse's cell takes {row['norse_cell_over_fused']:.1f} times as long, "
            f"the loop {row['norse_loop_over_fused']:.1f}; MiB {row['fused_mib']:.0f}, "
            f"{row['norse_cell_mib']:.0f}, {row['norse_loop_mib']:.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
