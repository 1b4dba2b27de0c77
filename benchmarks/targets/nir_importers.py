"""Do other frameworks run isotau's `.nir` files as isotau runs the network?

    python -m benchmarks.targets.nir_importers write FOLDER
    python -m benchmarks.targets.nir_importers read FOLDER

The first needs isotau and leaves files and expected spikes. The second needs numpy, nir
and any of the frameworks, and may run in the environment of another framework: it
imports nothing of isotau. It prints a table, and leaves `results.json` in the folder.
"""

import contextlib
import io
import json
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nir
import numpy as np

from benchmarks.command import command_parser
from benchmarks.page import MarkdownTable, render_table

STEPS = 200
REFUSALS = (AssertionError, AttributeError, RuntimeError, TypeError, ValueError)
"""What importers raise for graphs that they do not take."""


def write(folder: Path) -> None:
    """Write two networks for every reader, and what they do."""
    from isotau.convert.records.lif import LIFNetwork
    from isotau.convert.records.spikes import unpack
    from isotau.convert.simulate.lif_dynamics import simulate_lif
    from isotau.targets.nir_graph.to_nir import write_nir

    n, n_in = 40, 12
    for name, driven in (("at rest", False), ("driven", True)):
        # One seed for both, so that they differ in nothing but the drive.
        rng = np.random.default_rng(3)
        v_reset = np.full(n, -65e-3)
        net = LIFNetwork(
            w_in=rng.normal(0, 6e-3, (n, n_in)),
            w_rec=rng.normal(0, 6e-3, (n, n)),
            w_out=rng.normal(0, 0.1, (3, n)),
            b_out=rng.normal(0, 1, 3),
            tau_syn=rng.uniform(5e-3, 20e-3, n),
            tau_mem=rng.uniform(8e-3, 40e-3, n),
            v_th=v_reset + rng.uniform(20e-3, 30e-3, n),
            v_leak=v_reset + driven * rng.uniform(5e-3, 28e-3, n),
            v_reset=v_reset,
            refractory=np.zeros(n),
            noise_std=0.0,
            dt=1e-3,
        )
        inputs = (rng.random((STEPS, 1, n_in)) < 0.15).astype(np.float64)
        spikes = simulate_lif(net, inputs, seed=None).spikes
        np.savez(
            folder / f"{name}.npz",
            inputs=inputs[:, 0],
            spikes=unpack(spikes.bits, n)[:, 0],
        )
        write_nir(net, folder / f"{name}.plain.nir")
        for reader in ("norse", "snntorch", "spyx"):
            write_nir(net, folder / f"{name}.{reader}.nir", reader=reader)
        flat = folder / f"{name}.snntorch-flat.nir"
        write_nir(net, flat, reader="snntorch", layout="flat")


def by_equations(
    graph: nir.NIRGraph, inputs: np.ndarray, *, subtract: bool = False
) -> np.ndarray:
    """Return the spikes that NIR's own equations give by forward Euler."""
    inside = graph.nodes.get("w_loop", graph).nodes
    lif, loop, dt = inside["lif"], inside["w_rec"].weight, graph.metadata["dt"]
    entry = graph.nodes["w_in"]
    i, v = np.zeros(lif.v_leak.shape), np.zeros(lif.v_leak.shape)
    z = np.zeros(v.shape, bool)
    raster = []
    for x in inputs:
        arriving = entry.weight @ x + getattr(entry, "bias", 0) + loop @ z
        i = i + dt / lif.tau_syn * (lif.w_in * arriving - i)
        v = v + dt / lif.tau_mem * (lif.v_leak - v + lif.r * i)
        z = v > lif.v_threshold
        v = np.where(z, v - lif.v_threshold if subtract else lif.v_reset, v)
        raster.append(z)
    return np.array(raster)


def _each_step(module: Any, inputs: np.ndarray) -> np.ndarray:
    """Return the spikes of a torch module that takes and returns its state."""
    import torch

    state, raster = None, []
    for x in torch.tensor(inputs, dtype=torch.float32):
        with torch.no_grad():
            # At first without a state: the module's own start is part of the test.
            arguments = (x[None],) if state is None else (x[None], state)
            spikes, state = module(*arguments)
        raster.append(spikes[0].numpy() > 0)
    return np.array(raster)


def norse(graph: nir.NIRGraph, inputs: np.ndarray) -> np.ndarray:
    """Return the spikes of Norse as its importer makes it."""
    import norse.torch

    return _each_step(norse.torch.from_nir(graph, dt=graph.metadata["dt"]), inputs)


def norse_mended(graph: nir.NIRGraph, inputs: np.ndarray) -> np.ndarray:
    """Return the spikes of Norse without its two faults.

    The drive is taken out of the synapse, and v starts at v_reset.
    """
    import norse.torch
    import torch
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState

    module = norse.torch.from_nir(graph, dt=graph.metadata["dt"])
    neurons = module.get_submodule("lif")
    zero = torch.zeros(neurons.lif.p.v_leak.shape)
    neurons.synapse.p = neurons.synapse.p._replace(v_leak=zero)
    neurons.lif.state_fallback = lambda x: LIFBoxFeedForwardState(v=zero)
    return _each_step(module, inputs)


