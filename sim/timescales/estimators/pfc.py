"""The analysis of recorded neurons of Kim & Sejnowski 2021, rule for rule.

R. Kim & T. J. Sejnowski, doi:10.1038/s41593-020-00753-w; the rules are those of the
authors' script for prefrontal neurons. They differ from those for the model (`kim`),
and some of them harm; `kim_pfc` keeps them for comparison:

- The bins are those of MATLAB's `hist` with centres at 0, 50, … 1000 ms: the first is
  half as wide as the others, and the last holds every spike after 975 ms.
- A trial counts if its own rate exceeds 1 Hz, which selects on what is measured.
- Trials of all conditions are pooled: rates that anticipate the condition correlate.
- An amplitude below 0 is allowed, a neuron has no least rate, and there are 15 lags.
"""

import numpy as np
from jaxtyping import Float64

from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.timescales.estimators.judge import judge
from isotau.sim.timescales.estimators.kim import MAX_TAU, fit_published, hide_slow
from isotau.sim.timescales.records.autocorrelation import BIN_WIDTH, autocorrelation
from isotau.sim.timescales.records.record import Timescales
from isotau.sim.timescales.records.series import Source, as_spike_times, spike_rates

NAME = "kim_pfc"
BINS = 21
LAGS = 15
MIN_TRIAL_RATE = 1.0
MIN_TRIALS = 11


def kim_pfc(source: Source) -> Timescales:
    """Return each neuron's timescale by the published rules for recorded neurons.

    1. Trials whose rate is above 1 Hz; a neuron with 10 or fewer of them has none.
    2. Counts in 21 bins around 0, 50, … 1000 ms (see `centred_counts`).
    3. ρ(k), k = 1 … 15, and the fit, as in `kim`: from the first fall, which must come
       at lag 1, 2 or 3; a neuron with a ρ(k) that does not exist has none.
    4. Neurons with τ < 0 or τ > 500 ms have none.

    Args:
        source: the spikes of the fixation before the cue, at least 1 s of it.

    Raises:
        ValueError: a series, which has no spike times; a window below 1 s; no neuron
            with more than 10 trials.
    """
    recording = as_spike_times(source)
    if recording.duration < 1 - 1e-9:
        raise ValueError(
            f"duration: got {recording.duration} s, need at least 1 s of fixation"
        )
    batch = int(recording.trials.max())
    if batch < MIN_TRIALS:
        raise ValueError(
            f"trials: got {batch}, need at least {MIN_TRIALS}; record more trials"
        )
    place = recording.trial * recording.n + recording.neuron
    events = np.bincount(place, minlength=batch * recording.n)
    per_trial = events.reshape(batch, recording.n)
    active = per_trial > MIN_TRIAL_RATE * recording.duration
    counts = centred_counts(recording)
    scarce = active.sum(axis=0) < MIN_TRIALS
    # Correlations need 3 trials of some neuron; with none there is nothing to fit.
    rho = np.full((LAGS, recording.n), np.nan)
    if not scarce.all():
        rho = autocorrelation(counts, LAGS, active.astype(np.float64))
    fits = hide_slow(fit_published(rho, BIN_WIDTH, MAX_TAU, signed=True), scarce)
    return judge(
        fits, None, few=scarce, rate=spike_rates(recording),
        method=NAME, bin_width=BIN_WIDTH, lags=LAGS,
    )  # fmt: skip


def centred_counts(recording: SpikeTimes) -> Float64[np.ndarray, "21 batch n"]:
    """Return the counts of MATLAB's hist(t, 0:50:1000), bins × trial × neuron.

    A spike belongs to the nearest centre, on an edge to the lower one; those beyond
    975 ms all belong to the last.
    """
    # Halfway between centres: the first bin is half a bin, the last has no end.
    edges = (np.arange(BINS - 1) + 0.5) * BIN_WIDTH
    # MATLAB, too, moves its edges up by the last bit.
    place = np.searchsorted(edges + np.spacing(edges), recording.times, side="right")
    shape = BINS, int(recording.trials.max()), recording.n
    flat = np.ravel_multi_index((place, recording.trial, recording.neuron), shape)
    counts = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
    return counts.astype(np.float64)
