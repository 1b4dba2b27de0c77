"""Whole files of every kind that isotau reads, made by itself or by their libraries."""

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.damage.seeds.matlab_file import write_spikernn, write_structs
from benchmarks.damage.seeds.nir_graph import NIR_SEEDS
from benchmarks.damage.seeds.onnx_model import onnx_rnn, own_model
from benchmarks.damage.seeds.records import N_IN, N_OUT, N, records
from benchmarks.repository import NETWORKS
from isotau.convert.records import storage
from isotau.convert.records.weight_form import sparsified


class SeedFile(NamedTuple):
    """A whole file, how its format is called, and what reads it."""

    format: str
    name: str
    reader: str
    write: Callable[[Path], object]


def plain(path: Path) -> None:
    """Write a rate network with numpy alone."""
    rate = records()["RateRNN"]
    arrays: dict[str, Any] = {
        name: getattr(rate, name) for name in ("w_rec", "w_in", "w_out", "tau", "dale")
    }
    np.savez(path, **arrays, activation="tanh", dt=0.005)


def psychrnn(path: Path) -> None:
    """Write what PsychRNN saves, without Dale's law."""
    rng = np.random.default_rng(1)
    shapes = {
        "init_state": (1, N),
        "W_in": (N, N_IN),
        "W_rec": (N, N),
        "W_out": (N_OUT, N),
        "b_rec": (N,),
        "b_out": (N_OUT,),
    }
    arrays: dict[str, Any] = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    masks = {"rec_connectivity": np.ones((N, N)), "Dale_rec": np.eye(N)}
    np.savez(path, **arrays, **masks, dale_ratio=np.array(None))


def events(path: Path) -> None:
    """Write spike times with numpy alone."""
    times = records()["SpikeTimes"]
    arrays: dict[str, Any] = {
        name: getattr(times, name) for name in ("times", "trial", "neuron", "trials")
    }
    np.savez_compressed(path, **arrays, duration=1.0, names=np.array([*"abcde"]))


def counts(path: Path) -> None:
    """Write binned spikes with numpy alone."""
    rng = np.random.default_rng(2)
    observed = np.ones((6, 5), dtype=bool)
    np.savez(path, counts=rng.poisson(2, (6, 5, 40)), bin_width=0.05, observed=observed)


def inputs(path: Path) -> None:
    """Write what a network is shown, with numpy alone."""
    values = np.random.default_rng(7).normal(size=(20, 3, N_IN))
    np.savez_compressed(path, inputs=values, labels=np.arange(3), dt=0.001)


def wanted(path: Path) -> None:
    """Write timescales that a network is to have, with numpy alone."""
    lags = 0.01 * np.arange(6)
    curves = np.exp(-lags[:, None] / np.linspace(0.02, 0.2, N))
    np.savez_compressed(path, autocorrelation=curves, lags=lags, variance=np.ones(N))


