"""An exponential with an offset, fitted to the correlation over trials.

The correlation is that of Murray et al. 2014 (doi:10.1038/nn.3862), as in `kim`; the
fit is a better one: every lag counts by the pairs of bins behind it, lags without a
correlation are left out instead of refusing the neuron, the search is global and
bounded, and a bootstrap over trials says how far to trust it.
"""

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.sim.timescales.estimators import decay_fit
from isotau.sim.timescales.estimators import decay_fit as resampling
from isotau.sim.timescales.estimators.decay_fit import DecayFit
from isotau.sim.timescales.records.autocorrelation import correlate, lags_within
from isotau.sim.timescales.records.record import Status, Timescales
from isotau.sim.timescales.records.series import Series, Source, as_series, mean_rates

NAME = "exponential"
BIN_WIDTH = 0.05
MAX_LAG = 0.7


def exponential(
    source: Source,
    *,
    bin_width: float = BIN_WIDTH,
    max_lag: float = MAX_LAG,
    offset: str = "free",
    min_rate: float = 0.0,
    min_tau: float | None = None,
    max_tau: float = decay_fit.MAX_TAU,
    bootstrap: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> Timescales:
    """Return each neuron's timescale by a bounded, weighted fit, in seconds.

    ρ(k) ≈ A exp(−t/τ) + B at t = k bins, k = 1, 2, …, with A ≥ 0. Equal bins make an
    exponential correlation an exponential again from the first lag on, and lag 0, with
    the spikes' own noise, is not used. B takes up what outlasts the trial.

    `amplitude` is A, `offset` B and `goodness` R². A neuron is AT_BOUND if its best τ
    is the shortest or the longest allowed. With a bootstrap it is NOT_IDENTIFIABLE if
    the interval reaches down to 0: resampled trials then show no decay, or none slower
    than the bins can show. Of Poisson neurons 1 % remain.

    Args:
        source: spikes, counts or a signal; at least 3 trials.
        bin_width: in seconds; a series keeps its own.
        max_lag: longest lag, in seconds.
        offset: "free", "positive" (B ≥ 0; correlations that outlast the trial cannot be
            negative) or "none" (B = 0). On doubly stochastic Poisson neurons without
            drift (20 ± 20 Hz, τ = 200 ms, 50 trials of 1 s) they put 39, 49 and 54 % of
            the neurons within 25 % of the truth; "positive" is a fifth too low in the
            median, the others are not.
        min_rate: in Hz, below which a neuron has none.
        min_tau: shortest timescale, in seconds; a fifth of a bin by default.
        max_tau: longest timescale, in seconds.
        bootstrap: resamples of the trials for the interval; 0 for none.
        rng: draws them.
        level: of the interval.

    Raises:
        ValueError: too few trials, bins or lags.
    """
    series = as_series(source, bin_width)
    assert series.observed is not None
    lags = lags_within(max_lag, series.bin_width, series.bins)
    times = np.arange(1, lags + 1) * series.bin_width
    taus = decay_fit.tried(series.bin_width, max_tau, min_tau)
    validation.choice("offset", offset, decay_fit.OFFSETS)

    def fitted(weights: np.ndarray) -> DecayFit:
        found = correlate(series.values, lags, weights)
        return decay_fit.offset_fit(found.rho, found.pairs, taus, times, offset)

    draws = resampling.resamples(series.observed, bootstrap, rng)
    found = fitted(series.observed.astype(np.float64))
    low, high = np.full((2, series.n), np.nan)
    if bootstrap:
        fits = map(fitted, draws)
        low, high = resampling.of_fits(fits, taus[0], taus[-1], level)
    return judged(
        found, low, high, quiet(series, min_rate), mean_rates(series),
        method=NAME, bin_width=series.bin_width, lags=lags, level=level,
    )  # fmt: skip


def quiet(series: Series, min_rate: float) -> Bool[np.ndarray, " n"]:
    """Return which neurons fire too little: not at all, or below `min_rate` Hz."""
    if series.kind != "counts":
        return np.zeros(series.n, dtype=bool)
    rate = np.nan_to_num(mean_rates(series))
    return (rate < min_rate) | (rate == 0)


def judged(
    found: DecayFit,
    low: Float64[np.ndarray, " n"],
    high: Float64[np.ndarray, " n"],
    silent: Bool[np.ndarray, " n"],
    rate: Float64[np.ndarray, " n"],
    *,
    method: str,
    bin_width: float,
    lags: int,
    level: float,
) -> Timescales:
    """Return the record of a fit, τ kept where the fit and its interval allow it."""
    status = [
        Status.TOO_FEW_SPIKES
        if silent[k]
        else Status.NOT_IDENTIFIABLE
        if fit is Status.OK and low[k] == 0
        else fit
        for k, fit in enumerate(found.status)
    ]
    ok = np.array([one is Status.OK for one in status])
    return Timescales(
        tau=np.where(ok, found.tau, np.nan),
        status=tuple(status),
        amplitude=found.amplitude,
        offset=found.offset,
        rate=rate,
        method=method,
        bin_width=bin_width,
        lags=lags,
        low=low,
        high=high,
        estimate=found.tau,
        goodness=found.goodness,
        level=level,
    )
