"""How alike the states of a rate network and of its LIF network are.

What a state remembers is looked at unit by unit: x of the rate network, and i of the
neurons that stand for the unit, in units of x. Spikes would say as much only after
hours. The part that is alike in all trials is no memory and is taken out. Without input
it is what a network remembers of its noise, in a task also of what it was shown.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64
from scipy import fft

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate

LONGEST = 0.5
"""Seconds of the longest lag."""
TRIALS, SETTLE, LENGTH = 60, 1.0, 4.0
"""How long a state at rest is looked at: trials, seconds before it and of it. Enough
for τ of every unit, and for memory states that few trials go to."""
WORST = 1.0
"""An error counts as this at most: a unit that is lost is lost."""
COMMON = 0.25
"""Weight of the covariance's error: of a few trials most of it is chance."""
ELSEWHERE = 2.0
"""Factor in SD, and shift of the mean in SDs, beyond which a state is another one."""


class RestingState(NamedTuple):
    """Second moments of every unit's state without input.

    Attributes:
        sd: its standard deviation.
        autocorrelation: at lags of one step of the rate network, from 0; lag × unit.
        tau: lag at which that falls to 1/e, in steps; NaN where it does not.
        covariance: between units.
        mean: over trials and time.
    """

    sd: Float64[np.ndarray, " n"]
    autocorrelation: Float64[np.ndarray, "lags n"]
    tau: Float64[np.ndarray, " n"]
    covariance: Float64[np.ndarray, "n n"]
    mean: Float64[np.ndarray, " n"]


class StateMatch(NamedTuple):
    """How two states differ: (C32).

    Attributes:
        tau_ratio: median ratio of τ, the second over the first; NaN without any.
        tau_error: root mean square of ln of the ratios over units that move, those
            beyond e as e; a τ beyond the lags counts as the longest of them.
        sd_ratio: median ratio of the standard deviations.
        autocorrelation_error: root mean square difference.
        covariance_error: difference of the covariances between units, relative.
        shift: median distance of the means, in standard deviations of the first.
    """

    tau_ratio: float
    tau_error: float
    sd_ratio: float
    autocorrelation_error: float
    covariance_error: float
    shift: float

    @property
    def distance(self) -> float:
        """One number for all: the sum of the four errors."""
        common = COMMON * min(self.covariance_error, WORST)
        errors = (self.tau_error, self._sd_error, self.autocorrelation_error)
        return float(sum(errors) + common)

    @property
    def elsewhere(self) -> bool:
        """Whether the second is another state than the first, of a network of many."""
        beyond = np.log(ELSEWHERE)
        return bool(self._sd_error > beyond or self.shift > ELSEWHERE)

    @property
    def _sd_error(self) -> float:
        return float(min(abs(np.log(max(self.sd_ratio, 1e-9))), WORST))


def rest_of_rate(rate: RateRNN, *, seed: int) -> RestingState:
    """Return the resting state of a rate network.

    Args:
        rate: the network.
        seed: of its start and noise.
    """
    before, steps, lags = _spans(rate.dt)
    inputs = np.zeros((before + steps, TRIALS, rate.n_in))
    x = simulate_rate(rate, inputs, seed=seed, keep_x=True).x
    assert x is not None
    return resting_state(x[before:], lags)


def rest_of_lif(
    net: LIFNetwork,
    *,
    constants: LIFConstants,
    dt: float,
    copies: int,
    seed: int,
    progress: Progress = silent,
) -> RestingState:
    """Return the resting state of a LIF network, in units of a rate network's x.

    Args:
        net: the network.
        constants: of its neurons, with the volts that stand for 1.
        dt: step of the rate network, in seconds, in which the state is looked at.
        copies: neurons for each unit, whose mean it is.
        seed: of the noise.
        progress: is given the steps as they pass.
    """
    before, steps, lags = _spans(dt)
    every = round(dt / net.dt)
    run = simulate_lif(
        net,
        np.zeros(((before + steps) * every, TRIALS, net.n_shown)),
        seed=seed,
        record=("i",),
        every=every,
        keep_spikes=False,
        progress=progress,
    )
    assert run.i is not None
    return resting_state(unit_states(run.i[before:], net, constants, copies), lags)


def unit_states(
    i: Float[np.ndarray, "samples trials n"],
    net: LIFNetwork,
    constants: LIFConstants,
    copies: int,
) -> Float64[np.ndarray, "samples trials units"]:
    """Return what currents are in units of x: the mean over a unit's copies.

    What of x does not change, its bias, stands in v_leak (C23) and is added.

    Args:
        i: currents of the neurons, in volts.
        net: their network.
        constants: of them.
        copies: neurons for each unit, side by side.
    """
    bias = (net.v_leak - constants.v_leak).reshape(-1, copies).mean(axis=1)
    return (mean_over_copies(i, copies) + bias) / constants.unit


