"""One timescale for a whole population: fits to the mean autocorrelation of neurons.

A population's mean correlation is far less noisy than a neuron's, and it is the unit of
inference of Murray et al. 2014 (doi:10.1038/nn.3862). Its τ is no mean of the neurons'
τ: neurons with more correlation weigh more, and a mixture of decays is slower at long
lags.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.timescales.estimators import decay_fit
from isotau.sim.timescales.estimators.judge import (
    NeuronFits,
    find_quiet,
    interval,
    judge,
    resamples,
)
from isotau.sim.timescales.estimators.kim import (
    MAX_TAU,
    MIN_RATE,
    SKIPPED_BINS,
    fit_published,
    hide_slow,
    settled_rates,
)
from isotau.sim.timescales.records.autocorrelation import (
    BIN_WIDTH,
    LAGS,
    MAX_LAG,
    autocorrelation,
    lags_within,
)
from isotau.sim.timescales.records.record import Status, Timescales
from isotau.sim.timescales.records.series import Source, as_series, mean_rates

SHARED = ("tau", "low", "high", "estimate", "amplitude", "offset", "goodness")
"""Numbers that a neuron and a population have alike."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PopulationTimescale:
    """The timescale of a population.

    Attributes:
        tau: in seconds; NaN where `status` is not "ok".
        status: whether the population has a timescale, or why not.
        low: lower end of τ's interval, in seconds; NaN where there is none.
        high: upper end of it, in seconds; may be infinite.
        estimate: the fit's τ whatever the status, in seconds; NaN where there is none.
        amplitude: of the fitted decay.
        offset: of the fitted decay.
        goodness: R² of the fit.
        neurons: how many the mean was taken over.
        rho: the mean autocorrelation, from lag 1 on.
        method: name of the fit.
        bin_width: in seconds; also the time between lags.
        level: confidence that the interval is meant to have.
    """

    tau: float
    status: Status
    low: float
    high: float
    estimate: float
    amplitude: float
    offset: float
    goodness: float
    neurons: int
    rho: Float64[np.ndarray, " lags"]
    method: str
    bin_width: float
    level: float

    def __post_init__(self) -> None:
        """Freeze the autocorrelation."""
        rho = np.array(self.rho, dtype=np.float64)
        rho.setflags(write=False)
        validation.freeze(self, {"rho": rho})


def population_kim(
    source: Source,
    *,
    bin_width: float = BIN_WIDTH,
    lags: int = LAGS,
    min_rate: float = MIN_RATE,
    max_tau: float = MAX_TAU,
) -> PopulationTimescale:
    """Return the population's timescale by the published fit.

    The fit of `kim` to the mean, over neurons of at least `min_rate` Hz, of their ρ.
    Source: Kim & Sejnowski 2021, doi:10.1038/s41593-020-00753-w. There is no interval.

    Arguments and errors are those of `kim`.
    """
    series = as_series(source, bin_width)
    slow = settled_rates(source) < min_rate  # never a signal, whose rate is NaN
    values = series.values[SKIPPED_BINS:]  # as `kim` does, neuron by neuron
    rho = autocorrelation(values, lags, series.recorded.astype(np.float64))
    mean, neurons = _mean(rho[:, ~slow])
    # One curve is one neuron to the fit and its rules.
    silent = np.array([not neurons])
    fits = fit_published(mean[:, None], series.bin_width, max_tau)
    record = judge(
        hide_slow(fits, silent), None, few=silent, rate=np.full(1, np.nan),
        method="kim", bin_width=series.bin_width, lags=lags,
    )  # fmt: skip
    return _population(record, neurons, mean)


def population_exponential(
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
) -> PopulationTimescale:
    """Return the population's timescale by the fit of `exponential`.

    The fit is to the mean over neurons of their ρ; the bootstrap draws neurons and, for
    each set of them, trials, the same trials for neurons recorded together.

    Arguments, statuses and errors are those of `exponential`.
    """
    series = as_series(source, bin_width)
    lags = lags_within(max_lag, series.bin_width, series.bins)
    times = np.arange(1, lags + 1) * series.bin_width
    taus = decay_fit.timescale_grid(series.bin_width, max_tau, min_tau)
    validation.choice("offset", offset, decay_fit.OFFSETS)
    # The pairs of bins of a neuron that varies in all of them.
    pairs = (series.bins - np.arange(1, lags + 1))[:, None]
    quiet = find_quiet(mean_rates(series), min_rate, series.kind)
    active = np.flatnonzero(~quiet)
    recorded = series.recorded.astype(np.float64)
    draws = resamples(series.recorded, bootstrap, rng)
    mean, neurons = _mean(autocorrelation(series.values, lags, recorded)[:, active])

    def fit(rho: np.ndarray) -> NeuronFits:
        return decay_fit.fit_exponential(rho[:, None], pairs, taus, times, offset)

    # The unit of inference is the population: neurons are drawn too, and what trials
    # say of them jointly stays together.
    def fit_drawn(weights: np.ndarray) -> NeuronFits:
        assert rng is not None
        rho = autocorrelation(series.values, lags, weights)
        neurons_drawn = active[rng.integers(active.size, size=active.size)]
        return fit(_mean(rho[:, neurons_drawn])[0])

    # Without a correlation there is nothing to draw from.
    ends = interval(map(fit_drawn, draws), level) if neurons else None
    record = judge(
        fit(mean), ends, few=np.array([not neurons]), rate=np.full(1, np.nan),
        method="exponential", bin_width=series.bin_width, lags=lags, level=level,
    )  # fmt: skip
    return _population(record, neurons, mean)


def _mean(rho: Float64[np.ndarray, "lags n"]) -> tuple[np.ndarray, int]:
    """Return the mean over neurons, NaN left out, and how many had any value."""
    # (T41), at each lag over the neurons that have it
    defined = ~np.isnan(rho)
    count = defined.sum(axis=1)
    total = np.where(defined, rho, 0.0).sum(axis=1)
    mean = np.divide(total, count, out=np.full(len(rho), np.nan), where=count > 0)
    return mean, int(defined.any(axis=0).sum())


def _population(
    timescales: Timescales, neurons: int, rho: Float64[np.ndarray, " lags"]
) -> PopulationTimescale:
    """Return the record of a fit to one curve."""
    numbers = {name: float(getattr(timescales, name)[0]) for name in SHARED}
    return PopulationTimescale(
        **numbers,
        status=timescales.status[0],
        neurons=neurons,
        rho=rho,
        method=timescales.method,
        bin_width=timescales.bin_width,
        level=timescales.level,
    )
