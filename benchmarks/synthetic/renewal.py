"""Spikes without a timescale: Poisson, and gamma renewal processes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64
from scipy.special import gammainc, gammaln

from benchmarks.synthetic import generator_kernels as kernels
from benchmarks.synthetic.covariance import (
    Autocovariance,
    Lagged,
    single_exponential,
)
from benchmarks.synthetic.parameters import (
    count_trials,
    count_units,
    per_unit,
)
from benchmarks.synthetic.truth import Generated, Truth, spike_times
from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GammaRenewal:
    """The autocovariance of spikes whose intervals are independent gamma numbers.

    Attributes:
        rate: in Hz.
        shape: of the gamma distribution, 1/CV²; 1 is a Poisson process.
    """

    rate: Float64[np.ndarray, " n"]
    shape: Float64[np.ndarray, " n"]

    def __call__(self, lags: Float64[np.ndarray, " lags"]) -> Lagged:
        """Return r (h(u) − r) at lags in seconds, in Hz².

        h is the rate after a spike: the sum over j of the densities of the jth spike, a
        gamma number of shape j · shape. At u = 0 it is infinite for a shape below 1.
        """
        u = np.abs(np.asarray(lags, dtype=np.float64))[:, None]
        unit = self.rate * self.shape
        after = np.zeros(np.broadcast_shapes(u.shape, unit.shape))
        with np.errstate(divide="ignore", invalid="ignore"):
            for j in range(1, self._terms(float(u.max(initial=0.0))) + 1):
                a = j * self.shape
                power = np.where(a == 1, 0.0, (a - 1) * np.log(unit * u))
                after += unit * np.exp(power - unit * u - gammaln(a))
        return self.rate * (after - self.rate)

    def over_bins(self, width: float, lags: int) -> Lagged:
        """Return the covariance of counts 0, 1, … `lags` bins apart.

        Less the mean count at lag 0 (see `Truth`). Half the second difference of the
        variance of the count in a window of t, which is 2 r ∫ H − (r t)², H(t) the mean
        count after a spike.
        """
        t = width * np.arange(lags + 2)[:, None]
        unit = self.rate * self.shape
        counted = np.zeros((lags + 2, self.rate.size))
        for j in range(1, self._terms(float(t[-1, 0])) + 1):
            a = j * self.shape
            counted += t * gammainc(a, unit * t)
            counted -= a / unit * gammainc(a + 1, unit * t)
        half = self.rate * counted - (self.rate * t) ** 2 / 2
        covariance = np.empty((lags + 1, self.rate.size))
        covariance[0] = 2 * half[1]
        covariance[1:] = half[2:] - 2 * half[1:-1] + half[:-2]
        return covariance

    def _terms(self, t: float) -> int:
        """Return how many spikes within t are practically impossible to exceed."""
        most = self.rate * t
        rare = most + 10 * np.sqrt(most / self.shape + 1) + 40 / self.shape
        return int(np.ceil(rare.max()))


def poisson(
    rate: npt.ArrayLike,
    *,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    units: int | None = None,
) -> Generated:
    """Return Poisson spikes, which have no timescale; rate in Hz."""
    n = count_units(units, rate)
    rate = per_unit("rate", rate, n, minimum=0)
    trials = count_trials(trials)
    duration = validation.number("duration", duration, positive=True)
    counts = rng.poisson(rate * duration, (trials, n)).ravel()
    trial, neuron = np.divmod(np.repeat(np.arange(counts.size), counts), n)
    events = (duration * rng.random(trial.size), trial, neuron)
    nothing = single_exponential(np.zeros(n), np.ones(n))
    return _spikes(events, trials, duration, rate, nothing, "Poisson")


def gamma_renewal(
    rate: npt.ArrayLike,
    shape: npt.ArrayLike,
    *,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    units: int | None = None,
) -> Generated:
    """Return spikes with independent gamma intervals, which have no timescale.

    The process is stationary: a trial starts within an interval as time falls on it, a
    uniform fraction of a gamma number of shape + 1.

    Args:
        rate: in Hz.
        shape: 1/CV²: more than 1 is more regular than Poisson, less burstier.
        trials: number of them, independent.
        duration: of a trial, in seconds.
        rng: source of the intervals.
        units: number of units, if not that of the longest parameter.
    """
    n = count_units(units, rate, shape)
    rate = per_unit("rate", rate, n, positive=True)
    shape = per_unit("shape", shape, n, positive=True)
    trials = count_trials(trials)
    duration = validation.number("duration", duration, positive=True)
    events = kernels.renewal_trials(rate, shape, trials, duration, rng)
    law = GammaRenewal(rate=rate, shape=shape)
    return _spikes(events, trials, duration, rate, law, "gamma renewal")


def _spikes(
    events: tuple[np.ndarray, np.ndarray, np.ndarray],
    trials: int,
    duration: float,
    rate: np.ndarray,
    autocovariance: Autocovariance,
    source: str,
) -> Generated:
    n = rate.size
    truth = Truth(
        taus=np.full((1, n), np.nan),
        mean=rate,
        autocovariance=autocovariance,
        point_process=True,
    )
    data = spike_times(events, n=n, trials=trials, duration=duration, source=source)
    return Generated(data=data, truth=truth)
