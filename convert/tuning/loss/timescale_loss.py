"""The part of the loss that keeps each neuron's autocorrelation of spike counts.

As the timescales are measured afterwards (`isotau.sim.timescales`), counts are compared
over trials: C(k) is the covariance over trials of the counts in bins i and i + k, mean
over i. Nothing is taken away within a trial, so that C(k) has no bias, whatever the
length and the number of trials: short trials can be tuned to a reference of long ones.
(Taking away each trial's own mean would lower it by some 2τ/T of the variance.)
Source: Murray et al. 2014, doi:10.1038/nn.3862.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.records import spikes as trains
from isotau.convert.records.spikes import LAGS, Spikes
from isotau.convert.tuning.loss.observe import bin_steps
from isotau.convert.tuning.loss.rate_loss import soften

FEWEST = 4
"""Trials of a batch: two in each half."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TimescaleTarget:
    """The autocovariance that each neuron's counts should have, and how much.

    The errors of a neuron are e(k) = (C(k) − covariance(k))/variance, in the units of
    an autocorrelation, at the lags 1, 2, … Its loss is the mean of e(k)², in which the
    part of e along the target's own curve, an error of amplitude and not of timescale,
    counts `amplitude` times; plus the squares of the errors of the mean count and of
    the variance times their weights. The loss is the mean over neurons, by reliability.

    Lag 0 stands apart because it holds the spikes' own randomness besides that of the
    rate: that of an observer's Poisson spikes says nothing about a LIF neuron.

    Attributes:
        covariance: at lags of 1, 2, … bins, lags × neuron.
        variance: of a bin's count over trials.
        mean: spikes in a bin.
        bin_width: in seconds.
        reliability: weight of each neuron in the mean; 0 for one that is not looked at.
        weight: factor on the loss.
        amplitude: 0 … 1: 1 asks for the covariance itself, 0 for its shape. Noise sets
            the amplitude, and a spiking network has more of it than the rate network
            that it comes from: the fixed-point stage can be brought to the LIF stage's
            amplitude, the LIF stage hardly to the rate stage's.
        mean_weight: of the mean count's error, in √max(variance, mean): what it costs
            to fall silent, besides the covariance that is lost.
        variance_weight: of the variance's relative error. More than 0 makes sense
            where the reference is a LIF network itself.
    """

    covariance: Float64[np.ndarray, "lags n"]
    variance: Float64[np.ndarray, " n"]
    mean: Float64[np.ndarray, " n"]
    bin_width: float
    reliability: Float64[np.ndarray, " n"]
    weight: float = 1.0
    amplitude: float = 1.0
    mean_weight: float = 0.1
    variance_weight: float = 0.0

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        lags = validation.length("covariance", self.covariance)
        n = validation.length("covariance", self.covariance, axis=1)
        fields = {
            "covariance": validation.floats(
                "covariance", self.covariance, (lags, n), "lag × neuron"
            )
        }
        for name in ("variance", "mean", "reliability"):
            fields[name] = validation.floats(
                name, getattr(self, name), (n,), "neuron", minimum=0
            )
        numbers = {
            "bin_width": validation.number("bin_width", self.bin_width, positive=True),
            "weight": validation.number("weight", self.weight, positive=True),
        }
        for name in ("amplitude", "mean_weight", "variance_weight"):
            numbers[name] = validation.number(name, getattr(self, name), minimum=0)
        if numbers["amplitude"] > 1:
            raise ValueError(f"amplitude: got {self.amplitude}, need 0 to 1")
        if not fields["reliability"].any():
            raise ValueError(
                "reliability: got 0 for every neuron, need one above; measure longer, "
                "or leave the timescale term out"
            )
        # (O7) divides by it
        still = (fields["reliability"] > 0) & (fields["variance"] == 0)
        if still.any():
            raise ValueError(
                f"variance: got 0 at {list(validation.first(still))}, need more where "
                "reliability is more than 0; set that to 0"
            )
        validation.freeze(self, {**fields, **numbers})

    @property
    def lags(self) -> int:
        """Number of lags."""
        return self.covariance.shape[0]


class CountMoments(NamedTuple):
    """Unbiased estimates from some trials, differentiable."""

    mean: Tensor
    """Spikes in a bin, neuron."""
    covariance: Tensor
    """At lags of 0, 1, … bins, lags + 1 × neuron."""


def reference_curves(
    spikes: Spikes,
    *,
    lags: int = LAGS,
    min_rate: float = 1.0,
    weight: float = 1.0,
    amplitude: float = 1.0,
    mean_weight: float = 0.1,
    variance_weight: float = 0.0,
) -> TimescaleTarget:
    """Return the curves of a reference's neurons as the target.

    Its error stays in the result of tuning: take ten times as many trials as a batch
    has, or more.

    Args:
        spikes: of the reference in trials without input, after it has settled.
        lags: of 50 ms; the trials to tune on need one bin more.
        min_rate: neurons below, in Hz, have reliability 0, and so has a neuron whose
            counts do not vary; all others have 1.
        weight: factor on the loss.
        amplitude: what errors along the curve itself count, 0 … 1.
        mean_weight: of the mean count's squared error.
        variance_weight: of the variance's.

    Raises:
        ValueError: fewer than 2 trials, trials shorter than the lags, or no neuron that
            fires enough.
    """
    validation.number("min_rate", min_rate, minimum=0)
    width = bin_steps(spikes.dt)
    binned = trains.count(spikes, width=width)
    # by the same function as the batches, or a bias would be an error to be tuned away
    moments = estimate(torch.tensor(binned, dtype=torch.float64), lags)
    mean, covariance = moments.mean.numpy(), moments.covariance.numpy()
    seconds = width * spikes.dt
    # a neuron that hardly fires has hardly a curve, and one that does not vary none
    active = (mean >= min_rate * seconds) & (covariance[0] > 0)
    if not active.any():
        raise ValueError(
            f"spikes: got no neuron that varies and fires at {min_rate:g} Hz or more, "
            "need one; lower min_rate, or leave the timescale term out"
        )
    return TimescaleTarget(
        covariance=covariance[1:],
        variance=covariance[0],
        mean=mean,
        bin_width=seconds,
        reliability=active.astype(np.float64),
        weight=weight,
        amplitude=amplitude,
        mean_weight=mean_weight,
        variance_weight=variance_weight,
    )