def mean_over_copies(
    values: Float[np.ndarray, "*places n"], copies: int
) -> Float64[np.ndarray, "*places units"]:
    """Return the means over the copies of each unit, which stand side by side: (C38).

    Args:
        values: of all neurons.
        copies: neurons for each unit.
    """
    # By copies: a mean over a last axis of few numbers takes several times as long.
    total = values[..., ::copies].astype(np.float64)
    for copy in range(1, copies):
        total += values[..., copy::copies]
    return np.divide(total, copies, out=total)


def resting_state(
    x: Float64[np.ndarray, "samples trials n"], lags: int
) -> RestingState:
    """Return the second moments of states about the mean of their trials.

    Args:
        x: the states; at least two trials.
        lags: how many, from 0.
    """
    samples, trials, n = x.shape
    # The mean of the trials takes its share of the variance with it.
    centred = (x - x.mean(axis=1, keepdims=True)) * np.sqrt(trials / (trials - 1))
    power = np.square(centred).mean(axis=(0, 1))
    # Silence behind the samples: no lag comes round to the other end.
    length = fft.next_fast_len(samples + lags, real=True)
    spectrum = np.zeros((length // 2 + 1, n))
    for k in range(trials):
        waves = fft.rfft(centred[:, k], n=length, axis=0)
        spectrum += waves.real**2 + waves.imag**2
    products = fft.irfft(spectrum, n=length, axis=0)[:lags]
    lagged = products / (trials * (samples - np.arange(lags)))[:, None]
    # A unit that does not move remembers nothing.
    correlation = lagged / np.where(power > 0, power, 1.0)
    flat = centred.reshape(-1, n)
    return RestingState(
        np.sqrt(power),
        correlation,
        _crossing(correlation),
        covariance=flat.T @ flat / len(flat),
        mean=x.mean(axis=(0, 1)),
    )


def match(first: RestingState, second: RestingState) -> StateMatch:
    """Return how the second state differs from the first: (C32).

    Both of as many units and lags.
    """
    both = np.isfinite(first.tau) & np.isfinite(second.tau)
    ratios = np.log(second.tau[both] / first.tau[both])
    moving = (first.sd > 0) & (second.sd > 0)
    # Beyond the lags in both states a unit is kept: it is not known how well.
    longest = float(len(first.autocorrelation))
    tau = [np.where(np.isnan(s.tau), longest, s.tau)[moving] for s in (first, second)]
    errors = np.clip(np.log(tau[1] / tau[0]), -WORST, WORST)
    scatter = second.autocorrelation - first.autocorrelation
    sd_ratio = np.median(second.sd[moving] / first.sd[moving]) if moving.any() else 0.0
    apart = second.covariance - first.covariance
    size = np.linalg.norm(first.covariance)
    away = np.abs(second.mean - first.mean)[first.sd > 0] / first.sd[first.sd > 0]
    return StateMatch(
        tau_ratio=float(np.exp(np.median(ratios))) if ratios.size else float("nan"),
        tau_error=float(np.sqrt(np.mean(errors**2))) if errors.size else 0.0,
        sd_ratio=float(sd_ratio),
        autocorrelation_error=float(np.sqrt(np.mean(scatter**2))),
        covariance_error=float(np.linalg.norm(apart) / size) if size > 0 else 0.0,
        shift=float(np.median(away)) if away.size else 0.0,
    )


def task_lags(steps: int, dt: float) -> int:
    """Return how many lags trials of so many steps are looked at."""
    return max(2, min(round(LONGEST / dt), steps // 3))


def _spans(dt: float) -> tuple[int, int, int]:
    """Return steps before the look and of it, and lags."""
    spans = (SETTLE, LENGTH, LONGEST)
    before, steps, lags = (round(span / dt) for span in spans)
    # Slow clocks have few steps in so many seconds: some there must be.
    return before, max(steps, 20), max(lags, 5)


def _crossing(correlation: np.ndarray) -> np.ndarray:
    """Return where each column first falls below 1/e, between two lags by a line."""
    level = np.exp(-1.0)
    below = correlation < level
    k, column = np.argmax(below, axis=0), np.arange(correlation.shape[1])
    above, under = correlation[k - 1, column], correlation[k, column]
    # At lag 0 only what does not move is below, and it has no τ.
    found = below.any(axis=0) & (k > 0)
    step = np.where(found, above - under, 1.0)
    return np.where(found, k - 1 + (above - level) / step, np.nan)
