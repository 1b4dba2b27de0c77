"""`PreservationConfig`: margins, error rates and minima, declared before looking."""

import math
from dataclasses import dataclass
from typing import Any

from isotau.convert.ground import validation
from isotau.sim.timescales.estimators.estimator import ESTIMATORS

UNKNOWN_CHANCE = 0.10
"""Share of Poisson neurons that an estimator outside the table may give a timescale."""
_SHARES = ("alpha", "loss_margin", "min_usable", "level")
_MARGINS = ("shift_margin", "strict_margin", "scatter_margin")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreservationConfig:
    """What counts as preserved.

    A claim needs three intervals inside three margins, each a test of size `alpha`, so
    the claim as a whole is wrong with at most that probability.

    *Shift* of the mean log τ: ± log 1.25, the margin of bioequivalence and of the
    "within 25 %" by which estimators are judged; ± log 1.10 is reported beside it.

    *Scatter*, the standard deviation over neurons of the true log ratio: log 1.25 too,
    so that two neurons in three keep their τ, relative to the others', within 25 %. Of
    τ that spread with SD 0.5, as trained networks' do, a true correlation of 0.9 is
    left then; permuted, they scatter by 0.7. Where τ spread by less than 0.16, they
    differ by less than the margin and a permutation passes: `permuted_sd` tells.

    *Loss* of neurons that had a timescale, beyond what a repeat loses: 0.10. If they
    all were the slowest, at a spread of 0.6, the rest would be shifted by 0.12: half
    the margin of the shift.

    Attributes:
        shift_margin: largest |mean log ratio|.
        strict_margin: a second, smaller one, which does not decide.
        scatter_margin: largest SD of log ratios beyond the noise floor.
        loss_margin: largest share of identified neurons lost beyond a repeat's loss.
        alpha: of each one-sided test; endpoints have intervals of 1 − 2 alpha.
        level: confidence of the intervals of all other numbers.
        draws: of the bootstrap and of random permutations.
        min_neurons: a network has a say if it has as many neurons with a timescale in
            both runs of stage a.
        chance: share of neurons without a timescale that the estimator gives one; None
            for what `ESTIMATORS` knows of it. A network has a say if more than twice
            this share is identified, so that most of those are no chance finds.
        min_usable: share of networks that must have a say for a claim.
        min_networks: fewer networks are not resampled; what is said is said of those
            alone, by their neurons and their repeats.
    """

    shift_margin: float = math.log(1.25)
    strict_margin: float = math.log(1.10)
    scatter_margin: float = math.log(1.25)
    loss_margin: float = 0.10
    alpha: float = 0.05
    level: float = 0.95
    draws: int = 2000
    min_neurons: int = 10
    chance: float | None = None
    min_usable: float = 0.5
    min_networks: int = 3

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields: dict[str, Any] = {
            name: validation.number(name, getattr(self, name), positive=True)
            for name in _SHARES + _MARGINS
        }
        for name in _SHARES:
            if fields[name] >= 1:
                raise ValueError(f"{name}: got {fields[name]}, need less than 1")
        # The intervals that decide are at 1 − 2 α, which must be something.
        if fields["alpha"] >= 0.5:
            raise ValueError(
                f"alpha: got {fields['alpha']}, need less than 0.5; 0.05 is usual"
            )
        # The ends of a 95 % interval are the third of a hundred draws, at least.
        fields["draws"] = validation.whole("draws", self.draws, 100, 10**6)
        fields["min_neurons"] = validation.whole(
            "min_neurons", self.min_neurons, 3, 2**31 - 1
        )
        fields["min_networks"] = validation.whole(
            "min_networks", self.min_networks, 2, 2**31 - 1
        )
        # More than twice the chance must be identified, of all at most.
        if self.chance is not None:
            fields["chance"] = validation.number("chance", self.chance, minimum=0.0)
            if fields["chance"] >= 0.5:
                raise ValueError(
                    f"chance: got {fields['chance']}, need less than 0.5; an estimator "
                    "that identifies more by chance tells nothing"
                )
        validation.freeze(self, fields)


def chance_of(config: PreservationConfig, method: str) -> float:
    """Return the share of neurons without a timescale that a method gives one."""
    if config.chance is not None:
        return config.chance
    # Of an unknown estimator the worst that published rules do is assumed.
    estimator = ESTIMATORS.get(method)
    return estimator.chance if estimator else UNKNOWN_CHANCE
