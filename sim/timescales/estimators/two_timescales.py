"""One timescale or two: the Gaussian likelihood with a mixture, and a choice by BIC."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.linalg import LinAlgError, cho_factor, cho_solve, toeplitz
from scipy.optimize import minimize

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.sim.timescales.estimators.likelihood_grid import CORRELATIONS
from isotau.sim.timescales.estimators.ml import (
    BIN_WIDTH,
    MLConfig,
    prepared,
    tau_grid,
    usable,
)
from isotau.sim.timescales.records import series
from isotau.sim.timescales.records.series import Series, Source

MARGIN = 2.0
"""Differences of BIC up to here are "not worth more than a bare mention": the simpler
model stays (Kass & Raftery 1995, doi:10.1080/01621459.1995.10476572)."""
SPLITS = (3.0, 8.0)
"""Starts for two timescales: the best single one divided and multiplied by these."""
STEP = 1e-4
WIDEST = 12.0
"""Bound on logarithms of variances relative to the data's."""


@short_repr
class TwoTimescales(NamedTuple):
    """How many timescales each neuron has, and which.

    Attributes:
        number: 0, 1 or 2 of them; −1 for neurons that could not be fitted.
        tau: timescales in seconds, ascending; NaN beyond `number`.
        share: of the variance of a bin that belongs to each.
        bic: Bayesian information criterion of the models with 0, 1 and 2.
    """

    number: Int64[np.ndarray, " n"]
    tau: Float64[np.ndarray, "n 2"]
    share: Float64[np.ndarray, "n 2"]
    bic: Float64[np.ndarray, "n 3"]


class _Problem(NamedTuple):
    """What one neuron's likelihood needs."""

    kind: str
    bin_width: float
    covariance: np.ndarray
    trials: int
    bounds: tuple[float, float]
    scale: float
    """Mean variance of a bin; all variances are logarithms relative to it."""


def two_timescales(
    source: Source,
    *,
    bin_width: float = BIN_WIDTH,
    config: MLConfig | None = None,
    progress: Progress = silent,
) -> TwoTimescales:
    """Return for each neuron whether it has no, one or two timescales.

    The covariance is d I + b 11ᵀ + Σ A_k R(τ_k) (T37) with d free, so that spikes need
    not be Poisson; R is as in `likelihood`. Models are compared by BIC with trials ×
    bins observations, and a further timescale must lower it by more than `MARGIN`. Two
    timescales need several times the data that one does, and stand out only if they
    differ by a factor of 4 or so.

    Args:
        source: spikes or a signal, as for `ml`.
        bin_width: in seconds.
        config: range of τ and the least number of spikes.
        progress: told of the neurons.

    Raises:
        ValueError: as `ml`.
    """
    settings = config or MLConfig()
    data = prepared(source, bin_width)
    grid = tau_grid(data, settings)
    fitted = usable(data, settings.min_spikes)
    n = data.n
    number = np.full(n, -1)
    tau, share = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
    bic = np.full((n, 3), np.nan)
    for k in progress(range(n), "one timescale or two"):
        if not fitted[k]:
            continue
        problem = _problem(data, k, (grid[0], grid[-1]))
        points = [_fit(problem, 0, [()])]
        # From the middle and from the short end: the likelihood may have two peaks.
        points.append(_fit(problem, 1, [(math.sqrt(grid[0] * grid[-1]),), (grid[4],)]))
        single = _taus(points[1][1], 1)[0]
        starts = [(single / s, single * s) for s in SPLITS]
        points.append(_fit(problem, 2, [*starts, (grid[1], single)]))
        log_size = math.log(problem.trials * data.bins)
        for model, (loss, parameters) in enumerate(points):
            bic[k, model] = 2 * loss + (2 + 2 * model) * log_size  # (T39)
            if model == 0 or bic[k, model] < bic[k, number[k]] - MARGIN:
                number[k] = model
                tau[k], share[k] = _describe(parameters, model)
    return TwoTimescales(number, tau, share, bic)


