"""`Truth`: what a generator's data would say if there were no end of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from benchmarks.synthetic.covariance import Autocovariance
from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.timescales.records.series import Series


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Truth:
    """The exact answer of a process, one entry per neuron.

    Attributes:
        taus: its timescales in seconds, the slowest last; NaN where it has none.
        shares: of the variance (of the latent one, where the rate is a function of a
            latent process) that each timescale has; NaN where that is not known.
        mean: rate in Hz, or mean of the signal; NaN where no closed form is known.
        autocovariance: of the signal, or of the spikes' rate in Hz²; None where no
            closed form is known.
        point_process: whether it consists of spikes, which add their mean count to the
            variance of a bin.
        onset: extra rate at the start of every trial, in Hz.
        onset_tau: time constant of its exponential decline, in seconds.
    """

    taus: Float64[np.ndarray, "components n"]
    shares: Float64[np.ndarray, "components n"] | None = None
    mean: Float64[np.ndarray, " n"]
    autocovariance: Autocovariance | None
    point_process: bool
    onset: Float64[np.ndarray, " n"] | None = None
    onset_tau: float = 0.1

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = validation.length("taus", self.taus, axis=1, ndim=2)
        taus = np.array(self.taus, dtype=np.float64)
        shares = np.where(np.isnan(taus), np.nan, 1.0)
        if self.shares is not None:
            shares = np.array(self.shares, dtype=np.float64)
        elif len(taus) > 1:
            shares = np.full_like(taus, np.nan)
        onset = np.zeros(n) if self.onset is None else self.onset
        fields: dict[str, Any] = {
            "taus": taus,
            "shares": shares,
            "mean": np.array(self.mean, dtype=np.float64),
            "onset": validation.floats("onset", onset, (n,), "neuron", minimum=0),
            "onset_tau": validation.number("onset_tau", self.onset_tau, positive=True),
            "point_process": bool(self.point_process),
        }
        for name, shape in (("shares", taus.shape), ("mean", (n,))):
            if fields[name].shape != shape:
                raise ValueError(
                    f"{name}: got shape {fields[name].shape}, need {shape}"
                )
        for name in ("taus", "shares", "mean"):
            fields[name].setflags(write=False)
        validation.freeze(self, fields)

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.taus.shape[1]

    @property
    def tau(self) -> Float64[np.ndarray, " n"]:
        """The timescale to be found, in seconds: the slowest where there are several.

        NaN where the process has none.
        """
        return self.taus[-1]


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Generated:
    """Data from a known process.

    Attributes:
        data: for an estimator.
        truth: for its judge.
    """

    data: SpikeTimes | Series
    truth: Truth


def spike_times(
    events: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    n: int,
    trials: int,
    duration: float,
    source: str,
) -> SpikeTimes:
    """Return drawn events as a recording in which every neuron has every trial.

    Args:
        events: times in seconds, trials and neurons, one entry per spike.
        n: number of neurons.
        trials: number of trials.
        duration: of a trial, in seconds.
        source: name of the process.
    """
    times, trial, neuron = events
    return SpikeTimes(
        # A sum of steps may round to the end of the trial, which is outside of it.
        times=np.minimum(times, np.nextafter(duration, 0)),
        trial=trial,
        neuron=neuron,
        trials=np.full(n, trials),
        duration=duration,
        source=source,
    )


def bin_mean(truth: Truth, bin_width: float, bins: int) -> np.ndarray:
    """Return the mean count (integral, of a signal) of every bin, bins × neuron."""
    edges = bin_width * np.arange(bins + 1)
    steady = np.broadcast_to(truth.mean * bin_width, (bins, truth.n))
    return steady + onset_integral(truth, edges)


def onset_integral(truth: Truth, edges: Float64[np.ndarray, " edges"]) -> np.ndarray:
    """Return the mean number of extra spikes between times, interval × neuron."""
    assert truth.onset is not None
    decay = np.exp(-np.asarray(edges) / truth.onset_tau)
    return truth.onset * truth.onset_tau * (decay[:-1] - decay[1:])[:, None]


def bin_covariance(truth: Truth, bin_width: float, lags: int) -> np.ndarray:
    """Return the covariance over trials of counts 0, 1, … `lags` bins apart.

    In counts², lag × neuron. Of a signal: of its integrals over the bins. An extra rate
    at the start of trials, which adds to the variance of single bins, is left out.

    Raises:
        ValueError: no closed form is known.
    """
    covariance = _known(truth).over_bins(bin_width, lags).copy()
    if truth.point_process:
        covariance[0] += truth.mean * bin_width
    return covariance


def bin_covariance_matrix(truth: Truth, bin_width: float, bins: int) -> np.ndarray:
    """Return the covariance over trials of the counts, bins × bins × neuron.

    With the extra rate at the start of trials.

    Raises:
        ValueError: no closed form is known.
    """
    covariance = bin_covariance(truth, bin_width, bins - 1)
    step = np.arange(bins)
    matrix = covariance[np.abs(step[:, None] - step)]
    edges = bin_width * np.arange(bins + 1)
    matrix[step, step] += onset_integral(truth, edges)
    return matrix


def bin_correlation(truth: Truth, bin_width: float, lags: int) -> np.ndarray:
    """Return the correlation over trials of counts 0, 1, … `lags` bins apart.

    It is what `isotau.sim.timescales.records.autocorrelation` estimates.

    Raises:
        ValueError: no closed form is known.
    """
    covariance = bin_covariance(truth, bin_width, lags)
    return covariance / covariance[0]


def autocorrelation(truth: Truth, lags: Float64[np.ndarray, " lags"]) -> np.ndarray:
    """Return C(u)/C(0) of a signal (a rate, for spikes) at lags in seconds.

    Raises:
        ValueError: no closed form is known.
    """
    covariance = _known(truth)
    return covariance(np.asarray(lags, dtype=np.float64)) / covariance(np.zeros(1))


def _known(truth: Truth) -> Autocovariance:
    if truth.autocovariance is None:
        raise ValueError(
            "autocovariance: got a process without a known one, need one that has; "
            "compare with truth.tau"
        )
    return truth.autocovariance
