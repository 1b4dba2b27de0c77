"""How a network that others trained fares in its framework, in floats, in integers."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import nir
import numpy as np
import torch

from benchmarks.foreign import norse_letters
from benchmarks.foreign.training import CALIBRATION, DATA_SEED, fit, spikes, split
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes, pack, unpack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages
from isotau.sim.engines import compiled
from isotau.sim.spikes.raster_agreement import compare_rasters
from isotau.targets.nir_graph.to_nir import to_nir

SEED = 0
BITS = (8, 6, 4)
OUTLIERS = ("keep", "clip", "split")
OUTLIER = 30.0
"""Factor on the most negative weight of the loop."""
JITTER = 1e-3
LATER = 2
"""Steps by which the chip's readout trails the framework's: layers are a step apart in
isotau, and on the chip input is a step late."""
Z = 1.959964


class Task(NamedTuple):
    """Sweeps for calibration and test, and what the framework made of the latter."""

    calibration: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    hidden: np.ndarray
    """Spikes of the hidden layer in the first test sweeps."""
    readout: np.ndarray


def shipped(folder: Path) -> Task:
    """Return the sweeps and spikes that lie beside the network of snnTorch."""
    with np.load(folder / "letters_test.npz") as file:
        some = {
            name: np.unpackbits(file[name], axis=0)
            for name in (
                "calibration_events",
                "test_events",
                "snntorch_hidden",
                "snntorch_readout",
            )
        }
        labels = file["test_labels"].astype(np.int64)
    return Task(
        some["calibration_events"],
        some["test_events"],
        labels,
        some["snntorch_hidden"],
        some["snntorch_readout"],
    )


def trained_in_norse(folder: Path, epochs: int) -> tuple[nir.NIRGraph, Task]:
    """Return a network of Norse as NIR, and the sweeps with Norse's spikes."""
    data, net = split(DATA_SEED), norse_letters.Network(SEED)
    kept = folder / "letters_norse.pt"
    if kept.exists():
        net.load_state_dict(torch.load(kept, weights_only=True))
    else:
        fit(
            net,
            norse_letters.run,
            data,
            rates=norse_letters.RATES,
            seed=SEED,
            epochs=epochs,
        )
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(net.state_dict(), kept)
    hidden, readout = spikes(net, norse_letters.run, data.test)
    shown = data.train.events[:, :CALIBRATION]
    task = Task(shown, data.test.events, data.test.labels, hidden, readout)
    return to_nir(norse_letters.to_lif(net)), task


def measure(net: LIFNetwork, task: Task) -> dict[str, Any]:
    """Return how a network fares in its framework, in floats and in integers."""
    test, calibration = padded(task.test), padded(task.calibration)
    ours = simulate_lif(net, test, generator=None).spikes
    seen = task.hidden.shape[1]
    raster = unpack(ours.bits, net.n)
    steps, outputs = len(task.test), task.readout.shape[2]
    hidden = net.n - outputs
    apart = {
        "hidden": raster[:steps, :seen, :hidden] != task.hidden,
        "readout": raster[1 : steps + 1, :, hidden:] != task.readout,
    }
    differing = {layer: where.sum() for layer, where in apart.items()}
    differing["sweeps"] = apart["readout"].any(axis=(0, 2)).sum()
    found: dict[str, Any] = {
        "sweeps": {"calibration": calibration.shape[1], "test": test.shape[1]},
        "neurons": {"hidden": hidden, "readout": outputs},
        "framework": right(task.readout, task.labels).mean(),
        "spikes": {"hidden": task.hidden.sum(), "readout": task.readout.sum()},
        "differing": differing,
        "spikes_per_hidden": raster[..., :hidden].sum() / (hidden * test.shape[1]),
        "lif": right(raster[1 : steps + 1, :, hidden:], task.labels).mean(),
    }
    jittered = simulate_lif(with_jitter(net), test, generator=None).spikes
    found["jitter"] = {
        "hidden": agreement(ours, jittered, slice(0, hidden), lag=0),
        "readout": agreement(ours, jittered, slice(hidden, None), lag=0),
    }
    rows = [on_chip(net, task, bits, "split") for bits in BITS]
    spoiled = with_outlier(net, hidden)
    rows += [
        on_chip(spoiled, task, bits, way) | {"outlier": True}
        for bits in BITS
        for way in OUTLIERS
    ]
    return plain(found | {"rows": rows})


