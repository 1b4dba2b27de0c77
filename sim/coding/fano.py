"""Fano factors: how much spike counts vary over trials, for how large they are."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.sim.timescales.records.series import Source, as_series, of_neuron

BIN_WIDTH = 0.05
SKIPPED_BINS = 1
FACTOR = 1.25
REPEATS = 50


class CountStatistics(NamedTuple):
    """Mean and variance over trials of each neuron's count; NaN for too few trials."""

    mean: Float64[np.ndarray, " n"]
    variance: Float64[np.ndarray, " n"]


class MatchedFano(NamedTuple):
    """A Fano factor over the range of counts that several groups share."""

    fano: float
    """Mean over repeats; NaN where nothing is shared."""
    spread: float
    """SD over repeats: what the choice of neurons changes."""
    points: int
    """Neurons kept in each repeat."""


def count_moments(
    source: Source, *, bin_width: float = BIN_WIDTH, skipped: int = SKIPPED_BINS
) -> CountStatistics:
    """Return mean and variance (n − 1) over trials of the spikes in a whole trial.

    Args:
        source: spikes, in trials of one condition.
        bin_width: of the bins, in seconds.
        skipped: bins left out at the start.

    Raises:
        ValueError: a continuous signal; no bin left.
    """
    series = as_series(source, bin_width)
    if series.kind != "counts":
        raise ValueError(f"source: got a {series.kind}, need counts of spikes")
    # The first bin is left out as published: trials start in one state.
    skipped = validation.whole("skipped", skipped, 0, series.bins - 1)
    mean, variance = np.full((2, series.n), np.nan)
    for k in range(series.n):
        # (M10): one count a trial, of all bins together.
        total = of_neuron(series, k)[skipped:].sum(axis=0)
        if total.size > 1:
            mean[k], variance[k] = total.mean(), total.var(ddof=1)
    return CountStatistics(mean, variance)


def fano_factors(
    source: Source, *, bin_width: float = BIN_WIDTH, skipped: int = SKIPPED_BINS
) -> Float64[np.ndarray, " n"]:
    """Return variance over mean of each neuron's count; NaN for a silent neuron.

    1 for a Poisson neuron. By default as Kim & Sejnowski 2021 count,
    doi:10.1038/s41593-020-00753-w: all bins of 50 ms but the first.

    Args:
        source: spikes, in trials of one condition.
        bin_width: of the bins, in seconds.
        skipped: bins left out at the start.

    Raises:
        ValueError: a continuous signal; no bin left.
    """
    mean, variance = count_moments(source, bin_width=bin_width, skipped=skipped)
    return np.divide(variance, mean, out=np.full(mean.shape, np.nan), where=mean > 0)


def matched_fano(
    groups: Mapping[str, CountStatistics],
    rng: np.random.Generator,
    *,
    factor: float = FACTOR,
    repeats: int = REPEATS,
) -> dict[str, MatchedFano]:
    """Return each group's Fano factor with the groups' mean counts made alike.

    After M. M. Churchland et al. 2010, doi:10.1038/nn.2501, where the groups are times:
    neurons are left out at random until every group has the largest distribution of
    mean counts that all of them contain; the Fano factor is the slope through the
    origin of variance on mean. Bins here are a factor wide instead of a fixed width,
    and the slope is weighted by 1/mean², which makes it the mean ratio.

    Args:
        groups: such as stages, or long- and short-τ neurons.
        rng: chooses who is left out.
        factor: width of the bins of mean counts, as a ratio.
        repeats: other choices, averaged.

    Raises:
        ValueError: no group; a factor of 1 or less.
    """
    if not groups:
        raise ValueError("groups: got none, need at least one")
    if factor <= 1:
        raise ValueError(f"factor: got {factor}, need more than 1")
    repeats = validation.whole("repeats", repeats, 1, 1 << 20)
    ratios, bins = {}, {}
    # (M11): bins of equal ratio, as counts range over decades.
    for name, (mean, variance) in groups.items():
        fires = mean > 0  # false for NaN
        ratios[name] = variance[fires] / mean[fires]
        bins[name] = np.floor(np.log(mean[fires]) / np.log(factor)).astype(np.int64)
    # What all groups have: the common part of their distributions of means.
    shared = {
        int(place): min(int((own == place).sum()) for own in bins.values())
        for place in np.unique(np.concatenate(list(bins.values())))
    }
    points = sum(shared.values())
    matched = {}
    for name, own in bins.items():
        if not points:
            matched[name] = MatchedFano(np.nan, np.nan, 0)
            continue
        fanos = [ratios[name][_draw(own, shared, rng)].mean() for _ in range(repeats)]
        matched[name] = MatchedFano(float(np.mean(fanos)), float(np.std(fanos)), points)
    return matched


def fano_by_group(
    sources: Sequence[Source],
    groups: Mapping[str, Sequence[np.ndarray]],
    rng: np.random.Generator,
) -> dict[str, float | MatchedFano]:
    """Return the median Fano factor of all units and of each group, and matched ones.

    Groups matched to each other by `matched_fano` are called "…_matched". {} without
    sources.

    Args:
        sources: spikes of each network.
        groups: for each network, which units.
        rng: chooses units to match.
    """
    if not sources:
        return {}
    moments = [count_moments(source) for source in sources]
    mean, variance = (np.concatenate(parts) for parts in zip(*moments, strict=True))
    masks = {name: np.concatenate(list(each)) for name, each in groups.items()}
    # Medians: the ratio of a neuron with few spikes has no upper bound.
    medians: dict[str, float | MatchedFano] = {}
    for name, mask in {"all": np.ones(mean.size, dtype=bool), **masks}.items():
        firing = mask & (mean > 0)
        medians[name] = (
            float(np.median(variance[firing] / mean[firing]))
            if firing.any()
            else np.nan
        )
    parts = {
        f"{name}_matched": CountStatistics(mean[mask], variance[mask])
        for name, mask in masks.items()
    }
    return medians | matched_fano(parts, rng)


def _draw(
    own: np.ndarray, shared: Mapping[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Return as many random neurons of every bin as all groups have."""
    return np.concatenate(
        [
            rng.choice(np.flatnonzero(own == place), count, replace=False)
            for place, count in shared.items()
        ]
    )
