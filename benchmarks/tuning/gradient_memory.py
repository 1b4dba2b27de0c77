"""How much memory does a gradient take, by the length of a trial?

Usage: python -m benchmarks.tuning.gradient_memory [--out FILE]

e-prop, and backpropagation through time in Norse's loop and in the compiled pass: 200
neurons with membrane noise, 8 trials, float32, the peak of a process of its own each.
e-prop's inputs are made chunk by chunk. Writes JSON, to stdout if no file is named.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.command import command_parser
from benchmarks.provenance import provenance
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.forward.dynamics import NorseLoop
from isotau.convert.tuning.forward.filtered_readout import read_filtered
from isotau.convert.tuning.forward.fused import Fused
from isotau.convert.tuning.forward.units import in_units, unit_of
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.methods.eprop import CHUNK, Chunk, stream
from isotau.convert.tuning.scratch import from_scratch

N, BATCH, N_IN, SEED = 200, 8, 2, 0
STEPS = (500, 1000, 2000, 4000, 8000)
DYNAMICS = {"norse": NorseLoop, "fused": Fused}
METHODS = ("eprop", *DYNAMICS)
WARM = 20
"""Steps of the run before, which loads what is compiled."""


def measure(
    steps: Sequence[int] = STEPS, methods: Sequence[str] = METHODS
) -> list[dict[str, Any]]:
    """Return the peaks of processes that find one gradient each.

    Returns:
        For each method and number of steps `start_mib`, the peak after a gradient of
        `WARM` steps, `peak_mib`, that after all, `grown_mib`, their difference, and
        the seconds that it took.
    """
    # A process that has to compile would tell of the compiler's memory.
    for method in methods:
        _in_a_process(method, WARM)
    return [_in_a_process(method, length) for method in methods for length in steps]


def _in_a_process(method: str, steps: int) -> dict[str, Any]:
    words = [
        sys.executable,
        "-m",
        "benchmarks.tuning.gradient_memory",
        "--one",
        method,
        "--steps",
        str(steps),
    ]
    process = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(process.stdout)


def take_gradient(method: str, steps: int) -> dict[str, Any]:
    """Return what one gradient took, in this process."""
    net = from_scratch(N, N_IN, 1, seed=SEED)
    unit = unit_of(net, 0.1)
    module = LIFModule(in_units(net, unit), dtype=torch.float32, damping=0.3, unit=unit)
    # e-prop streams chunks; the other methods keep the whole trial for their way back.
    find = eprop if method == "eprop" else bptt
    find(module, WARM, method)
    before = _peak()
    start = time.perf_counter()
    find(module, steps, method)
    seconds, peak = time.perf_counter() - start, _peak()
    return {
        "method": method,
        "steps": steps,
        "start_mib": round(before, 1),
        "peak_mib": round(peak, 1),
        "grown_mib": round(peak - before, 1),
        "seconds": round(seconds, 3),
    }


def eprop(module: LIFModule, steps: int, _: str) -> None:
    stream(module, chunks(steps), Objective(), seed=SEED)


def bptt(module: LIFModule, steps: int, method: str) -> None:
    prepared = DYNAMICS[method]().prepare(module)
    inputs = torch.cat([chunk.inputs for chunk in chunks(steps)])
    state = prepared.start(BATCH)
    spikes, _ = prepared.run(inputs, state, seed=SEED, step=0)
    outputs, _ = read_filtered(module, spikes, module.f0.expand(BATCH, -1))
    (outputs - 1).square().mean().backward()


def chunks(steps: int) -> Iterator[Chunk]:
    """Return noise as input, and 1 as the target, chunk after chunk."""
    generator = torch.Generator().manual_seed(SEED)
    for first in range(0, steps, CHUNK):
        length = min(CHUNK, steps - first)
        yield Chunk(
            torch.randn(length, BATCH, N_IN, generator=generator),
            torch.ones(length, BATCH, 1),
            torch.ones(length, BATCH),
        )


def _peak() -> float:
    """Return the peak resident memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> int:
    parser = command_parser("benchmarks.tuning.gradient_memory", __doc__)
    parser.add_argument("--out", type=Path, help="file for the JSON")
    parser.add_argument("--one", choices=METHODS, help="measure this process")
    parser.add_argument("--steps", type=int, nargs="*", default=STEPS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(take_gradient(options.one, options.steps[0])))
        return 0
    rows = measure(options.steps)
    about = {
        "neurons": N,
        "batch": BATCH,
        "seed": SEED,
        "threads": torch.get_num_threads(),
    }
    content = {
        "provenance": provenance("benchmarks.tuning.gradient_memory"),
        **about,
        "rows": rows,
    }
    text = json.dumps(content, indent=1) + "\n"
    if options.out:
        options.out.write_text(text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
