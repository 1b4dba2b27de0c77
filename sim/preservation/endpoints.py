"""Shift, scatter and loss over networks, with the intervals that decide.

Each interval is the hull of several: a hierarchical bootstrap's percentiles, and
Student's t over networks. The first is too short for few networks, the second takes no
account of trials.

Of fixed networks, too few to speak of others, the second is over neurons. These share
their trials and their slow modes, which makes them err together: the mean log τ of a
working-memory network varied between runs six times as much as that of independent
neurons would. So the shift of fixed networks has a third interval, Student's over
replicates or, for want of those, over repeats, of which there are few: that network,
compared with itself, was said to be preserved in 46 % of cases without replicates and
97 % with ten, and 90 % intervals held the truth in 91 and 92 %. Those of scatter and
loss, in which a common error cancels, did so in 85 to 95 %.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

from isotau.sim.preservation.bootstrap import Level, Sums, jackknife_means, totals
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.pairings import (
    CROSS,
    kept,
    logs,
    loss,
    mean_of_defined,
    repeat_shift,
    scatter_parts,
    shift,
)
from isotau.sim.preservation.verdict import (
    Endpoint,
    Ends,
    Estimate,
    containing,
    difference_of_positives,
    hull,
    jackknife_error,
    percentile_ends,
    signed_root,
    t_interval,
    two_ways,
)

REPLICATES = 10
"""Replicates of a stage from which on they tell how its trials make all τ err."""
Draws = Float64[np.ndarray, "draws networks sums"]


def endpoints(
    levels: Sequence[Level],
    guarded: Sequence[Level],
    resampled: Draws,
    config: PreservationConfig,
) -> tuple[Endpoint, Endpoint, Endpoint]:
    """Return shift, scatter and loss of networks that have a say.

    Args:
        levels: the networks, from `pairings.levels`.
        guarded: the same with the guards of the loss, from `pairings.guard`.
        resampled: draws of the guarded ones, from `bootstrap.resample`.
        config: margins and error rates.
    """
    level = 1 - 2 * config.alpha  # two one-sided tests of size α (S11)
    fixed = len(levels) < config.min_networks
    return with_margins(
        shift_estimate(levels, resampled, level, fixed=fixed),
        scatter_estimate(levels, resampled, level, fixed=fixed),
        loss_estimate(levels, guarded, resampled, level, fixed=fixed),
        config,
    )


def with_margins(
    shift: Estimate, scatter: Estimate, loss: Estimate, config: PreservationConfig
) -> tuple[Endpoint, Endpoint, Endpoint]:
    """Return three estimates as endpoints, each with its margin."""
    level = 1 - 2 * config.alpha
    return (
        Endpoint(name="shift", estimate=shift, margin=config.shift_margin, level=level),
        Endpoint(
            name="scatter", estimate=scatter, margin=config.scatter_margin, level=level
        ),
        Endpoint(name="loss", estimate=loss, margin=config.loss_margin, level=level),
    )


def shift_estimate(
    levels: Sequence[Level], resampled: Draws, level: float, *, fixed: bool
) -> Estimate:
    """Return the mean over networks of their mean log ratio of τ."""
    value = float(mean_of_defined(shift(totals(levels))))
    without = jackknife_means(levels, shift, _compared, fixed=fixed)
    ends = [*two_ways(value, without, mean_of_defined(shift(resampled)), level)]
    if fixed:
        ends.append(_trials_interval(levels, value, level))
    return containing(value, hull(*ends))


def network_shift(level: Level, confidence: float) -> Estimate:
    """Return one network's mean log ratio of τ, with an interval for it alone.

    The hull of Student's over neurons, and of that over replicates or repeats.
    """
    value = float(shift(totals([level]))[0])
    without = jackknife_means([level], shift, _compared, fixed=True)
    ends = hull(
        t_interval(value, *jackknife_error(without), confidence),
        _trials_interval([level], value, confidence),
    )
    return containing(value, ends)


def scatter_estimate(
    levels: Sequence[Level], resampled: Draws, level: float, *, fixed: bool
) -> Estimate:
    """Return the SD of true log ratios: √ of the mean excess variance, with its sign.

    Student's interval is that of the two variances on a log scale, on which few neurons
    mislead it least, and by them of the difference.
    """
    parts = []
    # Each with its own interval, by which that of the difference is made (S9).
    for part in (_whole, _noise):
        value = float(mean_of_defined(part(totals(levels))))
        parts.append((value, jackknife_means(levels, part, _compared, fixed=fixed)))
    if any(np.isnan(value) for value, _ in parts):
        # Too few neurons with a timescale in both stages, or in a stage and its repeat.
        return Estimate(value=np.nan)
    # In variances until the end: the root of a mean is no mean of roots.
    above, below = scatter_parts(resampled)
    low, high = hull(
        _variance_interval(parts[0], parts[1], level),
        percentile_ends(mean_of_defined(above - below), level),
    )
    value = signed_root(parts[0][0] - parts[1][0])
    return containing(value, (signed_root(low), signed_root(high)))


def loss_estimate(
    levels: Sequence[Level],
    guarded: Sequence[Level],
    resampled: Draws,
    level: float,
    *,
    fixed: bool,
) -> Estimate:
    """Return the share of identified neurons that b loses beyond a repeat's loss."""
    value = float(mean_of_defined(_excess_loss(totals(levels))))
    # Few neurons that lose nothing would have no error at all (S16); networks have.
    jackknifed = guarded if fixed else levels
    centre = float(mean_of_defined(_excess_loss(totals(jackknifed))))
    without = jackknife_means(jackknifed, _excess_loss, _identified, fixed=fixed)
    draws = mean_of_defined(_excess_loss(resampled))
    return containing(value, hull(*two_ways(centre, without, draws, level)))


