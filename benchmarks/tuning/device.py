"""Networks tuned for imprecise weights, on weights that are imprecise."""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.tuning.networks import TuningCase
from benchmarks.tuning.plans import plan_for
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import window
from isotau.convert.records.trials import refine
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.readout import network_outputs
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.run_config import RunConfig
from isotau.sim.tasks import TASKS

NOISE = (0.0, 0.5, 0.75, 1.0)
"""Standard deviations of the weights' errors, as shares of the typical weight."""
TUNED_FOR = 0.5
"""Noise of the weights in tuning, in the same unit."""
DEVICES, TRIALS, LEVELS = 10, 200, 32


def measure(case: TuningCase) -> dict[str, Any]:
    """Return accuracies on devices whose weights err, by how the network was tuned."""
    config = RunConfig(task=case.task, method=case.method, trials=TRIALS, lava_trials=1)
    base = carry(case.rate, config)
    plan = plan_for(TASKS[case.task], base, quantized=False)
    ways = {
        "as converted": None,
        "tuned": plan.config,
        "tuned with noise": replace(plan.config, weight_noise=TUNED_FOR),
        "tuned with noise, coarse updates": replace(
            plan.config, weight_noise=TUNED_FOR, update_levels=LEVELS
        ),
    }
    rows = []
    for way, learner in ways.items():
        result = base
        if learner is not None:
            tuning = replace(plan, config=learner)
            result = carry(case.rate, replace(config, tuning=tuning))
        net = result.conversion.network
        accuracies = {
            str(noise): [
                _accuracy(erring(net, noise, k), result, k) for k in range(DEVICES)
            ]
            for noise in NOISE
        }
        rows.append({"way": way, "accuracies": accuracies})
    return {
        "name": case.name,
        "tuned_for": TUNED_FOR,
        "levels": LEVELS,
        "devices": DEVICES,
        "trials": TRIALS,
        "rows": rows,
    }


def erring(net: LIFNetwork, noise: float, seed: int) -> LIFNetwork:
    """Return the network on a device whose synapses err, each on its own."""
    # The seed is the device: every way of tuning meets the same ten.
    rng = np.random.default_rng(seed)
    device_weights = {}
    for name in ("w_in", "w_rec"):
        weights = getattr(net, name)
        # Absent synapses have no device that could err.
        present = weights != 0
        size = noise * np.sqrt((weights[present] ** 2).mean())
        noisy = weights + size * rng.standard_normal(weights.shape) * present
        # A synapse cannot change its sign.
        device_weights[name] = np.where(noisy * weights < 0, 0.0, noisy)
    return replace(net, **device_weights)


def _accuracy(net: LIFNetwork, result: Result, seed: int) -> float:
    """Return a network's accuracy on the test trials of a result."""
    plan = result.plan
    lead = plan.lead(net.dt)
    inputs = plan.shown(plan.test, net.dt)
    spikes = simulate_lif(net, inputs, seed=seed).spikes
    outputs = network_outputs(net, window(spikes, lead))
    return float(plan.task.score(outputs, refine(plan.test, net.dt)).mean())
