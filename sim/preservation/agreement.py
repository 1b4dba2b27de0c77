"""How well two stages agree neuron by neuron, beside how well a stage repeats itself.

Functions of a `Spread` take x from one run and y from the other. Covariates tell
whether some neurons' τ change more than others': a conversion that adds a membrane in
series should lengthen the τ of neurons with short synapses most.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from isotau.sim.preservation import pairings
from isotau.sim.preservation.bootstrap import (
    Level,
    Spread,
    Sums,
    pooled,
    ratio,
    resample,
    totals,
    within,
    without_trials,
)
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.pair import PAIRINGS, Pair, log_tau
from isotau.sim.preservation.pairings import (
    CROSS,
    REPEATS,
    loss,
    mean_of_defined,
    ratio_variances,
    shift,
)
from isotau.sim.preservation.verdict import Estimate, percentile
from isotau.sim.tasks.accuracy import NORMAL_95


def concordance(spread: Spread) -> Sums:
    """Return Lin's concordance (S18), with variances that divide by n − 1.

    Source: Lin 1989, doi:10.2307/2532051.
    """
    apart = (spread.mean_x - spread.mean_y) ** 2
    return ratio(2 * spread.cov, spread.var_x + spread.var_y + apart)


def correlation(spread: Spread) -> Sums:
    """Return Pearson's correlation; NaN where one of the two does not vary."""
    return ratio(spread.cov, np.sqrt(spread.var_x * spread.var_y))


def deming(spread: Spread, error_ratio: Sums) -> tuple[Sums, Sums]:
    """Return slope and intercept of y on x where both are measured with error.

    Source: Linnet 1993, doi:10.1093/clinchem/39.3.424.

    Args:
        spread: of the two.
        error_ratio: δ, the error variance of y over that of x.
    """
    # (S19)
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
    return middle - NORMAL_95 * sd, middle + NORMAL_95 * sd  # (S20)


def kappa(counts: Float64[np.ndarray, "*lead 3"], neurons: Sums) -> Sums:
    """Return Cohen's kappa of a group's membership: 0 is chance, 1 is all the same.

    Source: Cohen 1960, doi:10.1177/001316446002000104.

    Args:
        counts: neurons in the group by x, by y, and by both.
        neurons: how many there are.
    """
    by_x, by_y, by_both = (ratio(c, neurons) for c in np.moveaxis(counts, -1, 0))
    # In both or in neither.
    agree = 1 - by_x - by_y + 2 * by_both
    by_chance = by_x * by_y + (1 - by_x) * (1 - by_y)
    return ratio(agree - by_chance, 1 - by_chance)  # (S21)


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
    # (S22): where a stage does not repeat itself there is nothing to divide by.
    reliable = np.where(np.minimum(reliability_a, reliability_b) > 0, 1.0, np.nan)
    root = np.sqrt(np.maximum(reliability_a * reliability_b, 0)) * reliable
    values = {
        "correlation": r_ab,
        "reliability_a": reliability_a,
        "reliability_b": reliability_b,
        "disattenuated": ratio(r_ab, root),
    }
    spearman = correlation(pooled(pairings.ranks(sums)))
    low, high = limits_of_agreement(together)
    for name, by_pairing in {
        "concordance": concordance(together),
        "spearman": spearman,
        "limit_low": low,
        "limit_high": high,
        **_kappas(sums),
    }.items():
        values[name] = by_pairing[..., CROSS].mean(axis=-1)
        values[f"{name}_floor"] = by_pairing[..., REPEATS].mean(axis=-1)
    # δ of (S19): the repeats of b over those of a.
    errors = inside.var_x + inside.var_y - 2 * inside.cov
    delta = ratio(errors[..., REPEATS.start + 1], errors[..., REPEATS.start])
    slopes, intercepts = deming(together, delta[..., None])
    values["deming_slope"] = slopes[..., CROSS].mean(axis=-1)
    values["deming_intercept"] = intercepts[..., CROSS].mean(axis=-1)
    return values | _spreads(sums, inside) | _means(sums)


def _spreads(sums: Sums, inside: Spread) -> dict[str, Sums]:
    """Return the standard deviations of log ratios, and what permuting τ would give."""
    variances = mean_of_defined(ratio_variances(sums), axis=-2)
    shared = inside.cov[..., REPEATS.start]  # of a and its repeat: (S23)
    return {
        "sd_ab": np.sqrt(variances[..., CROSS].mean(axis=-1)),
        "sd_aa": np.sqrt(variances[..., REPEATS.start]),
        "sd_bb": np.sqrt(variances[..., REPEATS.start + 1]),
        "permuted_sd": np.sqrt(2 * np.maximum(shared, 0)),
    }


