"""`Objective`: what a tuned network is wanted to do, as a loss."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.tuning.loss.autocovariance_loss import (
    AutocovarianceTarget,
    loss_of,
)
from isotau.convert.tuning.loss.batch import Batch
from isotau.convert.tuning.loss.observe import Observation
from isotau.convert.tuning.loss.rate_loss import RateTarget, rate_error

GAINS = 7
"""Powers of two among which `label_gain` chooses."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Objective:
    """What is wanted: the sum of the parts below.

    Attributes:
        task: what outputs o are compared with, over the steps whose mask is 1: "mse",
            the mean of (o − target)²; "norm", √Σ(o − target)² over steps and outputs of
            a trial, mean over trials, as the rate network was trained; "labels", the
            cross entropy of the mean output of a trial and its label, an output for
            each label; "none", nothing.
        task_weight: factor on it.
        rates: which firing rates are wanted in the task's trials; None for any.
        timescales: which autocovariances of the synaptic states are wanted, without
            input or in an epoch of the task's trials; None for any.
    """

    task: str = "mse"
    task_weight: float = 1.0
    rates: RateTarget | None = None
    timescales: AutocovarianceTarget | None = None

    def __post_init__(self) -> None:
        """Check that something is wanted."""
        validation.choice("task", self.task, (*TASK_LOSSES, "none"))
        validation.number("task_weight", self.task_weight, positive=True)
        if self.task == "none" and self.rates is None and self.timescales is None:
            raise ValueError(
                "task: got 'none' without rates and timescales, need one of the three"
            )

    @property
    def at_rest(self) -> bool:
        """Whether trials without input are looked at."""
        return self.timescales is not None and self.timescales.epoch is None

    def every(self, dt: float, *, at_rest: bool) -> int:
        """Return the steps between two samples of the states, 0 for none.

        Args:
            dt: step of the network, in seconds.
            at_rest: whether in trials without input, or in those of the task.

        Raises:
            ValueError: the target's interval is no whole number of them.
        """
        if self.timescales is None or self.at_rest != at_rest:
            return 0
        return self.timescales.steps(self.timescales.interval, dt)

    def task_parts(self, observation: Observation, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of trials of the task, weighted.

        They are "task", "rates", and "timescales" if those of an epoch are wanted.

        Args:
            observation: what the network did.
            batch: the trials.

        Raises:
            ValueError: outputs, targets or labels that do not fit each other, or a
                network of another number of neurons than the target rates.
        """
        parts = {}
        if self.task != "none":
            _check_outputs(observation.outputs, batch)
            loss = TASK_LOSSES[self.task](observation.outputs, batch)
            parts["task"] = self.task_weight * loss
        if self.rates is not None:
            width = observation.bin_steps * batch.trials.dt
            parts["rates"] = rate_error(observation.counts, width, self.rates)
        if not self.at_rest:
            parts |= self._timescale_parts(observation, batch)
        return parts

    def quiet_parts(self, observation: Observation, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of trials without input, "timescales", weighted.

        Args:
            observation: what the network did.
            batch: the trials.

        Raises:
            ValueError: samples, trials or neurons that do not fit the target.
        """
        return self._timescale_parts(observation, batch) if self.at_rest else {}

    def _timescale_parts(
        self, observation: Observation, batch: Batch
    ) -> dict[str, Tensor]:
        target, currents = self.timescales, observation.currents
        if target is None:
            return {}
        if currents is None:
            raise ValueError(
                "timescales: got an observation without currents, need samples of them;"
                " observe with `every`"
            )
        every = target.steps(target.interval, batch.trials.dt)
        chosen = target.within(batch.trials.dt, observation.first_sample, every)
        return {"timescales": loss_of(currents[chosen], target)}


def label_gain(
    outputs: Float64[np.ndarray, "steps batch n_out"],
    labels: Int64[np.ndarray, " batch"],
) -> float:
    """Return the factor on outputs for which labels are likeliest, a power of two.

    The loss of labels takes mean outputs for log odds. Those of a network whose outputs
    are small, such as spikes per step, would all be near to even, and their loss would
    fall also where answers get worse. With the factor the log odds have a standard
    deviation of 1 or more. Which output is the largest does not change.
    Source: Guo et al. 2017, doi:10.48550/arXiv.1706.04599.

    Args:
        outputs: of a network.
        labels: of the same trials.
    """
    odds = outputs.mean(axis=0)
    # A softmax does not see what all outputs have in common.
    odds -= odds.mean(axis=1, keepdims=True)
    if not odds.any():
        return 1.0
    least = 2.0 ** np.ceil(-np.log2(odds.std()))
    targets = torch.tensor(labels)
    losses = {
        gain: float(
            torch.nn.functional.cross_entropy(torch.tensor(gain * odds), targets)
        )
        for gain in (float(least * 2.0**k) for k in range(GAINS))
    }
    return min(losses, key=lambda gain: losses[gain])


def _check_outputs(outputs: Tensor, batch: Batch) -> None:
    if outputs.shape != batch.targets.shape:
        raise ValueError(
            f"outputs: got shape {tuple(outputs.shape)}, need "
            f"{tuple(batch.targets.shape)} (steps × batch × output) as the targets have"
        )
    # the record, not the tensor: that one may lie on another device
    if not batch.trials.mask.any():
        raise ValueError(
            "mask: got no step in which a target counts, need one; set it in the "
            "trials, or task to 'none'"
        )


def _mse(outputs: Tensor, batch: Batch) -> Tensor:
    # (O1)
    counted = (batch.mask.sum() * outputs.shape[2]).clamp(min=1)
    return _squares(outputs, batch).sum() / counted


def _norm(outputs: Tensor, batch: Batch) -> Tensor:
    # (O2); √ has no finite slope at 0
    return (_squares(outputs, batch).sum(dim=0) + 1e-12).sqrt().mean()


def _squares(outputs: Tensor, batch: Batch) -> Tensor:
    return (outputs - batch.targets).square().sum(dim=2) * batch.mask


def _labels(outputs: Tensor, batch: Batch) -> Tensor:
    n_out, labels = outputs.shape[2], batch.trials.labels
    if n_out < 2:
        raise ValueError(
            "outputs: got 1, need one for each label, 2 or more; choose task 'mse'"
        )
    # torch would stop at these with an index out of range, or take −100 for "ignore"
    wrong = (labels < 0) | (labels >= n_out)
    if wrong.any():
        trial = int(np.argmax(wrong))
        raise ValueError(
            f"labels: got {labels[trial]} at [{trial}], need 0 to {n_out - 1}, the "
            "outputs' numbers; number them so, or choose task 'mse'"
        )
    unasked = ~batch.trials.mask.any(axis=0)
    if unasked.any():
        raise ValueError(
            f"mask: got no step that counts in trial {int(np.argmax(unasked))}, need "
            "one in each for task 'labels'"
        )
    # (O3)
    counted = batch.mask.sum(dim=0).clamp(min=1)
    mean = (outputs * batch.mask[:, :, None]).sum(dim=0) / counted[:, None]
    return torch.nn.functional.cross_entropy(mean, batch.labels)


TASK_LOSSES: dict[str, Callable[[Tensor, Batch], Tensor]] = {
    "mse": _mse,
    "norm": _norm,
    "labels": _labels,
}
