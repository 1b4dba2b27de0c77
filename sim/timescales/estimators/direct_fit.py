"""An exponential fitted to the autocovariance within trials, as published and mended.

The direct fit is what Zeraati, Engel & Levina 2022 (doi:10.1038/s43588-022-00214-3)
compare with: simple, and biased, since taking away each trial's mean takes away what
lasts as long as the trial. Here the published numbers are an Ornstein-Uhlenbeck process
of τ = 20 ms in 500 trials of 1 s, 16.92 ± 0.30 ms, and one of 60 ms plus an oscillation
of 2 Hz, 40.1 ms. Both follow from lags of 0 to 150 ms or more (0 to 700 ms with the
oscillation), the sums divided by their number of terms, no offset, and every lag alike.
Half a millisecond of the first is not the method's: the process was made by Euler's
rule with steps of 1 ms, which turns τ = 20 ms into −1/ln(1 − 1/20) = 19.5 ms.
"""

import numpy as np

from isotau.convert.ground import validation
from isotau.sim.timescales.estimators import decay_fit
from isotau.sim.timescales.estimators.decay_fit import Shapes
from isotau.sim.timescales.estimators.judge import NeuronFits, estimate
from isotau.sim.timescales.records.autocorrelation import (
    BIN_WIDTH,
    MAX_LAG,
    autocovariance,
    expected_autocovariance,
    lags_within,
)
from isotau.sim.timescales.records.record import Timescales
from isotau.sim.timescales.records.series import Source, as_series

NAMES = {False: "direct", True: "direct corrected"}


def direct(
    source: Source,
    *,
    bin_width: float = BIN_WIDTH,
    max_lag: float = MAX_LAG,
    corrected: bool = False,
    oscillation: float | None = None,
    min_rate: float = 0.0,
    min_tau: float | None = None,
    max_tau: float = decay_fit.MAX_TAU,
    bootstrap: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> Timescales:
    """Return each neuron's timescale by a fit within trials, in seconds.

    The autocovariance of each trial about its own mean, averaged over trials and
    divided by its value at lag 0, is taken for A exp(−t/τ): from lag 0 for a signal,
    from lag 1 for counts, whose lag 0 holds the spikes' own noise.

    `corrected` fits what such trials give in the mean instead of the exponential (see
    `expected_autocovariance`), weights lags by their pairs of bins, and for counts
    allows for the spikes' noise, which loses its mean like all else. Then τ has no bias
    to first order, as long as the mean is the same at all times of a trial.

    `amplitude` is A; mended it exceeds 1 where the trial's mean took variance away.
    `goodness` is R²; there is no `offset`. Statuses are those of `exponential`.

    Args:
        source: spikes, counts or a signal.
        bin_width: in seconds; a series keeps its own.
        max_lag: longest lag, in seconds.
        corrected: whether to mend the bias.
        oscillation: frequency of a cosine with a free factor, in Hz; None for none.
        min_rate: in Hz, below which a neuron has none.
        min_tau, max_tau: shortest and longest timescale, in seconds; from a fifth of a
            bin by default.
        bootstrap, rng, level: number of resamples of the trials, what draws them, and
            the confidence of the interval that they give; 0 for none.

    Raises:
        ValueError: too few bins or lags.
    """
    series = as_series(source, bin_width)
    width, counts = series.bin_width, series.kind == "counts"
    lags = lags_within(max_lag, width, series.bins)
    taus = decay_fit.timescale_grid(width, max_tau, min_tau)
    frequency = None
    if oscillation is not None:
        frequency = validation.number("oscillation", oscillation, positive=True)
    # (T42): what is fitted, the first lag of it, and what each lag counts.
    if corrected:
        # Lag 0 is of use again: the fit knows the spikes' noise in it.
        first, pairs = 0, series.bins - np.arange(lags + 1.0)
        shapes = _expected(taus, width, series.bins, lags, frequency, white=counts)
    else:
        first, pairs = int(counts), np.ones(lags + 1)
        shapes = _plain(taus, np.arange(first, lags + 1) * width, frequency)
    # Trial by trial, so that resamples only weigh.
    covariance = autocovariance(series.values, lags)

    def fit(weights: np.ndarray) -> NeuronFits:
        total = np.einsum("lbn,bn->ln", covariance, weights)
        varies = total[0] > 0
        y = np.divide(total, total[0], out=np.full_like(total, np.nan), where=varies)
        heavy = np.broadcast_to(pairs[first:, None], y[first:].shape)
        fits = decay_fit.fit_shapes(y[first:], heavy, shapes)
        # The other terms are a cosine and noise: no level that outlasts the trial.
        return fits._replace(offset=np.full(series.n, np.nan))

    return estimate(
        fit, series, method=NAMES[corrected], lags=lags, min_rate=min_rate,
        bootstrap=bootstrap, rng=rng, level=level,
    )  # fmt: skip


def _plain(taus: np.ndarray, times: np.ndarray, frequency: float | None) -> Shapes:
    """Return a decay and a cosine as they are."""
    terms = np.zeros((0, times.size))
    if frequency is not None:
        terms = np.cos(2 * np.pi * frequency * times)[None]
    return Shapes(taus, decay_fit.exponentials(taus, times), terms)


def _expected(
    taus: np.ndarray,
    width: float,
    bins: int,
    lags: int,
    frequency: float | None,
    *,
    white: bool,
) -> Shapes:
    """Return what a decay, a cosine and white noise leave in trials without a mean."""
    times = np.arange(bins) * width
    # Each shape loses a trial's mean as the data do: (T3) of every one.
    terms = []
    if white:
        terms.append(np.eye(1, bins)[0])
    if frequency is not None:
        terms.append(np.cos(2 * np.pi * frequency * times))
    curves = np.array(terms).reshape(len(terms), bins)
    return Shapes(
        taus,
        expected_autocovariance(decay_fit.exponentials(taus, times), lags),
        expected_autocovariance(curves, lags),
    )
