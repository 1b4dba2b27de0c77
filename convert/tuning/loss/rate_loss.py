"""The part of the loss that keeps firing rates, or brings them to a target."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.spikes import Spikes, unpack

KINDS = ("each", "mean", "most")


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RateTarget:
    """Which firing rates are wanted, and how much.

    The error of a rate r is e = (r − target)/(target + floor): 1 for a rate that is
    wrong by about its own size. The loss is the mean over neurons of e², softened
    beyond 1 (`soften`), times the weight. A batch's r are estimates, and their variance
    is part of e²: 1/640 for a batch of 32 trials of 1 s at 20 Hz.

    Attributes:
        rates: in Hz, of each neuron, or one number for all.
        weight: factor on the loss.
        kind: "each" brings every neuron to its rate, "mean" the mean over neurons to
            the mean of `rates`, "most" only lowers neurons that are above their rate.
        floor: rate below which relative errors do not matter, in Hz.
    """

    rates: Float64[np.ndarray, "*n"] | float
    weight: float = 1.0
    kind: str = "each"
    floor: float = 5.0

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        shape = np.shape(self.rates)
        if len(shape) > 1 or 0 in shape:
            raise ValueError(f"rates: got shape {shape}, need neuron, or one number")
        validation.freeze(
            self,
            {
                "rates": validation.floats(
                    "rates", self.rates, shape, "neuron", minimum=0
                ),
                "weight": validation.number("weight", self.weight, positive=True),
                "kind": validation.choice("kind", self.kind, KINDS),
                "floor": validation.number("floor", self.floor, positive=True),
            },
        )


def reference_rates(
    spikes: Spikes, *, weight: float = 1.0, kind: str = "each"
) -> RateTarget:
    """Return the rates of a reference's neurons as the target.

    Args:
        spikes: of the reference, in trials of the task that is tuned on, without their
            lead.
        weight: factor on the loss.
        kind: one of `KINDS`: every neuron's rate, their mean, or no rate above its own.

    Raises:
        ValueError: no step or no trial.
    """
    trials = spikes.steps * spikes.batch
    if not trials:
        raise ValueError(
            f"spikes: got {spikes.steps} steps of {spikes.batch} trials, need at least "
            "one of each"
        )
    total = np.zeros(spikes.n)
    for bits in spikes.bits:  # step by step: unpacking turns every byte into eight
        total += unpack(bits, spikes.n).sum(axis=0)
    return RateTarget(rates=total / (trials * spikes.dt), weight=weight, kind=kind)


def rates_of(counts: Tensor, bin_width: float) -> Tensor:
    """Return each neuron's mean rate over bins and trials, in Hz.

    Args:
        counts: bins × batch × neuron.
        bin_width: in seconds.

    Raises:
        ValueError: no bin.
    """
    if not counts.shape[0]:
        raise ValueError(
            f"counts: got no whole bin of {bin_width:g} s, need at least one; use "
            "longer trials"
        )
    return counts.mean(dim=(0, 1)) / bin_width


def rate_error(counts: Tensor, bin_width: float, target: RateTarget) -> Tensor:
    """Return the weighted loss of rates by a `RateTarget`, a scalar.

    Args:
        counts: bins × batch × neuron.
        bin_width: in seconds.
        target: what is wanted.

    Raises:
        ValueError: no bin, or targets of another number of neurons.
    """
    rates = rates_of(counts, bin_width)
    # a copy: torch warns of arrays that are read-only
    aims = torch.tensor(target.rates, dtype=rates.dtype, device=rates.device)
    if aims.ndim and aims.shape != rates.shape:
        raise ValueError(
            f"rates: got targets of {len(aims)} neurons, need {len(rates)}; measure "
            "them on a reference of as many neurons"
        )
    if target.kind == "mean":
        rates, aims = rates.mean(), aims.mean()
    error = (rates - aims) / (aims + target.floor)  # (O4)
    if target.kind == "most":
        error = error.clamp(min=0)
    return target.weight * soften(error.square()).mean()


def soften(square: Tensor) -> Tensor:
    """Return x up to 1 and 2√x − 1 beyond, of squared errors x (O5).

    The slope with respect to the error is 2 at most, and 2 for all beyond 1: one neuron
    that ran away does not drown all others. Source: Huber 1964,
    doi:10.1214/aoms/1177703732.
    """
    # clamped: where() differentiates both, and √ has no finite slope at 0
    return torch.where(square > 1, 2 * square.clamp(min=1).sqrt() - 1, square)
