"""The estimator `ml`: Gaussian marginal likelihood on the covariance over trials.

Every pair of bins counts by what it tells, drift over trials and the shot noise of
spikes are parts of the model, and the likelihood says how well τ is known and whether
there is one. The model, its priors, and what becomes of data that are not Gaussian:
`likelihood`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.special import stdtrit
from threadpoolctl import threadpool_limits

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.cubic_spline import spline_through
from isotau.sim.timescales.estimators import likelihood, likelihood_grid
from isotau.sim.timescales.estimators.judge import NeuronFits, judge
from isotau.sim.timescales.estimators.likelihood import (
    Point,
    ProfileFit,
    TrialMoments,
    inflation,
)
from isotau.sim.timescales.records import series
from isotau.sim.timescales.records.record import Status, Timescales
from isotau.sim.timescales.records.series import Series, Source

NAME = "ml"
BIN_WIDTH = 0.025
RATIO = 1.14
"""Between neighbouring τ of the grid; the profile is smooth and interpolated."""
FINE = 32
"""Points per step of the grid after interpolation."""
MIN_TRIALS = 3
GROUP = 384
"""Neurons between two reports of progress."""
MAX_BINS = 400
RHYTHM = 2.0
"""Mean intervals between spikes that τ of a regular neuron must last: its rhythm alone
correlates counts over that long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MLConfig:
    """Settings of `ml`.

    Attributes:
        level: of the intervals.
        min_ratio: the likelihood ratio 2 Δℓ against no timescale from which a neuron
            is believed to have one. 8 lets through 0.5 to 0.8 % of Poisson neurons.
        min_spikes: in all trials together.
        shortest: τ that is looked at, in seconds; None for half a bin.
        longest: in seconds; None for twice the trial.
    """

    level: float = 0.95
    min_ratio: float = 8.0
    min_spikes: int = 10
    shortest: float | None = None
    longest: float | None = None


@short_repr
class Profiles(NamedTuple):
    """The likelihood of log τ, neuron by neuron: what `ml` reads its answers from."""

    taus: Float64[np.ndarray, " points"]
    """In seconds, equally spaced in log τ."""
    log_likelihood: Float64[np.ndarray, "n points"]
    """Profiled over all else, adjusted, divided by κ; highest 0, NaN if no fit."""
    freedom: Float64[np.ndarray, " n"]
    """Degrees of freedom of κ."""
    fit: ProfileFit
    """As `likelihood.evaluate` made it, of the neurons in `fitted`."""
    fitted: np.ndarray
    """Which neurons could be fitted at all."""


