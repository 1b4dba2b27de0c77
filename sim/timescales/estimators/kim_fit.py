"""The published fit of a decay to a correlation: rules 3 to 6 of `kim`.

R. Kim & T. J. Sejnowski 2021, doi:10.1038/s41593-020-00753-w.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.sim.timescales.estimators import estimator_kernels as kernels
from isotau.sim.timescales.records.record import Status, Timescales

LATEST_PEAK = 3
"""The fall must begin at one of the first three lags."""


class Decay(NamedTuple):
    """A fitted ρ(x) = A (exp(k x) + B); x = 1, 2, … counts lags from the first used."""

    amplitude: float
    rate: float
    """k, per lag."""
    offset: float
    """B, a multiple of the amplitude."""


class Fits(NamedTuple):
    """The published fit to each neuron's ρ; NaN where no fit was made.

    Attributes:
        decay: A, k and B (rows) of each neuron.
        goodness: R² over the lags that were used.
        status: OK where there is a fit, else what kept it from being made.
    """

    decay: Float64[np.ndarray, "three n"]
    goodness: Float64[np.ndarray, " n"]
    status: tuple[Status, ...]


def first_fall(rho: Float64[np.ndarray, " lags"]) -> int | None:
    """Return the smallest lag m, from 1, with ρ(m + 1) < ρ(m); None where none is."""
    falls = np.flatnonzero(np.diff(rho) < 0)
    return int(falls[0]) + 1 if falls.size else None


def fit_decay(y: Float64[np.ndarray, " points"]) -> Decay:
    """Return the least-squares fit of A (exp(k x) + B) to y at x = 1, 2, …

    By Levenberg and Marquardt's method from A = k = B = 0, as published. There the
    gradient in k and B vanishes and only A can move; the first step makes it about the
    mean of y, and from then on all three move. The authors used MATLAB's lsqcurvefit;
    this is the damping that its manual describes, run until nothing improves (MATLAB
    stops at changes of 1e-6) or 600 evaluations are used up. It agrees with MINPACK
    wherever there is a minimum. They end apart in valleys without one (k → 0 with
    A → ∞, k → −∞ with A eᵏ constant), where the fit runs until it is out of
    evaluations; here it ends at the same bits each time.

    The start costs neurons: where the mean of y is negative, A turns negative first and
    k ends at 0 or above, even if y is an exact exponential with B < 0.
    """
    curve = np.array(y, dtype=np.float64, order="C")
    return Decay(*map(float, kernels.levenberg_marquardt(curve)))


def fitted(rho: Float64[np.ndarray, "lags n"]) -> Fits:
    """Return the fits of rules 3 to 5 to each neuron's ρ.

    Raises:
        ValueError: fewer than 5 lags.
    """
    lags, n = rho.shape
    if lags < LATEST_PEAK + 2:
        raise ValueError(f"lags: got {lags}, need at least {LATEST_PEAK + 2}")
    falls = np.diff(rho, axis=0) < 0
    first = np.where(falls.any(axis=0), np.argmax(falls, axis=0), lags)
    undefined = np.isnan(rho).any(axis=0)
    start = np.where(undefined | (first >= LATEST_PEAK), -1, first)
    decay = np.full((3, n), np.nan)
    kernels.fit_columns(np.ascontiguousarray(rho), start, decay)
    status = [
        Status.UNDEFINED if gap else Status.LATE_PEAK if at < 0 else Status.OK
        for gap, at in zip(undefined, start, strict=True)
    ]
    goodness = [
        explained(rho[at:, k], Decay(*decay[:, k])) if at >= 0 else math.nan
        for k, at in enumerate(start)
    ]
    return Fits(decay, np.array(goodness), tuple(status))


def explained(y: Float64[np.ndarray, " points"], fit: Decay) -> float:
    """Return R² of a fit, NaN where it ended at infinity or y does not vary."""
    x = np.arange(1.0, y.size + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        curve = fit.amplitude * (np.exp(fit.rate * x) + fit.offset)
        total = np.sum((y - y.mean()) ** 2)
        share = np.sum((y - curve) ** 2) / total if total > 0 else math.nan
    return float(1 - share) if math.isfinite(share) else math.nan


def judged(
    fits: Fits,
    rate: Float64[np.ndarray, " n"],
    slow: Bool[np.ndarray, " n"],
    bin_width: float,
    max_tau: float,
    *,
    low: Float64[np.ndarray, " n"],
    high: Float64[np.ndarray, " n"],
    method: str,
    lags: int,
    level: float,
    signed: bool = False,
) -> Timescales:
    """Return the record of the fits: rule 2 for `slow` neurons, and rule 6.

    Args:
        fits: of all neurons.
        rate: in Hz, for the record.
        slow: which neurons rule 2 refuses.
        bin_width: in seconds.
        max_tau: in seconds.
        low: of the interval, in seconds.
        high: of the interval, in seconds.
        method: name of the estimator.
        lags: number of lags.
        level: of the interval.
        signed: whether an A below 0 is allowed.
    """
    width = validation.number("bin_width", bin_width, positive=True)
    decays = [Decay(*map(float, one)) for one in fits.decay.T]
    status = [
        Status.TOO_FEW_SPIKES
        if slow[k]
        else _verdict(decays[k], width, max_tau, signed)
        if found is Status.OK
        else found
        for k, found in enumerate(fits.status)
    ]
    estimate = decay_times(fits.decay[1], width)
    estimate[slow | ~np.isfinite(estimate)] = np.nan
    ok = np.array([one is Status.OK for one in status])
    amplitude, _, offset = np.where(slow | ~np.isfinite(fits.decay), np.nan, fits.decay)
    return Timescales(
        tau=np.where(ok, estimate, np.nan),
        status=tuple(status),
        amplitude=amplitude,
        offset=offset,
        rate=rate,
        method=method,
        bin_width=width,
        lags=lags,
        low=low,
        high=high,
        estimate=estimate,
        goodness=np.where(slow, np.nan, fits.goodness),
        level=level,
    )


def decay_times(rate: np.ndarray, bin_width: float) -> np.ndarray:
    """Return τ in seconds for k per lag; infinite where nothing decays."""
    decays = rate < 0
    with np.errstate(over="ignore"):
        tau = np.divide(-bin_width, rate, out=np.full_like(rate, np.inf), where=decays)
    return np.where(np.isnan(rate), np.nan, tau)


def _verdict(fit: Decay, bin_width: float, max_tau: float, signed: bool) -> Status:
    """Return what the last rules say of a fit."""
    if not all(map(math.isfinite, fit[:3])):
        return Status.FIT_FAILED
    if fit.rate >= 0:
        return Status.NO_DECAY
    if fit.amplitude < 0 and not signed:
        return Status.NEGATIVE_AMPLITUDE
    if -bin_width / fit.rate > max_tau:
        return Status.TOO_LONG
    return Status.OK
