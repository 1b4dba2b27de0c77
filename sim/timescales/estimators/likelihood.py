"""The Gaussian likelihood of binned activity, over a grid, for many neurons at once.

What a neuron does in the bins of one trial is taken as a draw from a Gaussian with free
means and the covariance

    S = d (N_c + g ((1 − ρ) R_τ + ρ 11ᵀ)),                                         (T21)

with R_τ the correlation of a process of one timescale (`CORRELATIONS`), d the variance
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
are computed once per grid; a neuron then costs a few matrix products.

Spike counts are no Gaussians: their fourth moments make a likelihood of second moments
too sure of itself. The remedy is Huber's, `inflation`: the variance of the score over
trials against what the likelihood expects of it (H. White 1982, doi:10.2307/1912526;
the degrees of freedom after Satterthwaite 1946, doi:10.2307/3002019).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.linalg import eigh, toeplitz

RHOS = np.array([0.0, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85])
RHO_PRIOR = np.log([0.5] + [0.5 / 7] * 7)
"""Log prior of each ρ: drift is absent or present with equal odds. (T26)"""
REGULARITY = {"counts": (0.0, 0.25, 0.4, 0.48), "signal": (0.0,)}
"""c that are looked at, below the ½ at which N_c is no covariance any more."""
GAINS = {
    "counts": np.concatenate([[0.0], np.geomspace(0.01, 100.0, 40)]),
    "signal": np.concatenate([[0.0], np.geomspace(0.01, 1e6, 60)]),
}
"""g, by the kind of data: a signal may have hardly any noise of its own."""
SPREAD = 0.7
"""SD of log d about the Poisson value, where d is free."""
ODDS = np.log([0.9, 0.1])
"""Log prior of Poisson and of other noise."""
CHUNK = 48
"""Neurons that are worked on at once: about 100 MB."""
REFINED = np.linspace(-1, 1, 5)
"""Where the peak over log g is looked for again, in steps; twice."""
STEP = 1e-3
"""Of log τ, log g and ρ, for derivatives of the covariance."""
BOUNDS = 0.5, 30.0
"""Of κ: what few trials say of a variance is not to be trusted beyond."""


def binned_ou(tau: float, bin_width: float, bins: int) -> Float64[np.ndarray, " bins"]:
    """Return the correlation between bins of an Ornstein–Uhlenbeck process.

    With q = exp(−w/τ) and the process of variance 1, the integrals over bins of width w
    covary as τ² (1 − q)² e^(−(l − 1) w/τ) at lag l ≥ 1, and have the variance
    2 τ² (w/τ − 1 + q). From lag 1 on the correlation is exponential in any bin width;
    that is why binning does not change τ.

    Args:
        tau: in seconds.
        bin_width: w, in seconds.
        bins: number of lags, from 0.
    """
    # (T5)
    ratio = bin_width / tau
    lag = np.arange(bins)
    # Both divided by τ². The variance of bins much shorter than τ loses all its digits,
    # so that a series takes over.
    series = ratio**2 * (1 - ratio / 3)
    variance = 2 * (ratio + np.expm1(-ratio)) if ratio > 1e-4 else series
    across = np.expm1(-ratio) ** 2 * np.exp(-ratio * (np.maximum(lag, 1) - 1))
    return np.where(lag == 0, 1.0, across / variance)


def sampled_ou(tau: float, dt: float, bins: int) -> Float64[np.ndarray, " bins"]:
    """Return the correlation e^(−l dt/τ) of samples l · `dt` seconds apart."""
    # (T6)
    return np.exp(-np.arange(bins) * (dt / tau))


CORRELATIONS = {"counts": binned_ou, "signal": sampled_ou}
"""By the kind of a `Series`."""


def correlation_matrix(
    kind: str, tau: float, bin_width: float, bins: int
) -> Float64[np.ndarray, "bins bins"]:
    """Return the correlation between all pairs of bins."""
    return toeplitz(CORRELATIONS[kind](tau, bin_width, bins))


class Grid(NamedTuple):
    """What the likelihood needs and no neuron changes, for one c; axes τ × ρ × bin."""

    taus: Float64[np.ndarray, " taus"]
    gains: Float64[np.ndarray, " gains"]
    regularity: float
    """c."""
    vectors: Float64[np.ndarray, "taus rhos bins bins"]
    """V with Vᵀ N_c V = 1."""
    values: Float64[np.ndarray, "taus rhos bins"]
    """Eigenvalues λ of the shared part relative to N_c."""
    log_det: float
    """Of N_c."""


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


@lru_cache(maxsize=8)
def build_grids(
    kind: str, bins: int, bin_width: float, taus: tuple[float, ...]
) -> tuple[Grid, ...]:
    """Return the grids, one for each c, for trials of `bins` bins of `bin_width` s.

    Args:
        kind: "counts" or "signal".
        bins: of a trial.
        bin_width: in seconds.
        taus: in seconds, ascending.
    """
    grids = []
    for c in REGULARITY[kind]:
        noise = noise_matrix(c, bins)
        pairs = [
            [
                eigh(
                    (1 - rho) * correlation_matrix(kind, tau, bin_width, bins) + rho,
                    noise,
                )
                for rho in RHOS
            ]
            for tau in taus
        ]
        grid = Grid(
            taus=np.array(taus),
            gains=GAINS[kind],
            regularity=c,
            vectors=np.array([[v for _, v in row] for row in pairs]),
            # Rounding takes the smallest of long τ, which are next to 0, below it.
            values=np.maximum([[v for v, _ in row] for row in pairs], 0.0),
            log_det=float(np.linalg.slogdet(noise)[1]),
        )
        grids.append(grid)
    return tuple(grids)


def noise_matrix(c: float, bins: int) -> Float64[np.ndarray, "bins bins"]:
    """Return N_c: 1 on the diagonal, −c beside it."""
    # (T22)
    return toeplitz([1.0, -c] + [0.0] * (bins - 2))


def evaluate(grids: tuple[Grid, ...], moments: TrialMoments) -> ProfileFit:
    """Return the profile likelihood of τ for each neuron.

    All moments must be finite and every neuron must vary.
    """
    chunks = []
    for k in range(0, moments.trials.size, CHUNK):
        part = TrialMoments(*(field[k : k + CHUNK] for field in moments))
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
    power = _power(grid, moments.covariance)
    squares = np.empty((*power.shape[:3], grid.gains.size))
    logs = np.empty((*power.shape[1:3], grid.gains.size))
    for t, r in np.ndindex(power.shape[1:3]):
        scaled = 1 + grid.gains[:, None] * grid.values[t, r]
        squares[:, t, r] = power[:, t, r] @ (1 / scaled).T
        logs[t, r] = np.log(scaled).sum(axis=1)
    total, _ = _log_likelihood(squares, logs, grid, moments, choices)
    total += RHO_PRIOR[:, None]
    # At each τ the best ρ, and there the best g between the grid's.
    n, taus = total.shape[:2]
    flat = total.reshape(n, taus, -1).argmax(axis=2)
    r, g = np.unravel_index(flat, total.shape[2:])
    row, column = np.arange(n)[:, None], np.arange(taus)
    profile, gain, information = _refine(
        grid, moments, choices, power[row, column, r], grid.values[column, r], g
    )
    profile = profile + RHO_PRIOR[r]
    # g = 0 is noise at any τ; with R_τ left out, drift is what remains.
    drift, _ = _log_likelihood(*_drift(grid, moments), grid, moments, choices)
    prior = np.log1p(-np.exp(RHO_PRIOR[0]))
    # d at the peak, and whether it was free there.
    t, neuron = profile.argmax(axis=1), np.arange(n)
    r_peak, gain_peak = r[neuron, t], gain[neuron, t]
    scaled = 1 + gain_peak[:, None] * grid.values[t, r_peak]
    white = (power[neuron, t, r_peak] / scaled).mean(axis=1)
    sums = white[:, None] * power.shape[-1], np.log(scaled).sum(axis=1)[:, None]
    _, free = _log_likelihood(*sums, grid, moments, choices)
    return ProfileFit(
        profile=profile,
        adjusted=profile - 0.5 * np.log(information),  # (T28)
        null=np.maximum(total[:, 0, 0, 0], drift.max(axis=1) + prior),
        tau=grid.taus[t],
        rho=RHOS[r_peak],
        gain=gain_peak,
        white=np.where(free[:, 0], white, moments.shot),
        regularity=np.full(n, grid.regularity),
        free=free[:, 0].astype(np.float64),
    )


def _power(grid: Grid, covariance: np.ndarray) -> Float64[np.ndarray, "n t r bins"]:
    """Return each neuron's variance along each eigenvector."""
    out = np.empty((len(covariance), *grid.values.shape))
    for t, r in np.ndindex(grid.values.shape[:2]):
        v = grid.vectors[t, r]
        out[:, t, r] = np.einsum("nbk,bk->nk", covariance @ v, v)
    return out