def ml(
    source: Source,
    *,
    bin_width: float = BIN_WIDTH,
    config: MLConfig | None = None,
    progress: Progress = silent,
) -> Timescales:
    """Return each neuron's timescale by maximal Gaussian marginal likelihood.

    The estimate is the mean of log τ under its likelihood: profiled over the strength
    of the fluctuations, the drift and the noise, adjusted for what that costs (Cox &
    Reid) and flattened by κ (`inflation`). Where data say little it stays away from the
    ends, to which the maximum runs. The interval holds the
    τ whose 2 Δℓ/κ stays below the squared quantile of Student's t; its ends are 0 and
    infinity where no τ that was looked at is excluded.

    `goodness` is the likelihood ratio 2 Δℓ against white noise with drift. `amplitude`
    and `offset` are the shares of the variance of a bin that decay with τ and that last
    all trial; `lags` is the number of bins less one.

    Statuses: "too few spikes" (or fewer than 3 trials), "undefined correlation" (a
    signal that does not vary), "not identifiable" (ratio below `min_ratio`; or c > 0
    and τ below two mean interspike intervals, where a regular neuron's rhythm would be
    taken for a timescale), "at bound" (the likelihood is highest at the shortest or
    longest τ), "ok".

    Args:
        source: spikes, or a continuous signal, which is sampled at `bin_width`.
        bin_width: in seconds. Finer bins tell short τ better and cost more.
        config: the rest.
        progress: told of groups of neurons.

    Raises:
        ValueError: fewer than 4 bins or more than 400, an impossible setting.
    """
    settings = config or MLConfig()
    data = prepared(source, bin_width)
    profile = profiles(data, settings, progress)
    fit, rows = profile.fit, np.flatnonzero(profile.fitted)
    rate, counts = series.mean_rates(data), data.kind == "counts"
    tau, low, high, amplitude, offset, ratio = np.full((6, data.n), np.nan)
    ratio[rows] = 2 * np.maximum(fit.profile.max(axis=1) - fit.null, 0.0)  # (T29)
    amplitude[rows] = fit.gain * (1 - fit.rho) / (1 + fit.gain)  # (T32)
    offset[rows] = fit.gain * fit.rho / (1 + fit.gain)
    for k in rows.tolist():
        tau[k], low[k], high[k] = _read(profile, k, settings.level)
    edge = np.isin(fit.profile.argmax(axis=1), (0, fit.profile.shape[1] - 1))
    with np.errstate(divide="ignore"):
        rhythm = np.where(fit.regularity > 0, RHYTHM / rate[rows], 0.0)
    unsure = (ratio[rows] < settings.min_ratio) | (tau[rows] < rhythm)
    status = np.array([Status.UNDEFINED] * data.n, dtype=object)
    status[rows] = Status.OK
    status[rows[edge]] = Status.AT_BOUND
    # At the ends of the grid too a ratio that is too small is what is said.
    status[rows[unsure]] = Status.NOT_IDENTIFIABLE
    fits = NeuronFits(tau, amplitude, offset, ratio, status, least=low, most=high)
    return judge(
        fits, (low, high), few=~profile.fitted & counts,
        rate=np.nan_to_num(rate) if counts else rate,
        method=NAME, bin_width=data.bin_width, lags=data.bins - 1,
        level=settings.level, decisive=False,
    )  # fmt: skip


def prepared(source: Source, bin_width: float) -> Series:
    """Return what `ml` looks at: counts in bins, or a signal sampled that far apart.

    Raises:
        ValueError: too few or too many bins.
    """
    data = series.as_series(source, bin_width)
    # Samples closer than a bin tell hardly more and cost a larger matrix.
    stride = round(bin_width / data.bin_width)
    if data.kind == "signal" and stride > 1:
        data = Series(
            values=data.values[::stride],
            bin_width=data.bin_width * stride,
            kind="signal",
            observed=data.observed,
        )
    if not 4 <= data.bins <= MAX_BINS:
        raise ValueError(
            f"bins: got {data.bins} of {data.bin_width:g} s, need 4 to {MAX_BINS}; "
            "choose another bin_width or length of trials"
        )
    return data


def tau_grid(data: Series, config: MLConfig) -> tuple[float, ...]:
    """Return the τ that are looked at, in seconds, from half a bin to two trials.

    Raises:
        ValueError: `shortest` is not shorter than `longest`.
    """
    low = data.bin_width / 2 if config.shortest is None else config.shortest
    high = 2 * data.bins * data.bin_width if config.longest is None else config.longest
    low = validation.number("shortest", low, positive=True)
    if high <= low:
        raise ValueError(f"longest: got {high} s, need more than shortest, {low} s")
    points = max(5, math.ceil(math.log(high / low) / math.log(RATIO)) + 1)
    return tuple(float(tau) for tau in np.geomspace(low, high, points))


