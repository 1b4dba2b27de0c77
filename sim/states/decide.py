"""The decision about two stages: preserved, shifted, not preserved, or not known.

Two questions are asked. Is the network's ratio within its margin, and off by more than
matters? And do the units keep theirs, one by one? Each has to be shown: that what may
be off is, does not count as shown. It is asked again each time the data have doubled,
and every look has its share of the errors that are allowed (A6).

That all units but a few keep theirs, or do not, is shown in one of two ways: by units
one by one, those taken together that show it least; or by how far units spread, if as
many as that are off to all appearance, too (`isotau.sim.states.of_units`). As in
bioequivalence a bound of a moment and an estimate have to agree (Davit et al. 2012,
10.1208/s12248-012-9406-x).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.states.of_units import (
    HALF,
    UNKNOWN,
    UnitSpread,
    design_effect,
    not_beyond,
    not_within,
    refuted_by_least,
    refuted_by_rest,
    spread_at,
    unit_spread,
)
from isotau.sim.states.paired import PairedTau

FEWEST = 5
"""Units with a τ at both stages, or beyond the window at both, that can decide."""


class Outcome(Enum):
    """What was found."""

    PRESERVED = "preserved"
    SHIFTED = "shifted"
    NOT_PRESERVED = "not preserved"
    NOT_IDENTIFIABLE = "not identifiable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Margins:
    """What counts as preserved.

    Attributes:
        ratio: how far from 1 the network's ratio may be: 0.10 is less than what tells
            cortical areas apart, whose timescales differ by a third from one to the
            next, and as much as most published medians are sure to.
        unit: the same of a single unit.
        share: of the units that may be beyond.
        shift: from which a ratio within its margin is said to be off.
        alpha: errors of either kind that are allowed, over all looks.
    """

    ratio: float = 0.10
    unit: float = 0.20
    share: float = 0.05
    shift: float = 0.02
    alpha: float = 0.05

    @property
    def spread(self) -> float:
        """SD of log ratios of which all but the share are within the unit's margin."""
        return spread_at(self.unit, self.share)

    def __post_init__(self) -> None:
        """Check every number."""
        for name in ("ratio", "unit", "shift"):
            validation.number(name, getattr(self, name), positive=True)
        for name in ("share", "alpha"):
            value = validation.number(name, getattr(self, name), positive=True)
            if value >= 0.5:
                raise ValueError(f"{name}: got {value}, need less than 0.5")
        if self.shift >= self.ratio:
            raise ValueError(
                f"shift: got {self.shift}, need less than the ratio's {self.ratio}"
            )


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Decision:
    """What was decided, and by what.

    Attributes:
        outcome: what was found.
        ratio: the network's.
        low: lower end of its interval, at this look's confidence.
        high: upper end.
        within: units whose ratio is within the margin, those beyond the window at both
            stages among them.
        beyond: units that are shown, each by itself, to be beyond it.
        units: that move.
        spread: how far their log ratios spread about 0.
        lacking: what would have to be better known; "" where it is decided.
    """

    outcome: Outcome
    ratio: float
    low: float
    high: float
    within: int
    beyond: int
    units: int
    spread: UnitSpread
    lacking: str = ""


def share_of_errors(alpha: float, look: int) -> float:
    """Return what of the errors a look may make: over any number of looks alpha, (A6).

    Args:
        alpha: of all looks together.
        look: its number, from 1.
    """
    return float(alpha * 6 / (np.pi * look) ** 2)


def decide(
    pair: PairedTau,
    margins: Margins,
    look: int = 1,
    repeats: Sequence[PairedTau] = (),
) -> Decision:
    """Return what a pair of stages says at a look.

    Two runs of one stage are the same network: where they differ by more than their
    errors, as where few trials go to another memory state, errors are not to be
    believed, and what is found beyond the margin between them counts against as many
    between stages.

    Args:
        pair: all that was seen until then.
        margins: what counts as preserved.
        look: its number, from 1.
        repeats: two runs of the first stage beside each other, and of the second.
    """
    asked = _Asked(pair, margins, share_of_errors(margins.alpha, look), tuple(repeats))
    low, high = pair.network.ends(asked.tail)
    ends = np.exp([pair.network.value, low, high])
    outcome, lacking = _outcome(asked, low, high)
    return Decision(
        outcome=outcome,
        ratio=float(ends[0]),
        low=float(ends[1]),
        high=float(ends[2]),
        within=int(np.sum(not_within(pair, margins.unit) < HALF)),
        beyond=asked.surely_off(pair),
        units=asked.units,
        spread=asked.spread(0.0),
        lacking=lacking,
    )


