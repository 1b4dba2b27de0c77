"""The autocorrelation by the spike-time tiling coefficient, and its timescale.

STTC = ½ [(P_A − T_B)/(1 − P_A T_B) + (P_B − T_A)/(1 − P_B T_A)] of two trains A and B,
where P_A is the share of A's spikes within ±Δt of a spike of B and T_A the share of the
time within ±Δt of a spike of A (Cutts & Eglen 2014,
doi:10.1523/JNEUROSCI.2767-14.2014). It needs no bins, and by itself does not depend on
the rate. The autocorrelation at a lag is that of a train with itself moved by the lag,
over the time that both cover; over trials, spikes and times are added up before P and T
are taken, so that nothing reaches from one trial into the next.
"""

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.timescales.estimators import decay_fit
from isotau.sim.timescales.estimators import estimator_kernels as kernels
from isotau.sim.timescales.estimators.judge import (
    NeuronFits,
    find_quiet,
    fit_trials,
    judge,
)
from isotau.sim.timescales.records.record import Timescales
from isotau.sim.timescales.records.series import Source, as_spike_times, spike_rates

NAME = "sttc"
LAG = 0.05
DT = 0.025
LAGS = 20
FEWEST_LAGS = 4


def sttc(
    source: Source,
    *,
    lag: float = LAG,
    dt: float = DT,
    lags: int = LAGS,
    offset: str = "free",
    min_rate: float = 0.0,
    min_tau: float | None = None,
    max_tau: float = decay_fit.MAX_TAU,
    bootstrap: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> Timescales:
    """Return each neuron's timescale by spike-time tiling, in seconds.

    A exp(−t/τ) + B, with A ≥ 0, is fitted to the coefficient at t = 1, 2, … lags, every
    lag alike; those at which a train has no spikes are left out.

    Fields and statuses are those of `exponential`; `bin_width` is the lag.

    Args:
        source: spikes; trials of the same length.
        lag: step of the lags, in seconds.
        dt: Δt, in seconds; half a lag makes the windows touch.
        lags: how many; those that are as long as the trial are left out.
        offset: as in `exponential`.
        min_rate: in Hz, below which a neuron has none.
        min_tau, max_tau: shortest and longest timescale, in seconds; from a fifth of a
            lag by default.
        bootstrap, rng, level: number of resamples of the trials, what draws them, and
            the confidence of the interval that they give; 0 for none.

    Raises:
        ValueError: a series, which has no spike times; no trials; too few lags.
    """
    recording = as_spike_times(source)
    times = _lags(lag, lags, recording.duration)
    taus = decay_fit.timescale_grid(lag, max_tau, min_tau)
    validation.choice("offset", offset, decay_fit.OFFSETS)
    # Once for all resamples: trials enter only by how often their sums count.
    sums = tile_sums(recording, times, dt)
    equal = np.ones((times.size, recording.n))

    def fit(weights: np.ndarray) -> NeuronFits:
        # (T12), every lag alike: no count of pairs stands behind a coefficient.
        rho = coefficient(np.einsum("nblk,bn->lnk", sums, weights))
        return decay_fit.fit_exponential(rho, equal, taus, times, offset)

    recorded = np.arange(sums.shape[1])[:, None] < recording.trials
    fits, ends = fit_trials(fit, recorded, bootstrap, rng, level)
    rate = spike_rates(recording)
    return judge(
        fits, ends, few=find_quiet(rate, min_rate), rate=rate,
        method=NAME, bin_width=lag, lags=times.size, level=level,
    )  # fmt: skip


def tile_sums(
    recording: SpikeTimes, lags: Float64[np.ndarray, " lags"], dt: float
) -> Float64[np.ndarray, "n batch lags six"]:
    """Return what P and T are made of, per neuron, trial and lag: see `kernels.tile`.

    The last of seven numbers is the time that the trial has at that lag.
    """
    width = validation.number("dt", dt, positive=True)
    steps = validation.floats("lags", lags, (len(lags),), "lag", minimum=0)
    batch = int(recording.trials.max())
    if not batch:
        raise ValueError("source: got no trial of any neuron, need at least one")
    sums = np.zeros((recording.n, batch, steps.size, kernels.SUMS + 1))
    sums[..., -1] = recording.duration - steps
    # Spikes are ordered by neuron, then trial: each pair is a run in one array.
    place = recording.neuron * batch + recording.trial
    edges = np.searchsorted(place, np.arange(recording.n * batch + 1))
    for k in range(recording.n):
        trains = edges[k * batch : (k + 1) * batch + 1]
        kernels.tile(recording.times, trains, recording.duration, steps, width, sums[k])
    return sums


def coefficient(
    sums: Float64[np.ndarray, "lags n seven"],
) -> Float64[np.ndarray, "lags n"]:
    """Return STTC from spikes and times added up over trials; NaN without spikes.

    Where all spikes of one train are near the other, whose tiles cover all the time,
    the quotient is 0/0 and stands for 1.
    """
    near_a, spikes_a, time_a, near_b, spikes_b, time_b, time = np.moveaxis(sums, -1, 0)
    # (T20): each train's spikes against the other's tiles.
    halves = []
    for near, spikes, tiles in ((near_a, spikes_a, time_b), (near_b, spikes_b, time_a)):
        p = np.divide(near, spikes, out=np.full_like(near, np.nan), where=spikes > 0)
        t = np.divide(tiles, time, out=np.zeros_like(near), where=time > 0)
        # 1 − PT is rounding there.
        full = p * t >= 1 - 1e-12
        halves.append(np.where(full, 1.0, (p - t) / np.where(full, 1.0, 1 - p * t)))
    return (halves[0] + halves[1]) / 2


def _lags(lag: float, lags: int, duration: float) -> Float64[np.ndarray, " lags"]:
    """Return the lags that a trial has room for, in seconds."""
    step = validation.number("lag", lag, positive=True)
    times = np.arange(1, validation.whole("lags", lags, 1, 2**31 - 1) + 1) * step
    # A lag as long as the trial has no time that both cover.
    times = times[times < duration * (1 - 1e-9)]
    if times.size < FEWEST_LAGS:
        raise ValueError(
            f"lags: got {times.size} of {lag} s in trials of {duration} s, need at "
            f"least {FEWEST_LAGS}; use shorter lags or longer trials"
        )
    return times