def profiles(
    data: Series, config: MLConfig | None = None, progress: Progress = silent
) -> Profiles:
    """Return each neuron's likelihood of log τ.

    Args:
        data: as `prepared` makes it.
        config: settings.
        progress: told of groups of neurons.
    """
    settings = config or MLConfig()
    taus = tau_grid(data, settings)
    grids = likelihood_grid.build_grids(data.kind, data.bins, data.bin_width, taus)
    fitted = usable(data, settings.min_spikes)
    rows = np.flatnonzero(fitted).tolist()
    # The products are small: two threads take longer than one.
    with threadpool_limits(1, "blas"):
        fits = [
            likelihood.evaluate(grids, _moments(data, rows[k : k + GROUP]))
            for k in progress(range(0, len(rows), GROUP), "timescales")
        ]
    fit = _join(fits, len(taus))
    coarse = np.log(np.array(taus))
    fine = np.linspace(coarse[0], coarse[-1], FINE * (coarse.size - 1) + 1)
    smooth = np.full((data.n, fine.size), np.nan)
    freedom = np.full(data.n, np.nan)
    least_gain = likelihood_grid.GAINS[data.kind][1]
    curves = spline_through(coarse, fit.adjusted, fine) if rows else smooth
    for j, k in enumerate(rows):
        peak = Point(
            fit.tau[j],
            fit.rho[j],
            # without shared variance there is no score of τ to look at
            max(fit.gain[j], least_gain),
            fit.white[j],
            fit.regularity[j],
            bool(fit.free[j]),
        )
        spread = inflation(series.of_neuron(data, k), data.kind, data.bin_width, peak)
        curve = curves[j] / spread.kappa
        smooth[k] = curve - curve.max()
        freedom[k] = spread.freedom
    return Profiles(np.exp(fine), smooth, freedom, fit, fitted)


def _join(fits: list[ProfileFit], taus: int) -> ProfileFit:
    """Return the fits of all groups as one, also of none."""
    if not fits:
        numbers = (np.zeros(0) for _ in ProfileFit._fields[2:])
        return ProfileFit(*np.zeros((2, 0, taus)), *numbers)
    return ProfileFit(*(np.concatenate(part) for part in zip(*fits, strict=True)))


def usable(data: Series, min_spikes: int) -> np.ndarray:
    """Return which neurons have the trials, the spikes and the variance for a fit."""
    enough = data.recorded.sum(axis=0) >= MIN_TRIALS
    if data.kind == "counts":
        spikes = np.einsum("ibn,bn->n", data.values, data.recorded)
        # A neuron without a spike has no mean count for d.
        enough &= spikes >= max(min_spikes, 1)
    recorded, trials = data.recorded, np.maximum(data.recorded.sum(axis=0), 1)
    centred = (
        data.values - np.where(recorded, data.values, 0).sum(axis=1)[:, None] / trials
    )
    centred[:, ~recorded] = 0
    spread = np.sqrt(np.einsum("ibn,ibn->in", centred, centred) / trials).max(axis=0)
    largest = np.abs(data.values).max(axis=(0, 1), where=recorded, initial=1.0)
    # Relative to a signal's size less is rounding.
    usable: np.ndarray = enough & (spread > 1e-12 * largest)
    return usable


def _moments(data: Series, rows: list[int]) -> TrialMoments:
    """Return the sample covariances of some neurons."""
    covariance = np.empty((len(rows), data.bins, data.bins))
    shot, trials = np.full(len(rows), np.nan), np.empty(len(rows))
    for j, k in enumerate(rows):
        values = series.of_neuron(data, k)
        trials[j] = values.shape[1]
        # n − 1 in the place of n profiles the means out exactly (REML).
        centred = values - values.mean(axis=1, keepdims=True)
        covariance[j] = centred @ centred.T / (trials[j] - 1)
        if data.kind == "counts":
            shot[j] = values.mean()
    return TrialMoments(covariance, shot, trials)


def _read(profile: Profiles, k: int, level: float) -> tuple[float, float, float]:
    """Return the mean of neuron k's likelihood and the ends of its interval."""
    curve = profile.log_likelihood[k]
    mean = np.average(np.log(profile.taus), weights=np.exp(curve))  # (T30)
    # (T31). Less than one degree of freedom has no quantiles to speak of.
    limit = 0.5 * stdtrit(max(profile.freedom[k], 1.0), 0.5 + 0.5 * level) ** 2
    inside = np.flatnonzero(curve >= -limit)
    first, last = inside[0], inside[-1]
    low = profile.taus[first] if first > 0 else 0.0
    high = profile.taus[last] if last < curve.size - 1 else math.inf
    return float(np.exp(mean)), float(low), float(high)
