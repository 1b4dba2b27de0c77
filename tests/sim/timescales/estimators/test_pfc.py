"""The published rules for recorded neurons: their bins, their trials, their fit."""

import math
import re

import numpy as np
import pytest

from isotau.convert.records.spikes import Spikes, pack
from isotau.sim.recorded import from_trials
from isotau.sim.timescales.estimators.estimator_kernels import levenberg_marquardt
from isotau.sim.timescales.estimators.pfc import centred_counts, kim_pfc
from isotau.sim.timescales.records.record import Status
from isotau.sim.timescales.records.series import Series


def gather(neurons, duration=1.0):
    """Return the record of neurons, each a list of spike trains."""
    return from_trials(neurons, window=(0, duration))


def modulated(rng, tau, trials, rate=20.0, seconds=1.0):
    """Return Poisson trains whose rate is an Ornstein-Uhlenbeck process cut at zero."""
    keep = math.exp(-1e-3 / tau)
    x = rng.standard_normal(trials)
    spikes = np.zeros((round(seconds * 1e3), trials), dtype=bool)
    for step in range(len(spikes)):
        x = keep * x + math.sqrt(1 - keep**2) * rng.standard_normal(trials)
        spikes[step] = rng.random(trials) < 1e-3 * rate * np.maximum(1 + x, 0)
    return [np.flatnonzero(one) * 1e-3 + 5e-4 for one in spikes.T]


def test_bins_are_those_of_matlab():
    """Halfway to the next centre, on an edge down; the last holds all that is left."""
    times = np.array([0.0, 0.0249, 0.025, 0.0251, 0.0749, 0.97, 0.976, 1.2, 1.49])
    counts = centred_counts(gather([[times]], duration=1.5))[:, 0, 0]
    expected = np.zeros(21)
    expected[[0, 1, 19, 20]] = 3, 2, 1, 3
    assert counts.tolist() == expected.tolist()


def test_the_first_bin_is_half_a_bin_and_the_last_takes_the_rest():
    rng = np.random.default_rng(0)
    trains = [rng.uniform(0, 1.5, 1500) for _ in range(40)]
    mean = centred_counts(gather([trains], duration=1.5))[:, :, 0].mean(axis=1)
    assert mean[0] == pytest.approx(25, rel=0.1)
    assert mean[1:20].mean() == pytest.approx(50, rel=0.05)
    assert mean[20] == pytest.approx(525, rel=0.05)


def by_the_rules(trains, duration):
    """Return τ, neuron by neuron and bin by bin, or None."""
    kept = [x for x in trains if x.size / duration > 1]
    if len(kept) <= 10:
        return Status.TOO_FEW_SPIKES, None
    centres = np.arange(21) * 0.05
    nearest = [np.abs(x[:, None] - centres).argmin(axis=1) for x in kept]
    counts = np.array([np.bincount(x, minlength=21) for x in nearest])
    rho = []
    for lag in range(1, 16):
        pairs = [
            np.corrcoef(counts[:, i], counts[:, i + lag])[0, 1]
            for i in range(21 - lag)
            if counts[:, i].std() > 0 and counts[:, i + lag].std() > 0
        ]
        rho.append(np.mean(pairs) if pairs else np.nan)
    falls = [m for m in range(1, 15) if rho[m] < rho[m - 1]]
    if np.isnan(rho).any():
        return Status.UNDEFINED, None
    if not falls or falls[0] > 3:
        return Status.LATE_PEAK, None
    _, k, _ = levenberg_marquardt(np.array(rho[falls[0] - 1 :]))
    if k >= 0:
        return Status.NO_DECAY, None
    return (Status.OK, -0.05 / k) if -0.05 / k <= 0.5 else (Status.TOO_LONG, None)


def test_every_neuron_follows_the_rules():
    rng = np.random.default_rng(1)
    neurons = [modulated(rng, 0.1, 30, rate) for rate in (2, 4, 8, 8, 16, 16, 30, 30)]
    neurons += [modulated(rng, 0.1, 10, 30.0), modulated(rng, 0.1, 11, 30.0)]
    neurons.append([np.zeros(0)] * 30)
    found = kim_pfc(gather(neurons))
    for k, trains in enumerate(neurons):
        status, tau = by_the_rules(trains, 1.0)
        assert found.status[k] is status
        if tau:
            assert found.tau[k] == pytest.approx(tau, rel=1e-6)
    assert found.status.count(Status.OK) >= 4
    assert found.status.count(Status.TOO_FEW_SPIKES) >= 2
    assert found.rate[-1] == 0
    assert (found.method, found.bin_width, found.lags) == ("kim_pfc", 0.05, 15)


def test_rasters_are_times():
    rng = np.random.default_rng(2)
    raster = rng.random((1000, 30, 1)) < 0.02
    spikes = Spikes(bits=pack(raster), n=1, dt=1e-3, engine="recorded")
    trains = [np.flatnonzero(raster[:, b, 0]) * 1e-3 for b in range(30)]
    assert kim_pfc(spikes).amplitude == kim_pfc(gather([trains])).amplitude


def test_silent_neurons_make_no_noise():
    found = kim_pfc(gather([[np.zeros(0)] * 20, [np.array([0.5])] * 20]))
    assert found.status == (Status.TOO_FEW_SPIKES,) * 2


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            Series(values=np.ones((21, 30, 1)), bin_width=0.05),
            "source: got a Series, need spike times; pass SpikeTimes or Spikes",
        ),
        (
            gather([[np.array([0.1])] * 20], duration=0.9),
            "duration: got 0.9 s, need at least 1 s of fixation",
        ),
        (
            gather([[np.array([0.1])] * 10]),
            "trials: got 10, need at least 11; record more trials",
        ),
    ],
)
def test_refusals(source, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        kim_pfc(source)