def _means(sums: Sums) -> dict[str, Sums]:
    """Return the mean ratio, and the shares of neurons lost."""
    by_b, by_repeat = (mean_of_defined(part) for part in loss(sums))
    return {
        "mean_ratio": np.exp(mean_of_defined(shift(sums))),
        "loss_ab": by_b,
        "loss_floor": by_repeat,
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


NAMES = ("log_rate", "log_tau_syn", "excitatory")


def covariates(
    pairs: Sequence[Pair], config: PreservationConfig, *, rng: np.random.Generator
) -> dict[str, Estimate]:
    """Return by how much the log ratio changes with each covariate, all others equal.

    Least squares of each neuron's mean log ratio on log rate at stage a, log τ_syn, and
    1 for excitatory neurons, with an intercept for every network: slopes within
    networks. Intervals are those of the hierarchical bootstrap. A covariate that is not
    given for every network, or that does not vary within any, is left out.
    """
    rows = [_columns(pair) for pair in pairs]
    given_names = np.array([name for name in NAMES if all(name in row for row in rows)])
    tables = [_complete(row, given_names) for row in rows]
    # A column that is the same everywhere would be the intercept once more.
    varies = np.array(
        [
            any(np.ptp(t[:, 2 + k]) > 0 for t in tables if len(t))
            for k in range(len(given_names))
        ],
        dtype=bool,
    )
    names = given_names[varies]
    tables = [t[:, np.concatenate([[True, True], varies])] for t in tables]
    tables = [t for t in tables if len(t) > 1]
    if not len(names) or not tables:
        return {}
    levels = [_level(table) for table in tables]
    slopes = _slopes(totals(levels)[None], len(names))[0]
    fixed = len(levels) < config.min_networks
    draws = resample(levels, config.draws, rng, fixed=fixed)
    low, high = percentile(_slopes(draws, len(names)).T, config.level)
    return {
        str(name): Estimate(value=value, low=start, high=stop)
        for name, value, start, stop in zip(names, slopes, low, high, strict=True)
    }


def _columns(pair: Pair) -> dict[str, Float64[np.ndarray, " n"]]:
    """Return each neuron's mean log ratio, and the covariates that are given."""
    runs = log_tau(pair)
    cross = np.stack([runs[j] - runs[i] for i, j in PAIRINGS[CROSS]])
    rate = pair.a.rate
    # A silent neuron has a rate of 0, and no timescale to compare.
    with np.errstate(divide="ignore"):
        columns = {"ratio": mean_of_defined(cross, axis=0), "log_rate": np.log(rate)}
    if np.isnan(rate).all():
        del columns["log_rate"]
    if pair.tau_syn is not None:
        columns["log_tau_syn"] = np.log(pair.tau_syn)
    if pair.excitatory is not None:
        columns["excitatory"] = pair.excitatory.astype(float)
    return columns


def _complete(
    row: dict[str, Float64[np.ndarray, " n"]], names: np.ndarray
) -> Float64[np.ndarray, "complete columns"]:
    """Return 1, the log ratio, and the covariates of the neurons that have them all."""
    ones = np.ones(len(row["ratio"]))
    table = np.stack([ones, row["ratio"], *(row[name] for name in names)], axis=1)
    return table[np.isfinite(table).all(axis=1)]


def _level(table: Float64[np.ndarray, "n columns"]) -> Level:
    """Return what to sum: the products of all columns with each other."""
    products = table[:, :, None] * table[:, None, :]
    return without_trials(products.reshape(len(table), -1))


def _slopes(
    sums: Float64[np.ndarray, "draws networks sums"], covariates: int
) -> Float64[np.ndarray, "draws covariates"]:
    """Return the slopes within networks; NaN where they are not determined."""
    width = 2 + covariates
    products = sums[..., :-1].reshape(*sums.shape[:-1], width, width)
    first = products[..., 0, :]
    means = first[..., :, None] * first[..., None, :]
    centred = (products - means / np.maximum(first[..., :1, None], 1)).sum(axis=1)
    square, right = centred[:, 2:, 2:], centred[:, 2:, 1]
    # (S27), by the normal equations. They are judged in units in which all columns vary
    # alike: else a covariate in other units would look like a dependent one.
    scale = np.sqrt(np.einsum("dii->di", square))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = square / scale[:, :, None] / scale[:, None, :]
    solvable = np.isfinite(scaled).all(axis=(1, 2))
    solvable[solvable] = np.linalg.cond(scaled[solvable]) < 1e8
    slopes = np.full(right.shape, np.nan)
    slopes[solvable] = np.linalg.solve(square[solvable], right[solvable][..., None])[
        ..., 0
    ]
    return slopes