def estimate(counts: Tensor, lags: int) -> CountMoments:
    """Return the mean, and the covariance over trials at lags of 0 to `lags` bins.

    C(k) = Σ_i Σ_trials (x_i − x̄_i)(x_{i+k} − x̄_{i+k}) / (bins − k)(trials − 1), with
    x̄_i the mean of bin i over trials; unbiased.

    Args:
        counts: bins × batch × neuron.
        lags: the longest lag.

    Raises:
        ValueError: fewer than 2 trials, or too few bins.
    """
    bins, trials = counts.shape[:2]
    lags = validation.whole("lags", lags, 1, 2**31 - 1)
    if trials < 2:
        raise ValueError(f"trials: got {trials}, need at least 2; run more trials")
    if bins <= lags:
        raise ValueError(
            f"bins: got {bins}, need more than {lags} (the lags); run longer trials"
        )
    # (O6): over trials, so that nothing of a trial's own slow drift is taken away
    centred = counts - counts.mean(dim=1, keepdim=True)
    sums = [
        (centred[: bins - k] * centred[k:]).sum(dim=(0, 1)) / (bins - k)
        for k in range(lags + 1)
    ]
    # unbiased at every lag, each with as many products as there are
    return CountMoments(counts.mean(dim=(0, 1)), torch.stack(sums) / (trials - 1))


def loss_of(counts: Tensor, target: TimescaleTarget) -> Tensor:
    """Return the weighted loss of a batch, a scalar, differentiable; see the target.

    The square of a noisy error is too large by its variance, which would push towards
    silence and less correlation. So each square is the product of the errors of two
    halves of the batch, which are independent: its mean, and that of its gradient, are
    those of the process itself. It may be negative. Beyond 1, an error as large as the
    variance, a neuron's loss is softened (`rate_loss.soften`).

    Args:
        counts: bins × batch × neuron, bins as wide as the target's.
        target: what is wanted.

    Raises:
        ValueError: fewer than 4 trials, too few bins, or another number of neurons.
    """
    trials, n = counts.shape[1:]
    if n != target.mean.shape[0]:
        raise ValueError(
            f"timescales: got targets of {target.mean.shape[0]} neurons, need {n}; "
            "measure them on a reference of as many neurons"
        )
    if trials < FEWEST:
        raise ValueError(
            f"trials: got {trials} without input, need at least {FEWEST}; raise "
            "quiet_trials"
        )
    reliable = np.flatnonzero(target.reliability)
    half = trials // 2
    whole = counts[:, :, torch.tensor(reliable, device=counts.device)]
    a, b = (
        _errors(estimate(part, target.lags), target, reliable)
        for part in (whole[:, :half], whole[:, half:])
    )
    squares = (a.curve * b.curve).mean(dim=0)  # (O8)
    squares = squares + (a.moments * b.moments).sum(dim=0)
    # along the curve, the mean has counted fully what is to count `amplitude` times
    along = a.along * b.along / target.lags
    squares = squares - (1 - target.amplitude) * along
    weights = _tensor(target.reliability[reliable] / target.reliability.sum(), counts)
    # (O9); a negative square, as noise may make it, is not softened
    return target.weight * (weights * soften(squares)).sum()


class _Errors(NamedTuple):
    """Of some trials: what is 0 on average where the target is met, by neuron.

    `curve` is lag × neuron, `along` its part along the target's curve, `moments` those
    of the mean and the variance, scaled so that their squares have their weights.
    """

    curve: Tensor
    along: Tensor
    moments: Tensor


def _errors(
    moments: CountMoments, target: TimescaleTarget, reliable: np.ndarray
) -> _Errors:
    """Return the errors of some neurons (O7)."""
    variance, mean = target.variance[reliable], target.mean[reliable]
    aim = target.covariance[:, reliable]
    # a curve of 0 at every lag has no direction: all of its error is one of shape
    length = np.sqrt((aim * aim).sum(axis=0))
    direction = np.divide(aim, length, out=np.zeros_like(aim), where=length > 0)
    like = moments.mean
    scale = _tensor(variance, like)
    curve = (moments.covariance[1:] - _tensor(aim, like)) / scale
    # Poisson counts have the mean as variance: a silent target divides by no less
    per_mean = np.sqrt(target.mean_weight / np.maximum(variance, mean))
    errors = (
        (moments.mean - _tensor(mean, like)) * _tensor(per_mean, like),
        (moments.covariance[0] / scale - 1) * float(np.sqrt(target.variance_weight)),
    )
    along = (curve * _tensor(direction, like)).sum(dim=0)
    return _Errors(curve, along, torch.stack(errors))


def _tensor(array: np.ndarray, like: Tensor) -> Tensor:
    """Return a copy of an array, of the type and on the device of a tensor."""
    return torch.tensor(array, dtype=like.dtype, device=like.device)
