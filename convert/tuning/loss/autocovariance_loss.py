"""The part of the loss that asks for timescales: autocovariances of synaptic states.

The state is the current of a LIF neuron right after its jump, of the chip what u stands
for, in units of a rate network's x. It has a timescale in every neuron, where counts of
spikes have one in few. C(k) is the covariance over trials of samples that lie k apart.
Nothing is taken away within a trial, so that C(k) has no bias, whatever the length and
the number of trials: short trials can be tuned to a reference of long ones.
Source: Murray et al. 2014, doi:10.1038/nn.3862.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.tuning.loss.rate_loss import soften

FEWEST = 4
"""Trials of a batch: two in each half."""
WHOLE_STEPS = 1e-6
"""By what share of a step a time may miss a whole number of steps."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AutocovarianceTarget:
    """The autocovariance that each unit's state should have, and how much that counts.

    The errors of a unit are e(k) = (C(k) − covariance(k))/covariance(0), at the lags
    given; its loss is the mean of e(k)², in which the part of e along the target's own
    curve, an error of size and not of timescale, counts `amplitude` times; and the loss
    the mean over units, by reliability. With copies of a unit, the mean over them is
    its state.

    Attributes:
        covariance: of the state, lag × unit.
        lags: in seconds, rising from 0.
        interval: seconds between two samples of the state.
        volts: that stand for 1 of the state, one for each neuron.
        copies: neurons for each unit, side by side.
        epoch: where in the task's trials the state is looked at, in seconds from their
            start to before their end; None for trials without input.
        reliability: weight of each unit in the mean; 0 for one that is not looked at.
        weight: factor on the loss.
        amplitude: 0 … 1: 1 asks for the covariance itself, 0 for its shape. Noise sets
            the amplitude, which on the chip comes in powers of two: where it is out of
            reach, τ would be bent to make up for it.
    """

    covariance: Float64[np.ndarray, "lags units"]
    lags: Float64[np.ndarray, " lags"]
    interval: float
    volts: Float64[np.ndarray, " n"]
    copies: int = 1
    epoch: tuple[float, float] | None = None
    reliability: Float64[np.ndarray, " units"]
    weight: float = 1.0
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        lags = validation.length("covariance", self.covariance)
        units = validation.length("covariance", self.covariance, axis=1)
        copies = validation.whole("copies", self.copies, 1, 1 << 20)
        interval = validation.number("interval", self.interval, positive=True)
        fields = {
            "covariance": validation.floats(
                "covariance", self.covariance, (lags, units), "lag × unit"
            ),
            "lags": check_lags(self.lags, lags, interval),
            "volts": validation.floats(
                "volts", self.volts, (units * copies,), "neuron", positive=True
            ),
            "reliability": validation.floats(
                "reliability", self.reliability, (units,), "unit", minimum=0
            ),
        }
        _check_reliability(fields["reliability"], fields["covariance"][0])
        if self.epoch is not None:
            check_epoch(self.epoch)
        weight = validation.number("weight", self.weight, positive=True)
        amplitude = validation.number("amplitude", self.amplitude, minimum=0)
        if amplitude > 1:
            raise ValueError(f"amplitude: got {self.amplitude}, need 0 to 1")
        numbers = {"interval": interval, "weight": weight, "amplitude": amplitude}
        validation.freeze(self, {**fields, **numbers, "copies": copies})

    def steps(self, seconds: float, dt: float) -> int:
        """Return a lag, or the interval, in steps of dt.

        Raises:
            ValueError: it is no whole number of them.
        """
        steps = seconds / dt
        if abs(steps - round(steps)) > WHOLE_STEPS * max(1.0, steps):
            raise ValueError(
                f"timescales: got samples every {1e3 * self.interval:g} ms, need a "
                f"multiple of the network's step of {1e3 * dt:g} ms; choose another "
                "interval"
            )
        return round(steps)

    def within(self, dt: float, first_sample: int, every: int) -> slice:
        """Return which samples of a trial lie in the epoch; all without one.

        Args:
            dt: step of the network, in seconds.
            first_sample: steps of the trial after which the first sample was taken.
            every: steps between two samples.
        """
        if self.epoch is None:
            return slice(None)
        # A sample after so many steps belongs to the last of them.
        first, after = (
            max(0, int(np.ceil((edge / dt - first_sample) / every + 1e-9)))
            for edge in self.epoch
        )
        return slice(first, after)


def check_lags(
    lags: Sequence[float] | np.ndarray, count: int, interval: float
) -> Float64[np.ndarray, " lags"]:
    """Return lags after checking that they rise from 0 by whole intervals.

    Raises:
        ValueError: they do not, or there are not `count` of them.
    """
    checked = validation.floats("lags", lags, (count,), "lag", minimum=0)
    samples = checked / interval
    if checked[0] != 0 or (np.diff(checked) <= 0).any():
        raise ValueError(
            f"lags: got {np.array2string(checked, threshold=6)}, need a rising row "
            "from 0, at which the variance stands"
        )
    off = np.abs(samples - np.rint(samples)) > WHOLE_STEPS * np.maximum(1, samples)
    if off.any():
        raise ValueError(
            f"lags: got {checked[off][0]:g} s, need multiples of the "
            f"{interval:g} s between two samples"
        )
    return checked


