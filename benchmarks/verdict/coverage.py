"""How well a single unit's τ is known, and how much memory it takes to know it."""

import tracemalloc
from typing import Any

import numpy as np
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from isotau.sim.states import (
    StateBudget,
    StateSource,
    StateTau,
    StateTrials,
    autocovariance_blocks,
    compare_states,
    state_tau,
)

INTERVAL, LENGTH, TRIALS = 5e-3, 4.0, 200
"""Seconds between samples, and of a trial; trials of each unit."""
TAUS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""In seconds."""
HELD = 25
"""Units at a time."""
LONGER = (160, 640, 2560)
"""Trials of each of two runs, for which memory is measured."""


def ou(
    tau: float, trials: int, units: int, steps: int, rng: np.random.Generator
) -> np.ndarray:
    """Return Ornstein–Uhlenbeck states of SD 1, sample × trial × unit."""
    keep = np.exp(-INTERVAL / tau)
    noise = rng.standard_normal((steps, trials, units)) * np.sqrt(1 - keep**2)
    start = keep * rng.standard_normal((1, trials, units))
    return np.asarray(lfilter([1], [1, -keep], noise, axis=0, zi=start)[0])


def measure_coverage(units: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return how often intervals hold the truth, from 5 to 500 ms.

    Args:
        units: of each τ.
        seed: of their noise.
    """
    return [_of_tau(tau, units, [seed, number]) for number, tau in enumerate(TAUS)]


def _of_tau(tau: float, units: int, seed: list[int]) -> dict[str, Any]:
    """Return how well units of one τ are known."""
    rng = np.random.default_rng(seed)
    steps = round(LENGTH / INTERVAL)
    found: list[StateTau] = []
    with threadpool_limits(1):
        for _ in range(max(1, units // HELD)):
            x = ou(tau, TRIALS, HELD, steps, rng)
            found.append(state_tau(autocovariance_blocks(x, INTERVAL, steps // 2)))
    low, high = np.concatenate([each.interval() for each in found], axis=1)
    known = np.isfinite(low)
    errors = np.log(np.concatenate([each.tau for each in found])[known] / tau)
    return {
        "tau_s": tau,
        "units": len(low),
        "known": int(known.sum()),
        "covered": int(((low <= tau) & (tau <= high))[known].sum()),
        "bias": float(np.median(errors)),
        "rms": float(np.sqrt(np.mean(errors**2))),
    }


def measure_memory() -> list[dict[str, Any]]:
    """Return the most memory that a comparison takes, for more and more trials."""
    rows = []
    for trials in (LONGER[0], *LONGER):  # what the first one imports is no data
        stages = [_slow(name) for name in "ab"]
        tracemalloc.start()
        (found,) = compare_states(
            stages, [("a", "b")], budget=StateBudget(seconds=1e9, trials=trials)
        )
        rows.append(
            {
                "trials": found.trials,
                "seconds_simulated": found.trials * found.length,
                "peak_mb": tracemalloc.get_traced_memory()[1] / 1e6,
            }
        )
        tracemalloc.stop()
    return rows[1:]


def _slow(name: str) -> StateSource:
    """Return a stage that is hardly ever decided: some units lie at their margin."""

    def draw(trials: int, first: int, length: float, seed: int) -> StateTrials:
        rng = np.random.default_rng([seed, first])
        steps = round(length / INTERVAL)
        edge = 0.1 if name == "a" else 0.12
        # One more than may be off: they are neither within the margin nor beyond it.
        parts = [ou(0.1, trials, 75, steps, rng), ou(edge, trials, 5, steps, rng)]
        return StateTrials(np.concatenate(parts, axis=2))

    return StateSource(name=name, interval=INTERVAL, n=80, draw=draw)
