"""The estimator of Kim & Sejnowski 2021, rule for rule.

R. Kim & T. J. Sejnowski, doi:10.1038/s41593-020-00753-w; the rules are those of the
authors' analysis script. It is noisy: with 50 trials of a second, τ of one and the same
neuron scatters by a factor of about 1.6 from run to run, and 8 to 10 % of pure Poisson
neurons, which have no timescale, pass all rules.

The fit is Levenberg and Marquardt's from A = k = B = 0, as published. There the
gradient in k and B vanishes and only A can move; the first step makes it about the mean
of ρ, and from then on all three move. The authors used MATLAB's lsqcurvefit; this is
the damping that its manual describes, run until nothing improves (MATLAB stops at
changes of 1e-6) or 600 evaluations are used up. It agrees with MINPACK wherever there
is a minimum. They end apart in valleys without one (k → 0 with A → ∞, k → −∞ with A eᵏ
constant), where the fit runs until it is out of evaluations; here it ends at the same
bits each time. The start costs neurons: where the mean of ρ is negative, A turns
negative first and k ends at 0 or above, even if ρ is an exact exponential with B < 0.
"""

import math

import numpy as np
from jaxtyping import Bool, Float64, Int64

from isotau.convert.records import spikes
from isotau.convert.records.spikes import Spikes, SpikeTimes
from isotau.sim.timescales.estimators import estimator_kernels as kernels
from isotau.sim.timescales.estimators.judge import NeuronFits, fit_trials, judge
from isotau.sim.timescales.records.autocorrelation import (
    BIN_WIDTH,
    LAGS,
    autocorrelation,
)
from isotau.sim.timescales.records.record import Status, Timescales
from isotau.sim.timescales.records.series import (
    Series,
    Source,
    as_series,
    mean_rates,
    spike_rates,
)

NAME = "kim"
SKIPPED_BINS = 1
MIN_RATE = 3.0
MAX_TAU = 0.5
LATEST_PEAK = 3
"""The fall must begin at one of the first three lags."""
SETTLING = 0.005
"""Spikes of the first 5 ms do not count for the rate (sample 100 of 0.05 ms)."""
VERDICTS = np.array(
    [
        Status.UNDEFINED,
        Status.LATE_PEAK,
        Status.FIT_FAILED,
        Status.NO_DECAY,
        Status.NEGATIVE_AMPLITUDE,
        Status.TOO_LONG,
        Status.OK,
    ],
    dtype=object,
)
"""Of rules 3, 4 and 6, the first that a neuron fails."""


