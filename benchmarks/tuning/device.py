"""Networks tuned for imprecise weights, on weights that are imprecise."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.tuning.networks import Case
from benchmarks.tuning.plans import plan_for
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import window
from isotau.convert.records.trials import refine
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.readout import read_out
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.run_config import RunConfig
from isotau.sim.tasks import TASKS

NOISE = (0.0, 0.5, 0.75, 1.0)
"""Standard deviations of the weights' errors, as shares of the typical weight."""
TUNED_FOR = 0.5
DEVICES, TRIALS, LEVELS = 10, 200, 32


def measure(case: Case) -> dict[str, Any]:
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
    for way, chosen in ways.items():
        made = base
        if chosen is not None:
            made = carry(
                case.rate, replace(config, tuning=replace(plan, config=chosen))
            )
        net = made.conversion.network
        accuracies = {
            str(noise): [
                _accuracy(erring(net, noise, k), made, k) for k in range(DEVICES)
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
    rng = np.random.default_rng(seed)
    changed = {}
    for name in ("w_in", "w_rec"):
        weights = getattr(net, name)
        there = weights != 0
        size = noise * np.sqrt((weights[there] ** 2).mean())
        err = size * rng.standard_normal(weights.shape) * there
        moved = weights + err
        # a synapse cannot change its sign
        changed[name] = np.where(moved * weights < 0, 0.0, moved)
    return replace(net, **changed)


def _accuracy(net: LIFNetwork, made: Result, seed: int) -> float:
    plan = made.plan
    lead = plan.lead(net.dt)
    generator = torch.Generator().manual_seed(seed)
    shown = plan.shown(plan.test, net.dt)
    spikes = simulate_lif(net, shown, generator=generator).spikes
    outputs = read_out(
        window(spikes, lead),
        w_out=net.w_out,
        b_out=net.b_out,
        tau=net.tau_out,
        f0=net.f0,
    )
    return float(plan.task.score(outputs, refine(plan.test, net.dt)).mean())
