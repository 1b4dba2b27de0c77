"""Networks of low rank driven by noise: timescales τ and τ/(1 − eigenvalue).

τ x' = −x + J φ(x) + noise, J = m nᵀ/N. The noise is private and white; without
connections it gives every unit the variance sd². J has as many eigenvalues λ other than
0 as columns of m: those of the overlaps nᵀm/N.
"""

import numpy as np
from jaxtyping import Float64
from scipy.linalg import expm, solve_continuous_lyapunov

from benchmarks.synthetic.covariance import Exponentials
from benchmarks.synthetic.parameters import count_trials, whole_bins
from benchmarks.synthetic.truth import Generated, Truth
from isotau.convert.ground import validation
from isotau.sim.timescales.records.series import Series

Factor = Float64[np.ndarray, "units rank"]
BEFORE = 20.0
"""Timescales that a tanh network runs before a trial."""
NODES = 4001
"""Of the Gaussian average of tanh'."""


def linear_network(
    m: Factor,
    n: Factor,
    *,
    tau: float,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    sd: float = 1.0,
    dt: float = 0.001,
) -> Generated:
    """Return the units' activity in a stationary linear network, sampled exactly.

    Every unit's autocovariance is a mixture of exp(−u/τ) and exp(−u (1 − λ)/τ), see
    `unit_covariance`.

    Args:
        m: unit × rank.
        n: unit × rank; overlaps nᵀm/N with distinct eigenvalues.
        tau: of a unit without connections, in seconds.
        trials: number of them, independent.
        duration: of a trial, in seconds.
        rng: source of the noise.
        sd: of a unit without connections.
        dt: time between samples, in seconds.

    Raises:
        ValueError: factors of unequal shapes, an eigenvalue of 1 or more, two equal
            ones.
    """
    m, n, tau, sd, dt = _checked(m, n, tau, sd, dt)
    trials, steps = count_trials(trials), whole_bins(duration, dt, name="dt")
    truth = _truth(unit_covariance(m, n, tau=tau, sd=sd), m, n, tau)
    drift, stationary = _stationary(m @ n.T / len(m), np.eye(len(m)), tau, sd)
    move = expm(drift * dt)
    kick = np.linalg.cholesky(stationary - move @ stationary @ move.T)
    x = rng.standard_normal((trials, len(m))) @ np.linalg.cholesky(stationary).T
    values = np.empty((steps, trials, len(m)))
    for sample in values:
        sample[:] = x
        x = x @ move.T + rng.standard_normal(x.shape) @ kick.T
    return Generated(
        data=Series(values=values, bin_width=dt, kind="signal"), truth=truth
    )


def tanh_network(
    m: Factor,
    n: Factor,
    *,
    tau: float,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    sd: float = 1.0,
    dt: float = 0.001,
) -> Generated:
    """Return the units' activity in a tanh network about its fixed point 0.

    Noise makes the units less sensitive: κ = nᵀφ(x)/N decays with τ/(1 − g λ), with g
    the mean of tanh' over the noise. That is exact as N → ∞, and only the timescales
    are known. The equation is solved in steps of dt, φ held in each; the truth is that
    of these steps, longer than τ/(1 − g λ) by the order g λ dt/(2 τ).

    Raises:
        ValueError: as `linear_network`, of the eigenvalues g λ.
    """
    gain = mean_gain(validation.number("sd", sd, positive=True))
    weak, n, tau, sd, dt = _checked(gain * np.asarray(m), n, tau, sd, dt)
    m = weak / gain
    trials, steps = count_trials(trials), whole_bins(duration, dt, name="dt")
    taus = mode_taus(weak, n, tau, dt=dt)
    truth = Truth(
        taus=np.repeat(taus[:, None], len(m), axis=1),
        mean=np.zeros(len(m)),
        autocovariance=None,
        point_process=False,
    )
    keep = np.exp(-dt / tau)
    kick = sd * np.sqrt(1 - keep**2)
    x = sd * rng.standard_normal((trials, len(m)))
    before = int(np.ceil(BEFORE * taus.max() / dt))
    values = np.empty((steps, trials, len(m)))
    for step in range(-before, steps):
        kappa = np.tanh(x) @ n / len(m)
        x = keep * x + (1 - keep) * (kappa @ m.T) + kick * rng.standard_normal(x.shape)
        if step >= 0:
            values[step] = x
    return Generated(
        data=Series(values=values, bin_width=dt, kind="signal"), truth=truth
    )


def kappa(activity: Series, n: Factor) -> Series:
    """Return nᵀx/N: where the activity stands along the modes, as a series.

    Of a linear network of rank 1 it is an OU process of time constant τ/(1 − λ).
    """
    values = activity.values @ np.asarray(n) / activity.n
    return Series(values=values, bin_width=activity.bin_width, kind="signal")