def snntorch(graph: nir.NIRGraph, inputs: np.ndarray) -> np.ndarray:
    """Return the spikes of snnTorch as its importer makes it."""
    return _each_step(_snntorch_module(graph), inputs)


def snntorch_started(graph: nir.NIRGraph, inputs: np.ndarray) -> np.ndarray:
    """Return the spikes of snnTorch, its current started where the metadata says."""
    import torch

    module = _snntorch_module(graph)
    neurons, lif = module.w_loop.lif, graph.nodes["w_loop"].nodes["lif"]
    # snnTorch decays the current before it adds, isotau's i0 has been decayed.
    keep = 1 - graph.metadata["dt"] / lif.tau_syn
    start = np.divide(graph.metadata["i0"], keep * lif.r, where=keep > 0, out=0 * keep)
    neurons.syn = torch.tensor(start, dtype=torch.float32)[None]
    neurons.mem = torch.zeros_like(neurons.syn)
    return _each_step(module, inputs)


def _snntorch_module(graph: nir.NIRGraph) -> Any:
    from snntorch.import_nir import import_from_nir

    # It prints what it does.
    with contextlib.redirect_stdout(io.StringIO()):
        return import_from_nir(graph)


def spyx(graph: nir.NIRGraph, inputs: np.ndarray) -> np.ndarray:
    """Return the spikes of Spyx, whose importer runs the network at once."""
    import jax.numpy as jnp
    from spyx.nir import from_nir

    events = jnp.asarray(inputs[:, None], dtype=jnp.float32)
    with contextlib.redirect_stdout(io.StringIO()):
        _, spikes = from_nir(graph, events, dt=float(graph.metadata["dt"]))
    return np.asarray(spikes)[:, 0] > 0


IMPORTERS: dict[str, tuple[str, Callable[[nir.NIRGraph, np.ndarray], np.ndarray]]] = {
    "NIR's equations": ("nir", by_equations),
    "Norse": ("norse", norse),
    "Norse, mended": ("norse", norse_mended),
    "snnTorch": ("snntorch", snntorch),
    "snnTorch, i0 set": ("snntorch", snntorch_started),
    "Spyx": ("spyx", spyx),
}
PAIRS = (
    ("plain", "NIR's equations"),
    ("norse", "Norse"),
    ("norse", "Norse, mended"),
    ("snntorch-flat", "snnTorch"),
    ("snntorch", "snnTorch"),
    ("snntorch", "snnTorch, i0 set"),
    ("spyx", "Spyx"),
)
"""Which file is given to which importer."""


def read(folder: Path) -> list[dict[str, Any]]:
    """Return one row for each file and each importer that is installed."""
    rows = []
    for network in ("at rest", "driven"):
        truth = np.load(folder / f"{network}.npz")
        for file, importer in PAIRS:
            package, run = IMPORTERS[importer]
            row: dict[str, Any] = {"network": network, "file": file}
            row["importer"] = importer
            try:
                row["version"] = version(package)
            except ImportError:
                continue
            graph = nir.read(folder / f"{network}.{file}.nir")
            try:
                row |= compare(run(graph, truth["inputs"]), truth["spikes"])
            except REFUSALS as error:
                row["refused"] = f"{type(error).__name__}: {error}"[:100]
            if importer == "Spyx" and "spikes" in row:
                # Spyx subtracts the threshold and shows each spike a step late.
                expected = by_equations(graph, truth["inputs"], subtract=True)[:-1]
                late = run(graph, truth["inputs"])[1:]
                row["by subtraction, a step late"] = compare(late, expected)
            rows.append(row)
    return rows


def compare(raster: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Return how a raster agrees with the one expected."""
    wrong = raster != truth
    first = int(np.argmax(wrong.any(1))) if wrong.any() else None
    return {
        "spikes": int(raster.sum()),
        "expected": int(truth.sum()),
        "wrong": int(wrong.sum()),
        "first wrong step": first,
    }


def main() -> None:
    """Write the files, or read them in this environment and print the table."""
    parser = command_parser("benchmarks.targets.nir_importers", __doc__)
    parser.add_argument("verb", choices=["write", "read"])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    if options.verb == "write":
        write(folder)
        return
    rows = read(folder)
    result = {"python": platform.python_version(), "rows": rows}
    # Not by isotau's way to write files: it need not be installed here.
    (folder / "results.json").write_text(json.dumps(result, indent=1))
    numbers = ("spikes", "expected", "wrong")
    table = MarkdownTable(
        ["network", "file", "importer", *numbers],
        [
            [
                row["network"],
                row["file"],
                f"{row['importer']} {row['version']}",
                *(str(row.get(name, "refused")) for name in numbers),
            ]
            for row in rows
        ],
    )
    sys.stdout.write(render_table(table) + "\n")


if __name__ == "__main__":
    main()
