"""What units say together of how many of them are within a margin, or beyond it.

Each unit has a p-value. That more than K units are beyond is refuted by the K + 1 that
refute it least, together; that at most K are, by all but the K that refute it most:
partial conjunction (Benjamini & Heller 2008, 10.1111/j.1541-0420.2007.00984.x). They
are combined as Fisher does; as units of a network err together, with as many degrees
of freedom as they are worth, as Brown does (1975, 10.2307/2529826; A11). Units that are
no evidence at all, with p above a half, are left out and the others doubled (Zhao,
Small & Su 2019, 10.1080/01621459.2018.1497499): most units do not lie at a margin.
"""

import numpy as np
from jaxtyping import Float64
from scipy import stats

from isotau.sim.states.paired import PairedTau

Values = Float64[np.ndarray, " n"]
HALF = 0.5
"""p-values above it are no evidence."""


def not_within(pair: PairedTau, margin: float, *, about: float = 0.0) -> Values:
    """Return each unit's p-value of being beyond a margin: small, and it is within.

    Those that remember for longer than the window at both stages count as kept; of one
    that does at one stage alone nothing is shown.

    Args:
        pair: both stages.
        margin: how far from 1 a ratio may be.
        about: log ratio from which it is taken, in place of 0.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        room = (np.log1p(margin) - np.abs(pair.log_ratio - about)) / pair.error
    p = stats.t.sf(room, pair.freedom)
    return np.where(pair.both, p, np.where(pair.beyond, 0.0, 1.0))


def not_beyond(pair: PairedTau, margin: float) -> Values:
    """Return each unit's p-value of being within a margin: small, and it is beyond.

    Of a unit that remembers for longer than the window at one stage alone the window is
    what its τ is at least; one that moves at one stage alone has lost it.

    Args:
        pair: both stages.
        margin: how far from 1 a ratio may be.
    """
    edge = np.log1p(margin)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = stats.t.sf((np.abs(pair.log_ratio) - edge) / pair.error, pair.freedom)
    p = np.where(pair.both, p, 1.0)
    for known, lost in ((pair.a, pair.b), (pair.b, pair.a)):
        with np.errstate(invalid="ignore", divide="ignore"):
            past = (np.log(lost.window / known.tau) - edge) / known.error
        slow = known.known & ~np.isfinite(lost.tau) & lost.moving
        p = np.where(slow, stats.t.sf(past, pair.freedom), p)
    return np.where(pair.a.moving != pair.b.moving, 0.0, p)


def refuted_by_least(p: Values, allowed: int, shared: float) -> float:
    """Return the p-value of more units than allowed being what each p speaks against.

    Args:
        p: of each unit.
        allowed: units that may be.
        shared: how many units err as one, from `design_effect`.
    """
    return _combined(np.sort(p)[-1 - allowed :], shared)


def refuted_by_rest(p: Values, allowed: int, shared: float) -> float:
    """Return the p-value of no more units than allowed being what each p speaks for.

    Args:
        p: of each unit.
        allowed: units that may be, those of the smallest p.
        shared: how many units err as one, from `design_effect`.
    """
    return _combined(np.sort(p[p <= HALF])[allowed:] / HALF, shared)


def _combined(p: Values, shared: float) -> float:
    """Return one p-value of several, of which so many are worth one: (A11)."""
    if not p.size:
        return 1.0
    chi2 = -2 * np.log(np.maximum(p, np.finfo(float).tiny)).sum()
    # No fewer than one is left of them.
    shared = min(shared, float(p.size))
    return float(stats.chi2.sf(chi2 / shared, 2 * p.size / shared))


def design_effect(pair: PairedTau) -> float:
    """Return how many units err as one, 1 of units that do not err together: (A11).

    The variance of the network's ratio over what it were of units each by itself.
    """
    count = int(pair.both.sum())
    if count < 2:
        return 1.0
    alone = float(np.mean(pair.error[pair.both] ** 2)) / count
    if alone == 0:
        return 1.0
    return float(np.clip(pair.network.error**2 / alone, 1.0, count))
