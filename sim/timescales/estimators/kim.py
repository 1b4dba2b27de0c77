"""The estimator of Kim & Sejnowski 2021, rule for rule.

R. Kim & T. J. Sejnowski, doi:10.1038/s41593-020-00753-w; the rules are those of the
authors' analysis script. It is noisy: with 50 trials of a second, τ of one and the same
neuron scatters by a factor of about 1.6 from run to run, and 8 to 10 % of pure Poisson
neurons, which have no timescale, pass all rules.
"""

import numpy as np
from jaxtyping import Float64

from isotau.convert.records import spikes
from isotau.convert.records.spikes import Spikes, SpikeTimes
from isotau.sim.timescales.estimators import decay_fit as resampling
from isotau.sim.timescales.estimators.kim_fit import decay_times, fitted, judged
from isotau.sim.timescales.records.autocorrelation import autocorrelation
from isotau.sim.timescales.records.record import Timescales
from isotau.sim.timescales.records.series import Series, Source, as_series, mean_rates

NAME = "kim"
BIN_WIDTH = 0.05
LAGS = 14
SKIPPED_BINS = 1
MIN_RATE = 3.0
MAX_TAU = 0.5
SETTLING = 0.005
"""Spikes of the first 5 ms do not count for the rate (sample 100 of 0.05 ms)."""


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
    5. A (exp(k x) + B) is fitted to ρ(m), ρ(m + 1), … (see `fit_decay`); τ = −50 ms/k.
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
    assert series.observed is not None
    values = series.values[SKIPPED_BINS:]
    draws = resampling.resamples(series.observed, bootstrap, rng)
    rate = settled_rate(source)
    low, high = np.full((2, series.n), np.nan)
    fits = fitted(autocorrelation(values, lags, series.observed.astype(float)))
    if bootstrap:
        taus = [_resampled(values, lags, weights, series) for weights in draws]
        lows, highs = np.array(taus).transpose(1, 0, 2)
        low, high = resampling.percentiles(lows, highs, level)
    slow = rate < min_rate  # never a signal, whose rate is NaN
    return judged(
        fits, rate, slow, series.bin_width, max_tau,
        low=low, high=high, method=NAME, lags=lags, level=level,
    )  # fmt: skip


def settled_rate(source: Source) -> Float64[np.ndarray, " n"]:
    """Return each neuron's rate in Hz: spikes after 5 ms, over the trial's length.

    That of a series is of all its bins; NaN for a signal.
    """
    if isinstance(source, Series):
        return mean_rates(source)
    if isinstance(source, SpikeTimes):
        late = source.neuron[source.times >= SETTLING]
        events = np.bincount(late, minlength=source.n)
        return events / np.maximum(source.trials * source.duration, 1e-300)
    return _settled(source)


def _settled(recording: Spikes) -> np.ndarray:
    start = min(round(SETTLING / recording.dt), recording.steps - 1)
    late = spikes.window(recording, start)
    events = spikes.count(late, width=late.steps).sum(axis=(0, 1))
    return events / (recording.batch * recording.steps * recording.dt)


def _resampled(
    values: np.ndarray, lags: int, weights: np.ndarray, series: Series
) -> tuple[np.ndarray, np.ndarray]:
    """Return what one resample says of the lower and of the upper end of each τ."""
    amplitude, rate, _ = fitted(autocorrelation(values, lags, weights)).decay
    tau = decay_times(rate, series.bin_width)
    flat = (rate >= 0) | (amplitude < 0)
    return np.where(flat, 0.0, tau), np.where(flat, np.inf, tau)
