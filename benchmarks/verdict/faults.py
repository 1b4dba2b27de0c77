"""Faults planted in real networks, and whether the comparison of states finds them."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.verdict.networks import NetworkFile, converted
from isotau.convert.chip import arithmetic as chip
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_lif.trim_tau import with_tau
from isotau.jobs.pipeline import ConvertedNetwork
from isotau.sim.states import StateBudget, compare_states
from isotau.sim.states.observables import stage_sources

LifFault = Callable[[LIFNetwork, np.random.Generator], LIFNetwork]


def slower(factor: float, share: float = 1.0) -> LifFault:
    """Return a fault: τ_syn of a share of the neurons off by a factor."""

    def plant(net: LIFNetwork, rng: np.random.Generator) -> LIFNetwork:
        off = rng.permutation(net.n) < round(share * net.n)
        return with_tau(net, np.where(off, factor, 1.0))

    return plant


def stronger(factor: float) -> LifFault:
    """Return a fault: all recurrent weights off by a factor, as with another λ."""

    def plant(net: LIFNetwork, _: np.random.Generator) -> LIFNetwork:
        assert isinstance(net.w_rec, np.ndarray)
        return dataclasses.replace(net, w_rec=factor * net.w_rec)

    return plant


def without_noise(net: LIFNetwork, _: np.random.Generator) -> LIFNetwork:
    """Return a network whose currents have no noise."""
    return dataclasses.replace(net, current_noise_std=0 * net.current_noise_std)


def two_swapped(net: LIFNetwork, _: np.random.Generator) -> LIFNetwork:
    """Return a network in which the fastest and the slowest neuron have changed τ."""
    ends = [int(net.tau_syn.argmin()), int(net.tau_syn.argmax())]
    factors = np.ones(net.n)
    factors[ends] = net.tau_syn[ends[::-1]] / net.tau_syn[ends]
    return with_tau(net, factors)


LIF_FAULTS: dict[str, LifFault | None] = {
    "none": None,
    "τ_syn × 1.05": slower(1.05),
    "τ_syn × 1.1": slower(1.1),
    "τ_syn × 0.9": slower(0.9),
    "τ_syn × 1.2": slower(1.2),
    "τ_syn × 0.8": slower(0.8),
    "τ_syn × 1.3 in a tenth": slower(1.3, 0.1),
    "τ_syn × 0.5 in half": slower(0.5, 0.5),
    "weights × 1.05": stronger(1.05),
    "weights × 1.1": stronger(1.1),
    "weights × 1.2": stronger(1.2),
    "noise off": without_noise,
    "two neurons swapped": two_swapped,
}
DU_FAULT = "du + 1"


def measure_faults(
    file: NetworkFile, *, seconds: float, repeats: int, seed: int = 0
) -> list[dict[str, Any]]:
    """Return what is found of each fault of one network.

    Args:
        file: of the network.
        seconds: budget of each comparison.
        repeats: comparisons of each, with noise of their own.
        seed: of everything that is drawn.
    """
    with threadpool_limits(1):
        made = converted(file, seed)
        rows = []
        for fault, plant in LIF_FAULTS.items():
            rng = np.random.default_rng([seed, 1])
            lif = made.conversion.network
            lif = lif if plant is None else plant(lif, rng)
            fixed = made.prepared.fixed
            if plant is not None:
                fixed = prepare(lif, made.calibration, seed=seed).fixed
            rows.append(_compared(made, fixed, fault, seconds, repeats, seed))
        fixed = made.prepared.fixed
        du = np.minimum(fixed.du.astype(np.int64) + 1, chip.DECAY_MAX)
        off = dataclasses.replace(fixed, du=du)
        rows.append(_compared(made, off, DU_FAULT, seconds, repeats, seed))
    return [{"network": file.name} | row for row in rows]


def _compared(
    made: ConvertedNetwork,
    fixed: FixedPointNetwork,
    fault: str,
    seconds: float,
    repeats: int,
    seed: int,
) -> dict[str, Any]:
    """Return how a network compares with what a fault made of it on the chip."""
    outcomes, ratios, within, beyond, took = [], [], [], [], []
    for repeat in range(repeats):
        begun = time.perf_counter()
        stages = stage_sources(made.rate, made.conversion, fixed)[1:]
        (found,) = compare_states(
            stages,
            [("lif", "fixed")],
            budget=StateBudget(seconds=seconds),
            seed=1000 * seed + repeat,
        )
        took.append(time.perf_counter() - begun)
        outcomes.append(found.decision.outcome.value)
        ratios.append(float(found.decision.ratio))
        within.append(found.decision.within / max(1, found.decision.units))
        beyond.append(found.decision.beyond)
    finite = [ratio for ratio in ratios if np.isfinite(ratio)]
    return {
        "fault": fault,
        "outcomes": outcomes,
        "ratio": float(np.median(finite)) if finite else None,
        "within": float(np.median(within)),
        "beyond": float(np.median(beyond)),
        "seconds": float(np.median(took)),
    }
