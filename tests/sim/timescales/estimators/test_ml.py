"""The estimator `ml` on processes with known answers."""

import numpy as np
import pytest

from benchmarks.synthetic.gaussian import standard_paths
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.timescales.estimators.ml import (
    MLConfig,
    ml,
    prepared,
    profiles,
    tau_grid,
)
from isotau.sim.timescales.records.record import Status
from isotau.sim.timescales.records.series import Series

WIDTH = 0.025


def ou(tau, dt, shape, rng):
    """An Ornstein–Uhlenbeck process of variance 1, exact at its samples."""
    steps, trials, n = shape
    return standard_paths(np.full(n, tau), trials, steps * dt, dt, rng)


def doubly_stochastic(tau, rate, sd, n, rng, *, trials=50, bins=40):
    """Counts of spikes whose rate is a rectified process of timescale tau."""
    x = ou(tau, 0.005, (5 * bins, trials, n), rng)
    hz = np.maximum(rate + sd * x, 0).reshape(bins, 5, trials, n).mean(axis=1)
    counts = rng.poisson(hz * WIDTH)
    return Series(values=counts, bin_width=WIDTH)


def share(timescales, status):
    return np.mean([s is status for s in timescales.status])


@pytest.mark.parametrize("tau", [0.03, 0.1, 0.3])
def test_signals(tau):
    rng = np.random.default_rng(10)
    signal = 5 + 3 * ou(tau, 0.01, (100, 60, 40), rng)
    found = ml(Series(values=signal, bin_width=0.01, kind="signal"), bin_width=0.01)
    assert set(found.status) == {Status.OK}
    assert np.median(found.tau) == pytest.approx(tau, rel=0.06)
    assert np.median(found.amplitude) > 0.95
    assert np.isnan(found.rate).all()
    inside = (found.low <= tau) & (tau <= found.high)
    assert inside.mean() >= 0.85


@pytest.mark.parametrize("tau", [0.05, 0.1, 0.2])
def test_doubly_stochastic_spikes(tau):
    found = ml(doubly_stochastic(tau, 20, 20, 80, np.random.default_rng(11)))
    assert share(found, Status.OK) >= 0.97
    assert np.nanmedian(found.tau) == pytest.approx(tau, rel=0.12)
    assert np.nanstd(np.log(found.tau)) < 0.35
    inside = (found.low <= tau) & (tau <= found.high)
    assert 0.9 <= inside.mean()
    assert np.median(found.rate) == pytest.approx(21.7, rel=0.05)


def test_poisson_neurons_have_none():
    rng = np.random.default_rng(12)
    counts = rng.poisson(10 * WIDTH, (40, 50, 800))
    found = ml(Series(values=counts, bin_width=WIDTH))
    assert share(found, Status.OK) <= 0.01
    assert share(found, Status.NOT_IDENTIFIABLE) >= 0.98
    assert np.isnan(found.tau).sum() >= 792
    assert np.isfinite(found.low).all()


def test_regular_neurons_have_none():
    """Gamma trains of order 4 vary less than Poisson ones, from bin to bin too."""
    rng = np.random.default_rng(13)
    times = np.cumsum(rng.gamma(4, 1 / 80, (100, 50, 90)), axis=-1) - 1
    found = ml(_trains(times))
    assert share(found, Status.NOT_IDENTIFIABLE) >= 0.98


def test_regular_neurons_whose_rate_moves_have_one():
    """They vary less than the Poisson value allows: d is free."""
    rng = np.random.default_rng(14)
    dt, steps = 0.0005, 2000
    clock = np.empty((steps, 50, 30))
    x = rng.standard_normal((50, 30))
    for t in range(steps):
        x = x * np.exp(-dt / 0.15) + np.sqrt(1 - np.exp(-2 * dt / 0.15)) * (
            rng.standard_normal((50, 30))
        )
        clock[t] = np.maximum(40 + 20 * x, 0) * dt
    # a spike whenever the summed rate passes a whole number, from a random phase
    passed = np.floor(np.cumsum(clock, axis=0) + rng.random((50, 30)))
    counts = np.diff(passed[:: int(WIDTH / dt)], axis=0)
    found = ml(Series(values=counts, bin_width=WIDTH))
    assert share(found, Status.OK) >= 0.9
    assert np.nanmedian(found.tau) == pytest.approx(0.15, rel=0.3)


def test_drift_over_trials_is_no_timescale():
    rng = np.random.default_rng(15)
    level = rng.uniform(10, 30, (50, 200))
    counts = rng.poisson(level * WIDTH, (40, 50, 200))
    found = ml(Series(values=counts, bin_width=WIDTH))
    assert share(found, Status.OK) <= 0.03


def test_drift_beside_a_timescale():
    rng = np.random.default_rng(16)
    x = ou(0.08, 0.01, (150, 80, 40), rng)
    drift = 1.5 * rng.standard_normal((80, 40))
    found = ml(Series(values=x + drift, bin_width=0.01, kind="signal"), bin_width=0.01)
    assert np.median(found.tau) == pytest.approx(0.08, rel=0.1)
    assert np.median(found.offset) == pytest.approx(2.25 / 3.25, abs=0.1)


def test_timescales_beyond_what_is_looked_at():
    rng = np.random.default_rng(17)
    x = ou(0.4, 0.01, (100, 60, 20), rng)
    signal = Series(values=x, bin_width=0.01, kind="signal")
    found = ml(signal, bin_width=0.01, config=MLConfig(longest=0.15))
    assert share(found, Status.AT_BOUND) == 1
    assert np.isnan(found.tau).all()
    assert np.isinf(found.high).all()
    assert (found.estimate > 0.1).all()


