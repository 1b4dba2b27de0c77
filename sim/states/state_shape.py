"""`StateShape`: more of every unit's autocorrelation than one timescale tells.

Its integral is a timescale of any shape. The fit of an exponential above an offset
tells what decays from what stays. And a unit oscillates if its autocorrelation falls
below zero and comes back above it, by more than chance makes of one that only decays.
"""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.states.autocovariance import BlockedAutocovariance, without_each
from isotau.sim.states.state_tau import StateTau, jackknife_error, state_tau
from isotau.sim.timescales.estimators.decay_fit import SHORTEST, fit_exponential
from isotau.sim.timescales.records.record import Status

FALLS = 5.0
"""Lags that an exponential is fitted to, in falls to 1/e."""
FEWEST = 8
"""Of them; of fewer lags in all nothing is told but the integral."""
NUMBERS = np.outer(2 ** np.arange(24), (FEWEST, FEWEST * 3 // 2)).ravel()
"""Of lags that are fitted to: units that share one are fitted together."""
TRIED = 200
"""Timescales that a fit tries; Newton's steps end at the best."""
STEPS = 2
"""Of Newton's, from the best that was tried."""
LATEST = 2.0
"""Lag of a peak over that at which the lobe ends; 4 / 3 of a cosine."""
STEEPEST = 1 - 1e-15
"""Of a fall between two samples, as a share of their sum: to zero, but for rounding."""
CHANCE = 0.05
"""That noise alone makes a lobe anywhere in the window; likewise a peak."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StateShape:
    """Shapes of all units' autocorrelations.

    Murray et al. 2014 (doi:10.1038/nn.3862) fit the exponential above an offset.
    Where there is an oscillation as well, neither its τ nor the integral is that of
    the envelope (Zeraati et al. 2022, doi:10.1038/s43588-022-00214-3):
    `damping_time` is.

    Attributes:
        tau_integral: of the autocorrelation up to its first zero, in seconds; NaN
            where it does not reach zero within the window, or nothing moves.
        integral_error: standard error of ln of it; NaN where there is none.
        tau_exponential: time constant of a exp(−lag / τ) + b, in seconds; NaN where
            nothing decays or τ is longer than the lags that are fitted to.
        exponential_error: standard error of ln of it; NaN where there is none.
        offset: b of that fit, as a share of the variance; NaN where there is none.
        oscillating: a lobe below zero and then a peak above it are both shown.
        frequency: 1 over the lag of the peak, in Hz; NaN where nothing oscillates.
        damping_time: in which the envelope falls to 1/e, in seconds; NaN where
            nothing oscillates, or the peak is as high as the lobe is deep.
        lobe: autocorrelation at the bottom of the lobe; NaN where nothing oscillates.
        peak: autocorrelation at the top of the peak; NaN where nothing oscillates.
    """

    tau_integral: Float64[np.ndarray, " n"]
    integral_error: Float64[np.ndarray, " n"]
    tau_exponential: Float64[np.ndarray, " n"]
    exponential_error: Float64[np.ndarray, " n"]
    offset: Float64[np.ndarray, " n"]
    oscillating: Bool[np.ndarray, " n"]
    frequency: Float64[np.ndarray, " n"]
    damping_time: Float64[np.ndarray, " n"]
    lobe: Float64[np.ndarray, " n"]
    peak: Float64[np.ndarray, " n"]

    def __post_init__(self) -> None:
        """Freeze every array."""
        arrays: dict[str, Any] = {}
        for field in fields(self):
            array = np.array(getattr(self, field.name))
            array.setflags(write=False)
            arrays[field.name] = array
        validation.freeze(self, arrays)

    @property
    def n(self) -> int:
        """How many units."""
        return len(self.oscillating)

    @property
    def quality(self) -> Float64[np.ndarray, " n"]:
        """Frequency over the width of its line in the spectrum, at half its height.

        The damping ratio ζ is 1 / √(1 + 4 quality²).
        """
        return np.pi * self.frequency * self.damping_time


class _Fits(NamedTuple):
    """What exponentials say of every unit; NaN where there is none."""

    tau: Float64[np.ndarray, " n"]
    error: Float64[np.ndarray, " n"]
    offset: Float64[np.ndarray, " n"]


class _Oscillations(NamedTuple):
    """The first period of every unit; lags count from 0, not in seconds."""

    there: Bool[np.ndarray, " n"]
    period: Float64[np.ndarray, " n"]
    decay: Float64[np.ndarray, " n"]
    lobe: Float64[np.ndarray, " n"]
    peak: Float64[np.ndarray, " n"]


def state_shape(blocked: BlockedAutocovariance) -> StateShape:
    """Return the shapes of states' autocorrelations: (A8), (A9), (A10).

    The integral needs a window of some ten τ, and noise moves the first zero: it is
    4 % too long where the trials together are as long as two thousand τ, 2 % of eight
    thousand, and 95 % intervals hold it in 9 cases of 10. The exponential is fitted to
    the lags from 0 to at least 5 × the lag at which the autocorrelation falls to 1/e:
    to 8, 12, 16, 24, 32 … of them, or to all, as where it does not fall.

    An oscillation needs the first peak within the window. Where the autocorrelation
    starts with an edge, as exp(−lag / T) cos(ω lag) does, the peak comes earlier than
    the period by a share arctan(1 / (ω T)) / 2π, 2.5 % where T is a period. The
    damping time needs eight lags a period, and is too long of oscillations that are
    barely shown. Lobes between narrow pulses are shallow: there is none for them.

    Args:
        blocked: their autocovariances.
    """
    told, parts = state_tau(blocked), without_each(blocked)
    start = parts[:, :1]
    parts = parts / np.where(start > 0, start, 1.0)
    integral, reached = integral_to_zero(told.autocorrelation)
    known = reached & told.moving
    with np.errstate(divide="ignore", invalid="ignore"):  # ln of no τ is none
        replicates = np.log([integral_to_zero(part)[0] for part in parts])
        integral_error = jackknife_error(replicates)
    fits = _exponentials(blocked.interval, told, parts)
    found = _oscillations(blocked.interval, told, parts)
    return StateShape(
        tau_integral=np.where(known, blocked.interval * integral, np.nan),
        integral_error=np.where(known, integral_error, np.nan),
        tau_exponential=fits.tau,
        exponential_error=fits.error,
        offset=fits.offset,
        oscillating=found.there,
        frequency=1 / (blocked.interval * found.period),
        damping_time=blocked.interval * found.decay,
        lobe=found.lobe,
        peak=found.peak,
    )


def integral_to_zero(
    curve: Float64[np.ndarray, "lags n"],
) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return the integral of each column up to its first zero, in lags: (A8).

    And whether it reaches zero; where it does not, the integral is that to the end.
    """
    last = _first(curve[1:] <= 0)
    reached = last < len(curve) - 1
    above, below = curve[:-1], curve[1:]
    lag = np.arange(len(above))[:, None]
    # Outside it may have any sign, and counts nothing.
    a = np.where(lag < last, above, 1.0)
    b = np.where(lag < last, below, 1.0)
    bend = np.clip((a - b) / (a + b), -STEEPEST, STEEPEST)
    # The trapezoid lies above an exponential through its ends by so much.
    flat = bend == 0
    share = np.where(flat, 1.0, bend) / np.where(flat, 1.0, np.arctanh(bend))
    area = np.sum((a + b) / 2 * share, axis=0, where=lag < last)
    if not len(above):
        return area, reached
    at = np.minimum(last, len(above) - 1)[None]
    a, b = (np.take_along_axis(side, at, axis=0)[0] for side in (above, below))
    triangle = a**2 / (2 * np.where(reached & (a > b), a - b, 1.0))
    return area + np.where(reached, triangle, 0.0), reached


def _exponentials(
    interval: float, told: StateTau, parts: Float64[np.ndarray, "blocks lags n"]
) -> _Fits:
    """Return the fit of an exponential and an offset to every unit: (A9)."""
    lags, n = told.autocorrelation.shape
    fits = _Fits(*np.full((3, n), np.nan))
    if lags < FEWEST:
        return fits
    falls = np.nan_to_num(told.tau / interval, nan=lags)
    wanted = np.minimum(FALLS * falls + 1, lags)
    count = np.minimum(NUMBERS[np.searchsorted(NUMBERS, wanted)], lags)
    for most in np.unique(count[told.moving]):
        units = np.flatnonzero(told.moving & (count == most))
        y = told.autocorrelation[:most, units]
        times = np.arange(most, dtype=np.float64)
        tried = np.geomspace(SHORTEST, times[-1], TRIED)
        start = fit_exponential(y, np.ones_like(y), tried, times, "free")
        fitted = np.array([status is Status.OK for status in start.status], bool)
        units, y = units[fitted], y[:, fitted]
        at = np.stack((start.amplitude, np.log(start.tau), start.offset))[:, fitted]
        for _ in range(STEPS):
            step = _step(at, times, y[None])[0]
            at = at + np.where(np.abs(step[1]) < tried[1] / tried[0] - 1, step, 0.0)
        # What is left out moves y by little: one more step goes all the way.
        moved = _step(at, times, parts[:, :most, units])
        tau, offset = np.exp(at[1]), at[2]
        within = tau <= times[-1]
        fits.tau[units] = np.where(within, interval * tau, np.nan)
        fits.offset[units] = np.where(within, offset, np.nan)
        fits.error[units] = np.where(within, jackknife_error(moved[:, 1]), np.nan)
    return fits


def _step(
    at: Float64[np.ndarray, "3 n"],
    times: Float64[np.ndarray, " lags"],
    y: Float64[np.ndarray, "blocks lags n"],
) -> Float64[np.ndarray, "blocks 3 n"]:
    """Return Newton's step of a, ln τ and b toward the least squares of every y."""
    a, steps = at[0], times[:, None] / np.exp(at[1])
    decay = np.exp(-steps)
    slopes = np.stack((decay, a * steps * decay, np.ones_like(decay)))
    left = y - (a * decay + at[2])
    # One matrix for all blocks: that of their mean, from which they hardly differ.
    mean = left.mean(axis=0)
    matrix = np.einsum("iln,jln->nij", slopes, slopes)
    cross = np.sum(mean * steps * decay, axis=0)
    matrix[:, 0, 1] -= cross
    matrix[:, 1, 0] -= cross
    matrix[:, 1, 1] -= np.sum(mean * a * decay * steps * (steps - 1), axis=0)
    pull = np.einsum("iln,bln->nib", slopes, left)
    return np.linalg.solve(matrix, pull).transpose(2, 1, 0)


def _oscillations(
    interval: float, told: StateTau, parts: Float64[np.ndarray, "blocks lags n"]
) -> _Oscillations:
    """Return which units oscillate, and their first period: (A10)."""
    curve = told.autocorrelation
    lags, n = curve.shape
    nothing = np.full(n, np.nan)
    if lags < FEWEST:
        return _Oscillations(np.zeros(n, bool), nothing, nothing, nothing, nothing)
    # Values closer than τ repeat each other: so many are looked at in the window.
    looks = np.clip(lags * interval / told.tau, 1, lags)
    looks = np.where(np.isfinite(looks), looks, 1)
    reach = stats.t.isf(CHANCE / looks, len(parts) - 1) * jackknife_error(parts)
    lag = np.arange(lags)[:, None]
    falls = _first(curve < -reach)
    rises = _first((curve > reach) & (lag > falls))
    # Noise may touch zero within a lobe: it ends after what is last shown of it.
    low = np.max(np.where((curve < -reach) & (lag < rises), lag, 0), axis=0)
    ends = _first((curve >= 0) & (lag > low))
    lobe = (lag >= falls) & (lag < ends)
    peak = (lag >= rises) & (lag < _first((curve <= 0) & (lag > rises)))
    bottom = np.argmin(np.where(lobe, curve, np.inf), axis=0)
    top = np.argmax(np.where(peak, curve, -np.inf), axis=0)
    # A peak at the end of the window may be the way to one; a late one is noise.
    there = (rises < lags) & (top < lags - 1) & (top <= LATEST * ends)
    first, depth = _extreme(curve, bottom)
    period, height = _extreme(curve, top)
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = np.log(-depth / height)
        decay = (period - first) / np.where(fall > 0, fall, np.nan)
    return _Oscillations(
        there, *(np.where(there, x, np.nan) for x in (period, decay, depth, height))
    )


def _extreme(
    curve: Float64[np.ndarray, "lags n"], k: Int64[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return lag and height of each column's extreme, by a parabola about lag k."""
    k = np.clip(k, 1, len(curve) - 2)
    columns = np.arange(curve.shape[1])
    before, at, after = (curve[k + i, columns] for i in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = (before - after) / (2 * np.where(bend == 0, 1.0, bend))
    return k + shift, at - (before - after) * shift / 4


def _first(found: Bool[np.ndarray, "lags n"]) -> Int64[np.ndarray, " n"]:
    """Return the first lag at which each column is true; as many as lags for none."""
    if not len(found):
        return np.zeros(found.shape[1], dtype=np.int64)
    return np.where(found.any(axis=0), found.argmax(axis=0), len(found))
