"""Timescales of one stage, from two runs of it without input."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from isotau.convert.spikes import Spikes
from isotau.quiet_runs import Twice
from isotau.sim.preservation import trial_replicates
from isotau.sim.timescales import ESTIMATORS
from isotau.sim.timescales.autocorrelation import autocorrelation
from isotau.sim.timescales.record import Timescales
from isotau.sim.timescales.series import as_series

METHODS = ("ml", "exponential")
"""Estimators that have a say, the primary one first; the curves are a third voice."""
LAGS = 14
FINEST, FINE_BINS = 0.025, 40
"""Bins of a trial for `ml`, unless they would be shorter than this, in seconds."""
WIDEST, WIDE_BINS = 0.05, 20
"""The same for autocorrelations and what is fitted to them; as published for 1 s."""
RESAMPLES = 50
"""Of the trials, that tell which fits to autocorrelations show a decay at all."""


class StageTimescales(NamedTuple):
    """What was measured at one stage.

    Attributes:
        timescales: by method, of the first run and of the repeat.
        curves: autocorrelation, run × lag × neuron.
        curve_bin: seconds between the lags.
        replicates: by method, log τ of the first run as other trials might have made
            it; empty if that was not asked for.
    """

    timescales: Mapping[str, tuple[Timescales, ...]]
    curves: np.ndarray
    curve_bin: float
    replicates: Mapping[str, np.ndarray]


def measure_stage(twice: Twice, *, groups: int = 0) -> StageTimescales:
    """Return the timescales and autocorrelations of one stage's two runs.

    Longer trials come in wider bins: half a bin is the shortest τ that `ml` looks at.
    The fits to autocorrelations have no offset, since simulated trials do not drift.
    """
    fine = _whole(twice.first, FINEST, FINE_BINS)
    wide = _whole(twice.first, WIDEST, WIDE_BINS)
    runs = list(twice)
    settings: dict[str, dict[str, Any]] = {
        "ml": {"bin_width": fine},
        "exponential": {
            "bin_width": wide,
            "max_lag": LAGS * wide,
            "offset": "none",
            "bootstrap": RESAMPLES,
            "rng": np.random.default_rng(0),
        },
    }
    timescales = {
        method: tuple(ESTIMATORS[method](run, **settings[method]) for run in runs)
        for method in METHODS
    }
    curves = [autocorrelation(as_series(run, wide).values, LAGS) for run in runs]
    replicates = {}
    if groups:
        replicates = {
            method: trial_replicates(
                as_series(twice.first, settings[method]["bin_width"]),
                partial(ESTIMATORS[method], **settings[method]),
                groups,
            )
            for method in METHODS
        }
    return StageTimescales(timescales, np.array(curves), wide, replicates)


def _whole(spikes: Spikes, shortest: float, bins: int) -> float:
    """Return the width of so many bins of a trial, in whole steps."""
    return round(max(shortest, spikes.steps * spikes.dt / bins) / spikes.dt) * spikes.dt
