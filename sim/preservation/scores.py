"""The three numbers that decide: shift, scatter and loss of each network.

A run and its repeat are exchangeable, so every number is averaged over all pairings of
the runs of a with the runs of b; this halves the noise of one run and uses no neuron
less.
"""

import numpy as np
from jaxtyping import Float64

from isotau.sim.preservation import pairings
from isotau.sim.preservation.moments import Sums, each, ratio
from isotau.sim.preservation.pairings import CROSS, REPEATS

Found = Float64[np.ndarray, "*lead networks sums"]


def shift(sums: Found) -> Float64[np.ndarray, "*lead networks"]:
    """Return each network's mean log ratio of b to a; NaN if a pairing has no neuron.

    With what other trials would have made of it, if the sums are resampled ones.
    """
    m = pairings.logs(sums)
    means = ratio(m.y - m.x, m.size)[..., CROSS].mean(axis=-1)
    neurons = m.size[..., CROSS].mean(axis=-1)
    return means + ratio(pairings.deviations(sums), neurons)


def repeat_shift(sums: Found) -> Float64[np.ndarray, "*lead networks stage"]:
    """Return each network's mean log ratio of the repeat to the run, of a and of b."""
    m = pairings.logs(sums)
    return ratio(m.y - m.x, m.size)[..., REPEATS]


def ratio_variances(sums: Found) -> Float64[np.ndarray, "*lead networks pairings"]:
    """Return the variance over a network's neurons of the log ratio of each pairing."""
    spread = each(pairings.logs(sums))
    return np.maximum(spread.var_x + spread.var_y - 2 * spread.cov, 0)


def scatter_parts(sums: Found) -> tuple[Sums, Sums]:
    """Return the two variances whose difference is the scatter beyond the noise floor.

    V = ⟨var d_ab⟩ − (var d_aa + var d_bb)/2, the variance of the true log ratio, split
    as A − F with F = (var d_aa + var d_bb)/4: estimates of the variance of the mean
    log ratio of both runs, and of the noise in it, that are independent of each other.
    V may be negative.
    """
    variances = ratio_variances(sums)
    noise = variances[..., REPEATS].sum(axis=-1) / 4
    return variances[..., CROSS].mean(axis=-1) - noise, noise


def loss(sums: Found) -> tuple[Sums, Sums]:
    """Return the share of neurons identified in a that b, and that a repeat, loses."""
    counts = pairings.kept(sums)
    both = counts[..., 2:6]
    runs = np.stack([counts[..., 0]] * 2 + [counts[..., 1]] * 2, axis=-1)
    lost = 1 - ratio(both, runs).mean(axis=-1)
    again = 1 - ratio(counts[..., 6:7], counts[..., 0:2]).mean(axis=-1)
    return lost, again


def mean_of_defined(values: Sums, axis: int = -1) -> Sums:
    """Return the mean of what is no NaN; NaN where there is nothing else."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(axis=axis)
    return ratio(total, defined.sum(axis=axis))
