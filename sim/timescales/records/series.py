"""`Series`: what the estimators look at, binned spikes or a continuous signal."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import Numbers, Size, check_fields
from isotau.convert.records import spikes as spike_times
from isotau.convert.records.spikes import Spikes, SpikeTimes
from isotau.sim.timescales.records.autocorrelation import binned

KINDS = ("counts", "signal")


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Series:
    """Values of neurons in equal bins of repeated trials.

    Attributes:
        values: bins × batch × neuron; spikes per bin, or a signal's samples.
        bin_width: width of a bin, or the time between samples, in seconds.
        kind: "counts" of spikes, or samples of a continuous "signal" (rates, κ).
        observed: batch × neuron, whether the neuron was recorded in the trial; None
            for all in all.
    """

    values: Float64[np.ndarray, "bins batch n"]
    bin_width: float
    kind: str = "counts"
    observed: Bool[np.ndarray, "batch n"] | None = None

    bins = Size("values")
    batch = Size("values", 1)
    n = Size("values", 2)

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        for axis in range(3):
            validation.length("values", self.values, axis=axis, ndim=3)
        bins, batch, n = np.shape(self.values)
        kind = validation.choice("kind", self.kind, KINDS)
        lowest = 0.0 if kind == "counts" else None  # a signal may be negative
        values = Numbers("bins batch n", "bins × batch × neuron", minimum=lowest)
        rules = {"values": values, "bin_width": Numbers(positive=True)}
        check_fields(self, rules, bins=bins, batch=batch, n=n)
        if self.observed is None:
            observed = np.ones((batch, n), dtype=bool)
        else:
            observed = np.array(self.observed)
            if observed.shape != (batch, n) or observed.dtype != bool:
                raise ValueError(
                    f"observed: got {observed.dtype} of shape {observed.shape}, need "
                    f"bool of shape {(batch, n)} (batch × neuron)"
                )
        # Rules are for numbers alone; masks are frozen by hand.
        observed.setflags(write=False)
        validation.freeze(self, {"kind": kind, "observed": observed})

    @property
    def recorded(self) -> Bool[np.ndarray, "batch n"]:
        """`observed`, which a record always has once it is made."""
        assert self.observed is not None
        return self.observed


Source: TypeAlias = Spikes | SpikeTimes | Series
"""Whatever an estimator takes."""


def as_series(source: Source, bin_width: float) -> Series:
    """Return spikes as counts in bins of `bin_width` seconds; a series as it is.

    Raises:
        ValueError: the width does not suit the spikes (see `binned`, `counts`).
    """
    if isinstance(source, Series):
        return source
    if isinstance(source, Spikes):
        return Series(values=binned(source, bin_width), bin_width=bin_width)
    values = spike_times.counts(source, bin_width)
    if not values.shape[1]:
        raise ValueError("source: got no trial of any neuron, need at least one")
    # Trials are numbered from 0 for every neuron; those beyond its own are padding.
    trial = np.arange(values.shape[1])
    return Series(
        values=values,
        bin_width=bin_width,
        observed=trial[:, None] < source.trials,
    )


def as_spike_times(source: Source) -> SpikeTimes:
    """Return spikes as times.

    Raises:
        ValueError: a series, which has no spike times.
    """
    if isinstance(source, Series):  # bins have forgotten when the spikes were
        raise ValueError(
            "source: got a Series, need spike times; pass SpikeTimes or Spikes"
        )
    return spike_times.from_spikes(source) if isinstance(source, Spikes) else source


def from_signal(values: Float64[np.ndarray, "steps batch n"], dt: float) -> Series:
    """Return a continuous signal, sampled every `dt` seconds, as a series."""
    return Series(values=values, bin_width=dt, kind="signal")


def of_neuron(series: Series, k: int) -> Float64[np.ndarray, "bins trials"]:
    """Return neuron k's values in the trials in which it was recorded."""
    k = validation.whole("k", k, 0, series.n - 1)
    return series.values[:, series.recorded[:, k], k]


def mean_rates(series: Series) -> Float64[np.ndarray, " n"]:
    """Return each neuron's mean rate in Hz; NaN for signals and neurons without trials.

    A count in a trial in which the neuron was not recorded does not matter.
    """
    if series.kind != "counts":
        return np.full(series.n, np.nan)
    # Padding may hold anything, so that it is weighted away and not trusted to be 0.
    spikes = np.einsum("ibn,bn->n", series.values, series.recorded)
    seconds = series.recorded.sum(axis=0) * series.bins * series.bin_width
    return np.divide(spikes, seconds, out=np.full(series.n, np.nan), where=seconds > 0)


def spike_rates(recording: SpikeTimes, since: float = 0.0) -> Float64[np.ndarray, " n"]:
    """Return each neuron's spikes from `since` seconds on, over all its time, in Hz.

    0 for a neuron without trials.
    """
    late = recording.neuron[recording.times >= since]
    seconds = recording.trials * recording.duration
    events = np.bincount(late, minlength=recording.n)
    # Without trials there are no events: 0 over whatever is not 0.
    return events / np.where(seconds > 0, seconds, 1)
