"""The decision about two stages: preserved, shifted, not preserved, or not known.

Two questions are asked. Is the network's ratio within its margin, and off by more than
matters? And do the units keep theirs, one by one? Each has to be shown: that what may
be off is, does not count as shown. It is asked again each time the data have doubled,
and every look has its share of the errors that are allowed (A6).

That all units but a few keep theirs is shown by those that show it least, taken
together (`isotau.sim.states.of_units`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.states.of_units import (
    HALF,
    design_effect,
    not_beyond,
    not_within,
    refuted_by_least,
    refuted_by_rest,
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
        lacking: what would have to be better known; "" where it is decided.
    """

    outcome: Outcome
    ratio: float
    low: float
    high: float
    within: int
    beyond: int
    units: int
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
        repeats: runs of one stage beside each other, of either.
    """
    tail = share_of_errors(margins.alpha, look)
    off = not_beyond(pair, margins.unit)[pair.moving]
    units, beyond = len(off), int((off < tail).sum())
    low, high = pair.network.ends(tail)

    def said(outcome: Outcome, lacking: str = "") -> Decision:
        ends = np.exp([pair.network.value, low, high])
        return Decision(
            outcome=outcome,
            ratio=float(ends[0]),
            low=float(ends[1]),
            high=float(ends[2]),
            within=int(np.sum(not_within(pair, margins.unit) < HALF)),
            beyond=beyond,
            units=units,
            lacking=lacking,
        )

    alike = [int((not_beyond(each, margins.unit) < tail).sum()) for each in repeats]
    may_be_off = int(margins.share * units)
    allowed = may_be_off + max(alike, default=0)
    if refuted_by_rest(off, allowed, design_effect(pair)) < tail:
        return said(Outcome.NOT_PRESERVED)
    kept = _are_kept(pair, margins, tail, about=0.0)
    if pair.both.sum() < min(FEWEST, len(pair.both)):
        # All slower than the window at both stages: kept, as far as can be seen.
        if kept and pair.beyond.sum() >= FEWEST:
            return said(Outcome.PRESERVED)
        return said(Outcome.NOT_IDENTIFIABLE, _too_few(pair))
    if any(_differ(each, tail) for each in repeats):
        return said(
            Outcome.NOT_IDENTIFIABLE, "two runs of one stage differ: more trials"
        )
    margin, small = np.log1p(margins.ratio), np.log1p(margins.shift)
    if low > margin or high < -margin:
        return said(Outcome.NOT_PRESERVED)
    together = kept or _are_kept(pair, margins, tail, about=pair.network.value)
    if (low > small or high < -small) and high - low < margin and together:
        return said(Outcome.SHIFTED)
    if low > -margin and high < margin and kept:
        return said(Outcome.PRESERVED)
    if low > -margin and high < margin:
        sure = int((not_within(pair, margins.unit)[pair.moving] < tail).sum())
        lacking = f"{units - sure} of {units} units are not shown to be within"
    else:
        lacking = "the network's ratio is not sure enough"
    return said(Outcome.NOT_IDENTIFIABLE, f"{lacking}: more trials")


def _are_kept(pair: PairedTau, margins: Margins, tail: float, *, about: float) -> bool:
    """Return whether all units but a share are shown to be near a log ratio."""
    against = not_within(pair, margins.unit, about=about)[pair.moving]
    if not against.size:
        return False
    allowed = int(margins.share * against.size)
    return refuted_by_least(against, allowed, design_effect(pair)) < tail


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