def test_neurons_that_cannot_be_fitted():
    rng = np.random.default_rng(18)
    counts = rng.poisson(0.5, (40, 30, 3)).astype(float)
    counts[:, :, 0] = 0
    counts[:, :, 1] = 0
    counts[0, :9, 1] = 1
    observed = np.ones((30, 3), bool)
    observed[2:, 2] = False
    found = ml(Series(values=counts, bin_width=WIDTH, observed=observed))
    assert set(found.status) == {Status.TOO_FEW_SPIKES}
    for name in ("tau", "estimate", "low", "high", "goodness"):
        assert np.isnan(getattr(found, name)).all()


def test_signals_that_stand_still():
    found = ml(Series(values=np.full((40, 9, 2), 3.7), bin_width=0.05, kind="signal"))
    assert set(found.status) == {Status.UNDEFINED}


def test_clockwork_is_no_error():
    """The same count in every bin but one."""
    counts = np.ones((40, 20, 2))
    counts[3, 4] = 2
    found = ml(Series(values=counts, bin_width=WIDTH))
    assert set(found.status) == {Status.NOT_IDENTIFIABLE}


def test_only_the_trials_of_a_neuron_count():
    """Neurons with trials of their own are what they are alone."""
    both = doubly_stochastic(0.1, 20, 15, 2, np.random.default_rng(19))
    observed = np.ones((50, 2), bool)
    observed[20:, 0] = False
    spoilt = np.array(both.values)
    spoilt[:, 20:, 0] = 77
    found = ml(Series(values=spoilt, bin_width=WIDTH, observed=observed))
    first = ml(Series(values=both.values[:, :20, :1], bin_width=WIDTH))
    second = ml(Series(values=both.values[:, :, 1:], bin_width=WIDTH))
    np.testing.assert_allclose(
        found.estimate, [*first.estimate, *second.estimate], rtol=1e-9
    )


def test_order_and_unit_of_a_signal_do_not_matter():
    rng = np.random.default_rng(20)
    x = ou(0.1, 0.02, (50, 40, 3), rng)
    a = ml(Series(values=x, bin_width=0.02, kind="signal"))
    b = ml(Series(values=4 - 1e3 * x[:, ::-1], bin_width=0.02, kind="signal"))
    np.testing.assert_allclose(a.estimate, b.estimate, rtol=1e-6)


def test_many_trials_narrow_the_interval():
    """The grid's steps do not show: ten times the data, a third of the width."""
    rng = np.random.default_rng(21)
    x = ou(0.1, 0.02, (50, 3000, 5), rng)
    few, many = (
        ml(Series(values=x[:, :k], bin_width=0.02, kind="signal")) for k in (300, 3000)
    )
    widths = [np.log(t.high / t.low).mean() for t in (few, many)]
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(10), rel=0.25)
    np.testing.assert_allclose(many.tau, 0.1, rtol=0.06)


def test_level():
    data = doubly_stochastic(0.1, 20, 20, 6, np.random.default_rng(22))
    wide, narrow = (ml(data, config=MLConfig(level=level)) for level in (0.99, 0.5))
    assert (wide.low < narrow.low).all()
    assert (narrow.high < wide.high).all()
    assert (wide.level, narrow.level) == (0.99, 0.5)


def test_signals_are_thinned():
    signal = Series(values=np.zeros((100, 4, 1)), bin_width=0.005, kind="signal")
    thin = prepared(signal, 0.025)
    assert (thin.bins, thin.bin_width) == (20, 0.025)


def test_profiles_peak_at_zero():
    data = doubly_stochastic(0.1, 20, 20, 3, np.random.default_rng(23))
    found = profiles(data)
    np.testing.assert_allclose(found.log_likelihood.max(axis=1), 0)
    assert found.taus[0] == pytest.approx(WIDTH / 2)
    assert found.taus[-1] == pytest.approx(2.0)


def test_progress_is_told():
    told = []

    def track(steps, what):
        told.append((len(steps), what))
        return steps

    counts = np.random.default_rng(0).poisson(1, (8, 9, 400))
    ml(Series(values=counts, bin_width=WIDTH), progress=track)
    assert told == [(2, "timescales")]


def test_bad_settings():
    data = Series(values=np.ones((3, 9, 2)), bin_width=WIDTH)
    with pytest.raises(ValueError, match=r"bins: got 3 of 0\.025 s, need 4 to 400"):
        ml(data)
    silent = SpikeTimes(times=[], trial=[], neuron=[], trials=[3], duration=11.0)
    with pytest.raises(ValueError, match=r"bins: got 440 of 0\.025 s, need 4 to 400"):
        ml(silent)
    with pytest.raises(ValueError, match=r"longest: got 0\.1 s, need more than short"):
        tau_grid(
            Series(values=np.ones((9, 9, 2)), bin_width=WIDTH),
            MLConfig(shortest=0.1, longest=0.1),
        )
    with pytest.raises(ValueError, match=r"level: got 1\.5, need less than 1"):
        ml(
            Series(values=np.ones((9, 9, 2)), bin_width=WIDTH),
            config=MLConfig(level=1.5),
        )


def _trains(times):
    """Spike times n × trials × spikes, NaN-free, as counts of one second."""
    n, trials, _ = times.shape
    counts = np.empty((40, trials, n))
    for k, j in np.ndindex(n, trials):
        counts[:, j, k] = np.histogram(times[k, j], bins=40, range=(0, 1))[0]
    return Series(values=counts, bin_width=WIDTH)
