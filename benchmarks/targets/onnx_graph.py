"""Makes docs/results/targets-onnx.md and targets-onnx.json.

    python -m benchmarks.targets.onnx_graph            two minutes
    python -m benchmarks.targets.onnx_graph --quick    half a minute, prints only

Is the ONNX graph the network, bit for bit, what does it cost beside the engines, and
how large is its file? One thread each, runs interleaved, medians. Other programs on the
machine change all times, ratios much less. Exit status 1 if a bit differs.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.engine.networks import busy, network
from benchmarks.engine.random_networks import random_messages, random_network
from benchmarks.provenance import provenance
from benchmarks.repository import RESULTS
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground.files import write_text
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.sim.engines import compiled, reference
from isotau.targets.onnx_model.scan import fixed_step_to_onnx, fixed_to_onnx
from isotau.targets.onnx_model.session import open_model, run_onnx

SEED, N_IN = 2026, 4
TARGET_TIME, TARGET_SIZE = 3.0, 2.0
SIZES = ((200, 32, 1000), (200, 1, 1000), (1000, 32, 100))
"""Neurons, trials and steps."""


def trained_like(n: int) -> FixedPointNetwork:
    """Return the engines' network, its two kinds of neurons mixed, with inputs."""
    net, rng = network(n, busy(compiled.run, n)), np.random.default_rng(SEED)
    order = rng.permutation(n)
    kinds = np.split(order, [n * 4 // 5])
    blocks = [
        replace(block, pre=np.sort(pre))
        for block, pre in zip(net.blocks, kinds, strict=True)
    ]
    weights = 2 * rng.integers(-50, 51, (n, N_IN))
    given = WeightBlock(
        source="input",
        pre=np.arange(N_IN),
        weights=weights,
        weight_exp=0,
        num_weight_bits=8,
        sign_mode=SignMode.MIXED,
    )
    return replace(net, blocks=(*blocks, given), n_in=N_IN)


def variants(n: int) -> dict[str, FixedPointNetwork]:
    net = trained_like(n)
    resting = replace(net, refractory=np.full(n, 2))
    return {"": net, "refractory, noise": replace(resting, noise_exp=12)}


def cost(
    net: FixedPointNetwork, batch: int, steps: int, repeats: int
) -> dict[str, Any]:
    """Return µs per step of a batch, and whether all gave the same spikes."""
    sent = np.random.default_rng(SEED).integers(-3, 4, (steps, batch, N_IN))
    model, step = fixed_to_onnx(net), open_model(fixed_step_to_onnx(net))
    opened = open_model(model)
    few = sent[: max(20, steps // 10)]
    runs: dict[str, tuple[Callable[[np.ndarray], Any], np.ndarray]] = {
        "reference": (lambda x: reference.run(net, x), few),
        "compiled": (lambda x: compiled.run(net, x, threads=1), sent),
        "ONNX": (lambda x: run_onnx(opened, x), sent),
        "ONNX, step by step": (lambda x: run_onnx(step, x), few),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    bits = {name: run(x).spikes.bits for name, (run, x) in runs.items()}
    for _ in range(repeats):
        for name, (run, x) in runs.items():
            begun = time.perf_counter()
            run(x)
            times[name].append((time.perf_counter() - begun) / len(x) * 1e6)
    same = all((b[: len(few)] == bits["reference"]).all() for b in bits.values())
    us = {name: statistics.median(found) for name, found in times.items()}
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
    found = {"networks": networks, "differing": 0, "values": 0, "spikes": 0}
    for number in range(networks):
        rng, extreme = np.random.default_rng([SEED, number]), number % 2 == 0
        n = 200 if number % 10 == 9 else int(rng.integers(1, 61))
        net = random_network(rng, n, extreme=extreme)
        sent = random_messages(rng, net, 100, 2, extreme=extreme)
        ours = reference.run(net, sent, seed=number, record=("u", "v"))
        theirs = run_onnx(fixed_to_onnx(net, record=("u", "v")), sent, seed=number)
        pairs = [(ours.spikes.bits, theirs.spikes.bits)]
        pairs += [(getattr(ours, k), getattr(theirs, k)) for k in ("u", "v")]
        pairs += list(zip(ours.state, theirs.state, strict=True))
        found["differing"] += any((np.asarray(a) != b).any() for a, b in pairs)
        found["values"] += 3 * 200 * n
        found["spikes"] += int(np.unpackbits(ours.spikes.bits).sum())
    return found


def page(result: dict[str, Any]) -> str:
    made, same = result["provenance"], result["identity"]
    dirty = " with uncommitted changes" if made["uncommitted"] else ""
    names = ", ".join(f"{k} {v}" for k, v in made["versions"].items())
    lines = [
        "# ONNX: figures",
        "",
        f"Made by `{made['command']}` at commit {made['commit']}{dirty}, on "
        f"{made['machine']}, {names}. Every figure stands in `targets-onnx.json` too.",
        "",
        f"Of {same['networks']} random networks, half of them extreme, "
        f"{same['differing']} differ from the reference engine in a bit of a spike, of "
        f"u, of v or of the last state ({same['values']:,} values, {same['spikes']:,} "
        "spikes compared).",
        "",
        "µs per step of a whole batch, one thread each, medians of interleaved runs; "
        f"dense recurrent weights in two blocks and {N_IN} graded inputs. Needed: at "
        f"most {TARGET_TIME:g} times the reference at N = 200 and batch 32, at most "
        f"{TARGET_SIZE:g} bytes per weight.",
        "",
    ]
    engines = list(result["cost"][0]["us_per_step"])
    head = ["N", "batch", "with", *engines, "ONNX / reference", "bytes per weight"]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in result["cost"]:
        cells = [str(row["n"]), str(row["batch"]), row["with"] or "–"]
        cells += [f"{row['us_per_step'][name]:.3g}" for name in engines]
        ratio, size = row["times_the_reference"], row["bytes_per_weight"]
        lines.append("| " + " | ".join([*cells, f"{ratio:.2f}", f"{size:.2f}"]) + " |")
    memory = f"Peak of the process with all its imports: {result['peak_mib']:.0f} MiB."
    return "\n".join([*lines, "", memory, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small, prints only")
    parser.add_argument("--page", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    rows = []
    with threadpool_limits(1):
        for n, batch, steps in SIZES[: 1 if chosen.quick else None]:
            for name, net in variants(n).items():
                repeats = 3 if chosen.quick else 7
                rows.append({"with": name, **cost(net, batch, steps, repeats)})
        same = identity(20 if chosen.quick else 400)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    made = provenance("benchmarks.targets.onnx_graph")
    made["versions"] |= {name: version(name) for name in ("onnx", "onnxruntime")}
    result = {"provenance": made, "identity": same, "cost": rows, "peak_mib": peak}
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    print(text)
    if not chosen.quick:
        write_text(chosen.page / "targets-onnx.json", text + "\n")
        write_text(chosen.page / "targets-onnx.md", page(result))
    return int(same["differing"] > 0 or not all(row["same"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
