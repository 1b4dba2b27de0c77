"""Spike-time tiling against its equation pair by pair, and on Hawkes processes."""

import itertools
import re

import numpy as np
import pytest

from isotau.convert.records.spikes import Spikes, SpikeTimes, pack
from isotau.sim.recorded import from_trials
from isotau.sim.timescales.estimators.sttc import coefficient, sttc, tile_sums
from isotau.sim.timescales.records.record import Status
from isotau.sim.timescales.records.series import Series


def gather(neurons):
    """Return the record of neurons, each a list of spike trains of 1 s."""
    return from_trials(neurons, window=(0, 1))


def tiling(recording, lags, dt):
    """Return each neuron's coefficient with itself, moved by each lag, lag × neuron."""
    return coefficient(tile_sums(recording, lags, dt).sum(axis=1).transpose(1, 0, 2))


def equation(trains, duration, lag, dt):
    """Return STTC by Cutts & Eglen's equation, time in steps of a fine grid."""
    grid = (np.arange(40_000) + 0.5) / 40_000 * (duration - lag)
    near, spikes, cover = np.zeros(2), np.zeros(2), np.zeros(2)
    for x in trains:
        pair = x[x < duration - lag], x[x >= lag] - lag
        for k, (one, other) in enumerate((pair, pair[::-1])):
            near[k] += sum(np.any(np.abs(other - t) <= dt) for t in one)
            spikes[k] += one.size
            edges = np.searchsorted(grid, (one - dt, one + dt))
            change = np.zeros(grid.size + 1)
            np.add.at(change, edges[0], 1)
            np.add.at(change, edges[1], -1)
            cover[k] += np.mean(np.cumsum(change)[:-1] > 0)
    p, t = near / spikes, cover / len(trains)
    return ((p[0] - t[1]) / (1 - p[0] * t[1]) + (p[1] - t[0]) / (1 - p[1] * t[0])) / 2


@pytest.mark.parametrize("dt", [0.002, 0.025])
def test_against_the_equation(dt):
    rng = np.random.default_rng(0)
    trains = [
        [np.sort(rng.uniform(0, 1, rng.poisson(rate))) for _ in range(4)]
        for rate in (8, 40)
    ]
    lags = np.array([0.0, 0.05, 0.2, 0.75])
    found = tiling(gather(trains), lags, dt)
    expected = [[equation(x, 1.0, lag, dt) for x in trains] for lag in lags]
    np.testing.assert_allclose(found, expected, atol=2e-3)
    np.testing.assert_allclose(found[0], 1)


def test_nothing_reaches_from_one_trial_into_the_next():
    """Spikes 0.1 s apart across the border between trials are no pair."""
    trains = [[np.array([0.95]), np.array([0.05])]]
    sums = tile_sums(gather(trains), np.array([0.1]), 0.025).sum(axis=1)
    assert sums[0, 0, [0, 3]].tolist() == [0, 0]


def test_limits_of_the_quotient():
    def sums(near, spikes, covered):
        return np.array([near, spikes, covered, near, spikes, covered, 1.0])

    three = np.array([sums(5, 5, 1.0), sums(0, 0, 0.0), sums(0, 5, 0.5)])
    found = coefficient(three[:, None])[:, 0]
    assert found[0] == 1
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(-0.5)


def test_poisson_trains_do_not_correlate():
    rng = np.random.default_rng(1)
    trains = [[rng.uniform(0, 1, rng.poisson(r)) for _ in range(400)] for r in (5, 50)]
    rho = tiling(gather(trains), np.arange(1, 15) * 0.05, 0.025)
    assert np.abs(rho.mean(axis=0)).max() < 0.01


def hawkes(rng, tau, alpha=0.7, rate=10.0, seconds=3000):
    """Return one long train of families: ancestors, their children, and so on.

    A child comes after an exponential time of mean τ (1 − α), so that the correlation
    decays with τ.
    """
    family = rng.uniform(0, seconds, rng.poisson(rate * (1 - alpha) * seconds))
    all_times = []
    while family.size:
        all_times.append(family)
        children = rng.poisson(alpha, family.size)
        born = rng.exponential(tau * (1 - alpha), children.sum())
        family = np.repeat(family, children) + born
    times = np.sort(np.concatenate(all_times))
    cuts = np.searchsorted(times, np.arange(seconds + 1))
    return [times[a:b] - k for k, (a, b) in enumerate(itertools.pairwise(cuts))]


def test_a_hawkes_process_has_its_timescale():
    rng = np.random.default_rng(2)
    tau = np.array([0.06, 0.12, 0.25])
    found = sttc(gather([hawkes(rng, x) for x in tau]), bootstrap=40, rng=rng)
    np.testing.assert_allclose(found.tau, tau, rtol=0.2)
    assert (found.low < found.tau).all()
    assert (found.high > found.tau).all()
    assert found.rate == pytest.approx(10, rel=0.1)
    assert found.goodness.min() > 0.98
    assert (found.method, found.bin_width, found.lags) == ("sttc", 0.05, 19)
    none = sttc(gather([hawkes(rng, 0.12)]), offset="none")
    assert none.offset.tolist() == [0]


def test_neurons_that_cannot_be_measured_say_why():
    rng = np.random.default_rng(3)
    silent = [np.zeros(0)] * 5
    lone = [np.array([0.5])] * 5
    trains = [rng.uniform(0, 1, 20) for _ in range(5)]
    source = gather([silent, lone, [], trains])
    found = sttc(source, bootstrap=20, rng=rng, min_rate=2.0)
    assert found.status[:3] == (Status.TOO_FEW_SPIKES,) * 3
    assert found.rate[:3].tolist() == [0, 1, 0]
    assert sttc(source).status[1] is not Status.OK


def test_rasters_are_times():
    rng = np.random.default_rng(4)
    raster = rng.random((1000, 6, 2)) < 0.03
    spikes = Spikes(bits=pack(raster), n=2, dt=1e-3, engine="recorded")
    trains = [
        [np.flatnonzero(raster[:, b, n]) * 1e-3 for b in range(6)] for n in range(2)
    ]
    np.testing.assert_array_equal(sttc(spikes).estimate, sttc(gather(trains)).estimate)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"lag": 0.3}, "lags: got 3 of 0.3 s in trials of 1.0 s, need at least 4"),
        ({"lag": 0.0}, "lag: got 0.0, need numbers greater than 0"),
        ({"dt": 0.0}, "dt: got 0.0, need numbers greater than 0"),
        ({"offset": "any"}, "offset: got 'any', need one of free"),
        ({"bootstrap": 30}, "rng: got None"),
    ],
)
def test_refusals(settings, text):
    source = gather([[np.array([0.1, 0.2])] * 3])
    with pytest.raises(ValueError, match=re.escape(text)):
        sttc(source, **settings)


def test_counts_are_refused():
    with pytest.raises(ValueError, match="source: got a Series, need spike times"):
        sttc(Series(values=np.ones((20, 9, 2)), bin_width=0.05))


def test_no_trials():
    none = np.zeros(0, dtype=np.int64)
    empty = SpikeTimes(
        times=np.zeros(0),
        trial=none,
        neuron=none,
        trials=np.zeros(2, int),
        duration=1.0,
    )
    with pytest.raises(ValueError, match="source: got no trial of any neuron"):
        sttc(empty)
