"""What others take for steps of the chain: Norse's loop, Lava's run."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isotau.convert.records import storage
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.norse_module import LIFModule, StepNoise
from isotau.convert.to_fixed.quantize import messages, quantize
from isotau.sim.engines import compiled
from isotau.targets.on_lava.to_lava import run_lava

STEPS, BATCH, REPEATS = 300, 100, 3
LAVA_TRIALS = 8


def peer_costs(network: Path) -> list[dict[str, Any]]:
    """Return what a LIF network's steps take here and elsewhere, in seconds.

    Args:
        network: a LIF network in isotau's file.
    """
    lif = storage.load(network, LIFNetwork)
    rng = np.random.default_rng(0)
    inputs = (rng.random((STEPS, BATCH, lif.n_in)) < 0.2).astype(np.float64)
    rows = [
        _row(
            f"LIF, {STEPS} steps × {BATCH} trials, with noise",
            "Norse's loop",
            lambda: simulate_lif(lif, inputs, seed=1),
            lambda: _norse(lif, inputs),
        )
    ]
    run = simulate_lif(lif, inputs, seed=1)
    fixed = quantize(lif, run.ranges, input_peak=1.0)
    sent = messages(fixed, inputs)[:, :LAVA_TRIALS]
    rows.append(
        _row(
            f"chip, {STEPS} steps × {LAVA_TRIALS} trials",
            "Lava, its start included",
            lambda: compiled.run(fixed, sent),
            lambda: run_lava(fixed, sent),
        )
    )
    return rows


def _norse(lif: LIFNetwork, inputs: np.ndarray) -> None:
    """Run the network in Norse, step by step, without gradients."""
    module = LIFModule(lif, dtype=torch.float32)
    parameters, per_step = module.norse_parameters(), module.noise_per_step().v
    generator = torch.Generator().manual_seed(1)
    state = module.initial_state(BATCH)
    with torch.inference_mode():
        for x in torch.tensor(inputs, dtype=torch.float32):
            noise = per_step * torch.randn((BATCH, lif.n), generator=generator)
            state = module.step(x, state, parameters, StepNoise(noise))


def _row(
    step: str, peer: str, ours: Callable[[], object], theirs: Callable[[], object]
) -> dict[str, Any]:
    """Return the medians of both, taken in turns after a turn that does not count."""
    seconds: dict[Callable[[], object], list[float]] = {ours: [], theirs: []}
    for turn in range(REPEATS + 1):
        for work, times in seconds.items():
            start = time.perf_counter()
            work()
            if turn:
                times.append(time.perf_counter() - start)
    return {
        "step": step,
        "peer": peer,
        "ours_s": statistics.median(seconds[ours]),
        "peer_s": statistics.median(seconds[theirs]),
    }
