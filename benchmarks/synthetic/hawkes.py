"""Hawkes processes: spikes that make spikes, with an exactly exponential memory.

The intensity is μ + Σ (α/τₖ) exp(−(t − tᵢ)/τₖ) over past spikes: each makes α further
ones on average. For τₖ = τ (1 − α) and μ = rate (1 − α) the autocovariance of the rate
is C(u) = rate · α (2 − α)/(2 τ (1 − α)²) · exp(−u/τ). Source: A. G. Hawkes 1971,
doi:10.1093/biomet/58.1.83.
"""

import numpy as np
import numpy.typing as npt

from benchmarks.synthetic import generator_kernels as kernels
from benchmarks.synthetic.covariance import single_exponential
from benchmarks.synthetic.parameters import (
    count_trials,
    count_units,
    per_unit,
)
from benchmarks.synthetic.truth import Generated, Truth, spike_times
from isotau.convert.ground import validation

SOURCE = "Hawkes"
BEFORE = 20.0
"""Timescales that a process runs before it is looked at: e⁻²⁰ of its start is left."""
RATES, ALPHAS, TAUS = (0.01, 10.0), (0.1, 0.9), (0.05, 0.3)
"""The benchmark's ranges of rates in Hz, of α, and of timescales in seconds."""
TRIALS, DURATION, LENGTH = 40, 1.0, 600.0
"""The benchmark's number of trials, their length, and that of the train, in seconds."""


def hawkes(
    rate: npt.ArrayLike,
    alpha: npt.ArrayLike,
    tau: npt.ArrayLike,
    *,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    units: int | None = None,
) -> Generated:
    """Return stationary Hawkes processes, in independent trials.

    Args:
        rate: mean, in Hz.
        alpha: spikes that a spike makes on average, at least 0 and less than 1.
        tau: time constant of the autocovariance, in seconds.
        trials: number of them.
        duration: of a trial, in seconds.
        rng: source of the spikes.
        units: number of units, if not that of the longest parameter.

    Raises:
        ValueError: a parameter out of range.
    """
    n = count_units(units, rate, alpha, tau)
    trials = count_trials(trials)
    duration = validation.number("duration", duration, positive=True)
    law = _checked(rate, alpha, tau, n)
    base, jump, decay, before = _kernel(*law)
    events = kernels.hawkes_trials(base, jump, decay, before, trials, duration, rng)
    return _generated(events, law, trials, duration)


def hawkes_benchmark(
    units: int,
    rng: np.random.Generator,
    *,
    trials: int = TRIALS,
    duration: float = DURATION,
) -> Generated:
    """Return the processes of the published benchmark of single-trial estimators.

    Each unit draws rate, α and τ uniformly from `RATES`, `ALPHAS` and `TAUS`; trials
    are windows at random places of one train of 10 minutes, and may overlap. Source:
    Pochinok et al. 2026, doi:10.1371/journal.pcbi.1013385.
    """
    units = validation.whole("units", units, 1, 2**31 - 1)
    trials = count_trials(trials)
    duration = validation.number("duration", duration, positive=True)
    if duration > LENGTH:
        raise ValueError(f"duration: got {duration} s, need at most {LENGTH} s")
    rate, alpha, tau = (rng.uniform(*range_, units) for range_ in (RATES, ALPHAS, TAUS))
    law = _checked(rate, alpha, tau, units)
    starts = rng.uniform(0, LENGTH - duration, (units, trials))
    base, jump, decay, before = _kernel(*law)
    events = kernels.hawkes_windows(
        base, jump, decay, before, LENGTH, starts, duration, rng
    )
    return _generated(events, law, trials, duration)


def _checked(
    rate: npt.ArrayLike, alpha: npt.ArrayLike, tau: npt.ArrayLike, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    alpha = per_unit("alpha", alpha, n, minimum=0)
    if (alpha >= 1).any():
        (k,) = validation.first(alpha >= 1)
        raise ValueError(
            f"alpha: got {alpha[k]} at [{k}], need less than 1; at 1 spikes never end"
        )
    rate = per_unit("rate", rate, n, positive=True)
    return rate, alpha, per_unit("tau", tau, n, positive=True)


def _kernel(
    rate: np.ndarray, alpha: np.ndarray, tau: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return base rate, jump, decay in 1/s and the time to run before a trial."""
    decay = 1 / (tau * (1 - alpha))
    return rate * (1 - alpha), alpha * decay, decay, BEFORE * tau


def _generated(
    events: tuple[np.ndarray, np.ndarray, np.ndarray],
    law: tuple[np.ndarray, np.ndarray, np.ndarray],
    trials: int,
    duration: float,
) -> Generated:
    rate, alpha, tau = law
    weight = rate * alpha * (2 - alpha) / (2 * tau * (1 - alpha) ** 2)
    data = spike_times(
        events, n=rate.size, trials=trials, duration=duration, source=SOURCE
    )
    truth = Truth(
        taus=np.where(alpha > 0, tau, np.nan)[None],
        mean=rate,
        autocovariance=single_exponential(weight, tau),
        point_process=True,
    )
    return Generated(data=data, truth=truth)