class _Asked(NamedTuple):
    """What is asked of the units at a look, whose tests may err so often."""

    pair: PairedTau
    margins: Margins
    tail: float
    repeats: tuple[PairedTau, ...]

    @property
    def units(self) -> int:
        """Units that move."""
        return int(self.pair.moving.sum())

    @property
    def may_be_off(self) -> int:
        """As many of them."""
        return int(self.margins.share * self.units)

    def spread(self, about: float) -> UnitSpread:
        """Return how far units spread about a log ratio."""
        if len(self.repeats) < 2 or not np.isfinite(about):
            return UNKNOWN
        first, second = self.repeats
        return unit_spread(first, second, self.may_be_off, about=about)

    def surely_off(self, pair: PairedTau) -> int:
        """Return how many units are shown to be beyond the margin, each by itself."""
        off = not_beyond(pair, self.margins.unit)[pair.moving]
        return int((off < self.tail).sum())

    def kept(self, about: float) -> bool:
        """Return whether all units but a few are shown to be near a log ratio."""
        against = not_within(self.pair, self.margins.unit, about=about)
        against = against[self.pair.moving]
        if not against.size:
            return False
        shared = design_effect(self.pair)
        if refuted_by_least(against, self.may_be_off, shared) < self.tail:
            return True
        seems = int((against >= HALF).sum()) <= self.may_be_off
        return seems and self.spread(about).ends(self.tail)[1] < self.margins.spread

    def lost(self) -> bool:
        """Return whether more units are shown to be off than may be."""
        off = not_beyond(self.pair, self.margins.unit)[self.pair.moving]
        alike = max(map(self.surely_off, self.repeats), default=0)
        shared = design_effect(self.pair)
        if refuted_by_rest(off, self.may_be_off + alike, shared) < self.tail:
            return True
        about = self.pair.network.value
        against = not_within(self.pair, self.margins.unit, about=about)
        seems = int((against[self.pair.moving] >= HALF).sum()) > self.may_be_off
        return seems and self.spread(about).ends(self.tail)[0] > self.margins.spread


def _outcome(asked: _Asked, low: float, high: float) -> tuple[Outcome, str]:
    """Return what is shown, and what would have to be better known for more.

    Args:
        asked: what is asked of the units.
        low: lower end of the network's log ratio.
        high: upper end.
    """
    pair, margins = asked.pair, asked.margins
    if asked.lost():
        return Outcome.NOT_PRESERVED, ""
    kept = asked.kept(0.0)
    if pair.both.sum() < min(FEWEST, len(pair.both)):
        # All slower than the window at both stages: kept, as far as can be seen.
        if kept and pair.beyond.sum() >= FEWEST:
            return Outcome.PRESERVED, ""
        return Outcome.NOT_IDENTIFIABLE, _too_few(pair)
    if any(_differ(each, asked.tail) for each in asked.repeats):
        return Outcome.NOT_IDENTIFIABLE, "two runs of one stage differ: more trials"
    margin, small = np.log1p(margins.ratio), np.log1p(margins.shift)
    if low > margin or high < -margin:
        return Outcome.NOT_PRESERVED, ""
    together = kept or asked.kept(pair.network.value)
    if (low > small or high < -small) and high - low < margin and together:
        return Outcome.SHIFTED, ""
    if low > -margin and high < margin:
        if kept:
            return Outcome.PRESERVED, ""
        sure = not_within(pair, margins.unit)[pair.moving] < asked.tail
        unsure = f"{asked.units - int(sure.sum())} of {asked.units} units are not shown"
        return Outcome.NOT_IDENTIFIABLE, f"{unsure} to be within: more trials"
    return (
        Outcome.NOT_IDENTIFIABLE,
        "the network's ratio is not sure enough: more trials",
    )


def _differ(repeat: PairedTau, tail: float) -> bool:
    """Return whether two runs of one network differ by more than their errors."""
    low, high = repeat.network.ends(tail)
    return low > 0 or high < 0


def _too_few(pair: PairedTau) -> str:
    """Return why no unit can tell."""
    if not pair.moving.any():
        return "nothing moves: noise"
    return (
        f"{int(pair.both.sum())} units have a τ at both stages, need {FEWEST}: longer "
        f"trials, with lags beyond {pair.a.window:g} s"
    )
