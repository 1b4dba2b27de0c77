"""`Pair`: checks, log ratios, and what other trials may make of τ.

Replicates: as variable as runs of other trials, for a closed form.
"""

import re
from dataclasses import replace

import numpy as np
import pytest

from isotau.sim.preservation import Pair, log_ratios, trial_replicates
from isotau.sim.preservation.pair import log_tau, repeat_ratios, trial_deviations
from isotau.sim.timescales import Series

NAN = float("nan")


@pytest.fixture
def given(make_timescales):
    return {
        "name": "one",
        "a": make_timescales(np.log([0.1, 0.2, NAN, 0.4])),
        "b": make_timescales(np.log([0.2, NAN, 0.3, 0.4])),
        "a_again": make_timescales(np.log([0.1, 0.1, 0.1, NAN])),
        "b_again": make_timescales(np.log([0.1, 0.1, 0.6, 0.4])),
    }


def test_log_ratios(given):
    pair = Pair(**given)
    np.testing.assert_allclose(log_ratios(pair), [np.log(2), NAN, NAN, 0], atol=1e-12)
    first, second = repeat_ratios(pair)
    np.testing.assert_allclose(first, [0, -np.log(2), NAN, NAN], atol=1e-12)
    np.testing.assert_allclose(second, [-np.log(2), NAN, np.log(2), 0], atol=1e-12)
    assert log_tau(pair)[2, 0] == pytest.approx(np.log(0.2))
    assert pair.n == 4


def test_without_replicates_deviations_are_the_floor(given):
    a, b = trial_deviations(Pair(**given))
    np.testing.assert_allclose(a[0], [0, -np.log(2) / 2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(a[1], -a[0], atol=0)
    assert b.shape == (2, 4)


def test_deviations_have_the_variance_of_the_mean_of_two_runs(make_pair):
    # Var of (x1 + x2)/2 is half of a run's: 0.3²/2.
    rng = np.random.default_rng(0)
    pair = make_pair(rng, 20_000, kept=1.0)
    a, _ = trial_deviations(pair)
    assert (a**2).mean() == pytest.approx(0.3**2 / 2, rel=0.03)
    replicates = rng.normal(1.0, 0.3, (400, 50))
    replicates[rng.random(replicates.shape) < 0.1] = NAN
    small = make_pair(rng, 50, a_replicates=replicates)
    a, b = trial_deviations(small)
    assert a.shape == (400, 50)
    assert b.shape == (2, 50)
    assert (a[a != 0] ** 2).mean() == pytest.approx(0.3**2 / 2, rel=0.03)
    np.testing.assert_allclose(a.sum(axis=0), 0, atol=1e-9)


def test_a_neuron_without_replicates_does_not_deviate(given):
    replicates = np.array([[0.0, NAN, 1.0, NAN], [1.0, NAN, 1.0, 2.0]])
    a, _ = trial_deviations(Pair(**given, a_replicates=replicates))
    half = 0.5 / np.sqrt(2)
    np.testing.assert_allclose(a, [[-half, 0, 0, 0], [half, 0, 0, 0]], atol=1e-12)


def test_arrays_are_read_only_copies(given):
    tau_syn = np.full(4, 0.02)
    pair = Pair(**given, tau_syn=tau_syn, excitatory=np.ones(4, dtype=bool))
    tau_syn[:] = 1
    assert pair.tau_syn[0] == 0.02
    assert not pair.tau_syn.flags.writeable
    assert not pair.excitatory.flags.writeable


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tau_syn": np.zeros(4)}, "tau_syn: got 0.0 at [0], need numbers greater"),
        ({"tau_syn": np.ones(3)}, "tau_syn: got shape (3,), need (4,) (neuron)"),
        (
            {"excitatory": np.ones(4)},
            "excitatory: got float64 of shape (4,), need bool",
        ),
        ({"excitatory": np.ones(3, bool)}, "excitatory: got bool of shape (3,), need"),
        ({"a_replicates": np.ones(4)}, "a_replicates: got shape (4,), need 2 axes"),
        ({"b_replicates": np.ones((2, 3))}, "b_replicates: got shape (2, 3), need (2,"),
        ({"b_replicates": np.full((2, 4), np.inf)}, "b_replicates: got inf at [0, 0]"),
    ],
)
def test_refusals(given, changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Pair(**given, **changes)


def test_runs_must_match(given, make_timescales):
    other = make_timescales(np.zeros(3))
    with pytest.raises(ValueError, match="b_again: got 3 neurons, need 4 as in a"):
        Pair(**given | {"b_again": other})
    with pytest.raises(ValueError, match="b: got method 'kim', need 'ml' as in a"):
        Pair(**given | {"b": replace(given["b"], method="kim")})


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


def test_replicates_are_refused(exponential_of_mean):
    text = "groups: got 10 for 19 trials, need two trials a group; take fewer groups"
    with pytest.raises(ValueError, match=re.escape(text)):
        trial_replicates(series(np.random.default_rng(4), 19), exponential_of_mean)
    with pytest.raises(ValueError, match="groups: got 1, need 2 to"):
        trial_replicates(series(np.random.default_rng(4), 19), exponential_of_mean, 1)