def unit_covariance(m: Factor, n: Factor, *, tau: float, sd: float) -> Exponentials:
    """Return the autocovariance of each unit of a linear network.

    C(u) = exp(A u) S, with A = (J − 1)/τ and A S + S Aᵀ = −2 sd²/τ. Of low rank,
    exp(A u) = exp(−u/τ) (1 − Σ P_r) + Σ exp(−u (1 − λ_r)/τ) P_r with the projectors P_r
    of J; a unit's share of each is the diagonal of P_r S.
    """
    m, n, tau, sd, _ = _checked(m, n, tau, sd, tau)
    values, vectors = np.linalg.eig(n.T @ m / len(m))
    _, stationary = _stationary(m @ n.T / len(m), np.eye(len(m)), tau, sd)
    before = np.linalg.solve(vectors, n.T.astype(complex)) / len(m)
    modes = (m @ vectors / values * (before @ stationary).T).T
    local = np.diag(stationary) - modes.sum(axis=0)
    decays = np.concatenate(([1.0], 1 - values)) / tau
    return Exponentials(
        weights=np.concatenate((local[None], modes)),
        decays=np.repeat(decays[:, None] + 0j, len(m), axis=1),
    )


def mode_covariance(m: Factor, n: Factor, *, tau: float, sd: float) -> Exponentials:
    """Return the autocovariance of each κ = nᵀx/N of a linear network.

    κ obeys τ κ' = −κ + (nᵀm/N) κ + nᵀ noise/N, a network of as many units as the rank.
    """
    m, n, tau, sd, _ = _checked(m, n, tau, sd, tau)
    overlap = n.T @ m / len(m)
    values, vectors = np.linalg.eig(overlap)
    _, stationary = _stationary(overlap, n.T @ n / len(m) ** 2, tau, sd)
    projection = np.linalg.solve(vectors, stationary.astype(complex))
    return Exponentials(
        weights=(vectors * projection.T).T,
        decays=np.repeat(((1 - values) / tau)[:, None] + 0j, len(values), axis=1),
    )


def mode_taus(
    m: Factor, n: Factor, tau: float, *, dt: float | None = None
) -> Float64[np.ndarray, " components"]:
    """Return τ and every mode's τ/(1 − Re λ) in seconds, ascending.

    With `dt`, those of a network that holds J φ(x) for steps of dt: each multiplies a
    mode by q + (1 − q) λ, q = exp(−dt/τ).
    """
    values = np.linalg.eigvals(n.T @ m / len(m))
    if dt is None:
        modes = tau / (1 - values.real)
    else:
        keep = np.exp(-dt / tau)
        modes = -dt / np.log(np.abs(keep + (1 - keep) * values))
    return np.sort(np.concatenate(([tau], modes)))


def mean_gain(sd: float) -> float:
    """Return the mean of tanh'(x) over normal x of standard deviation sd."""
    # An equal sum, exact for smooth functions that vanish at both ends.
    x = np.linspace(-10, 10, NODES)
    weights = np.exp(-(x**2) / 2)
    return float(weights @ np.cosh(np.clip(sd * x, -300, 300)) ** -2 / weights.sum())


def _checked(
    m: Factor, n: Factor, tau: float, sd: float, dt: float
) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """Return the arguments of a network after checking them."""
    size = validation.length("m", m)
    rank = validation.length("m", m, axis=1)
    m = validation.floats("m", m, (size, rank), "unit × rank")
    n = validation.floats("n", n, (size, rank), "unit × rank")
    values = np.linalg.eigvals(n.T @ m / size)
    if (values.real >= 1).any():
        raise ValueError(
            f"n: got an overlap of {values.real.max():.4g} with m, need less than 1; "
            "at 1 activity never decays"
        )
    gaps = np.abs(values[:, None] - np.append(values, 0)) + np.eye(rank, rank + 1)
    if (gaps < 1e-6).any():
        raise ValueError(
            f"n: got overlaps of eigenvalues {np.round(values, 6).tolist()} with m, "
            "need distinct ones other than 0"
        )
    return (
        m,
        n,
        validation.number("tau", tau, positive=True),
        validation.number("sd", sd, positive=True),
        validation.number("dt", dt, positive=True),
    )


def _stationary(
    j: np.ndarray, noise: np.ndarray, tau: float, sd: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return A = (J − 1)/τ and the stationary covariance."""
    drift = (j - np.eye(len(j))) / tau
    covariance = solve_continuous_lyapunov(drift, -2 * sd**2 / tau * noise)
    return drift, (covariance + covariance.T) / 2


def _truth(covariance: Exponentials, m: Factor, n: Factor, tau: float) -> Truth:
    """Return the truth about the units, slowest component last."""
    order = np.argsort(-covariance.decays[:, 0].real, kind="stable")
    weights = covariance.weights[order].real
    return Truth(
        taus=1 / covariance.decays[order].real,
        shares=weights / weights.sum(axis=0),
        mean=np.zeros(len(m)),
        autocovariance=covariance,
        point_process=False,
    )
