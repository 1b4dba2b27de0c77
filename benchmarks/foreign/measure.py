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
from isotau.sim.tasks.accuracy import compare_accuracies
from isotau.targets.nir_graph.to_nir import to_nir

SEED = 0
BITS = (8, 6, 4)
OUTLIERS = ("keep", "clip", "split")
OUTLIER = 30.0
"""Factor on the most negative weight of the loop."""
JITTER = 1e-3
"""Standard deviation of weights, as a share, that shows how alike rasters can be."""
LATER = 2
"""Steps by which the chip's readout trails the framework's: layers are a step apart in
isotau, and on the chip input is a step late."""


class FrameworkRecord(NamedTuple):
    """Sweeps for calibration and test, and the framework's spikes in the latter.

    Arrays of events and spikes are steps × sweeps × channels or neurons.
    """

    calibration: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    hidden: np.ndarray
    """Spikes of the hidden layer in the first test sweeps."""
    readout: np.ndarray


def shipped(folder: Path) -> FrameworkRecord:
    """Return the sweeps and spikes that lie beside the network of snnTorch."""
    with np.load(folder / "letters_test.npz") as file:
        arrays = {
            name: np.unpackbits(file[name], axis=0)
            for name in (
                "calibration_events",
                "test_events",
                "snntorch_hidden",
                "snntorch_readout",
            )
        }
        labels = file["test_labels"].astype(np.int64)
    return FrameworkRecord(
        arrays["calibration_events"],
        arrays["test_events"],
        labels,
        arrays["snntorch_hidden"],
        arrays["snntorch_readout"],
    )


def trained_in_norse(folder: Path, epochs: int) -> tuple[nir.NIRGraph, FrameworkRecord]:
    """Return a network of Norse as NIR, and the sweeps with Norse's spikes."""
    data, net = split(DATA_SEED), norse_letters.NorseLetters(SEED)
    weights = folder / "letters_norse.pt"
    if weights.exists():
        net.load_state_dict(torch.load(weights, weights_only=True))
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
        torch.save(net.state_dict(), weights)
    hidden, readout = spikes(net, norse_letters.run, data.test)
    calibration = data.train.events[:, :CALIBRATION]
    record = FrameworkRecord(
        calibration, data.test.events, data.test.labels, hidden, readout
    )
    return to_nir(norse_letters.to_lif(net)), record


def measure(net: LIFNetwork, record: FrameworkRecord) -> dict[str, Any]:
    """Return how a network fares in its framework, in floats and in integers."""
    test, calibration = padded(record.test), padded(record.calibration)
    spikes_lif = simulate_lif(net, test, seed=None).spikes
    # The framework's hidden spikes lie in the repository for the first sweeps only.
    recorded = record.hidden.shape[1]
    raster = unpack(spikes_lif.bits, net.n)
    steps, outputs = len(record.test), record.readout.shape[2]
    hidden = net.n - outputs
    # isotau's layers are a step apart, so its readout is compared a step later.
    differs = {
        "hidden": raster[:steps, :recorded, :hidden] != record.hidden,
        "readout": raster[1 : steps + 1, :, hidden:] != record.readout,
    }
    differing = {layer: where.sum() for layer, where in differs.items()}
    differing["sweeps"] = differs["readout"].any(axis=(0, 2)).sum()
    figures: dict[str, Any] = {
        "sweeps": {"calibration": calibration.shape[1], "test": test.shape[1]},
        "neurons": {"hidden": hidden, "readout": outputs},
        "framework": right(record.readout, record.labels).mean(),
        "spikes": {"hidden": record.hidden.sum(), "readout": record.readout.sum()},
        "differing": differing,
        "spikes_per_hidden": raster[..., :hidden].sum() / (hidden * test.shape[1]),
        "lif": right(raster[1 : steps + 1, :, hidden:], record.labels).mean(),
    }
    jittered = simulate_lif(with_jitter(net), test, seed=None).spikes
    figures["jitter"] = {
        "hidden": agreement(spikes_lif, jittered, slice(0, hidden), lag=0),
        "readout": agreement(spikes_lif, jittered, slice(hidden, None), lag=0),
    }
    # As exported, and with one weight spoiled, which shows what outliers cost.
    rows = [on_chip(net, record, bits, "split") for bits in BITS]
    spoiled = with_outlier(net, hidden)
    rows += [
        on_chip(spoiled, record, bits, way) | {"outlier": True}
        for bits in BITS
        for way in OUTLIERS
    ]
    return plain(figures | {"rows": rows})


def on_chip(
    net: LIFNetwork, record: FrameworkRecord, bits: int, outliers: str
) -> dict[str, Any]:
    """Return what is left of a network in integers of some bits."""
    config = QuantizeConfig(num_weight_bits=bits, outliers=outliers)
    calibration, test = padded(record.calibration), padded(record.test)
    ranged = simulate_lif(net, calibration, seed=None)
    spikes_lif = simulate_lif(net, test, seed=None).spikes
    prepared = prepare(net, calibration, config=config, run=ranged, input_peak=1.0)
    fixed = prepared.fixed
    run = compiled.run(fixed, messages(fixed, test), count_overflow=True)
    steps, first = len(record.test), net.n - record.readout.shape[2]
    right_lif, right_fixed = (
        right(unpack(spikes.bits, net.n)[late : late + steps, :, first:], record.labels)
        for spikes, late in ((spikes_lif, LATER - 1), (run.spikes, LATER))
    )
    zeroed = {p.name: p.zeroed / p.total for p in prepared.report.parameters if p.total}
    return {
        "bits": bits,
        "outliers": outliers,
        "outlier": False,
        "lif": right_lif.mean(),
        "fixed": right_fixed.mean(),
        **compare_accuracies(right_lif, right_fixed)._asdict(),
        "blocks": len(fixed.blocks),
        "zeroed": {name: zeroed[name] for name in ("w_in", "w_rec")},
        "overflow": sum(int(np.sum(x)) for x in dataclasses.astuple(run.overflow)),
        "hidden": agreement(spikes_lif, run.spikes, slice(0, first)),
        "readout": agreement(spikes_lif, run.spikes, slice(first, None)),
    }


def agreement(a: Spikes, b: Spikes, neurons: slice, lag: int = 1) -> dict[str, Any]:
    """Return how alike the rasters of some neurons are; `b` is `lag` steps later."""
    parts = []
    for spikes_all in (a, b):
        raster = unpack(spikes_all.bits, spikes_all.n)[..., neurons]
        part = dataclasses.replace(spikes_all, bits=pack(raster), n=raster.shape[-1])
        parts.append(part)
    # A step apart still counts as near: rounding moves spikes, it does not lose them.
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
    winners = readout.sum(axis=0, dtype=np.int64).argmax(axis=1)
    return np.equal(winners, labels)


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


def plain(figures: Any) -> Any:
    """Return numbers of numpy as Python's own."""
    if isinstance(figures, dict):
        return {name: plain(value) for name, value in figures.items()}
    if isinstance(figures, list | tuple):
        return [plain(value) for value in figures]
    return figures.item() if isinstance(figures, np.generic) else figures
