"""`Series`: the one thing that estimators look at."""

import re

import numpy as np
import pytest

from isotau.convert.records.spikes import Spikes, SpikeTimes, count, pack
from isotau.sim.timescales.records.series import (
    Series,
    as_series,
    from_signal,
    mean_rates,
    of_neuron,
)

VALUES = np.arange(24.0).reshape(4, 3, 2)


def test_everything_is_observed_unless_it_is_said():
    series = Series(values=VALUES, bin_width=0.05)
    assert series.observed.all()
    assert (series.bins, series.batch, series.n) == (4, 3, 2)
    assert not series.values.flags.writeable


def test_only_observed_trials_count():
    observed = np.array([[True, True], [False, True], [True, False]])
    series = Series(values=VALUES, bin_width=0.5, observed=observed)
    np.testing.assert_array_equal(of_neuron(series, 0), VALUES[:, [0, 2], 0])
    expected = [VALUES[:, [0, 2], 0].sum() / 4, VALUES[:, :2, 1].sum() / 4]
    np.testing.assert_allclose(mean_rates(series), expected)


def test_rates_that_are_not():
    unseen = np.array([[True, False]] * 3)
    rates = mean_rates(Series(values=VALUES, bin_width=0.5, observed=unseen))
    assert rates[0] > 0
    assert np.isnan(rates[1])
    assert np.isnan(mean_rates(from_signal(VALUES - 9, 0.01))).all()


def test_from_packed_spikes():
    raster = np.random.default_rng(0).random((40, 3, 5)) < 0.2
    spikes = Spikes(bits=pack(raster), n=5, dt=0.001, engine="x")
    series = as_series(spikes, 0.01)
    np.testing.assert_array_equal(series.values, count(spikes, width=10))
    assert series.bin_width == 0.01
    assert as_series(series, 0.5) is series


def test_from_times_of_neurons_with_different_trials():
    times = SpikeTimes(
        times=[0.1, 0.6], trial=[0, 2], neuron=[0, 1], trials=[1, 3], duration=1.0
    )
    series = as_series(times, 0.5)
    assert series.observed.tolist() == [[True, True], [False, True], [False, True]]
    np.testing.assert_allclose(mean_rates(series), [1, 1 / 3])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"values": np.zeros((2, 3))}, "values: got shape (2, 3), need 3 axes"),
        ({"values": np.zeros((2, 0, 3))}, "values: got shape (2, 0, 3), need at least"),
        ({"values": VALUES - 1}, "values: got -1.0 at [0, 0, 0], need numbers of at"),
        ({"values": VALUES * np.nan}, "values: got nan at [0, 0, 0], need finite"),
        ({"bin_width": 0}, "bin_width: got 0.0, need numbers greater than 0"),
        ({"kind": "rates"}, "kind: got 'rates', need one of counts, signal"),
        ({"observed": np.ones((2, 2), bool)}, "observed: got bool of shape (2, 2), ne"),
        ({"observed": np.ones((3, 2))}, "observed: got float64 of shape (3, 2), need"),
    ],
)
def test_refusals(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Series(**{"values": VALUES, "bin_width": 0.05} | changes)


def test_no_trials_at_all():
    empty = SpikeTimes(times=[], trial=[], neuron=[], trials=[0, 0], duration=1.0)
    with pytest.raises(ValueError, match="source: got no trial of any neuron, need"):
        as_series(empty, 0.1)
