"""The Gaussian likelihood of binned activity, over a grid, for many neurons at once.

What a neuron does in the bins of one trial is taken as a draw from a Gaussian with free
means and the covariance

    S = d (N_c + g ((1 − ρ) R_τ + ρ 11ᵀ)),                                         (T21)

with R_τ the correlation of a process of one timescale, d the variance
that bins do not share, g the shared variance in units of d, and ρ the part of that
which lasts all trial: slow drift from trial to trial. N_c is 1 on the diagonal and −c
beside it: neurons that spike regularly make up in one bin for what the last had too
much. The means are profiled out with n − 1 in place of n trials (which is exact, REML).

For Poisson spikes c = 0 and d is the mean count. For others both are free, at a price:
odds of 1 to 9, a prior on log d of SD `SPREAD` about the Poisson value with the Occam
factor of one more parameter, and equal odds for every c.

A maximum over g at each τ leans to τ at which g can be had precisely, which are short.
The adjusted profile takes that out: ½ log of the information on log g is subtracted
(D. R. Cox & N. Reid 1987, doi:10.1111/j.2517-6161.1987.tb01422.x).

The eigenvectors of the shared part relative to N_c do not depend on the neuron. They
are computed once (`likelihood_grid`); a neuron then costs a few matrix products.

Spike counts are no Gaussians: their fourth moments make a likelihood of second moments
too sure of itself. The remedy is Huber's, `inflation`: the variance of the score over
trials against what the likelihood expects of it (H. White 1982, doi:10.2307/1912526;
the degrees of freedom after Satterthwaite 1946, doi:10.2307/3002019).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from isotau.sim.timescales.estimators.likelihood_grid import (
    RHOS,
    Grid,
    correlation_matrix,
    halves,
    noise_matrix,
)

RHO_PRIOR = np.log([0.5] + [0.5 / 7] * 7)
"""Log prior of each ρ: drift is absent or present with equal odds. (T26)"""
SPREAD = 0.7
"""SD of log d about the Poisson value, where d is free."""
ODDS = np.log([0.9, 0.1])
"""Log prior of Poisson and of other noise."""
MOST_TERMS = 1 << 17
"""Neurons × ρ × bins that are worked on at once: what they fill stays in the cache."""
FACTORS = 32
"""Of 1 + g λ in one product: each is below 10^9."""
REFINED = np.linspace(-1, 1, 5)
"""Where the peak over log g is looked for again, in steps; twice."""
STEP = 1e-3
"""Of log τ, log g and ρ, for derivatives of the covariance."""
BOUNDS = 0.5, 30.0
"""Of κ: what few trials say of a variance is not to be trusted beyond."""


class TrialMoments(NamedTuple):
    """What the likelihood needs of neurons: second moments of their trials."""

    covariance: Float64[np.ndarray, "n bins bins"]
    """Sample covariance over trials (n − 1 in the denominator)."""
    shot: Float64[np.ndarray, " n"]
    """Mean count per bin, what d is for Poisson spikes; NaN where d is always free."""
    trials: Float64[np.ndarray, " n"]


class ProfileFit(NamedTuple):
    """The likelihood of each neuron as a function of τ, and where it is highest."""

    profile: Float64[np.ndarray, "n taus"]
    """Highest log likelihood (with the priors) at each τ."""
    adjusted: Float64[np.ndarray, "n taus"]
    """The same less ½ log of the information on log g."""
    null: Float64[np.ndarray, " n"]
    """The same without anything of a timescale: noise and drift."""
    tau: Float64[np.ndarray, " n"]
    """The grid's τ at the highest point, in seconds, and ρ, g, d, c there."""
    rho: Float64[np.ndarray, " n"]
    gain: Float64[np.ndarray, " n"]
    white: Float64[np.ndarray, " n"]
    regularity: Float64[np.ndarray, " n"]
    free: Float64[np.ndarray, " n"]
    """Whether d was free there (1) or the Poisson value (0)."""