def _problem(data: Series, k: int, bounds: tuple[float, float]) -> _Problem:
    values = series.of_neuron(data, k)
    covariance = np.cov(values)  # n − 1 in the denominator, as in `likelihood`
    return _Problem(
        kind=data.kind,
        bin_width=data.bin_width,
        covariance=covariance,
        trials=values.shape[1],
        bounds=bounds,
        scale=float(np.trace(covariance)) / data.bins,
    )


def _fit(
    problem: _Problem, model: int, starts: list[tuple[float, ...]]
) -> tuple[float, np.ndarray]:
    """Return the lowest negative log likelihood from some starts, and where it is."""
    log_tau = tuple(math.log(tau) for tau in problem.bounds)
    # No part of a covariance exceeds the data's variance by far (e²).
    box = [(-WIDEST, 2.0), (-WIDEST, 2.0)] + [(-WIDEST, 2.0), log_tau] * model
    best: tuple[float, np.ndarray] = (math.inf, np.zeros(len(box)))
    # Half the variance is noise at first, a twentieth drift, the rest decays.
    for taus in starts:
        start = [math.log(0.5), math.log(0.05)]
        for tau in taus:
            start += [math.log(0.4 / max(model, 1)), math.log(tau)]
        clipped = np.clip(start, [low for low, _ in box], [high for _, high in box])
        minimum = minimize(
            _loss, clipped, args=(problem,), jac=True, bounds=box, method="L-BFGS-B"
        )
        if minimum.fun < best[0]:
            best = (float(minimum.fun), minimum.x)
    return best


def _loss(p: np.ndarray, problem: _Problem) -> tuple[float, np.ndarray]:
    """Return the negative log likelihood (T38) and its gradient.

    p holds log d, log b, then log A and log τ of each timescale.
    """
    bins = len(problem.covariance)
    variance = problem.scale * np.exp(np.delete(p, np.s_[3::2]))
    rows = [np.eye(1, bins)[0], np.ones(bins)]
    slopes = []
    for k, x in enumerate(p[3::2]):
        row, above = (
            CORRELATIONS[problem.kind](math.exp(at), problem.bin_width, bins)
            for at in (x, x + STEP)
        )
        rows.append(row)
        slopes.append(variance[2 + k] * (above - row) / STEP)
    total = variance @ np.array(rows)
    try:
        factor = cho_factor(toeplitz(total), lower=True)
    except LinAlgError:  # no covariance: the line search steps back
        return 1e300, np.zeros_like(p)
    whitened = cho_solve(factor, problem.covariance)
    inverse = cho_solve(factor, np.eye(bins))
    half = 0.5 * (problem.trials - 1)
    value = half * (2 * np.log(np.diag(factor[0])).sum() + np.trace(whitened))
    # d(ln |S| + tr S⁻¹C) = tr((S⁻¹ − S⁻¹ C S⁻¹) dS)
    mismatch = inverse - whitened @ inverse
    # A Toeplitz slope meets only the sums along the diagonals.
    weight = np.array([2 * np.trace(mismatch, lag) for lag in range(bins)])
    weight[0] /= 2
    gradient = np.empty_like(p)
    gradient[0], gradient[1] = variance[:2] * (np.array(rows[:2]) @ weight)
    for k, slope in enumerate(slopes):
        gradient[2 + 2 * k] = variance[2 + k] * (rows[2 + k] @ weight)
        gradient[3 + 2 * k] = slope @ weight
    return float(value), half * gradient


def _taus(p: np.ndarray, model: int) -> np.ndarray:
    return np.exp(p[3 : 3 + 2 * model : 2])


def _describe(p: np.ndarray, model: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the timescales in ascending order and their shares of the variance."""
    variance = np.exp(np.delete(p, np.s_[3::2]))
    order = np.argsort(_taus(p, model))
    tau, share = np.full(2, np.nan), np.full(2, np.nan)
    tau[:model] = _taus(p, model)[order]
    share[:model] = (variance[2:] / variance.sum())[order]
    return tau, share
