"""Whether some neurons' τ change more than others': by rate, τ_syn, and sign.

A conversion that adds a membrane in series should lengthen the τ of neurons with short
synapses most.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from isotau.sim.preservation.bootstrap import Level, resample, totals
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.estimate import Estimate, percentile
from isotau.sim.preservation.pair import PAIRINGS, Pair, log_tau
from isotau.sim.preservation.pairings import CROSS
from isotau.sim.preservation.scores import mean_of_defined

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
    given = np.array([name for name in NAMES if all(name in row for row in rows)])
    tables = [_complete(row, given) for row in rows]
    varies = np.array(
        [
            any(np.ptp(t[:, 2 + k]) > 0 for t in tables if len(t))
            for k in range(len(given))
        ],
        dtype=bool,
    )
    names = given[varies]
    tables = [t[:, np.concatenate([[True, True], varies])] for t in tables]
    tables = [t for t in tables if len(t) > 1]
    if not len(names) or not tables:
        return {}
    levels = [_level(table) for table in tables]
    slopes = _slopes(totals(levels)[None], len(names))[0]
    fixed = len(levels) < config.min_networks
    drawn = resample(levels, config.draws, rng, fixed=fixed)
    low, high = percentile(_slopes(drawn, len(names)).T, config.level)
    return {
        str(name): Estimate(value=value, low=start, high=stop)
        for name, value, start, stop in zip(names, slopes, low, high, strict=True)
    }


def _columns(pair: Pair) -> dict[str, Float64[np.ndarray, " n"]]:
    """Return each neuron's mean log ratio, and the covariates that are given."""
    runs = log_tau(pair)
    cross = np.stack([runs[j] - runs[i] for i, j in PAIRINGS[CROSS]])
    rate = pair.a.rate
    with np.errstate(divide="ignore"):
        found = {"ratio": mean_of_defined(cross, axis=0), "log_rate": np.log(rate)}
    if np.isnan(rate).all():
        del found["log_rate"]
    if pair.tau_syn is not None:
        found["log_tau_syn"] = np.log(pair.tau_syn)
    if pair.excitatory is not None:
        found["excitatory"] = pair.excitatory.astype(float)
    return found


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
    none = np.zeros((1, len(table)))
    return Level(products.reshape(len(table), -1), none, none)


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
    scale = np.sqrt(np.einsum("dii->di", square))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = square / scale[:, :, None] / scale[:, None, :]
    known = np.isfinite(scaled).all(axis=(1, 2))
    known[known] = np.linalg.cond(scaled[known]) < 1e8
    found = np.full(right.shape, np.nan)
    found[known] = np.linalg.solve(square[known], right[known][..., None])[..., 0]
    return found