def evaluate(grids: tuple[Grid, ...], moments: TrialMoments) -> ProfileFit:
    """Return the profile likelihood of τ for each neuron.

    All moments must be finite and every neuron must vary.
    """
    chunks = []
    _, rhos, bins = grids[0].values.shape
    size = max(1, MOST_TERMS // (rhos * bins))
    for k in range(0, moments.trials.size, size):
        part = TrialMoments(*(field[k : k + size] for field in moments))
        fits = [_fit_grid(grid, part, len(grids)) for grid in grids]
        chunks.append(_highest(fits))
    return ProfileFit(*(np.concatenate(field) for field in zip(*chunks, strict=True)))


def _highest(fits: list[ProfileFit]) -> ProfileFit:
    """Return, of fits with different c, what is highest."""
    peaks = np.array([fit.profile.max(axis=1) for fit in fits])
    best, row = peaks.argmax(axis=0), np.arange(peaks.shape[1])
    fields = [np.array(field) for field in zip(*fits, strict=True)]
    # The likelihoods at each τ, and those without one; then where the peak lies.
    highest = (field.max(axis=0) for field in fields[:3])
    at_peak = (field[best, row] for field in fields[3:])
    return ProfileFit(*highest, *at_peak)


def _fit_grid(grid: Grid, moments: TrialMoments, choices: int) -> ProfileFit:
    """Return the profile likelihood of some neurons for one c of several."""
    n, taus = moments.trials.size, grid.taus.size
    neuron = np.arange(n)
    r = np.empty((taus, n), dtype=np.intp)
    profile, gain, information, white = np.empty((4, taus, n))
    free, noise = np.empty((taus, n), dtype=bool), np.empty(n)
    along = _power(grid, moments.covariance)
    # One τ at a time: what all of them would fill is read from no cache.
    for t, (variances, values) in enumerate(zip(along, grid.values, strict=True)):
        scaled = 1 + grid.gains[:, None] * values[:, None]
        total, _ = _log_likelihood(
            (1 / scaled) @ variances,
            np.log(scaled).sum(axis=-1)[..., None],
            grid,
            moments,
            choices,
        )
        total += RHO_PRIOR[:, None, None]
        # At each τ the best ρ, and there the best g between the grid's.
        flat = total.reshape(-1, n).argmax(axis=0)
        r[t], g = np.unravel_index(flat, total.shape[:2])
        noise = total[0, 0]  # without any g, whatever τ
        power, value = variances[r[t], :, neuron].T, values[r[t]].T
        peak = _refine(grid, moments, choices, power, value, g)
        profile[t] = peak.height + RHO_PRIOR[r[t]]
        gain[t], information[t], white[t], free[t] = peak[1:]
    # g = 0 is noise at any τ; with R_τ left out, drift is what remains.
    drift, _ = _log_likelihood(*_drift(grid, moments), grid, moments, choices)
    prior = np.log1p(-np.exp(RHO_PRIOR[0]))
    top = profile.argmax(axis=0), neuron
    return ProfileFit(
        profile=profile.T,
        adjusted=(profile - 0.5 * np.log(information)).T,  # (T28)
        null=np.maximum(noise, drift.max(axis=0) + prior),
        tau=grid.taus[top[0]],
        rho=RHOS[r[top]],
        gain=gain[top],
        white=np.where(free[top], white[top], moments.shot),
        regularity=np.full(n, grid.regularity),
        free=free[top].astype(np.float64),
    )


def _power(
    grid: Grid, covariance: Float64[np.ndarray, "n bins bins"]
) -> Iterator[Float64[np.ndarray, "rhos bins n"]]:
    """Yield for each τ the neurons' variance along each eigenvector: (Vᵀ C V)_bb."""
    n, (_, rhos, bins) = len(covariance), grid.values.shape
    even, odd = (_packed(half).T for half in halves(covariance))
    half = grid.even.shape[-1]
    for even_vectors, odd_vectors in zip(grid.even, grid.odd, strict=True):
        power = np.empty((rhos, bins, n))
        # vᵀCv is linear in C: all neurons and vectors are one product of matrices.
        columns = even_vectors.transpose(1, 0, 2).reshape(half, -1)
        power[:, :half] = (_pairs(columns).T @ even).reshape(rhos, half, n)
        power[:, half:] = _pairs(odd_vectors).T @ odd  # of any ρ
        yield power


def _packed(matrices: Float64[np.ndarray, "n size size"]) -> np.ndarray:
    """Return the upper triangles of symmetric matrices, doubled off the diagonal."""
    row, column = _triangle(matrices.shape[-1])
    return matrices[:, row, column] * np.where(row == column, 1.0, 2.0)


def _pairs(vectors: Float64[np.ndarray, "size many"]) -> np.ndarray:
    """Return v_i v_j of columns, in the order of `_packed`."""
    row, column = _triangle(len(vectors))
    return vectors.take(row, axis=0) * vectors.take(column, axis=0)


@lru_cache(maxsize=8)
def _triangle(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the upper triangle."""
    return np.triu_indices(size)


def _drift(grid: Grid, moments: TrialMoments) -> tuple[np.ndarray, np.ndarray]:
    """Return the squares and log determinants of noise and drift alone, g × n."""
    bins = moments.covariance.shape[-1]
    noise = noise_matrix(grid.regularity, bins)
    inverse = np.linalg.inv(noise)
    along = inverse.sum(axis=1)
    size = along.sum()
    trace = np.einsum("nbc,cb->n", moments.covariance, inverse)
    part = np.einsum("nbc,b,c->n", moments.covariance, along, along)
    # (T27), Sherman–Morrison: (N + g 11ᵀ)⁻¹ = N⁻¹ − g N⁻¹11ᵀN⁻¹ / (1 + g 1ᵀN⁻¹1).
    gains = grid.gains[:, None]
    return trace - part * (gains / (1 + gains * size)), np.log1p(gains * size)


class _GainPeak(NamedTuple):
    """Where the likelihood is highest over g, of each neuron at one τ and ρ."""

    height: Float64[np.ndarray, " n"]
    gain: Float64[np.ndarray, " n"]
    information: Float64[np.ndarray, " n"]
    """On log g."""
    white: Float64[np.ndarray, " n"]
    """d, if it is free."""
    free: Bool[np.ndarray, " n"]


def _refine(
    grid: Grid,
    moments: TrialMoments,
    choices: int,
    power: Float64[np.ndarray, "bins n"],
    values: Float64[np.ndarray, "bins n"],
    g: Int64[np.ndarray, " n"],
) -> _GainPeak:
    """Return the peak over g at one τ, searched for from the grid's best g on.

    g = 0 stays: it is not on the log scale.
    """
    bins, step = len(power), np.log(grid.gains[2] / grid.gains[1])
    centre = np.log(grid.gains[np.maximum(g, 1)])
    for _ in range(2):
        around = centre + step * REFINED[:, None]
        scaled = np.exp(around) * values[:, None]
        scaled += 1
        logs = _log_product(scaled)
        squares = np.divide(power[:, None], scaled, out=scaled).sum(axis=0)
        total, free = _log_likelihood(squares, logs, grid, moments, choices)
        best = total.argmax(axis=0)[None]
        centre = np.take_along_axis(around, best, 0)[0]
        step *= REFINED[1] - REFINED[0]
    gain = np.where(g > 0, np.exp(centre), 0.0)
    scaled = 1 + gain * values
    white = (power / scaled).mean(axis=0)  # (T24)
    share = 1 - 1 / scaled
    information = (share**2).sum(axis=0)
    free = np.take_along_axis(free, best, 0)[0]
    # What is known of g beyond d, where d is free.
    information -= free * (share.sum(axis=0) ** 2 / bins)
    information *= 0.5 * (moments.trials - 1)
    span = np.log(grid.gains[-1] / grid.gains[1])
    # The grid's own: a number anywhere on it has the variance span²/12.
    information += 12 / span**2
    return _GainPeak(total.max(axis=0), gain, information, white, free)


def _log_product(
    factors: Float64[np.ndarray, "factors points n"],
) -> Float64[np.ndarray, "points n"]:
    """Return the logarithm of products over the first axis."""
    # Fewer logarithms; products of so many factors stay below the largest float.
    total = np.zeros(factors.shape[1:])
    for k in range(0, len(factors), FACTORS):
        total += np.log(factors[k : k + FACTORS].prod(axis=0))
    return total


def _log_likelihood(
    squares: Float64[np.ndarray, "*many n"],
    logs: Float64[np.ndarray, "*many n"],
    grid: Grid,
    moments: TrialMoments,
    choices: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log likelihood, and whether it is that of a free d.

    Args:
        squares: tr(C (N + g M)⁻¹), neurons last.
        logs: log |1 + g λ|, of the same shape or of one neuron for all.
        grid: gives c and |N_c|.
        moments: of the neurons.
        choices: of c, among which the prior is spread.

    Terms that are the same for all parameters are left out.
    """
    bins = moments.covariance.shape[-1]
    half = 0.5 * (moments.trials - 1)
    determinant = half * (logs + grid.log_det)
    # As few passes as there can be: they take most of the time of an estimate.
    if np.isnan(moments.shot).all():
        # (T23) at the d of (T24)
        free = np.log(squares)
        free *= -half * bins
        free += half * bins * (np.log(bins) - 1) - np.log(choices)
        free -= determinant
        return free, np.ones_like(free, dtype=bool)
    # (T25), y = log d less its Poisson value. Laplace: log d is known to SD
    # √(1/(half · bins)) given all else.
    shot = np.log(moments.shot)
    y = np.log(squares)
    y -= np.log(bins) + shot
    level = ODDS[1] - np.log(choices) - 0.5 * np.log(half * bins * SPREAD**2)
    free = y * (0.5 / SPREAD**2)
    free += half * bins
    free *= y
    np.subtract(level - half * bins * (shot + 1), free, out=free)
    if grid.regularity:
        free -= determinant
        return free, np.ones_like(free, dtype=bool)
    poisson = np.multiply(squares, -half / moments.shot, out=y)
    poisson += ODDS[0] - half * bins * shot
    wins = free >= poisson
    np.maximum(poisson, free, out=poisson)
    poisson -= determinant
    return poisson, wins


class Inflation(NamedTuple):
    """By what the curvature of the likelihood of log τ overstates what is known."""

    kappa: float
    """Variance of log τ over the one that the likelihood alone would give."""
    freedom: float
    """Degrees of freedom of that variance, from the kurtosis of the scores."""


class Point(NamedTuple):
    """Parameters of the likelihood: τ in seconds, ρ, g, d and c."""

    tau: float
    rho: float
    gain: float
    white: float
    regularity: float
    free: bool
    """Whether d is a parameter, and not the mean count."""


def inflation(
    values: Float64[np.ndarray, "bins trials"], kind: str, bin_width: float, at: Point
) -> Inflation:
    """Return how much wider intervals for log τ must be than the likelihood says.

    κ = (H⁻¹ J H⁻¹)₁₁ / (H⁻¹)₁₁ with H the expected information of all free parameters
    and J the sum over trials of outer products of their scores (T33 to T36); it is kept
    between `BOUNDS`. κ = 1 for Gaussian data. ρ counts as free where it is not 0.

    Args:
        values: of one neuron, at least 2 trials.
        kind: "counts" or "signal".
        bin_width: in seconds.
        at: where the likelihood is highest.
    """
    bins, trials = values.shape
    slopes, inverse = _slopes(kind, bin_width, bins, at)
    centred = values - values.mean(axis=1, keepdims=True)
    weighted = inverse @ centred
    # (T33): the mean that was taken away takes a share of the variance with it.
    expected = (slopes * inverse).sum(axis=(1, 2)) * ((trials - 1) / trials)
    squares = ((slopes @ weighted) * weighted).sum(axis=1)
    scores = 0.5 * (squares - expected[:, None])
    # (T34)
    whitened = inverse @ slopes
    count = len(slopes)
    # tr(AB) = Σ A_ij B_ji: of all pairs, one product.
    rows = whitened.reshape(count, -1)
    columns = whitened.transpose(0, 2, 1).reshape(count, -1)
    information = 0.5 * trials * (rows @ columns.T)
    try:
        row = np.linalg.inv(information)[0]
    except np.linalg.LinAlgError:  # two parameters do the same here
        return Inflation(BOUNDS[1], 1.0)
    along = row @ scores
    along = along - along.mean()
    power = np.sum(along**2)
    if not (row[0] > 0 and power > 0):
        return Inflation(BOUNDS[1], 1.0)
    kurtosis = trials * np.sum(along**4) / power**2
    return Inflation(
        float(np.clip(power / row[0], *BOUNDS)),  # (T35)
        float(2 * trials / max(kurtosis - 1, 0.1)),  # (T36)
    )


def _slopes(
    kind: str, bin_width: float, bins: int, at: Point
) -> tuple[np.ndarray, np.ndarray]:
    """Return dS/dp for log τ, log g, and log d and ρ where free; and S⁻¹."""
    correlation, change = _correlation_slope(kind, float(at.tau), bin_width, bins)
    mixed = (1 - at.rho) * correlation + at.rho
    scale = at.white * at.gain
    covariance = at.white * noise_matrix(at.regularity, bins) + scale * mixed
    slopes = [scale * (1 - at.rho) * change, scale * mixed]
    if at.free:
        slopes.append(covariance)
    if at.rho > 0:
        slopes.append(scale * (1.0 - correlation))
    return np.array(slopes), np.linalg.inv(covariance)


@lru_cache(maxsize=64)
def _correlation_slope(
    kind: str, tau: float, bin_width: float, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return R_τ and its derivative by log τ; neurons share the grid's τ."""
    up, down = (
        correlation_matrix(kind, tau * factor, bin_width, bins)
        for factor in (np.exp(STEP), np.exp(-STEP))
    )
    return correlation_matrix(kind, tau, bin_width, bins), (up - down) / (2 * STEP)
