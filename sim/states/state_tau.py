"""`StateTau`: every unit's timescale, from the autocovariance of its state.

τ is the lag at which the autocovariance falls to 1/e of its value at lag 0, between
two samples as an exponential falls (A2): of an exponential it is the time constant
itself, and it is defined for any other shape. How sure it is comes from leaving blocks
of trials out in turn (A3).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy import stats

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.states.autocovariance import (
    BlockedAutocovariance,
    together,
    without_each,
)

CONFIDENCE = 0.95
"""Of intervals that are shown."""
STILL = 1e-9
"""SD over mean of a state below which it does not move."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StateTau:
    """Timescales of all units' states.

    Attributes:
        tau: in seconds; NaN where the autocovariance does not fall to 1/e.
        replicates: ln of it without each block in turn; block × unit.
        sd: of the state.
        autocorrelation: lag × unit, 0 where nothing moves.
        window: longest lag, in seconds.
        trials: that were looked at.
    """

    tau: Float64[np.ndarray, " n"]
    replicates: Float64[np.ndarray, "blocks n"]
    sd: Float64[np.ndarray, " n"]
    autocorrelation: Float64[np.ndarray, "lags n"]
    window: float
    trials: int

    def __post_init__(self) -> None:
        """Freeze every array."""
        names = ("tau", "replicates", "sd", "autocorrelation")
        fields: dict[str, Any] = {
            name: np.asarray(getattr(self, name)) for name in names
        }
        validation.freeze(self, fields)

    @property
    def moving(self) -> Bool[np.ndarray, " n"]:
        """Units whose state moves at all."""
        return np.asarray(self.sd > 0)

    @property
    def known(self) -> Bool[np.ndarray, " n"]:
        """Units with a τ, whichever block is left out."""
        return np.isfinite(self.tau) & np.isfinite(self.replicates).all(axis=0)

    @property
    def beyond(self) -> Bool[np.ndarray, " n"]:
        """Units that move, and remember for longer than the window or nearly so."""
        return self.moving & ~self.known

    @property
    def error(self) -> Float64[np.ndarray, " n"]:
        """Standard error of ln τ; NaN where it is not known: (A3)."""
        return np.where(self.known, jackknife_error(self.replicates), np.nan)

    def interval(
        self, confidence: float = CONFIDENCE
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """Return the ends of every τ's interval, in seconds; NaN where not known."""
        freedom = len(self.replicates) - 1
        reach = stats.t.ppf(0.5 + confidence / 2, freedom) * self.error
        return self.tau * np.exp(-reach), self.tau * np.exp(reach)


def state_tau(blocked: BlockedAutocovariance) -> StateTau:
    """Return the timescales of states.

    Args:
        blocked: their autocovariances.
    """
    whole, parts = together(blocked), without_each(blocked)
    # Trials that are all alike differ from their mean by its rounding.
    still = whole[0] <= (STILL * np.abs(blocked.mean)) ** 2
    whole, parts = np.where(still, 0.0, whole), np.where(still, 0.0, parts)
    power = whole[0]
    with np.errstate(invalid="ignore"):  # ln of no τ is none
        replicates = np.log(blocked.interval * crossing(parts))
    return StateTau(
        tau=blocked.interval * crossing(whole),
        replicates=replicates,
        sd=np.sqrt(np.maximum(power, 0.0)),
        autocorrelation=whole / np.where(power > 0, power, 1.0),
        window=blocked.interval * (blocked.lags - 1),
        trials=int(blocked.trials.sum()),
    )


def crossing(
    autocovariance: Float64[np.ndarray, "*lead lags n"],
) -> Float64[np.ndarray, "*lead n"]:
    """Return at which lag each first falls below 1/e of lag 0, in lags: (A2).

    NaN where it does not, or where nothing moves.
    """
    start = autocovariance[..., :1, :]
    relative = autocovariance / np.where(start > 0, start, 1.0)
    below = relative < np.exp(-1.0)
    k = np.argmax(below, axis=-2)[..., None, :]
    under = np.take_along_axis(relative, k, axis=-2)
    above = np.take_along_axis(relative, np.maximum(k - 1, 0), axis=-2)
    # Straight where it falls through zero, which no exponential does.
    curved = under > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        along = (np.log(above) + 1) / (np.log(above) - np.log(under))
        straight = (above - np.exp(-1.0)) / (above - under)
        step = np.where(curved, along, straight)
    found = below.any(axis=-2, keepdims=True) & (k > 0)
    return np.asarray(np.where(found, k - 1 + step, np.nan)[..., 0, :])


def jackknife_error(
    replicates: Float64[np.ndarray, "blocks ..."],
) -> Float64[np.ndarray, "..."]:
    """Return the standard error of what was made without each block in turn: (A3)."""
    blocks = len(replicates)
    spread = np.square(replicates - replicates.mean(axis=0)).sum(axis=0)
    return np.asarray(np.sqrt((blocks - 1) / blocks * spread))
