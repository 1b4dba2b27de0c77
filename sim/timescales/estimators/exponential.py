"""An exponential with an offset, fitted to the correlation over trials.

The correlation is that of Murray et al. 2014 (doi:10.1038/nn.3862), as in `kim`; the
fit is a better one: every lag counts by the pairs of bins behind it, lags without a
correlation are left out instead of refusing the neuron, the search is global and
bounded, and a bootstrap over trials says how far to trust it.
"""

import numpy as np

from isotau.convert.ground import validation
from isotau.sim.timescales.estimators import decay_fit
from isotau.sim.timescales.estimators.judge import NeuronFits, estimate
from isotau.sim.timescales.records.autocorrelation import (
    BIN_WIDTH,
    MAX_LAG,
    correlate,
    lags_within,
)
from isotau.sim.timescales.records.record import Timescales
from isotau.sim.timescales.records.series import Source, as_series

NAME = "exponential"


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
    lags = lags_within(max_lag, series.bin_width, series.bins)
    # Lag 0 holds the spikes' own noise.
    times = np.arange(1, lags + 1) * series.bin_width
    taus = decay_fit.timescale_grid(series.bin_width, max_tau, min_tau)
    validation.choice("offset", offset, decay_fit.OFFSETS)  # before any fit

    def fit(weights: np.ndarray) -> NeuronFits:
        # (T1), then (T12): a lag with few pairs of bins is a noisy one.
        rho, pairs = correlate(series.values, lags, weights)
        return decay_fit.fit_exponential(rho, pairs, taus, times, offset)

    return estimate(
        fit, series, method=NAME, lags=lags, min_rate=min_rate,
        bootstrap=bootstrap, rng=rng, level=level,
    )  # fmt: skip
