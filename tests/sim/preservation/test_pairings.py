"""What is summed over neurons, against scipy and plain counting.

Shift, scatter and loss against the truth and against plain numpy.
"""

import numpy as np
import pytest
from scipy import stats

from isotau.sim.preservation import pairings
from isotau.sim.preservation.bootstrap import pooled, totals
from isotau.sim.preservation.pair import PAIRINGS, log_tau


@pytest.fixture
def pairs(make_pairs):
    return make_pairs(0, 3, 40, kept=0.8)


@pytest.fixture
def sums(pairs):
    return sums_of(pairs)


def test_moments_of_log_tau(pairs, sums):
    runs = np.concatenate([log_tau(pair) for pair in pairs], axis=1)
    spread = pooled(pairings.logs(sums))
    for k, (i, j) in enumerate(PAIRINGS):
        both = np.isfinite(runs[i] + runs[j])
        covariance = np.cov(runs[i][both], runs[j][both])
        assert spread.cov[k] == pytest.approx(covariance[0, 1])
        assert spread.mean_x[k] == pytest.approx(runs[i][both].mean())


def test_ranks_give_spearman(pairs, sums):
    runs = np.concatenate([log_tau(pair) for pair in pairs], axis=1)
    spread = pooled(pairings.ranks(sums))
    for k, (i, j) in enumerate(PAIRINGS):
        both = np.isfinite(runs[i] + runs[j])
        expected = stats.spearmanr(runs[i][both], runs[j][both]).statistic
        found = spread.cov[k] / np.sqrt(spread.var_x[k] * spread.var_y[k])
        assert found == pytest.approx(expected)


def test_memberships(pairs, sums):
    a, b = (np.concatenate([log_tau(p)[k] for p in pairs]) for k in (0, 2))
    both = np.isfinite(a + b)
    a, b = a[both], b[both]
    long_a, long_b = a > np.quantile(a, 0.75), b > np.quantile(b, 0.75)
    short_a, short_b = a < np.quantile(a, 0.25), b < np.quantile(b, 0.25)
    counts = pairings.memberships(sums).sum(axis=0)[0]
    np.testing.assert_array_equal(
        counts,
        [
            [long_a.sum(), long_b.sum(), (long_a & long_b).sum()],
            [short_a.sum(), short_b.sum(), (short_a & short_b).sum()],
        ],
    )


def test_kept(pairs, sums):
    for k, pair in enumerate(pairs):
        a, again, b, b_again = np.isfinite(log_tau(pair))
        expected = [a, again, a & b, a & b_again, again & b, again & b_again, a & again]
        found = pairings.kept(sums)[k]
        np.testing.assert_array_equal(found, [x.sum() for x in expected])


def test_guards_count_for_the_loss_alone(pairs, sums):
    guarded = totals(pairings.guard(pairings.levels(pairs)))
    more = pairings.kept(guarded) - pairings.kept(sums)
    np.testing.assert_array_equal(more, [[2, 2, 1, 1, 1, 1, 1]] * 3)
    np.testing.assert_array_equal(pairings.logs(guarded).size, pairings.logs(sums).size)
    np.testing.assert_array_equal(pairings.deviations(guarded), 0)


def test_no_neuron_at_all(make_pairs):
    sums = totals(pairings.levels(make_pairs(0, 2, 5, kept=0.0)))
    np.testing.assert_array_equal(sums, 0)


def test_deviations_count_as_often_as_their_neurons(make_pairs):
    # The same deviation of all compared neurons moves the mean by just that.
    pairs = make_pairs(1, 2, 40, kept=0.6, b_replicates=np.full((1, 40), 0.0))
    level = pairings.levels(pairs)[0]
    np.testing.assert_array_equal(level.trials_b, 0)
    (one,) = make_pairs(
        1, 1, 40, kept=0.6, b_replicates=np.eye(2)[:, :1] + np.zeros(40)
    )
    (level,) = pairings.levels([one])
    size = pairings.logs(totals([level])).size[0, :4].mean()
    moved = level.trials_b.sum(axis=1) / size
    np.testing.assert_allclose(moved, np.array([0.5, -0.5]) / np.sqrt(2))


def sums_of(pairs):
    return totals(pairings.levels(pairs))


def test_against_plain_numpy(make_pairs):
    pairs = make_pairs(0, 2, 30, kept=0.8, shift=0.2)
    found = sums_of(pairs)
    whole, noise = pairings.scatter_parts(found)
    lost, again = pairings.loss(found)
    for k, pair in enumerate(pairs):
        runs = log_tau(pair)
        ratios = [runs[j] - runs[i] for i, j in PAIRINGS]
        means = [np.nanmean(d) for d in ratios]
        variances = [np.nanvar(d, ddof=1) for d in ratios]
        assert pairings.shift(found)[k] == pytest.approx(np.mean(means[:4]))
        np.testing.assert_allclose(pairings.repeat_shift(found)[k], means[4:])
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
    found = sums_of(
        make_pairs(1, 1, 50_000, shift=shift, scatter=scatter, lost=lost, kept=1.0)
    )
    whole, noise = pairings.scatter_parts(found)
    losses = pairings.loss(found)
    assert pairings.shift(found)[0] == pytest.approx(shift, abs=8e-3)
    assert np.sqrt(whole - noise)[0] == pytest.approx(scatter, abs=0.01)
    assert (losses[0] - losses[1])[0] == pytest.approx(lost, abs=0.01)


def test_permuted_neurons_scatter_by_root_two_of_the_spread(make_pairs):
    whole, noise = pairings.scatter_parts(
        sums_of(make_pairs(2, 1, 50_000, permuted=True))
    )
    assert np.sqrt(whole - noise)[0] == pytest.approx(np.sqrt(2) * 0.5, abs=0.02)


def test_nothing_found_is_nan(make_pairs):
    found = sums_of(make_pairs(3, 1, 20, lost=1.1))
    assert np.isnan(pairings.shift(found)).all()
    assert np.isnan(pairings.scatter_parts(found)[0]).all()
    assert pairings.loss(found)[0] == 1.0


def test_mean_of_defined():
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3])
    np.testing.assert_array_equal(pairings.mean_of_defined(values), [2, np.nan])
