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
from isotau.sim.timescales.estimators import decay_fit as resampling
from isotau.sim.timescales.estimators.exponential import MAX_LAG, quiet
from isotau.sim.timescales.estimators.exponential import judged as judge_exponential
from isotau.sim.timescales.estimators.kim import (
    BIN_WIDTH,
    LAGS,
    MAX_TAU,
    MIN_RATE,
    SKIPPED_BINS,
    settled_rate,
)
from isotau.sim.timescales.estimators.kim_fit import fitted
from isotau.sim.timescales.estimators.kim_fit import judged as judge_kim
from isotau.sim.timescales.records.autocorrelation import autocorrelation, lags_within
from isotau.sim.timescales.records.record import Status, Timescales
from isotau.sim.timescales.records.series import Source, as_series


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
    assert series.observed is not None
    rate = settled_rate(source)
    kept = np.flatnonzero(~(rate < min_rate))
    values = series.values[SKIPPED_BINS:]
    rho = autocorrelation(values, lags, series.observed.astype(np.float64))
    mean, neurons = _mean(rho[:, kept])
    none = np.full(1, np.nan)
    found = judge_kim(
        fitted(mean[:, None]), none, np.array([not neurons]), series.bin_width,
        max_tau, low=none, high=none, method="kim", lags=lags, level=0.95,
    )  # fmt: skip
    return _population(found, neurons, mean)


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
    assert series.observed is not None
    lags = lags_within(max_lag, series.bin_width, series.bins)
    times = np.arange(1, lags + 1) * series.bin_width
    taus = decay_fit.tried(series.bin_width, max_tau, min_tau)
    validation.choice("offset", offset, decay_fit.OFFSETS)
    pairs = (series.bins - np.arange(1, lags + 1))[:, None]
    kept = np.flatnonzero(~quiet(series, min_rate))
    observed = series.observed.astype(np.float64)
    draws = resampling.resamples(series.observed, bootstrap, rng)
    mean, neurons = _mean(autocorrelation(series.values, lags, observed)[:, kept])

    def fit(rho: np.ndarray) -> decay_fit.DecayFit:
        return decay_fit.offset_fit(rho[:, None], pairs, taus, times, offset)

    def drawn(weights: np.ndarray) -> decay_fit.DecayFit:
        assert rng is not None
        rho = autocorrelation(series.values, lags, weights)
        chosen = kept[rng.integers(kept.size, size=kept.size)]
        return fit(_mean(rho[:, chosen])[0])

    low, high = np.full((2, 1), np.nan)
    if bootstrap and neurons:
        low, high = resampling.of_fits(map(drawn, draws), taus[0], taus[-1], level)
    found = judge_exponential(
        fit(mean), low, high, np.array([not neurons]), np.full(1, np.nan),
        method="exponential", bin_width=series.bin_width, lags=lags, level=level,
    )  # fmt: skip
    return _population(found, neurons, mean)


def _mean(rho: Float64[np.ndarray, "lags n"]) -> tuple[np.ndarray, int]:
    """Return the mean over neurons at each lag, NaN left out, and how many had any."""
    known = ~np.isnan(rho)
    many = known.sum(axis=1)
    total = np.where(known, rho, 0.0).sum(axis=1)
    mean = np.divide(total, many, out=np.full(len(rho), np.nan), where=many > 0)
    return mean, int(known.any(axis=0).sum())


def _population(
    found: Timescales, neurons: int, rho: Float64[np.ndarray, " lags"]
) -> PopulationTimescale:
    """Return the record of a fit to one curve."""
    numbers = {
        name: float(getattr(found, name)[0])
        for name in (
            "tau", "low", "high", "estimate", "amplitude", "offset", "goodness",
        )
    }  # fmt: skip
    return PopulationTimescale(
        **numbers,
        status=found.status[0],
        neurons=neurons,
        rho=rho,
        method=found.method,
        bin_width=found.bin_width,
        level=found.level,
    )