def state(kind: str) -> dict[str, torch.Tensor]:
    """Return the state dict of a network of torch's, or of the low-rank papers."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    if kind == "torch":
        return {
            "rnn.weight_ih_l0": normal(N, N_IN),
            "rnn.weight_hh_l0": normal(N, N),
            "rnn.bias_ih_l0": normal(N),
            "rnn.bias_hh_l0": normal(N),
            "fc.weight": normal(N_OUT, N).double(),
            "fc.bias": normal(N_OUT).double(),
        }
    low = {"m": normal(N, 2), "n": normal(N, 2)}
    return {"wi": normal(N_IN, N), **low, "b": normal(N), "wo": normal(N, N_OUT)}


def torch_file(kind: str, legacy: bool) -> Callable[[Path], None]:
    """Return what writes a `.pt` file, zipped or of the older kind."""

    def write(path: Path) -> None:
        torch.save(state(kind), path, _use_new_zipfile_serialization=not legacy)

    return write


def nwb(path: Path) -> None:
    """Write a session of ten trials with three units."""
    import pynwb

    rng = np.random.default_rng(4)
    # A fixed date, so that only the file's own identifiers differ from run to run.
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    session = pynwb.NWBFile("generated", "1", start, file_create_date=start)
    group = session.create_electrode_group(
        "shank", "one", location="brain", device=session.create_device("probe")
    )
    for _ in range(3):
        session.add_electrode(location="hippocampus", group=group)
    for k in range(3):
        times = np.sort(rng.uniform(0, 100, 60))
        session.add_unit(
            spike_times=times, electrodes=[k], obs_intervals=[[0.0, 100.0]]
        )
    session.add_trial_column("hand", "left or right")
    for j in range(10):
        session.add_trial(start_time=10.0 * j, stop_time=10.0 * j + 5, hand="left")
    with pynwb.NWBHDF5IO(path, "w") as stream:
        stream.write(session)


def record(kind: str) -> Callable[[Path], object]:
    """Return what writes a record of a kind."""
    return lambda path: storage.save(records()[kind], path)


def sparse(kind: str) -> Callable[[Path], object]:
    """Return what writes a record of a kind with sparse weights."""
    return lambda path: storage.save(sparsified(records()[kind]), path)


def copy(name: str) -> Callable[[Path], object]:
    """Return what writes a file of examples/data."""
    return lambda path: shutil.copy(NETWORKS / name, path)


SEEDS: tuple[SeedFile, ...] = (
    *(SeedFile("npz", f"{kind}.npz", kind, record(kind)) for kind in storage.KINDS),
    *(
        SeedFile("npz", f"sparse-{kind}.npz", kind, sparse(kind))
        for kind in ("LIFNetwork", "FixedPointNetwork")
    ),
    SeedFile("npz", "plain.npz", "rate", plain),
    SeedFile("npz", "psychrnn.npz", "rate", psychrnn),
    SeedFile("npz", "own.npz", "rate", record("RateRNN")),
    SeedFile("npz", "example.npz", "rate", copy("dms_lowrank_N512.npz")),
    SeedFile("npz", "events.npz", "spike times", events),
    SeedFile("npz", "counts.npz", "spike times", counts),
    SeedFile("npz", "packed.npz", "spike times", record("Spikes")),
    SeedFile("npz", "inputs.npz", "inputs", inputs),
    SeedFile("npz", "wanted.npz", "timescales", wanted),
    SeedFile("mat 5", "plain.mat", "rate", write_spikernn(version=5)),
    SeedFile("mat 5", "packed.mat", "rate", write_spikernn(version=5, packed=True)),
    SeedFile("mat 5", "example.mat", "rate", copy("go_nogo_N200.mat")),
    SeedFile("mat 5", "all.mat", "variables", write_spikernn(version=5)),
    SeedFile("mat 5", "structs.mat", "spike times", write_structs(version=5)),
    SeedFile(
        "mat 5", "packed-structs.mat", "spike times", write_structs(5, packed=True)
    ),
    SeedFile("mat 7.3", "plain-7.mat", "rate", write_spikernn(version=7)),
    SeedFile("mat 7.3", "packed-7.mat", "rate", write_spikernn(version=7, packed=True)),
    SeedFile("mat 7.3", "structs-7.mat", "spike times", write_structs(version=7)),
    SeedFile("nwb", "session.nwb", "spike times", nwb),
    SeedFile("pt", "torch.pt", "rate", torch_file("torch", legacy=False)),
    SeedFile("pt", "lowrank.pt", "rate", torch_file("lowrank", legacy=False)),
    SeedFile("pt legacy", "torch-old.pt", "rate", torch_file("torch", legacy=True)),
    SeedFile("pt legacy", "lowrank-old.pt", "rate", torch_file("lowrank", legacy=True)),
    SeedFile("onnx", "rnn.onnx", "rate", onnx_rnn),
    SeedFile("onnx", "own-rate.onnx", "rate", own_model("RateRNN")),
    SeedFile("onnx", "fixed.onnx", "model", own_model("FixedPointNetwork")),
    SeedFile("onnx", "fixed-any.onnx", "any model", own_model("FixedPointNetwork")),
    SeedFile("onnx", "lif-any.onnx", "any model", own_model("LIFNetwork")),
    *(SeedFile("nir", name, "nir", write) for name, write in NIR_SEEDS.items()),
)


def write_seeds(folder: Path) -> list[str]:
    """Write the seeds into a folder and return their names in order."""
    for seed in SEEDS:
        seed.write(folder / seed.name)
    return [seed.name for seed in SEEDS]
