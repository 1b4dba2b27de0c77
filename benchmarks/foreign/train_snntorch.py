"""Trains the letters in snnTorch and writes what snnTorch makes of it.

    python -m benchmarks.foreign.train_snntorch --out examples/data

makes `letters_snntorch.nir`, by snnTorch's own exporter, and `letters_test.npz`: the
sweeps and the spikes that snnTorch sees in them, so that a reader of the file can be
compared with the framework that trained it. snnTorch is no dependency of isotau; this
script wants an environment of its own with snntorch 1.0.0, torch 2.13.0, nir 1.0.8,
nirtorch 2.6 and jaxtyping, and takes some ten minutes a seed on one core. It trains
three networks and writes the one that does best in validation.

What the exporter needs, with those releases: the batch axis named in `ignore_dims`, and
every constant of a neuron as a vector (with numbers it fails, on a shape of ()). What
it writes: Affine → CubaLIF ⇄ Affine → Affine → CubaLIF, all in one flat graph, in
seconds with dt = 1e-4, r = τ_mem/dt, w_in = τ_syn/dt, v_reset = 0; no metadata, so
neither dt nor scheme, nor that the reset comes a step after the spike.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import nir
import numpy as np
import snntorch
import torch
from snntorch.export_nir import export_to_nir
from torch import Tensor, nn

from benchmarks.command import command_parser
from benchmarks.foreign import letters
from benchmarks.foreign.training import (
    CALIBRATION,
    DATA_SEED,
    HIDDEN,
    FitResult,
    Split,
    accuracy,
    fit,
    spikes,
    split,
)

SEEDS = (0, 1, 2)
RATES = {"": 5e-3, "alpha": 2e-3, "beta": 5e-4}
"""Learning rates, by the end of a parameter's name; the first is for all others."""
BOUNDS = {"alpha": (0.2, 0.95), "beta": (0.5, 0.99)}
"""Left alone, some β pass 1. snnTorch clamps them when it runs, but its exporter does
not, and writes a negative τ."""
RASTERS = 20
"""Test sweeps of which all hidden spikes are kept."""


def main() -> None:
    parser = command_parser("benchmarks.foreign.train_snntorch", __doc__)
    parser.add_argument("--out", type=Path, default=Path("."), help="folder to write")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    job = partial(trained, epochs=options.epochs)
    with ProcessPoolExecutor(options.jobs) as pool:
        networks = list(pool.map(job, options.seeds))
    for seed, (result, _) in zip(options.seeds, networks, strict=True):
        sys.stdout.write(f"seed {seed}: {result}\n")
    # By validation: to choose by the test would make its accuracy too good.
    _, weights = max(networks, key=lambda network: network[0].validation)
    net = build(0)
    net.load_state_dict(weights)
    write(net, split(DATA_SEED), options.out)


def trained(seed: int, epochs: int) -> tuple[FitResult, dict[str, Tensor]]:
    """Return how good a network became, and its parameters."""
    torch.set_num_threads(1)
    net = build(seed)
    data = split(DATA_SEED)
    result = fit(net, run, data, rates=RATES, bounds=BOUNDS, seed=seed, epochs=epochs)
    return result, net.state_dict()


def build(seed: int) -> nn.Sequential:
    """Return 12 → 40 recurrent → 7, both layers current-based with reset to zero."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # snnTorch's and torch's layers draw from the global one.
    surrogate = snntorch.surrogate.fast_sigmoid(slope=10)
    common = {
        "spike_grad": surrogate,
        "init_hidden": True,
        "reset_mechanism": "zero",
        "learn_alpha": True,
        "learn_beta": True,
    }

    def mixed(low: float, high: float) -> Tensor:
        order = torch.randperm(HIDDEN, generator=generator)
        return torch.linspace(low, high, HIDDEN)[order]

    hidden = snntorch.RSynaptic(
        alpha=mixed(0.5, 0.9),
        beta=mixed(0.8, 0.98),
        threshold=torch.ones(HIDDEN),
        linear_features=HIDDEN,
        **common,
    )
    outputs = len(letters.LETTERS)
    readout = snntorch.Synaptic(
        alpha=torch.full((outputs,), 0.8),
        beta=torch.full((outputs,), 0.95),
        threshold=torch.ones(outputs),
        **common,
    )
    first, last = nn.Linear(letters.CHANNELS, HIDDEN), nn.Linear(HIDDEN, outputs)
    with torch.no_grad():
        first.weight.mul_(2.0)
        hidden.recurrent.weight.mul_(0.3)
        for layer in (first, hidden.recurrent, last):
            layer.bias.zero_()
    return nn.Sequential(first, hidden, last, readout)


def run(net: nn.Module, events: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spikes of both layers from rest."""
    first, hidden, last, readout = net.children()
    hidden.reset_mem()
    readout.reset_mem()
    layers: tuple[list[Tensor], list[Tensor]] = ([], [])
    for current in first(events):
        layers[0].append(hidden(current))
        layers[1].append(readout(last(layers[0][-1])))
    return torch.stack(layers[0]), torch.stack(layers[1])


def write(net: nn.Sequential, data: Split, folder: Path) -> None:
    """Write the network and what it does."""
    # The exporter reads shapes that snnTorch's layers have only after a first step.
    run(net, torch.zeros(1, 1, letters.CHANNELS))
    graph = export_to_nir(net, torch.zeros(1, letters.CHANNELS), ignore_dims=[0])
    nir.write(folder / "letters_snntorch.nir", graph)
    hidden, out = spikes(net, run, data.test)
    np.savez_compressed(
        folder / "letters_test.npz",
        letters=np.array(letters.LETTERS),
        test_events=np.packbits(data.test.events, axis=0),
        test_labels=data.test.labels.astype(np.uint8),
        calibration_events=np.packbits(data.train.events[:, :CALIBRATION], axis=0),
        calibration_labels=data.train.labels[:CALIBRATION].astype(np.uint8),
        snntorch_hidden=np.packbits(hidden[:, :RASTERS], axis=0),
        snntorch_readout=np.packbits(out, axis=0),
    )
    right = accuracy(net, run, data.test)
    sys.stdout.write(f"{folder}: written, test accuracy {right:.4f}\n")


if __name__ == "__main__":
    main()
