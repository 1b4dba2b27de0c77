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

from isotau.sim.preservation.bootstrap import Level, Sums, means_left, totals
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
    Estimate,
    difference_of_positives,
    hull,
    jackknife_error,
    percentile,
    signed_root,
    t_interval,
)

REPLICATES = 10
"""Replicates of a stage from which on they tell how its trials make all τ err."""
Draws = Float64[np.ndarray, "draws networks sums"]
Ends = tuple[float, float]


def endpoints(
    found: Sequence[Level],
    guarded: Sequence[Level],
    resampled: Draws,
    config: PreservationConfig,
) -> tuple[Endpoint, Endpoint, Endpoint]:
    """Return shift, scatter and loss of networks that have a say.

    Args:
        found: the networks, from `pairings.levels`.
        guarded: the same, guarded.
        resampled: draws of the guarded ones, from `bootstrap.resample`.
        config: margins and error rates.
    """
    level = 1 - 2 * config.alpha
    fixed = len(found) < config.min_networks
    estimates = {
        "shift": shift_estimate(found, resampled, level, fixed=fixed),
        "scatter": scatter_estimate(found, resampled, level, fixed=fixed),
        "loss": loss_estimate(found, guarded, resampled, level, fixed=fixed),
    }
    margins = (config.shift_margin, config.scatter_margin, config.loss_margin)
    shifted, scattered, lost = (
        Endpoint(name=name, estimate=estimate, margin=margin, level=level)
        for (name, estimate), margin in zip(estimates.items(), margins, strict=True)
    )
    return shifted, scattered, lost


def shift_estimate(
    found: Sequence[Level], resampled: Draws, level: float, *, fixed: bool
) -> Estimate:
    """Return the mean over networks of their mean log ratio of τ."""
    value = float(mean_of_defined(shift(totals(found))))
    left = means_left(found, shift, _compared, fixed=fixed)
    ends = [
        t_interval(value, *jackknife_error(left), level),
        _percentile(mean_of_defined(shift(resampled)), level),
    ]
    if fixed:
        ends.append(_trials_interval(found, value, level))
    return _estimate(value, hull(*ends))


def network_shift(level: Level, confidence: float) -> Estimate:
    """Return one network's mean log ratio of τ, with an interval for it alone.

    The hull of Student's over neurons, and of that over replicates or repeats.
    """
    value = float(shift(totals([level]))[0])
    left = means_left([level], shift, _compared, fixed=True)
    ends = hull(
        t_interval(value, *jackknife_error(left), confidence),
        _trials_interval([level], value, confidence),
    )
    return _estimate(value, ends)


def scatter_estimate(
    found: Sequence[Level], resampled: Draws, level: float, *, fixed: bool
) -> Estimate:
    """Return the SD of true log ratios: √ of the mean excess variance, with its sign.

    Student's interval is that of the two variances on a log scale, on which few neurons
    mislead it least, and by them of the difference.
    """
    parts = []
    for part in (_whole, _noise):
        value = float(mean_of_defined(part(totals(found))))
        parts.append((value, means_left(found, part, _compared, fixed=fixed)))
    if any(np.isnan(value) for value, _ in parts):
        # too few neurons with a timescale in both stages, or in a stage and its repeat
        return Estimate(value=np.nan)
    above, below = scatter_parts(resampled)
    low, high = hull(
        _variance_interval(parts[0], parts[1], level),
        _percentile(mean_of_defined(above - below), level),
    )
    value = signed_root(parts[0][0] - parts[1][0])
    return _estimate(value, (signed_root(low), signed_root(high)))


def loss_estimate(
    found: Sequence[Level],
    guarded: Sequence[Level],
    resampled: Draws,
    level: float,
    *,
    fixed: bool,
) -> Estimate:
    """Return the share of identified neurons that b loses beyond a repeat's loss."""
    value = float(mean_of_defined(_excess_loss(totals(found))))
    jackknifed = guarded if fixed else found
    centre = float(mean_of_defined(_excess_loss(totals(jackknifed))))
    left = means_left(jackknifed, _excess_loss, _identified, fixed=fixed)
    ends = hull(
        t_interval(centre, *jackknife_error(left), level),
        _percentile(mean_of_defined(_excess_loss(resampled)), level),
    )
    return _estimate(value, ends)


def _whole(sums: Sums) -> Sums:
    return scatter_parts(sums)[0]


def _noise(sums: Sums) -> Sums:
    return scatter_parts(sums)[1]


def _excess_loss(sums: Sums) -> Sums:
    lost, again = loss(sums)
    return lost - again


def _compared(features: Sums) -> Bool[np.ndarray, " n"]:
    return np.asarray(logs(features).size.any(axis=-1))


def _identified(features: Sums) -> Bool[np.ndarray, " n"]:
    return np.asarray(kept(features).any(axis=-1))


def _trials_interval(found: Sequence[Level], value: float, level: float) -> Ends:
    """Return Student's interval of the shift of fixed networks by their trials.

    By replicates if each network has enough. Else by repeats: the mean of a run and its
    repeat errs by half of what they differ by, and two stages make two degrees of
    freedom a network.
    """
    squares, freedom = [], 0
    defined = [one for one in found if np.isfinite(shift(totals([one]))[0])]
    for one in defined:
        stages = one.trials_a, one.trials_b
        if min(map(len, stages)) < REPLICATES:
            squares.append((repeat_shift(totals([one]))[0] ** 2).sum() / 4)
            freedom += 2
            continue
        neurons = logs(totals([one])).size[0, CROSS].mean()
        means = [rows.sum(axis=1) / neurons for rows in stages]
        squares.append(sum(row.var(ddof=1) for row in means))
        freedom += sum(map(len, stages)) - 2
    error = float(np.sqrt(sum(squares))) / max(len(defined), 1)
    return t_interval(value, error, freedom, level)


def _variance_interval(
    whole: tuple[float, Sequence[Float64[np.ndarray, " units"]]],
    noise: tuple[float, Sequence[Float64[np.ndarray, " units"]]],
    level: float,
) -> Ends:
    """Return the interval of whole − noise, from both without each unit in turn."""
    positive = all(
        value > 0 and all((group > 0).all() for group in left)
        for value, left in (whole, noise)
    )
    if not positive:
        apart = [x - y for x, y in zip(whole[1], noise[1], strict=True)]
        return t_interval(whole[0] - noise[0], *jackknife_error(apart), level)
    sides = []
    for value, left in (whole, noise):
        error = jackknife_error([np.log(group) for group in left])
        low, high = t_interval(float(np.log(value)), *error, level)
        with np.errstate(over="ignore"):
            sides.append((value, float(np.exp(low)), float(np.exp(high))))
    return difference_of_positives(*sides)


def _percentile(draws: Float64[np.ndarray, " draws"], level: float) -> Ends:
    low, high = percentile(draws, level)
    return float(low), float(high)


def _estimate(value: float, ends: Ends) -> Estimate:
    """Return an estimate whose interval, if there is one, holds it."""
    low, high = ends
    if np.isnan(low) or np.isnan(value):
        return Estimate(value=value)
    return Estimate(value=value, low=min(low, value), high=max(high, value))
