"""How well two stages agree neuron by neuron, beside how well a stage repeats itself.

Functions of a `Spread` take x from one run and y from the other.
"""

import numpy as np
from jaxtyping import Float64

from isotau.sim.preservation import pairings
from isotau.sim.preservation.moments import Spread, Sums, pooled, ratio, within
from isotau.sim.preservation.pairings import CROSS, REPEATS
from isotau.sim.preservation.scores import loss, mean_of_defined, ratio_variances, shift

LIMITS = 1.959963984540054
"""Standard deviations from the mean to the 95 % limits of agreement."""


def concordance(spread: Spread) -> Sums:
    """Return Lin's concordance, 2 s_xy / (s_xx + s_yy + (x̄ − ȳ)²).

    With variances that divide by n − 1. Source: Lin 1989, doi:10.2307/2532051.
    """
    apart = (spread.mean_x - spread.mean_y) ** 2
    return ratio(2 * spread.cov, spread.var_x + spread.var_y + apart)


def correlation(spread: Spread) -> Sums:
    """Return Pearson's correlation; NaN where one of the two does not vary."""
    return ratio(spread.cov, np.sqrt(spread.var_x * spread.var_y))


def deming(spread: Spread, error_ratio: Sums) -> tuple[Sums, Sums]:
    """Return slope and intercept of y on x where both are measured with error.

    slope = (s_yy − δ s_xx + √((s_yy − δ s_xx)² + 4 δ s_xy²)) / (2 s_xy).
    Source: Linnet 1993, doi:10.1093/clinchem/39.3.424.

    Args:
        spread: of the two.
        error_ratio: δ, the error variance of y over that of x.
    """
    gap = spread.var_y - error_ratio * spread.var_x
    root = np.sqrt(gap**2 + 4 * error_ratio * spread.cov**2)
    # Of the two forms of the slope, the one that takes no difference of large numbers.
    stable = np.where(
        gap >= 0,
        _over(gap + root, 2 * spread.cov),
        _over(2 * error_ratio * spread.cov, root - gap),
    )
    return stable, spread.mean_y - stable * spread.mean_x


def limits_of_agreement(spread: Spread) -> tuple[Sums, Sums]:
    """Return the limits between which 95 % of y − x lie, if it is normal.

    Source: Bland & Altman 1986, doi:10.1016/S0140-6736(86)90837-8.
    """
    middle = spread.mean_y - spread.mean_x
    sd = np.sqrt(np.maximum(spread.var_x + spread.var_y - 2 * spread.cov, 0))
    return middle - LIMITS * sd, middle + LIMITS * sd


def kappa(counts: Float64[np.ndarray, "*lead 3"], neurons: Sums) -> Sums:
    """Return Cohen's kappa of a group's membership: 0 is chance, 1 is all the same.

    Source: Cohen 1960, doi:10.1177/001316446002000104.

    Args:
        counts: neurons in the group by x, by y, and by both.
        neurons: how many there are.
    """
    by_x, by_y, by_both = (ratio(c, neurons) for c in np.moveaxis(counts, -1, 0))
    agree = 1 - by_x - by_y + 2 * by_both
    by_chance = by_x * by_y + (1 - by_x) * (1 - by_y)
    return ratio(agree - by_chance, 1 - by_chance)


def numbers(sums: Float64[np.ndarray, "*lead networks sums"]) -> dict[str, Sums]:
    """Return all numbers of agreement of the networks, by name.

    Concordance, Deming's line, limits, Spearman's correlation and quartile membership
    are of all neurons together; correlations and reliabilities are within networks, so
    that networks of different mean τ do not make them high. Each is the mean over the
    pairings of runs. Names that end in "floor" are of a stage with its repeat.
    """
    m = pairings.logs(sums)
    together, inside = pooled(m), within(m)
    r = correlation(inside)
    reliability_a, reliability_b = r[..., REPEATS.start], r[..., REPEATS.start + 1]
    r_ab = r[..., CROSS].mean(axis=-1)
    found = {"correlation": r_ab}
    found["reliability_a"], found["reliability_b"] = reliability_a, reliability_b
    reliable = np.where(np.minimum(reliability_a, reliability_b) > 0, 1.0, np.nan)
    root = np.sqrt(np.maximum(reliability_a * reliability_b, 0)) * reliable
    found["disattenuated"] = ratio(r_ab, root)
    concordances = concordance(together)
    spearman = correlation(pooled(pairings.ranks(sums)))
    low, high = limits_of_agreement(together)
    for name, values in {
        "concordance": concordances,
        "spearman": spearman,
        "limit_low": low,
        "limit_high": high,
        **_kappas(sums),
    }.items():
        found[name] = values[..., CROSS].mean(axis=-1)
        found[f"{name}_floor"] = values[..., REPEATS].mean(axis=-1)
    errors = inside.var_x + inside.var_y - 2 * inside.cov
    delta = ratio(errors[..., REPEATS.start + 1], errors[..., REPEATS.start])
    slopes, intercepts = deming(together, delta[..., None])
    found["deming_slope"] = slopes[..., CROSS].mean(axis=-1)
    found["deming_intercept"] = intercepts[..., CROSS].mean(axis=-1)
    return found | _spreads(sums, inside) | _means(sums)


def _spreads(sums: Sums, inside: Spread) -> dict[str, Sums]:
    """Return the standard deviations of log ratios, and what permuting τ would give."""
    variances = mean_of_defined(ratio_variances(sums), axis=-2)
    shared = inside.cov[..., REPEATS.start]
    return {
        "sd_ab": np.sqrt(variances[..., CROSS].mean(axis=-1)),
        "sd_aa": np.sqrt(variances[..., REPEATS.start]),
        "sd_bb": np.sqrt(variances[..., REPEATS.start + 1]),
        "permuted_sd": np.sqrt(2 * np.maximum(shared, 0)),
    }


def _means(sums: Sums) -> dict[str, Sums]:
    """Return the mean ratio, and the shares of neurons lost."""
    lost, again = (mean_of_defined(part) for part in loss(sums))
    return {
        "mean_ratio": np.exp(mean_of_defined(shift(sums))),
        "loss_ab": lost,
        "loss_floor": again,
    }


def _kappas(sums: Sums) -> dict[str, Sums]:
    """Return kappa of long (> Q75) and of short (< Q25) τ, for every pairing."""
    counts = pairings.memberships(sums).sum(axis=-4)
    neurons = pairings.logs(sums).size.sum(axis=-2)
    long, short = counts[..., 0, :], counts[..., 1, :]
    return {"kappa_long": kappa(long, neurons), "kappa_short": kappa(short, neurons)}


def _over(above: Sums, below: Sums) -> Sums:
    """Return above / below; NaN where below is 0."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(
        above, below, out=np.full(below.shape, np.nan), where=np.abs(below) > 0
    )