def _drift(grid: Grid, moments: TrialMoments) -> tuple[np.ndarray, np.ndarray]:
    """Return the squares and log determinants of noise and drift alone, n × g."""
    bins = moments.covariance.shape[-1]
    noise = noise_matrix(grid.regularity, bins)
    inverse = np.linalg.inv(noise)
    along = inverse.sum(axis=1)
    size = along.sum()
    trace = np.einsum("nbc,cb->n", moments.covariance, inverse)
    part = np.einsum("nbc,b,c->n", moments.covariance, along, along)
    # (T27), Sherman–Morrison: (N + g 11ᵀ)⁻¹ = N⁻¹ − g N⁻¹11ᵀN⁻¹ / (1 + g 1ᵀN⁻¹1).
    shrinkage = grid.gains / (1 + grid.gains * size)
    return trace[:, None] - part[:, None] * shrinkage, np.log1p(grid.gains * size)


def _refine(
    grid: Grid,
    moments: TrialMoments,
    choices: int,
    power: np.ndarray,
    values: np.ndarray,
    g: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the peak over g at each τ, g there, and the information on log g.

    The search goes on from the grid's best g. `power` and `values` are n × τ × bin.
    g = 0 stays: it is not on the log scale.
    """
    step = np.log(grid.gains[2] / grid.gains[1])
    centre = np.log(grid.gains[np.maximum(g, 1)])
    for _ in range(2):
        around = centre[..., None] + step * REFINED
        scaled = 1 + np.exp(around)[..., None] * values[..., None, :]
        total, free = _log_likelihood(
            (power[..., None, :] / scaled).sum(axis=-1),
            np.log(scaled).sum(axis=-1),
            grid,
            moments,
            choices,
        )
        best = total.argmax(axis=-1)[..., None]
        centre = np.take_along_axis(around, best, -1)[..., 0]
        step *= REFINED[1] - REFINED[0]
    gain = np.where(g > 0, np.exp(centre), 0.0)
    share = 1 - 1 / (1 + gain[..., None] * values)
    information = (share**2).sum(axis=-1)
    # What is known of g beyond d, where d is free.
    information -= np.take_along_axis(free, best, -1)[..., 0] * (
        share.sum(axis=-1) ** 2 / share.shape[-1]
    )
    information *= 0.5 * (moments.trials[:, None] - 1)
    span = np.log(grid.gains[-1] / grid.gains[1])
    # The grid's own: a number anywhere on it has the variance span²/12.
    return total.max(axis=-1), gain, information + 12 / span**2


def _log_likelihood(
    squares: np.ndarray,
    logs: np.ndarray,
    grid: Grid,
    moments: TrialMoments,
    choices: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log likelihood, and whether it is that of a free d.

    Args:
        squares: tr(C (N + g M)⁻¹), neurons first.
        logs: log |1 + g λ|, of the same shape or without neurons.
        grid: gives c and |N_c|.
        moments: of the neurons.
        choices: of c, among which the prior is spread.

    Terms that are the same for all parameters are left out.
    """
    bins = moments.covariance.shape[-1]
    shape = (-1, *(1,) * (squares.ndim - 1))
    half = (0.5 * (moments.trials - 1)).reshape(shape)
    shot = moments.shot.reshape(shape)
    logs = logs + grid.log_det
    white = squares / bins  # (T24)
    # (T23) at that d
    free = -half * (bins * np.log(white) + logs + bins) - np.log(choices)
    if np.isnan(moments.shot).all():
        return free, np.ones_like(free, dtype=bool)
    # (T25). Laplace: log d is known to SD √(1/(half · bins)) given all else.
    occam = -0.5 * np.log(half * bins * SPREAD**2)
    free = free + occam + ODDS[1] - 0.5 * (np.log(white / shot) / SPREAD) ** 2
    if grid.regularity:
        return free, np.ones_like(free, dtype=bool)
    poisson = ODDS[0] - half * (bins * np.log(shot) + logs + squares / shot)
    return np.maximum(poisson, free), free >= poisson


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
    expected = [np.sum(inverse * slope) * (trials - 1) / trials for slope in slopes]
    squares = [np.einsum("bk,bc,ck->k", weighted, s, weighted) for s in slopes]
    scores = 0.5 * (np.array(squares) - np.array(expected)[:, None])
    # (T34)
    whitened = [inverse @ slope for slope in slopes]
    information = (
        0.5 * trials * np.array([[np.sum(a * b.T) for b in whitened] for a in whitened])
    )
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
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return dS/dp for log τ, log g, and log d and ρ where free; and S⁻¹."""

    def shared(log_tau: float, rho: float) -> np.ndarray:
        return (1 - rho) * correlation_matrix(
            kind, np.exp(log_tau), bin_width, bins
        ) + rho

    x = np.log(at.tau)
    mixed = shared(x, at.rho)
    scale = at.white * at.gain
    covariance = at.white * noise_matrix(at.regularity, bins) + scale * mixed
    up, down = shared(x + STEP, at.rho), shared(x - STEP, at.rho)
    slopes = [scale * (up - down) / (2 * STEP), scale * mixed]
    if at.free:
        slopes.append(covariance)
    if at.rho > 0:
        slopes.append(scale * (1.0 - correlation_matrix(kind, at.tau, bin_width, bins)))
    return slopes, np.linalg.inv(covariance)
