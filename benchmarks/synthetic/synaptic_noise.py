"""Poisson spikes through synapse and membrane: a response with three known poles.

A presynaptic spike makes h(t) = Σᵢ aᵢ exp(−t/τᵢ) of the postsynaptic potential, τ the
synapse's decay and rise and the membrane's time constant: the chain of three low-pass
filters that a recurrent pass of a spiking network goes through.
"""

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from benchmarks.synthetic import generator_kernels as kernels
from benchmarks.synthetic.covariance import Exponentials
from benchmarks.synthetic.parameters import (
    count_trials,
    count_units,
    per_unit,
    whole_bins,
)
from benchmarks.synthetic.truth import Generated, Truth
from isotau.convert.ground import validation
from isotau.sim.timescales.records.series import Series

BEFORE = 20.0
"""Timescales that the filters run before a trial: e⁻²⁰ of their start is left."""


def synaptic_noise(
    rate: npt.ArrayLike,
    tau_syn: npt.ArrayLike,
    tau_rise: npt.ArrayLike,
    tau_mem: npt.ArrayLike,
    *,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    dt: float = 0.001,
    units: int | None = None,
) -> Generated:
    """Return Poisson spikes of `rate` Hz seen through h, of area 1, sampled every dt.

    By Campbell's theorem the mean is the rate, and the autocovariance that of h (see
    `response_autocovariance`) times the rate.

    Raises:
        ValueError: two equal time constants, or parameters out of range.
    """
    n = count_units(units, rate, tau_syn, tau_rise, tau_mem)
    rate = per_unit("rate", rate, n, positive=True)
    poles = np.stack(
        (
            per_unit("tau_syn", tau_syn, n, positive=True),
            per_unit("tau_rise", tau_rise, n, positive=True),
            per_unit("tau_mem", tau_mem, n, positive=True),
        )
    )
    shape = response_autocovariance(poles)
    weights = rate * shape.weights.real
    ascending = np.argsort(poles, axis=0)
    truth = Truth(
        taus=np.take_along_axis(poles, ascending, axis=0),
        shares=np.take_along_axis(weights / weights.sum(axis=0), ascending, axis=0),
        mean=rate,
        autocovariance=Exponentials(weights=weights + 0j, decays=shape.decays),
        point_process=False,
    )
    steps = whole_bins(duration, dt, name="dt")
    values = kernels.filtered_spikes(
        rate,
        poles,
        response_weights(poles),
        count_trials(trials),
        steps,
        int(np.ceil(BEFORE * poles.max() / dt)),
        dt,
        rng,
    )
    return Generated(
        data=Series(values=values, bin_width=dt, kind="signal"), truth=truth
    )


def impulse_response(
    poles: Float64[np.ndarray, "poles n"], times: Float64[np.ndarray, " times"]
) -> Float64[np.ndarray, "times n"]:
    """Return h at times in seconds after a spike, in 1/s; 0 before it.

    Its area is 1; `poles` are time constants in seconds, all different.
    """
    times = np.asarray(times, dtype=np.float64)[:, None]
    after = np.maximum(times, 0)
    terms = response_weights(poles)[:, None] * np.exp(-after / poles[:, None])
    return np.where(times < 0, 0.0, terms.sum(axis=0))


def response_autocovariance(poles: Float64[np.ndarray, "poles n"]) -> Exponentials:
    """Return ∫ h(t) h(t + u) dt: Σᵢ aᵢ exp(−u/τᵢ) Σⱼ aⱼ τᵢ τⱼ/(τᵢ + τⱼ), in 1/s."""
    weights = response_weights(poles)
    overlap = poles[:, None] * poles / (poles[:, None] + poles)
    total = weights * np.einsum("jn,ijn->in", weights, overlap)
    return Exponentials(weights=total + 0j, decays=1 / poles + 0j)


def response_weights(
    poles: Float64[np.ndarray, "poles n"],
) -> Float64[np.ndarray, "poles n"]:
    """Return a of h: τᵢᵏ⁻²/Π (τᵢ − τⱼ) of k low-pass filters in a row, in 1/s.

    Raises:
        ValueError: two time constants of a unit are equal.
    """
    difference = poles[:, None] - poles
    same = np.arange(len(poles))
    difference[same, same] = 1
    near = np.abs(difference) < 1e-3 * poles
    if near.any():
        i, j, k = validation.first(near)
        raise ValueError(
            f"poles: got {poles[i, k]} s and {poles[j, k]} s in unit {k}, need time "
            "constants that differ by 0.1 % at least"
        )
    return poles ** (len(poles) - 2) / difference.prod(axis=1)