def kim(
    source: Source,
    *,
    bin_width: float = BIN_WIDTH,
    lags: int = LAGS,
    min_rate: float = MIN_RATE,
    max_tau: float = MAX_TAU,
    bootstrap: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> Timescales:
    """Return each neuron's timescale by the published rules, in seconds.

    1. Counts in bins of 50 ms; the first bin is dropped. The paper has 21 bins of 50
       trials without input; any trials of more than `lags` + 1 bins will do.
    2. Neurons below 3 Hz have none. The rate is that of the authors' script: spikes
       after the first 5 ms, over the whole length of the trial. That of a series is of
       all its bins, and a signal has none to fall short of.
    3. ρ(k), k = 1 … 14: see `correlate`. A neuron with a ρ(k) that does not exist has
       none.
    4. The fit starts at the first m with ρ(m + 1) < ρ(m); m must be 1, 2 or 3.
    5. A (exp(k x) + B) is fitted to ρ(m), ρ(m + 1), … at x = 1, 2, …; τ = −50 ms/k.
    6. Neurons with τ < 0, A < 0 or τ > 500 ms have none. As in the script, a fit that
       ran out of evaluations counts for what it reached.

    `amplitude` and `offset` of the result are A and B, kept where the fit ran but its
    result was refused; `estimate` is its τ then, if positive; `goodness` is R².

    Args:
        source: trials without input, at least 3.
        bin_width: in seconds, a whole number of steps; a series keeps its own.
        lags: number of lags, at least 5 (the latest start leaves three to fit).
        min_rate: in Hz.
        max_tau: in seconds.
        bootstrap: resamples of the trials for an interval, which the paper does not
            have; 0 for none. It is that of the fit, without rule 6.
        rng: draws them.
        level: of the interval.

    Raises:
        ValueError: too few trials, bins or lags.
    """
    series = as_series(source, bin_width)
    values = series.values[SKIPPED_BINS:]
    rate = settled_rates(source)

    def fit(weights: np.ndarray) -> NeuronFits:
        rho = autocorrelation(values, lags, weights)
        return fit_published(rho, series.bin_width, max_tau)

    fits, ends = fit_trials(fit, series.recorded, bootstrap, rng, level)
    slow = rate < min_rate  # never a signal, whose rate is NaN
    return judge(
        hide_slow(fits, slow), ends, few=slow, rate=rate, method=NAME,
        bin_width=series.bin_width, lags=lags, level=level, decisive=False,
    )  # fmt: skip


def settled_rates(source: Source) -> Float64[np.ndarray, " n"]:
    """Return each neuron's rate in Hz: spikes after 5 ms, over whole trials.

    That of a series is of all its bins; NaN for a signal.
    """
    # (T11): the authors' script leaves out spikes of 5 ms and no time.
    if isinstance(source, Series):
        return mean_rates(source)
    if isinstance(source, SpikeTimes):
        return spike_rates(source, SETTLING)
    return _settled(source)


def _settled(recording: Spikes) -> np.ndarray:
    # Trials of a single coarse step keep it.
    start = min(round(SETTLING / recording.dt), recording.steps - 1)
    late = spikes.window(recording, start)
    events = spikes.count(late, width=late.steps).sum(axis=(0, 1))
    return events / (recording.batch * recording.steps * recording.dt)


def fit_published(
    rho: Float64[np.ndarray, "lags n"],
    bin_width: float,
    max_tau: float,
    *,
    signed: bool = False,
) -> NeuronFits:
    """Return the fits of rules 3 to 6 to each neuron's ρ.

    As one of many resampled ones a fit without a decay or with an A below 0 may stand
    for any τ.

    Args:
        rho: from lag 1 on.
        bin_width: in seconds.
        max_tau: in seconds.
        signed: whether an A below 0 is allowed.

    Raises:
        ValueError: fewer than 5 lags.
    """
    lags, n = rho.shape
    if lags < LATEST_PEAK + 2:
        raise ValueError(f"lags: got {lags}, need at least {LATEST_PEAK + 2}")
    # Rule 3: one gap in ρ refuses the neuron, where `exponential` goes on without it.
    undefined = np.isnan(rho).any(axis=0)
    start = np.where(undefined, -1, first_falls(rho))
    decays = np.full((3, n), np.nan)
    kernels.fit_columns(np.ascontiguousarray(rho), start, decays)
    amplitude, rate, offset = decays
    tau = decay_times(rate, bin_width)
    # Without rule 6: a bootstrap tells of the fit, not of what is believed of it.
    flat = (rate >= 0) | (amplitude < 0)
    negative = (amplitude < 0) & (not signed)
    unbounded = ~np.isfinite(decays).all(axis=0)
    # In the order of the rules; the first that fails is the neuron's status.
    rules = [undefined, start < 0, unbounded, rate >= 0, negative, tau > max_tau]
    goodness = [
        explained(rho[at:, k], *decays[:, k]) if at >= 0 else math.nan
        for k, at in enumerate(start)
    ]
    return NeuronFits(
        np.where(np.isfinite(tau), tau, np.nan),
        amplitude=np.where(np.isfinite(amplitude), amplitude, np.nan),
        offset=np.where(np.isfinite(offset), offset, np.nan),
        goodness=np.array(goodness),
        status=VERDICTS[np.select(rules, range(len(rules)), len(rules))],
        least=np.where(flat, 0.0, tau),
        most=np.where(flat, np.inf, tau),
    )


def first_falls(rho: Float64[np.ndarray, "lags n"]) -> Int64[np.ndarray, " n"]:
    """Return the row of the first m with ρ(m + 1) < ρ(m), −1 beyond the third."""
    # (T8)
    falls = np.diff(rho, axis=0) < 0
    first = np.argmax(falls, axis=0)
    return np.where(falls.any(axis=0) & (first < LATEST_PEAK), first, -1)


def decay_times(
    rate: Float64[np.ndarray, " n"], bin_width: float
) -> Float64[np.ndarray, " n"]:
    """Return τ in seconds for k per lag; infinite where nothing decays."""
    # (T10)
    decays = rate < 0
    with np.errstate(over="ignore"):  # a k next to 0
        tau = np.divide(-bin_width, rate, out=np.full_like(rate, np.inf), where=decays)
    return np.where(np.isnan(rate), np.nan, tau)


def explained(
    y: Float64[np.ndarray, " points"], amplitude: float, rate: float, offset: float
) -> float:
    """Return R² of A (exp(k x) + B), NaN if it is at infinity or y does not vary."""
    # (T7), over the lags that were used
    x = np.arange(1.0, y.size + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        curve = amplitude * (np.exp(rate * x) + offset)
        total = np.sum((y - y.mean()) ** 2)
        share = np.sum((y - curve) ** 2) / total if total > 0 else math.nan
    return float(1 - share) if math.isfinite(share) else math.nan


def hide_slow(fits: NeuronFits, slow: Bool[np.ndarray, " n"]) -> NeuronFits:
    """Return fits without those of the neurons that rule 2 refuses."""
    # The paper does not look at them; a number beside their status would say otherwise.
    numbers = {
        name: np.where(slow, np.nan, getattr(fits, name))
        for name in ("tau", "amplitude", "offset", "goodness")
    }
    return fits._replace(**numbers)
