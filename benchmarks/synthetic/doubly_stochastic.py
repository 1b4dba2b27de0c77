"""Doubly stochastic Poisson spikes: a random rate, and spikes drawn from it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from benchmarks.synthetic.covariance import Autocovariance, Lagged
from benchmarks.synthetic.parameters import (
    count_trials,
    per_unit,
    whole_bins,
)
from benchmarks.synthetic.rate_laws import RateLaw
from benchmarks.synthetic.truth import Generated, Truth, onset_integral
from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.timescales.records.series import Series

SOURCE = "doubly stochastic Poisson"


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Drifting:
    """The autocovariance over trials of a process whose rate differs between trials.

    Attributes:
        within: of the process in a trial of mean rate.
        gain: mean square of the trials' factors.
        between: variance of the trials' mean rates, in Hz².
    """

    within: Autocovariance
    gain: float
    between: Float64[np.ndarray, " n"]

    def __call__(self, lags: Float64[np.ndarray, " lags"]) -> Lagged:
        """Return the autocovariance at lags in seconds, lag × neuron."""
        return self.gain * self.within(lags) + self.between

    def over_bins(self, width: float, lags: int) -> Lagged:
        """Return the covariance of integrals over bins 0, 1, … `lags` bins apart."""
        return self.gain * self.within.over_bins(width, lags) + self.between * width**2


def doubly_stochastic(
    law: RateLaw,
    *,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    drift: float = 0.0,
    onset: npt.ArrayLike = 0.0,
    onset_tau: float = 0.1,
    bin_width: float | None = None,
    dt: float = 0.001,
) -> Generated:
    """Return Poisson spikes of random rates, as times or as counts in bins.

    The rate is drawn every dt and held: the covariance of counts is exact but for terms
    of the order (dt/τ)²/12 between bins, dt²/(3 τ bin_width) within one.

    Args:
        law: of the rate: `rectified` or `log_gaussian`.
        trials: number of them, independent.
        duration: of a trial, in seconds.
        rng: source of rates and spikes.
        drift: coefficient of variation of the trials' mean rates. They rise from the
            first trial to the last along a line (so their order matters); the truth is
            what the sample covariance over these trials is on average.
        onset: extra Poisson rate at the start of each trial, in Hz, the same in all.
        onset_tau: time constant of its exponential decline, in seconds.
        bin_width: of the counts to return, in seconds; None returns spike times.
        dt: step of the rate, in seconds; shortened to a whole fraction of a bin.

    Raises:
        ValueError: sizes or parameters out of range, or a drift that makes the first
            trial's rate negative.
    """
    n = law.taus.shape[1]
    trials = count_trials(trials)
    factors = _factors(validation.number("drift", drift, minimum=0), trials)
    width = duration if bin_width is None else bin_width
    bins = whole_bins(duration, width)
    dt = width / np.ceil(width / validation.number("dt", dt, positive=True) - 1e-9)
    steps = round(width / dt)
    truth = Truth(
        taus=law.taus,
        shares=law.shares,
        mean=law.mean(),
        autocovariance=Drifting(
            within=law,
            gain=float(np.mean(factors**2)),
            between=drift**2 * law.mean() ** 2,
        ),
        point_process=True,
        onset=per_unit("onset", onset, n, minimum=0),
        onset_tau=onset_tau,
    )
    extra = onset_integral(truth, dt * np.arange(steps * bins + 1))
    path = _rates(law, factors, dt, rng)
    expected = (dt * rates + more for more, rates in zip(extra, path, strict=False))
    if bin_width is None:
        return Generated(
            data=_spike_times(expected, trials, n, dt, duration, rng), truth=truth
        )
    values = np.empty((bins, trials, n))
    for counts in values:
        total = next(expected)
        for _ in range(steps - 1):
            total += next(expected)
        counts[:] = rng.poisson(total)
    return Generated(data=Series(values=values, bin_width=width), truth=truth)


def _factors(drift: float, trials: int) -> np.ndarray:
    """Return equally spaced factors, one per trial, of mean 1 and sample SD `drift`."""
    line = np.arange(trials) - (trials - 1) / 2
    if drift == 0:
        return np.ones(trials)
    if trials < 2:
        raise ValueError(
            f"trials: got {trials}, need at least 2 for a drift over trials"
        )
    line *= drift / line.std(ddof=1)
    if line[0] < -1:
        raise ValueError(
            f"drift: got {drift}, need at most {-drift / line[0]:.3g} for {trials} "
            "trials (the first one's rate would be negative)"
        )
    return 1 + line


def _rates(
    law: RateLaw, factors: np.ndarray, dt: float, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield the rates of all trials and units, in Hz, every dt, without end."""
    shape = (len(law.taus), len(factors), law.taus.shape[1])
    decay = np.exp(-dt / law.taus)[:, None]
    kick = np.sqrt(-np.expm1(-2 * dt / law.taus))[:, None]
    weights = np.sqrt(law.shares)[:, None]
    latent = rng.standard_normal(shape)
    while True:
        yield factors[:, None] * law.rates((weights * latent).sum(axis=0))
        latent *= decay
        latent += kick * rng.standard_normal(shape)


def _spike_times(
    expected: Iterator[np.ndarray],
    trials: int,
    n: int,
    dt: float,
    duration: float,
    rng: np.random.Generator,
) -> SpikeTimes:
    """Return spikes drawn from expected counts of steps, uniform within a step."""
    parts = []
    for step, mean in enumerate(expected):
        counts = rng.poisson(mean).ravel()
        place = np.repeat(np.arange(counts.size), counts)
        times = (step + rng.random(place.size)) * dt
        parts.append((np.minimum(times, np.nextafter(duration, 0)), place))
    times, place = (np.concatenate(part) for part in zip(*parts, strict=True))
    trial, neuron = np.divmod(place, n)
    return SpikeTimes(
        times=times,
        trial=trial,
        neuron=neuron,
        trials=np.full(n, trials),
        duration=duration,
        source=SOURCE,
    )