def _whole(sums: Sums) -> Sums:
    return scatter_parts(sums)[0]


def _noise(sums: Sums) -> Sums:
    return scatter_parts(sums)[1]


def _excess_loss(sums: Sums) -> Sums:
    by_b, by_repeat = loss(sums)
    return by_b - by_repeat


def _compared(features: Sums) -> Bool[np.ndarray, " n"]:
    return np.asarray(logs(features).size.any(axis=-1))


def _identified(features: Sums) -> Bool[np.ndarray, " n"]:
    return np.asarray(kept(features).any(axis=-1))


def _trials_interval(levels: Sequence[Level], value: float, level: float) -> Ends:
    """Return Student's interval of the shift of fixed networks by their trials.

    By replicates if each network has enough. Else by repeats: the mean of a run and its
    repeat errs by half of what they differ by, and two stages make two degrees of
    freedom a network.
    """
    squares, freedom = [], 0
    defined = [one for one in levels if np.isfinite(shift(totals([one]))[0])]
    for network in defined:
        stages = network.trials_a, network.trials_b
        if min(map(len, stages)) < REPLICATES:
            squares.append((repeat_shift(totals([network]))[0] ** 2).sum() / 4)
            freedom += 2
            continue
        neurons = logs(totals([network])).size[0, CROSS].mean()
        means = [rows.sum(axis=1) / neurons for rows in stages]
        squares.append(sum(row.var(ddof=1) for row in means))
        freedom += sum(map(len, stages)) - 2
    # (S15)
    error = float(np.sqrt(sum(squares))) / max(len(defined), 1)
    return t_interval(value, error, freedom, level)


def _variance_interval(
    whole: tuple[float, Sequence[Float64[np.ndarray, " units"]]],
    noise: tuple[float, Sequence[Float64[np.ndarray, " units"]]],
    level: float,
) -> Ends:
    """Return the interval of whole − noise, from both without each unit in turn."""
    # Without a logarithm to take, the difference itself must do.
    positive = all(
        value > 0 and all((group > 0).all() for group in groups)
        for value, groups in (whole, noise)
    )
    if not positive:
        apart = [x - y for x, y in zip(whole[1], noise[1], strict=True)]
        return t_interval(whole[0] - noise[0], *jackknife_error(apart), level)
    sides = []
    for value, groups in (whole, noise):
        error = jackknife_error([np.log(group) for group in groups])
        low, high = t_interval(float(np.log(value)), *error, level)
        # Few neurons may have an upper end that no double holds: it is infinite then.
        with np.errstate(over="ignore"):
            sides.append((value, float(np.exp(low)), float(np.exp(high))))
    return difference_of_positives(*sides)
