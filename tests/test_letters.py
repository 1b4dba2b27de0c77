"""The network that snnTorch trained gives snnTorch's own spikes, and fits the chip."""

from pathlib import Path

import numpy as np
import pytest

from isotau.convert.records.spikes import unpack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.quantize import messages, quantize
from isotau.sim.engines import compiled
from isotau.targets.nir_graph.from_nir import from_nir

DATA = Path(__file__).resolve().parents[1] / "examples" / "data"
HIDDEN, STEPS = 40, 256


@pytest.fixture(scope="module")
def net():
    return from_nir(DATA / "letters_snntorch.nir", refractory_steps=1).net


@pytest.fixture(scope="module")
def recorded():
    with np.load(DATA / "letters_test.npz") as file:
        return {
            name: file[name]
            if name.endswith("labels") or name == "letters"
            else np.unpackbits(file[name], axis=0)
            for name in file.files
        }


def shown(events):
    """Events, and two steps in which the readout, which runs late, catches up."""
    return np.concatenate([events, np.zeros_like(events[:2])]).astype(float)


def test_spikes_are_those_of_snntorch(net, recorded):
    hidden = recorded["snntorch_hidden"]
    many = hidden.shape[1]
    run = simulate_lif(net, shown(recorded["test_events"][:, :many]), seed=None)
    raster = unpack(run.spikes.bits, net.n)
    assert hidden.sum() > 1000
    assert np.array_equal(raster[:STEPS, :, :HIDDEN], hidden)
    # snnTorch's layers pass spikes on within a step, isotau's in the next.
    readout = recorded["snntorch_readout"][:, :many]
    assert np.array_equal(raster[1 : STEPS + 1, :, HIDDEN:], readout)


@pytest.mark.slow
def test_quantization_alone_keeps_the_letters(net, recorded):
    calibration = shown(recorded["calibration_events"])
    ranges = simulate_lif(net, calibration, seed=None).ranges
    fixed = quantize(net, ranges, input_peak=1.0)
    spikes = compiled.run(
        fixed, messages(fixed, shown(recorded["test_events"])), strict=True
    ).spikes
    labels = recorded["test_labels"]
    theirs = recorded["snntorch_readout"].sum(axis=0, dtype=int).argmax(axis=1)
    ours = unpack(spikes.bits, net.n)[2 : STEPS + 2, :, HIDDEN:].sum(axis=0)
    float_accuracy = (theirs == labels).mean()
    assert float_accuracy > 0.9
    assert (ours.argmax(axis=1) == labels).mean() > float_accuracy - 0.03
