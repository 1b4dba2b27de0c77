"""What units say together of how many of them are within a margin, or beyond it.

How many lie at a margin's very edge no amount of data tells. How far they spread is
sure much sooner, and if 95 % of a Gaussian are within 20 %, its spread is known: such a
moment ensures a share (Holder & Hsuan 1993, 10.1093/biomet/80.4.835; A13).

Each unit has a p-value. That more than K units are beyond is refuted by the K + 1 that
refute it least, together; that at most K are, by all but the K that refute it most:
partial conjunction (Benjamini & Heller 2008, 10.1111/j.1541-0420.2007.00984.x). They
are combined as Fisher does; as units of a network err together, with as many degrees
of freedom as they are worth, as Brown does (1975, 10.2307/2529826; A11). Units that are
no evidence at all, with p above a half, are left out and the others doubled (Zhao,
Small & Su 2019, 10.1080/01621459.2018.1497499): most units do not lie at a margin.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy import stats

from isotau.sim.states.paired import PairedTau
from isotau.sim.states.state_tau import jackknife_error

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


class UnitSpread(NamedTuple):
    """Mean square of the units' log ratios, without their errors: (A13).

    Attributes:
        square: of all but the units that may be off, as if those were Gaussian too;
            below 0 where errors are all that there is.
        error: its standard error; infinite of units that are not known.
        freedom: degrees of freedom of that.
    """

    square: float
    error: float
    freedom: float

    def ends(self, tail: float) -> tuple[float, float]:
        """Return the root's interval that leaves out so much at either end."""
        reach = float(stats.t.ppf(1 - tail, self.freedom)) * self.error
        low, high = self.square - reach, self.square + reach
        return float(np.sqrt(max(0.0, low))), float(np.sqrt(max(0.0, high)))


UNKNOWN = UnitSpread(0.0, np.inf, 1.0)
"""Spread of which nothing is known."""


def spread_at(margin: float, share: float) -> float:
    """Return the SD of log ratios of which all but a share are within a margin: (A13).

    Args:
        margin: how far from 1 a ratio may be.
        share: of a Gaussian's that may be beyond.
    """
    return float(np.log1p(margin) / stats.norm.ppf(1 - share / 2))


def unit_spread(
    a: PairedTau, b: PairedTau, allowed: int, *, about: float = 0.0
) -> UnitSpread:
    """Return how far units spread, from two runs of each stage: (A13).

    Errors of the runs are their own, so that what both have is no error, and they need
    not be believed.

    Args:
        a: two runs of the first stage.
        b: two runs of the second.
        allowed: units that may be anywhere.
        about: log ratio from which it is taken, in place of 0.
    """
    runs = (a.a, a.b, b.a, b.b)
    known = np.all([run.known for run in runs], axis=0)
    beyond = np.all([run.beyond for run in runs], axis=0)
    moving = np.any([run.moving for run in runs], axis=0)
    # Those that are not known in some run may be anywhere.
    count = int(known.sum())
    left_out = allowed - int((moving & ~known & ~beyond).sum())
    if left_out < 0 or count - left_out < 2:
        return UNKNOWN
    logs = [np.log(run.tau[known]) for run in runs]
    variances = []
    for k, run in enumerate(runs):
        parts: list[np.ndarray] = list(logs)
        parts[k] = run.replicates[:, known]
        replicates = _square(parts, left_out, about)
        variances.append(float(jackknife_error(replicates)) ** 2)
    total, freedom = sum(variances), len(a.a.replicates) - 1
    square = float(_square(logs, left_out, about))
    if total == 0:
        return UnitSpread(square, 0.0, 4.0 * freedom)
    welch = freedom * total**2 / sum(variance**2 for variance in variances)
    return UnitSpread(square, float(np.sqrt(total)), float(welch))


def _square(
    logs: list[np.ndarray], left_out: int, about: float
) -> Float64[np.ndarray, "*lead"]:
    """Return the mean square, of ln τ in two runs of either stage: (A13)."""
    first, second = logs[2] - logs[0], logs[3] - logs[1]
    mean, apart = (first + second) / 2 - about, (first - second) / 2
    share = left_out / mean.shape[-1]
    kept = 1.0
    if share:
        z = stats.norm.ppf(1 - share / 2)
        kept = (1 - share - 2 * z * stats.norm.pdf(z)) / (1 - share)
    return np.asarray((_least(mean, left_out) - _least(apart, left_out)) / kept)


def _least(
    x: Float64[np.ndarray, "*lead n"], left_out: int
) -> Float64[np.ndarray, "*lead"]:
    """Return the mean square of all but so many that are furthest from 0."""
    squares = np.sort(np.square(x), axis=-1)
    return np.asarray(squares[..., : squares.shape[-1] - left_out].mean(axis=-1))
