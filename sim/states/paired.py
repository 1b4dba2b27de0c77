"""Two stages' timescales unit by unit: ratios, how sure they are, and what they share.

The network's ratio is a trimmed mean of the units' log ratios: a few units that are
lost do not move it, and leaving out a block of trials moves it smoothly, so that the
jackknife holds, which it does not for a median.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from scipy import stats

from isotau.convert.ground.representation import short_repr
from isotau.sim.states.state_tau import StateTau, jackknife_error

TRIMMED = 0.1
"""Share of the units that the network's ratio leaves out at either end."""


class LogRatio(NamedTuple):
    """A network's log ratio of τ, and how sure it is.

    Attributes:
        value: trimmed mean over units.
        error: its standard error.
        freedom: degrees of freedom of that.
    """

    value: float
    error: float
    freedom: float

    def ends(self, tail: float) -> tuple[float, float]:
        """Return the ends of the interval that leaves out so much at either end."""
        reach = float(stats.t.ppf(1 - tail, self.freedom)) * self.error
        return self.value - reach, self.value + reach


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairedTau:
    """Timescales of the same units at two stages.

    Attributes:
        a: first stage.
        b: second stage.
        both: units that have a τ at both.
        beyond: units that remember for longer than the window at both.
        log_ratio: ln of τ at b over τ at a; NaN where not both have one.
        error: its standard error.
        freedom: degrees of freedom of a unit's error.
        network: the network's own.
    """

    a: StateTau
    b: StateTau
    both: Bool[np.ndarray, " n"]
    beyond: Bool[np.ndarray, " n"]
    log_ratio: Float64[np.ndarray, " n"]
    error: Float64[np.ndarray, " n"]
    freedom: float
    network: LogRatio

    @property
    def moving(self) -> Bool[np.ndarray, " n"]:
        """Units that move at one stage at least."""
        return self.a.moving | self.b.moving

    @property
    def scatter(self) -> float:
        """SD of the units' log ratios; NaN of fewer than two."""
        ratios = self.log_ratio[self.both]
        return float(ratios.std(ddof=1)) if ratios.size > 1 else np.nan

    @property
    def true_scatter(self) -> float:
        """SD of what is left of it without the units' own errors: (A5)."""
        if not np.isfinite(self.scatter):
            return np.nan
        noise = float(np.mean(self.error[self.both] ** 2))
        return float(np.sqrt(max(0.0, self.scatter**2 - noise)))

    @property
    def order(self) -> float:
        """Rank correlation of τ over units; NaN of fewer than three."""
        if self.both.sum() < 3:
            return np.nan
        return float(stats.spearmanr(self.a.tau[self.both], self.b.tau[self.both])[0])

    @property
    def distribution(self) -> float:
        """Distance of the distributions of ln τ, whichever unit has which: (A12).

        NaN without a unit that has τ at both.
        """
        if not self.both.any():
            return np.nan
        first, second = (np.sort(np.log(x.tau[self.both])) for x in (self.a, self.b))
        return float(np.mean(np.abs(second - first)))

    @property
    def shape(self) -> float:
        """Root mean square difference of the autocorrelations of units that move."""
        apart = (self.b.autocorrelation - self.a.autocorrelation)[:, self.moving]
        return float(np.sqrt(np.mean(apart**2))) if apart.size else 0.0


def paired(a: StateTau, b: StateTau) -> PairedTau:
    """Return two stages' timescales unit by unit.

    Raises:
        ValueError: stages of other numbers of units or windows.
    """
    if len(a.tau) != len(b.tau):
        raise ValueError(f"b: got {len(b.tau)} units, need {len(a.tau)} as at a")
    if a.autocorrelation.shape != b.autocorrelation.shape:
        raise ValueError(
            f"b: got {len(b.autocorrelation)} lags, need "
            f"{len(a.autocorrelation)} as at a"
        )
    both = a.known & b.known
    ratio = np.full(len(both), np.nan)
    ratio[both] = np.log(b.tau[both] / a.tau[both])
    blocks = len(a.replicates)
    return PairedTau(
        a=a,
        b=b,
        both=both,
        beyond=a.beyond & b.beyond,
        log_ratio=ratio,
        error=np.hypot(a.error, b.error),
        freedom=float(2 * (blocks - 1)),
        network=_network(a, b, both),
    )


def _network(a: StateTau, b: StateTau, both: np.ndarray) -> LogRatio:
    """Return the network's log ratio, with what units have in common in its error."""
    if not both.any():
        return LogRatio(np.nan, np.inf, 1.0)
    first, second = np.log(a.tau[both]), np.log(b.tau[both])
    value = float(stats.trim_mean(second - first, TRIMMED))
    # A block of a network's trials is left out of all units at once: (A4).
    parts = (
        stats.trim_mean(second - a.replicates[:, both], TRIMMED, axis=1),
        stats.trim_mean(b.replicates[:, both] - first, TRIMMED, axis=1),
    )
    variances = [float(jackknife_error(part)) ** 2 for part in parts]
    total, freedom = sum(variances), len(a.replicates) - 1
    if total == 0:
        return LogRatio(value, 0.0, 2.0 * freedom)
    # As many as Welch's test has.
    welch = freedom * total**2 / sum(variance**2 for variance in variances)
    return LogRatio(value, float(np.sqrt(total)), float(welch))
