"""Shift, scatter and loss against the truth and against plain numpy."""

import numpy as np
import pytest

from isotau.sim.preservation import pairings
from isotau.sim.preservation import pairings as scores
from isotau.sim.preservation.bootstrap import totals
from isotau.sim.preservation.pair import PAIRINGS, log_tau


def sums(pairs):
    return totals(pairings.levels(pairs, guarded=False))


def test_against_plain_numpy(make_pairs):
    pairs = make_pairs(0, 2, 30, kept=0.8, shift=0.2)
    found = sums(pairs)
    whole, noise = scores.scatter_parts(found)
    lost, again = scores.loss(found)
    for k, pair in enumerate(pairs):
        runs = log_tau(pair)
        ratios = [runs[j] - runs[i] for i, j in PAIRINGS]
        means = [np.nanmean(d) for d in ratios]
        variances = [np.nanvar(d, ddof=1) for d in ratios]
        assert scores.shift(found)[k] == pytest.approx(np.mean(means[:4]))
        np.testing.assert_allclose(scores.repeat_shift(found)[k], means[4:])
        excess = np.mean(variances[:4]) - np.mean(variances[4:])
        assert whole[k] - noise[k] == pytest.approx(excess)
        assert noise[k] == pytest.approx(np.mean(variances[4:]) / 2)
        there = np.isfinite(runs)
        shares = [1 - there[j][there[i]].mean() for i, j in PAIRINGS[:4]]
        assert lost[k] == pytest.approx(np.mean(shares))
        repeats = [1 - there[1][there[0]].mean(), 1 - there[0][there[1]].mean()]
        assert again[k] == pytest.approx(np.mean(repeats))


def test_truth_is_found_in_a_large_network(make_pairs):
    (shift, scatter, lost) = (0.3, 0.25, 0.2)
    found = sums(
        make_pairs(1, 1, 50_000, shift=shift, scatter=scatter, lost=lost, kept=1.0)
    )
    whole, noise = scores.scatter_parts(found)
    losses = scores.loss(found)
    assert scores.shift(found)[0] == pytest.approx(shift, abs=8e-3)
    assert np.sqrt(whole - noise)[0] == pytest.approx(scatter, abs=0.01)
    assert (losses[0] - losses[1])[0] == pytest.approx(lost, abs=0.01)


def test_permuted_neurons_scatter_by_root_two_of_the_spread(make_pairs):
    whole, noise = scores.scatter_parts(sums(make_pairs(2, 1, 50_000, permuted=True)))
    assert np.sqrt(whole - noise)[0] == pytest.approx(np.sqrt(2) * 0.5, abs=0.02)


def test_nothing_found_is_nan(make_pairs):
    found = sums(make_pairs(3, 1, 20, lost=1.1))
    assert np.isnan(scores.shift(found)).all()
    assert np.isnan(scores.scatter_parts(found)[0]).all()
    assert scores.loss(found)[0] == 1.0


def test_mean_of_defined():
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3])
    np.testing.assert_array_equal(scores.mean_of_defined(values), [2, np.nan])