def check_epoch(epoch: tuple[float, float]) -> tuple[float, float]:
    """Return an epoch after checking that it has a length.

    Raises:
        ValueError: it has not, or begins before the trial.
    """
    start, end = (validation.number("epoch", edge, minimum=0) for edge in epoch)
    if end <= start:
        raise ValueError(
            f"epoch: got {start:g} to {end:g} s, need an end after the start"
        )
    return start, end


def _check_reliability(reliability: np.ndarray, variance: np.ndarray) -> None:
    if not reliability.any():
        raise ValueError(
            "reliability: got 0 for every unit, need one above; measure longer, or "
            "leave the timescale term out"
        )
    # (O7) divides by it
    still = (reliability > 0) & (variance <= 0)
    if still.any():
        raise ValueError(
            "covariance: got a variance of 0 or less at "
            f"{list(validation.first(still))}, need more where reliability is more "
            "than 0; set that to 0"
        )


def estimate(states: Tensor, lags: Sequence[int]) -> Tensor:
    """Return covariances over trials, lag × unit; differentiable.

    C(k) = Σ_i Σ_trials (x_i − x̄_i)(x_{i+k} − x̄_{i+k}) / (samples − k)(trials − 1), with
    x̄_i the mean of sample i over trials; unbiased.

    Args:
        states: samples × batch × unit.
        lags: in samples, from 0.

    Raises:
        ValueError: fewer than 2 trials, or too few samples.
    """
    samples, trials = states.shape[:2]
    if trials < 2:
        raise ValueError(f"trials: got {trials}, need at least 2; run more trials")
    if samples <= max(lags):
        raise ValueError(
            f"samples: got {samples}, need more than {max(lags)}, the longest lag; "
            "look at longer trials or a longer epoch, or ask for shorter lags"
        )
    # (O6): over trials, so that nothing of a trial's own slow drift is taken away
    centred = states - states.mean(dim=1, keepdim=True)
    sums = [
        (centred[: samples - k] * centred[k:]).sum(dim=(0, 1)) / (samples - k)
        for k in lags
    ]
    # unbiased at every lag, each with as many products as there are
    return torch.stack(sums) / (trials - 1)


def unit_states(currents: Tensor, target: AutocovarianceTarget) -> Tensor:
    """Return the states of a target's units, samples × batch × unit.

    Args:
        currents: samples × batch × neuron, in volts.
        target: gives volts and copies.

    Raises:
        ValueError: a target of another number of neurons.
    """
    n = currents.shape[2]
    if n != len(target.volts):
        raise ValueError(
            f"timescales: got a target of {len(target.volts)} neurons, need {n}; "
            "measure it on a reference of as many units and copies"
        )
    states = currents / _tensor(target.volts, currents)
    if target.copies == 1:
        return states
    # copies of a unit stand side by side (C12)
    return states.reshape(*states.shape[:2], -1, target.copies).mean(dim=3)


def loss_of(currents: Tensor, target: AutocovarianceTarget) -> Tensor:
    """Return the weighted loss of a batch, a scalar, differentiable; see the target.

    The square of a noisy error is too large by its variance, which would push towards
    states that do not move. So each square is the product of the errors of two halves
    of the batch, which are independent: its mean, and that of its gradient, are those
    of the process itself. It may be negative. Beyond 1, an error as large as the
    variance, a unit's loss is softened (`rate_loss.soften`).

    Args:
        currents: samples × batch × neuron, in volts, the target's interval apart.
        target: what is wanted.

    Raises:
        ValueError: fewer than 4 trials, too few samples, or another number of neurons.
    """
    trials = currents.shape[1]
    if trials < FEWEST:
        raise ValueError(
            f"trials: got {trials} for the timescales, need at least {FEWEST}; raise "
            "quiet_trials, or, for an epoch of the task, batch and the trials held out"
        )
    reliable = np.flatnonzero(target.reliability)
    half = trials // 2
    states = unit_states(currents, target)
    states = states[:, :, torch.tensor(reliable, device=states.device)]
    lags = [round(lag / target.interval) for lag in target.lags]
    # (O7)
    aim = _tensor(target.covariance[:, reliable], states)
    a, b = (
        (estimate(part, lags) - aim) / aim[0]
        for part in (states[:, :half], states[:, half:])
    )
    # along the curve, the mean would count fully what is to count `amplitude` times
    direction = aim / aim.square().sum(dim=0).sqrt()
    along = (a * direction).sum(dim=0) * (b * direction).sum(dim=0) / len(lags)
    squares = (a * b).mean(dim=0) - (1 - target.amplitude) * along  # (O8)
    weights = _tensor(target.reliability[reliable] / target.reliability.sum(), states)
    # (O9); a negative square, as noise may make it, is not softened
    return target.weight * (weights * soften(squares)).sum()


def _tensor(array: np.ndarray, like: Tensor) -> Tensor:
    """Return a copy of an array, of the type and on the device of a tensor."""
    return torch.tensor(array, dtype=like.dtype, device=like.device)
