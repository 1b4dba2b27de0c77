"""The estimator of Kim & Sejnowski 2021, rule for rule.

R. Kim & T. J. Sejnowski, doi:10.1038/s41593-020-00753-w; the rules are those of the
authors' analysis script. It is noisy: with 50 trials of a second, τ of one and the same
neuron scatters by a factor of about 1.6 from run to run, and 8 to 10 % of pure Poisson
neurons, which have no timescale, pass all rules.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.optimize import leastsq

from isotau.convert import spikes, validation
from isotau.convert.spikes import Spikes
from isotau.sim.timescales.autocorrelation import autocorrelation, binned
from isotau.sim.timescales.record import Status, Timescales

NAME = "kim"
BIN_WIDTH = 0.05
LAGS = 14
SKIPPED_BINS = 1
MIN_RATE = 3.0
MAX_TAU = 0.5
LATEST_PEAK = 3
"""The fall must begin at one of the first three lags."""
SETTLING = 0.005
"""Spikes of the first 5 ms do not count for the rate (sample 100 of 0.05 ms)."""


class Decay(NamedTuple):
    """A fitted ρ(x) = A (exp(k x) + B); x = 1, 2, … counts lags from the first used."""

    amplitude: float
    rate: float
    """k, per lag."""
    offset: float
    """B, a multiple of the amplitude."""


def kim(
    recording: Spikes,
    *,
    bin_width: float = BIN_WIDTH,
    lags: int = LAGS,
    min_rate: float = MIN_RATE,
    max_tau: float = MAX_TAU,
) -> Timescales:
    """Return each neuron's timescale by the published rules, in seconds.

    1. Counts in bins of 50 ms; the first bin is dropped. The paper has 21 bins of 50
       trials without input; any trials of more than `lags` + 1 bins will do.
    2. Neurons below 3 Hz have none. The rate is that of the authors' script: spikes
       after the first 5 ms, over the whole length of the trial.
    3. ρ(k), k = 1 … 14: see `autocorrelation`. A neuron with a ρ(k) that does not exist
       has none.
    4. The fit starts at the first m with ρ(m + 1) < ρ(m); m must be 1, 2 or 3.
    5. A (exp(k x) + B) is fitted to ρ(m), ρ(m + 1), … (see `fit_decay`); τ = −50 ms/k.
    6. Neurons with τ < 0, A < 0 or τ > 500 ms have none. As in the script, a fit that
       ran out of evaluations counts for what it reached.

    `amplitude` and `offset` of the result are A and B, kept where the fit ran but its
    result was refused.

    Args:
        recording: trials without input, at least 3.
        bin_width: in seconds, a whole number of steps.
        lags: number of lags, at least 5 (the latest start leaves three to fit).
        min_rate: in Hz.
        max_tau: in seconds.

    Raises:
        ValueError: too few trials, bins or lags.
    """
    if lags < LATEST_PEAK + 2:
        raise ValueError(f"lags: got {lags}, need at least {LATEST_PEAK + 2}")
    counts = binned(recording, bin_width)[SKIPPED_BINS:]
    rho = autocorrelation(counts, lags)
    rate = settled_rate(recording)
    fits = [
        _neuron(rho[:, k], rate[k], bin_width, min_rate, max_tau)
        for k in range(recording.n)
    ]
    return Timescales(
        tau=np.array([tau for tau, _, _ in fits]),
        status=tuple(status for _, status, _ in fits),
        amplitude=_finite([fit.amplitude if fit else math.nan for _, _, fit in fits]),
        offset=_finite([fit.offset if fit else math.nan for _, _, fit in fits]),
        rate=rate,
        method=NAME,
        bin_width=validation.number("bin_width", bin_width),
        lags=lags,
    )


def settled_rate(recording: Spikes) -> Float64[np.ndarray, " n"]:
    """Return each neuron's rate in Hz: spikes after 5 ms, over the trial's length."""
    start = min(round(SETTLING / recording.dt), recording.steps - 1)
    late = spikes.window(recording, start)
    events = spikes.count(late, width=late.steps).sum(axis=(0, 1))
    return events / (recording.batch * recording.steps * recording.dt)


def first_fall(rho: Float64[np.ndarray, " lags"]) -> int | None:
    """Return the smallest lag m, from 1, with ρ(m + 1) < ρ(m); None where none is."""
    falls = np.flatnonzero(np.diff(rho) < 0)
    return int(falls[0]) + 1 if falls.size else None


def fit_decay(y: Float64[np.ndarray, " points"]) -> Decay:
    """Return the least-squares fit of A (exp(k x) + B) to y at x = 1, 2, …

    By Levenberg and Marquardt's method (MINPACK) from A = k = B = 0, as published.
    There the gradient in k and B vanishes and only A can move; the first step makes it
    about the mean of y, and from then on all three move. MATLAB's damped steps and
    MINPACK's pivoted ones both pass it. They end apart only in valleys without a
    minimum (k → 0 with A → ∞, k → −∞ with A eᵏ constant), where the fit runs until it
    is out of evaluations.

    The start costs neurons: where the mean of y is negative, A turns negative first and
    k ends at 0 or above, even if y is an exact exponential with B < 0.
    """
    x = np.arange(1.0, y.size + 1)

    def residuals(p: np.ndarray) -> np.ndarray:
        return p[0] * (np.exp(p[1] * x) + p[2]) - y

    def jacobian(p: np.ndarray) -> np.ndarray:
        e = np.exp(p[1] * x)
        return np.stack((e + p[2], p[0] * x * e, np.full_like(x, p[0])))

    with np.errstate(over="ignore", invalid="ignore"):
        # full_output turns the warning about evaluations into a code, not needed here
        (a, k, b), *_ = leastsq(
            residuals, np.zeros(3), Dfun=jacobian, col_deriv=True, full_output=True
        )
    return Decay(float(a), float(k), float(b))


def _neuron(
    rho: np.ndarray, rate: float, bin_width: float, min_rate: float, max_tau: float
) -> tuple[float, Status, Decay | None]:
    """Return one neuron's τ (NaN if refused), its status, and its fit."""
    if rate < min_rate:
        return math.nan, Status.TOO_FEW_SPIKES, None
    if np.isnan(rho).any():
        return math.nan, Status.UNDEFINED, None
    start = first_fall(rho)
    if start is None or start > LATEST_PEAK:
        return math.nan, Status.LATE_PEAK, None
    fit = fit_decay(rho[start - 1 :])
    status = _verdict(fit, bin_width, max_tau)
    return (-bin_width / fit.rate if status is Status.OK else math.nan), status, fit


def _verdict(fit: Decay, bin_width: float, max_tau: float) -> Status:
    """Return what the last rules say of a fit."""
    if not all(map(math.isfinite, fit[:3])):
        return Status.FIT_FAILED
    if fit.rate >= 0:
        return Status.NO_DECAY
    if fit.amplitude < 0:
        return Status.NEGATIVE_AMPLITUDE
    if -bin_width / fit.rate > max_tau:
        return Status.TOO_LONG
    return Status.OK


def _finite(values: list[float]) -> np.ndarray:
    """Return the values as an array, NaN for those that a fit sent to infinity."""
    array = np.array(values)
    return np.where(np.isfinite(array), array, np.nan)