def on_chip(net: LIFNetwork, task: Task, bits: int, outliers: str) -> dict[str, Any]:
    """Return what is left of a network in integers of some bits."""
    config = QuantizeConfig(num_weight_bits=bits, outliers=outliers)
    calibration, test = padded(task.calibration), padded(task.test)
    seen = simulate_lif(net, calibration, generator=None)
    ours = simulate_lif(net, test, generator=None).spikes
    prepared = prepare(net, calibration, config=config, run=seen, input_peak=1.0)
    fixed = prepared.fixed
    run = compiled.run(fixed, messages(fixed, test), count_overflow=True)
    steps, first = len(task.test), net.n - task.readout.shape[2]
    counted = [
        right(unpack(some.bits, net.n)[late : late + steps, :, first:], task.labels)
        for some, late in ((ours, LATER - 1), (run.spikes, LATER))
    ]
    change = counted[1].astype(float) - counted[0]
    error = Z * change.std() / np.sqrt(len(change))
    zeroed = {p.name: p.zeroed / p.total for p in prepared.report.parameters if p.total}
    return {
        "bits": bits,
        "outliers": outliers,
        "outlier": False,
        "lif": counted[0].mean(),
        "fixed": counted[1].mean(),
        "difference": change.mean(),
        "low": change.mean() - error,
        "high": change.mean() + error,
        "blocks": len(fixed.blocks),
        "zeroed": {name: zeroed[name] for name in ("w_in", "w_rec")},
        "overflow": sum(int(np.sum(x)) for x in dataclasses.astuple(run.overflow)),
        "hidden": agreement(ours, run.spikes, slice(0, first)),
        "readout": agreement(ours, run.spikes, slice(first, None)),
    }


def agreement(a: Spikes, b: Spikes, neurons: slice, lag: int = 1) -> dict[str, Any]:
    """Return how alike the rasters of some neurons are; `b` is `lag` steps later."""
    parts = []
    for some in (a, b):
        raster = unpack(some.bits, some.n)[..., neurons]
        part = dataclasses.replace(some, bits=pack(raster), n=raster.shape[-1])
        parts.append(part)
    near = compare_rasters(*parts, lags=(lag,), tolerance=1)
    same = compare_rasters(*parts, lags=(lag,), tolerance=0)
    return {
        "same_step": same.coincident,
        "within_a_step": near.coincident,
        "cosine": near.cosine,
        "rate_cosine": near.rate_cosine,
        "spikes": near.spikes,
    }


def padded(events: np.ndarray) -> np.ndarray:
    """Return events followed by steps in which late readouts catch up."""
    return np.concatenate([events, np.zeros_like(events[:LATER])]).astype(float)


def right(readout: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return whether the letter's own neuron spikes most; the first one wins."""
    chosen: np.ndarray = readout.sum(axis=0, dtype=np.int64).argmax(axis=1) == labels
    return chosen


def with_outlier(net: LIFNetwork, hidden: int) -> LIFNetwork:
    """Return the network with the most negative weight of its loop made larger."""
    weights = np.array(net.w_rec)
    loop = weights[:hidden, :hidden]
    loop[np.unravel_index(loop.argmin(), loop.shape)] *= OUTLIER
    return dataclasses.replace(net, w_rec=weights)


def with_jitter(net: LIFNetwork) -> LIFNetwork:
    """Return the network with weights off by `JITTER`."""
    rng = np.random.default_rng(SEED)
    weights = {
        name: getattr(net, name) * (1 + JITTER * rng.standard_normal(shape))
        for name, shape in (("w_in", net.w_in.shape), ("w_rec", net.w_rec.shape))
    }
    return dataclasses.replace(net, **weights)


def plain(found: Any) -> Any:
    """Return numbers of numpy as Python's own."""
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    return found.item() if isinstance(found, np.generic) else found
