"""Makes docs/results/targets-onnx.md and targets-onnx.json.

    python -m benchmarks.targets.onnx_graph            two minutes
    python -m benchmarks.targets.onnx_graph --quick    half a minute, prints only
    python -m benchmarks.targets.onnx_graph --render   the page, from its .json alone

Is the ONNX graph the network, bit for bit, what does it cost beside the engines, and
how large is its file? One thread each, runs interleaved, medians. Other programs on the
machine change all times, ratios much less. Exit status 1 if a bit differs.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.command import add_page_options, command_parser
from benchmarks.engine.networks import busy, network
from benchmarks.engine.random_networks import random_messages, random_network
from benchmarks.provenance import provenance
from benchmarks.results import write_page, write_results
from benchmarks.targets.onnx_page import N_IN, onnx_page
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.sim.engines import compiled, reference
from isotau.targets.onnx_model.fixed_to_onnx import fixed_step_to_onnx, fixed_to_onnx
from isotau.targets.onnx_model.session import open_model, run_onnx

SEED = 2026
SIZES = ((200, 32, 1000), (200, 1, 1000), (1000, 32, 100))
"""Neurons, trials and steps."""


def trained_like(n: int) -> FixedPointNetwork:
    """Return the engines' network, its two kinds of neurons mixed, with inputs."""
    net, rng = network(n, busy(compiled.run, n)), np.random.default_rng(SEED)
    order = rng.permutation(n)
    # Mixed: a trained network's inhibitory neurons do not stand in a row.
    kinds = np.split(order, [n * 4 // 5])
    blocks = [
        replace(block, pre=np.sort(pre))
        for block, pre in zip(net.blocks, kinds, strict=True)
    ]
    weights = 2 * rng.integers(-50, 51, (n, N_IN))
    entry = WeightBlock(
        source="input",
        pre=np.arange(N_IN),
        weights=weights,
        weight_exp=0,
        num_weight_bits=8,
        sign_mode=SignMode.MIXED,
    )
    return replace(net, blocks=(*blocks, entry), n_in=N_IN)


def variants(n: int) -> dict[str, FixedPointNetwork]:
    """Return a network bare, and with what costs the graph most."""
    net = trained_like(n)
    resting = replace(net, refractory=np.full(n, 2))
    return {"": net, "refractory, noise": replace(resting, noise_exp=12)}


def cost(
    net: FixedPointNetwork, batch: int, steps: int, repeats: int
) -> dict[str, Any]:
    """Return µs per step of a batch, and whether all gave the same spikes.

    Args:
        net: the network.
        batch: trials at once.
        steps: of a trial, for the fast ones.
        repeats: runs of each, in turns, of which the median counts.
    """
    sent = np.random.default_rng(SEED).integers(-3, 4, (steps, batch, N_IN))
    model, step = fixed_to_onnx(net), open_model(fixed_step_to_onnx(net))
    opened = open_model(model)
    # The slow ones run a tenth of the steps: a second is enough for a median.
    part = sent[: max(20, steps // 10)]
    runs: dict[str, tuple[Callable[[np.ndarray], Any], np.ndarray]] = {
        "reference": (lambda x: reference.run(net, x), part),
        "compiled": (lambda x: compiled.run(net, x, threads=1), sent),
        "ONNX": (lambda x: run_onnx(opened, x), sent),
        "ONNX, step by step": (lambda x: run_onnx(step, x), part),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    # This run also compiles and loads what the timed ones find ready.
    bits = {name: run(x).spikes.bits for name, (run, x) in runs.items()}
    for _ in range(repeats):
        for name, (run, x) in runs.items():
            start = time.perf_counter()
            run(x)
            times[name].append((time.perf_counter() - start) / len(x) * 1e6)
    same = all((b[: len(part)] == bits["reference"]).all() for b in bits.values())
    us = {name: statistics.median(runs_us) for name, runs_us in times.items()}
    bytes_of_weights = sum(block.weights.size for block in net.blocks)
    size = len(model.SerializeToString())
    return {
        "n": net.n,
        "batch": batch,
        "us_per_step": us,
        "times_the_reference": us["ONNX"] / us["reference"],
        "file_bytes": size,
        "bytes_per_weight": size / bytes_of_weights,
        "same": bool(same and (bits["ONNX"] == bits["compiled"]).all()),
    }


def identity(networks: int) -> dict[str, int]:
    """Return how many values of random networks were compared, and how many differ."""
    totals = {"networks": networks, "differing": 0, "values": 0, "spikes": 0}
    for number in range(networks):
        rng, extreme = np.random.default_rng([SEED, number]), number % 2 == 0
        n = 200 if number % 10 == 9 else int(rng.integers(1, 61))
        net = random_network(rng, n, extreme=extreme)
        sent = random_messages(rng, net, 100, 2, extreme=extreme)
        engine = reference.run(net, sent, seed=number, record=("u", "v"))
        graph = run_onnx(fixed_to_onnx(net, record=("u", "v")), sent, seed=number)
        pairs = [(engine.spikes.bits, graph.spikes.bits)]
        pairs += [(getattr(engine, k), getattr(graph, k)) for k in ("u", "v")]
        pairs += list(zip(engine.state, graph.state, strict=True))
        totals["differing"] += any((np.asarray(a) != b).any() for a, b in pairs)
        totals["values"] += 3 * 200 * n
        totals["spikes"] += int(np.unpackbits(engine.spikes.bits).sum())
    return totals


def main() -> int:
    parser = command_parser("benchmarks.targets.onnx_graph", __doc__)
    parser.add_argument("--quick", action="store_true", help="small, prints only")
    add_page_options(parser)
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "targets-onnx", onnx_page)
        return 0
    rows = []
    with threadpool_limits(1):
        for n, batch, steps in SIZES[: 1 if options.quick else None]:
            for name, net in variants(n).items():
                repeats = 3 if options.quick else 7
                rows.append({"with": name, **cost(net, batch, steps, repeats)})
        same = identity(20 if options.quick else 400)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    origin = provenance("benchmarks.targets.onnx_graph")
    origin["versions"] |= {name: version(name) for name in ("onnx", "onnxruntime")}
    figures = {
        "provenance": origin,
        "identity": same,
        "cost": rows,
        "peak_mib": peak,
    }
    print(json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False))
    if not options.quick:
        write_results(options.page, "targets-onnx", figures, onnx_page)
    return int(same["differing"] > 0 or not all(row["same"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
