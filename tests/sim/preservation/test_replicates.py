"""Replicates: as variable as runs of other trials, for a closed form."""

import re

import numpy as np
import pytest

from isotau.sim.preservation import trial_replicates
from isotau.sim.timescales import Series


@pytest.fixture
def exponential_of_mean(make_timescales):
    """An estimator whose log τ is the mean over trials and bins."""

    def estimate(series):
        return make_timescales(series.values.mean(axis=(0, 1)))

    return estimate


def series(rng, trials, n=30, **fields):
    shared = rng.normal(size=(trials, 1))
    values = shared + 0.1 * rng.normal(size=(trials, n))
    return Series(values=values[None], bin_width=0.05, kind="signal", **fields)


def test_rows_vary_as_runs_do(exponential_of_mean):
    # The mean of 100 trials has an SD of 0.1, shared by all neurons.
    rng = np.random.default_rng(0)
    variances = []
    for _ in range(200):
        rows = trial_replicates(series(rng, 100), exponential_of_mean, groups=10)
        assert rows.shape == (10, 30)
        variances.append(rows.mean(axis=1).var())
    assert np.mean(variances) == pytest.approx(0.1**2, rel=0.1)


def test_rows_by_hand(exponential_of_mean):
    one = series(np.random.default_rng(1), 6, n=2)
    rows = trial_replicates(one, exponential_of_mean, groups=3)
    left = [
        one.values[0, [k not in (g, g + 3) for k in range(6)]].mean(axis=0)
        for g in range(3)
    ]
    expected = np.mean(left, axis=0) + np.sqrt(2) * (left - np.mean(left, axis=0))
    np.testing.assert_allclose(rows, expected)


def test_trials_that_were_not_observed_stay_so(make_timescales):
    observed = np.arange(8)[:, None] < [8, 4]

    def estimate(given):
        return make_timescales(np.log(given.observed.sum(axis=0)))

    one = series(np.random.default_rng(2), 8, n=2, observed=observed)
    rows = trial_replicates(one, estimate, groups=2)
    np.testing.assert_allclose(rows, np.log([[4, 2], [4, 2]]))


def test_a_neuron_that_is_lost_with_some_trials_has_none(make_timescales):
    calls = []

    def estimate(given):
        calls.append(given)
        return make_timescales(np.array([0.0, np.nan if len(calls) == 2 else 0.0]))

    rows = trial_replicates(series(np.random.default_rng(3), 8, n=2), estimate, 4)
    assert np.isfinite(rows[:, 0]).all()
    assert np.isnan(rows[:, 1]).all()


def test_refusals(exponential_of_mean):
    text = "groups: got 10 for 19 trials, need two trials a group; take fewer groups"
    with pytest.raises(ValueError, match=re.escape(text)):
        trial_replicates(series(np.random.default_rng(4), 19), exponential_of_mean)
    with pytest.raises(ValueError, match="groups: got 1, need 2 to"):
        trial_replicates(series(np.random.default_rng(4), 19), exponential_of_mean, 1)
