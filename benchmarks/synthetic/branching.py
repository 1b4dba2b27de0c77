"""Branching process with immigration: the population activity of mrestimator's world.

A(t + dt) is Poisson of mean m A(t) + h: each active neuron activates m others, h come
from outside. With m = exp(−dt/τ) the autocovariance falls by m a step.
Source: J. Wilting & V. Priesemann 2018, doi:10.1038/s41467-018-04725-4.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from benchmarks.synthetic.covariance import Lagged
from benchmarks.synthetic.parameters import (
    count_trials,
    count_units,
    fraction,
    per_unit,
    whole_bins,
)
from benchmarks.synthetic.truth import Generated, Truth
from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.timescales.records.series import Series

BEFORE = 10.0
"""Timescales before a trial: the variance settles with τ/2, so e⁻²⁰ is left."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Geometric:
    """The autocovariance of events that happen every dt, σ² exp(−k dt/τ) at step k.

    Attributes:
        variance: of the observed count that the process shares with its future.
        single: what the observation adds to the variance of a step.
        tau: in seconds.
        dt: step, in seconds.
    """

    variance: Float64[np.ndarray, " n"]
    single: Float64[np.ndarray, " n"]
    tau: Float64[np.ndarray, " n"]
    dt: float

    def __call__(self, lags: Float64[np.ndarray, " lags"]) -> Lagged:
        """Return the autocovariance per dt² at lags of whole steps, lag × unit."""
        lags = np.abs(np.asarray(lags, dtype=np.float64))[:, None]
        extra = np.where(lags == 0, self.single, 0.0)
        return (self.variance * np.exp(-lags / self.tau) + extra) / self.dt**2

    def over_bins(self, width: float, lags: int) -> Lagged:
        """Return the covariance of counts 0, 1, … `lags` bins apart.

        Raises:
            ValueError: a bin is no whole number of steps.
        """
        steps = whole_steps(width, self.dt)
        m = np.exp(-self.dt / self.tau)
        apart = np.arange(1, steps)[:, None]
        covariance = np.empty((lags + 1, m.size))
        within = steps + 2 * ((steps - apart) * m**apart).sum(axis=0)
        covariance[0] = self.variance * within + steps * self.single
        across = m * ((1 - m**steps) / (1 - m)) ** 2
        later = np.arange(lags)[:, None] * steps
        covariance[1:] = self.variance * across * m**later
        return covariance


def branching(
    rate: npt.ArrayLike,
    tau: npt.ArrayLike,
    *,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    observed: npt.ArrayLike = 1.0,
    bin_width: float | None = None,
    dt: float = 0.004,
    units: int | None = None,
) -> Generated:
    """Return the activity of stationary branching processes, counted in bins.

    Args:
        rate: mean number of all activations, in Hz.
        tau: −dt/log m, in seconds.
        trials: number of them, independent.
        duration: of a trial, in seconds.
        rng: source of the activations.
        observed: share of the activations that is recorded, each by itself.
        bin_width: of the counts, in seconds, a whole number of steps; None for dt.
        dt: step of the process, in seconds.
        units: number of processes, if not that of the longest parameter.
    """
    n = count_units(units, rate, tau, observed)
    rate = per_unit("rate", rate, n, positive=True)
    tau = per_unit("tau", tau, n, positive=True)
    share = fraction("observed", observed, n)
    dt = validation.number("dt", dt, positive=True)
    width = dt if bin_width is None else bin_width
    steps, bins = whole_steps(width, dt), whole_bins(duration, width)
    m = np.exp(-dt / tau)
    mean = rate * dt
    active = rng.poisson(mean, (count_trials(trials), n))
    for _ in range(int(np.ceil(BEFORE * tau.max() / dt))):
        active = rng.poisson(m * active + mean * (1 - m))
    values = np.zeros((bins, *active.shape))
    for counts in values:
        for _ in range(steps):
            active = rng.poisson(m * active + mean * (1 - m))
            counts += rng.binomial(active, share)
    covariance = Geometric(
        variance=share**2 * mean / -np.expm1(-2 * dt / tau),
        single=share * (1 - share) * mean,
        tau=tau,
        dt=dt,
    )
    truth = Truth(
        taus=tau[None],
        mean=share * rate,
        autocovariance=covariance,
        point_process=False,
    )
    return Generated(data=Series(values=values, bin_width=width), truth=truth)


def whole_steps(width: float, dt: float) -> int:
    """Return how many steps a bin has.

    Raises:
        ValueError: no whole number.
    """
    steps = round(width / dt)
    if steps < 1 or abs(steps * dt - width) > 1e-9 * width:
        raise ValueError(
            f"bin_width: got {width} s, need a whole number of steps of {dt} s"
        )
    return steps
