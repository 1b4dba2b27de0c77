"""Gaussian signals with known timescales, sampled without error of discretization."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from benchmarks.synthetic.covariance import Exponentials, single_exponential
from benchmarks.synthetic.parameters import (
    count_trials,
    count_units,
    fraction,
    per_unit,
    whole_bins,
)
from benchmarks.synthetic.truth import Generated, Truth
from isotau.convert.ground import validation
from isotau.sim.timescales.records.series import Series


def ornstein_uhlenbeck(
    tau: npt.ArrayLike,
    *,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    sd: npt.ArrayLike = 1.0,
    dt: float = 0.001,
    units: int | None = None,
) -> Generated:
    """Return an Ornstein–Uhlenbeck signal sampled every dt: C(u) = sd² exp(−u/τ).

    The samples are an AR(1) process with φ = exp(−dt/τ), exactly.
    """
    n = count_units(units, tau, sd)
    tau = per_unit("tau", tau, n, positive=True)
    sd = per_unit("sd", sd, n, positive=True)
    values = sd * standard_paths(tau, count_trials(trials), duration, dt, rng)
    return _signal(values, dt, single_exponential(sd**2, tau), tau[None])


def two_timescale_ou(
    tau: npt.ArrayLike,
    tau_slow: npt.ArrayLike,
    *,
    share_slow: npt.ArrayLike,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    sd: npt.ArrayLike = 1.0,
    dt: float = 0.001,
    units: int | None = None,
) -> Generated:
    """Return the sum of two independent OU signals, with sd² in all.

    `share_slow` of the variance has `tau_slow`, the rest `tau`.
    """
    n = count_units(units, tau, tau_slow, share_slow, sd)
    taus = two_taus(tau, tau_slow, n)
    slow = fraction("share_slow", share_slow, n)
    variances = per_unit("sd", sd, n, positive=True) ** 2 * np.stack((1 - slow, slow))
    trials = count_trials(trials)
    values = sum(
        np.sqrt(variance) * standard_paths(tau_k, trials, duration, dt, rng)
        for variance, tau_k in zip(variances, taus, strict=True)
    )
    covariance = Exponentials(weights=variances + 0j, decays=1 / taus + 0j)
    return _signal(np.asarray(values), dt, covariance, taus)


def ou_with_oscillation(
    tau: npt.ArrayLike,
    frequency: npt.ArrayLike,
    *,
    share: npt.ArrayLike,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    sd: npt.ArrayLike = 1.0,
    dt: float = 0.001,
    units: int | None = None,
) -> Generated:
    """Return an OU signal plus a sinusoid whose phase is random in every trial.

    C(u) = sd² [(1 − share) exp(−u/τ) + share cos(2π frequency u)]; frequency in Hz.
    """
    n = count_units(units, tau, frequency, share, sd)
    tau = per_unit("tau", tau, n, positive=True)
    omega = 2 * np.pi * per_unit("frequency", frequency, n, positive=True)
    share = fraction("share", share, n)
    sd = per_unit("sd", sd, n, positive=True)
    trials = count_trials(trials)
    values = np.sqrt(1 - share) * standard_paths(tau, trials, duration, dt, rng)
    phase = rng.uniform(0, 2 * np.pi, (trials, n))
    time = dt * np.arange(len(values))[:, None, None]
    values += np.sqrt(2 * share) * np.sin(omega * time + phase)
    covariance = Exponentials(
        weights=sd**2 * np.stack((1 - share, share)) + 0j,
        decays=np.stack((1 / tau + 0j, 1j * omega)),
    )
    return _signal(sd * values, dt, covariance, tau[None], 1 - share[None])


def binned_ou(
    tau: npt.ArrayLike,
    *,
    bin_width: float,
    trials: int,
    duration: float,
    rng: np.random.Generator,
    sd: npt.ArrayLike = 1.0,
    units: int | None = None,
) -> Generated:
    """Return the means of an OU signal over bins.

    Their covariance is `bin_covariance` / bin_width²; from one bin to the next it falls
    by exp(−bin_width/τ) whatever the width, but not from lag 0 to lag 1. A bin's mean
    and the signal at its end are drawn together from their joint law: D. T. Gillespie
    1996, doi:10.1103/PhysRevE.54.2084.
    """
    n = count_units(units, tau, sd)
    tau = per_unit("tau", tau, n, positive=True)
    sd = per_unit("sd", sd, n, positive=True)
    trials = count_trials(trials)
    bins = whole_bins(duration, bin_width)
    ratio = bin_width / tau
    q = np.exp(-ratio)
    spread = np.sqrt(-np.expm1(-2 * ratio))
    joint = np.expm1(-ratio) ** 2 / ratio
    # 2x − 3 + 4q − q², which is of the order x³: of no use as it stands for small x
    variance = 2 * (ratio + np.expm1(-ratio)) - np.expm1(-ratio) ** 2
    series = ratio**3 * (2 / 3 - ratio / 2 + 7 / 30 * ratio**2)
    variance = np.where(ratio < 0.001, series, variance) / ratio**2
    private = np.sqrt(np.maximum(variance - (joint / spread) ** 2, 0))
    x = rng.standard_normal((trials, n))
    values = np.empty((bins, trials, n))
    for mean in values:
        kick = rng.standard_normal((trials, n))
        other = rng.standard_normal((trials, n))
        mean[:] = x * (1 - q) / ratio + kick * (joint / spread) + private * other
        x = q * x + spread * kick
    covariance = single_exponential(sd**2, tau)
    return _signal(sd * values, bin_width, covariance, tau[None])


def standard_paths(
    tau: np.ndarray, trials: int, duration: float, dt: float, rng: np.random.Generator
) -> np.ndarray:
    """Return OU signals of variance 1 that start anywhere, steps × trial × unit."""
    steps = whole_bins(duration, dt, name="dt")
    decay, kick = np.exp(-dt / tau), np.sqrt(-np.expm1(-2 * dt / tau))
    values = rng.standard_normal((steps, trials, len(tau)))
    for before, now in pairwise(values):
        now *= kick
        now += decay * before
    return values


def two_taus(tau: npt.ArrayLike, tau_slow: npt.ArrayLike, n: int) -> np.ndarray:
    """Return two timescales of n units, the slow one last.

    Raises:
        ValueError: the slow one is not the slower.
    """
    fast = per_unit("tau", tau, n, positive=True)
    slow = per_unit("tau_slow", tau_slow, n, positive=True)
    if (slow <= fast).any():
        (k,) = validation.first(slow <= fast)
        raise ValueError(
            f"tau_slow: got {slow[k]} s at [{k}], need more than tau, {fast[k]} s"
        )
    return np.stack((fast, slow))


def _signal(
    values: np.ndarray,
    dt: float,
    covariance: Exponentials,
    taus: np.ndarray,
    shares: np.ndarray | None = None,
) -> Generated:
    if shares is None:
        weights = covariance.weights.real
        shares = weights / weights.sum(axis=0)
    truth = Truth(
        taus=taus,
        shares=shares,
        mean=np.zeros(taus.shape[1]),
        autocovariance=covariance,
        point_process=False,
    )
    data = Series(values=values, bin_width=dt, kind="signal")
    return Generated(data=data, truth=truth)
