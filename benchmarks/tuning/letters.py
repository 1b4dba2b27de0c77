"""A network that snnTorch trained, at few bits per weight: rounding against tuning."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.foreign import letters
from benchmarks.foreign.measure import padded, right
from benchmarks.foreign.training import CALIBRATION, COUNT_GAIN, DATA_SEED, split
from benchmarks.repository import NETWORKS
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.given import answer_is_label
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import unpack
from isotau.convert.records.trials import Trials
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.batch import from_trials
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.session import Quantization
from isotau.convert.tuning.tune_loop import tune
from isotau.sim.engines import compiled
from isotau.targets.nir_graph.from_nir import from_nir

BITS = (8, 4, 3, 2, 1)
CONFIG = TuneConfig(
    train=("w_in", "w_rec", "v_leak"),
    dale=False,
    batch=70,
    updates=600,
    halve_every=150,
    evaluate_every=50,
    evaluate_trials=700,
    learning_rate=0.01,
)


def measure(bits: Sequence[int] = BITS) -> list[dict[str, Any]]:
    """Return a row for each number of bits: accuracies on 1400 sweeps of the test.

    Tuning sees the 4200 sweeps of training, chooses on the 700 of validation, and
    leaves the sign of no weight as it must be: the network has neurons of both signs.
    """
    # The reset of snnTorch takes the step after a spike; nothing in the file says so.
    net = from_nir(NETWORKS / "letters_snntorch.nir", refractory_steps=1).net
    data = split(DATA_SEED)
    # A letter's score is the count of its neuron's spikes, as in snnTorch's training.
    net = replace(net, w_out=COUNT_GAIN * letters.STEPS * net.w_out)
    calibration = padded(data.train.events[:, :CALIBRATION])
    ranged = simulate_lif(net, calibration, seed=None)
    float_spikes = simulate_lif(net, padded(data.test.events), seed=None).spikes
    rows = []
    for number in bits:
        float_right = right(_readout(float_spikes.bits, net), data.test.labels)
        row: dict[str, Any] = {"bits": number, "float": float(float_right.mean())}
        for way in ("split", "clip", "fit"):
            config = QuantizeConfig(num_weight_bits=number, outliers=way)
            prepared = prepare(
                net, calibration, config=config, run=ranged, input_peak=1
            )
            row[way] = accuracy(prepared.fixed, data.test)
        start = time.perf_counter()
        config = QuantizeConfig(num_weight_bits=number, outliers="fit")
        prepared = prepare(net, calibration, config=config, run=ranged, input_peak=1)
        # From the network in which the drive already stands as the chip will have it.
        tuned = tune(
            prepared.folded,
            from_trials(as_trials(data.train, net), answer_is_label),
            objective=Objective(task="labels"),
            config=CONFIG,
            quantization=Quantization(ranged.ranges, 1.0, config),
            held_out=from_trials(as_trials(data.validation, net), answer_is_label),
        )
        assert tuned.fixed is not None
        row["tuned"] = accuracy(tuned.fixed, data.test)
        row["best_update"] = tuned.best.update
        row["seconds"] = time.perf_counter() - start
        rows.append(row)
    return rows


def as_trials(sweeps: letters.Sweeps, net: LIFNetwork) -> Trials:
    """Return sweeps as trials whose labels count, at the network's step."""
    inputs = padded(sweeps.events)
    return Trials(
        inputs=inputs,
        targets=np.zeros((*inputs.shape[:2], net.n_out)),
        mask=np.ones(inputs.shape[:2], dtype=bool),
        labels=sweeps.labels,
        dt=net.dt,
        task="letters",
    )


def accuracy(fixed: FixedPointNetwork, sweeps: letters.Sweeps) -> float:
    """Return the share of sweeps whose letter's neuron spikes most, on the chip."""
    run = compiled.run(fixed, messages(fixed, padded(sweeps.events)))
    return float(right(_readout(run.spikes.bits, fixed), sweeps.labels).mean())


def _readout(bits: np.ndarray, net: LIFNetwork | FixedPointNetwork) -> np.ndarray:
    """Return the spikes of the last neurons, one for each letter."""
    return unpack(bits, net.n)[..., net.n - net.n_out :]
