"""LIF neurons driven by noise with a timescale, below and above their threshold.

τ_mem v' = drive + I − v, I an Ornstein–Uhlenbeck process of standard deviation sd and
time constant τ_s, all in volts above rest.
"""

import numpy as np
import numpy.typing as npt

from benchmarks.synthetic import generator_kernels as kernels
from benchmarks.synthetic.covariance import Exponentials
from benchmarks.synthetic.parameters import (
    count_trials,
    count_units,
    per_unit,
    whole_bins,
)
from benchmarks.synthetic.truth import Generated, Truth, spike_times
from isotau.convert.ground import validation
from isotau.sim.timescales.records.series import Series

SOURCE = "LIF driven by OU noise"
BEFORE = 10.0
"""Timescales that a neuron runs before it is looked at."""


def lif_membrane(
    tau_s: npt.ArrayLike,
    tau_mem: npt.ArrayLike,
    *,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    sd: npt.ArrayLike = 0.002,
    dt: float = 0.001,
    units: int | None = None,
) -> Generated:
    """Return the membrane potential without a threshold, in volts above its mean.

    C(u) = sd² τ_s [τ_s exp(−u/τ_s) − τ_mem exp(−u/τ_mem)]/(τ_s² − τ_mem²): it begins
    flat and ends with the longer of the two. Sampled exactly.

    Raises:
        ValueError: the two are equal, or parameters out of range.
    """
    n = count_units(units, tau_s, tau_mem, sd)
    tau_s = per_unit("tau_s", tau_s, n, positive=True)
    tau_mem = per_unit("tau_mem", tau_mem, n, positive=True)
    sd = per_unit("sd", sd, n, positive=True)
    near = np.abs(tau_s / tau_mem - 1) < 1e-3
    if near.any():
        (k,) = validation.first(near)
        raise ValueError(
            f"tau_mem: got {tau_mem[k]} s at [{k}], need one that differs from tau_s, "
            f"{tau_s[k]} s, by 0.1 % at least"
        )
    decays = np.stack((1 / tau_s, 1 / tau_mem))
    weights = sd**2 * tau_s * np.stack((tau_s, -tau_mem)) / (tau_s**2 - tau_mem**2)
    longer = np.argsort(-decays, axis=0)
    truth = Truth(
        taus=np.take_along_axis(1 / decays, longer, axis=0),
        shares=np.take_along_axis(weights / weights.sum(axis=0), longer, axis=0),
        mean=np.zeros(n),
        autocovariance=Exponentials(weights=weights + 0j, decays=decays + 0j),
        point_process=False,
    )
    trials, steps = count_trials(trials), whole_bins(duration, dt, name="dt")
    # What (I, v) turns into in a step, and what noise adds to it.
    keep, stay = np.exp(-dt / tau_s), np.exp(-dt / tau_mem)
    push = tau_s / (tau_s - tau_mem) * (keep - stay)
    joint = sd**2 * tau_s / (tau_s + tau_mem)
    stationary = _two_by_two(sd**2, joint, joint, joint)
    move = _two_by_two(keep, np.zeros(n), push, stay)
    start = _root(stationary)
    kick = _root(stationary - move @ stationary @ move.swapaxes(1, 2))
    state = np.einsum("nij,bnj->bni", start, rng.standard_normal((trials, n, 2)))
    values = np.empty((steps, trials, n))
    for sample in values:
        sample[:] = state[..., 1]
        fresh = rng.standard_normal((trials, n, 2))
        state = np.einsum("nij,bnj->bni", move, state)
        state += np.einsum("nij,bnj->bni", kick, fresh)
    return Generated(
        data=Series(values=values, bin_width=dt, kind="signal"), truth=truth
    )


def lif_spikes(
    tau_s: npt.ArrayLike,
    *,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    drive: npt.ArrayLike = 0.03,
    sd: npt.ArrayLike = 0.01,
    tau_mem: npt.ArrayLike = 0.01,
    threshold: npt.ArrayLike = 0.025,
    reset: npt.ArrayLike = 0.0,
    refractory: npt.ArrayLike = 0.002,
    dt: float = 0.0001,
    units: int | None = None,
) -> Generated:
    """Return the spikes of LIF neurons: their counts' correlation ends as exp(−u/τ_s).

    τ_s is that of lags beyond a few intervals; before them the threshold makes its own
    mark, for which no closed form is known: the truth has neither mean nor covariance.

    Args:
        tau_s: time constant of the current, in seconds.
        trials: number of them, independent.
        duration: of a trial, in seconds.
        rng: source of the noise.
        drive: mean of the current: above the threshold, the neuron fires without noise.
        sd: of the current, in volts.
        tau_mem: membrane time constant, in seconds.
        threshold: in volts above rest.
        reset: in volts above rest; below the threshold.
        refractory: time that v stays at reset, in seconds.
        dt: step, in seconds; a spike within a step is put at its middle.
        units: number of units, if not that of the longest parameter.

    Raises:
        ValueError: reset above threshold, or parameters out of range.
    """
    n = count_units(units, tau_s, drive, sd, tau_mem, threshold, reset, refractory)
    tau_s = per_unit("tau_s", tau_s, n, positive=True)
    tau_mem = per_unit("tau_mem", tau_mem, n, positive=True)
    threshold = per_unit("threshold", threshold, n)
    reset = per_unit("reset", reset, n)
    if (reset >= threshold).any():
        (k,) = validation.first(reset >= threshold)
        raise ValueError(
            f"reset: got {reset[k]} V at [{k}], need less than the threshold, "
            f"{threshold[k]} V"
        )
    trials, steps = count_trials(trials), whole_bins(duration, dt, name="dt")
    pause = per_unit("refractory", refractory, n, minimum=0)
    cell = (
        per_unit("drive", drive, n),
        tau_mem,
        threshold,
        reset,
        np.rint(pause / dt).astype(np.int64),
    )
    noise = (per_unit("sd", sd, n, minimum=0), tau_s)
    before = int(np.ceil(BEFORE * max(tau_s.max(), tau_mem.max()) / dt))
    events = kernels.lif_trials(cell, noise, trials, steps, before, dt, rng)
    data = spike_times(events, n=n, trials=trials, duration=steps * dt, source=SOURCE)
    truth = Truth(
        taus=tau_s[None],
        mean=np.full(n, np.nan),
        autocovariance=None,
        point_process=True,
    )
    return Generated(data=data, truth=truth)


def _two_by_two(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> np.ndarray:
    """Return one matrix per unit, unit × 2 × 2."""
    return np.moveaxis(np.array([[a, b], [c, d]]), -1, 0)


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return the lower triangular root of each 2 × 2 covariance.

    In a short step v hardly gets noise of its own: rounding may take it below 0.
    """
    first = np.sqrt(covariance[:, 0, 0])
    mixed = covariance[:, 1, 0] / first
    private = np.sqrt(np.maximum(covariance[:, 1, 1] - mixed**2, 0))
    return _two_by_two(first, np.zeros_like(first), mixed, private)
