"""Clusters: planted ones are found, chance makes none too often."""

import numpy as np
import pytest

from isotau.sim.coding.clusters import (
    Clusters,
    compare_groups,
    find_clusters,
    flip_networks,
    significant,
    swap_units,
)
from isotau.sim.coding.discriminability import (
    off_diagonal,
    published_patterns,
    random_patterns,
)
from isotau.sim.coding.groups import Groups

TIMES = np.arange(12) * 0.05


def test_a_planted_block_is_found_and_nothing_else():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(10, 12, 12))
    one[:, 6:10, 1:5] += 2
    one[:, 1:4, 8:11] -= 2
    observed, chance = flip_networks(one, rng, permutations=300)
    np.testing.assert_allclose(observed, one.mean(axis=0))
    found = find_clusters(observed, chance, TIMES)
    signs = found.signs[found.p <= 0.05]
    assert sorted(signs) == [-1, 1]
    marked = significant(found)
    assert marked[6:10, 1:5].mean() > 0.9 and marked[1:4, 8:11].mean() > 0.9
    assert marked.sum() <= 16 + 9 + 4
    assert found.labels.max() == len(found.p) and found.permutations == 300


def test_elements_elsewhere_do_not_join():
    rng = np.random.default_rng(0)
    one = 1 + rng.normal(size=(10, 12, 12))
    far = off_diagonal(TIMES, 0.2)
    observed, chance = flip_networks(one, rng, permutations=200)
    found = find_clusters(observed, chance, TIMES, where=far)
    assert not found.labels[~far].any()
    # Above and below the diagonal they touch nowhere.
    assert (found.p <= 0.05).sum() == 2


def test_undefined_and_constant_elements_do_not_join():
    rng = np.random.default_rng(0)
    one = 3 + 0.1 * rng.normal(size=(8, 12, 12))
    one[:, 0] = np.nan
    one[:, 1] = 0
    found = find_clusters(*flip_networks(one, rng, permutations=99), TIMES)
    assert not found.labels[:2].any()
    assert found.labels[2:].all()


@pytest.mark.slow
def test_false_alarms_keep_to_the_level():
    """Smooth noise without any difference; 5 % ± 4 SE of 200."""
    rng = np.random.default_rng(1)
    kernel = np.exp(-0.5 * (np.arange(12)[:, None] - np.arange(12)) ** 2 / 4)
    alarms = 0
    for _ in range(200):
        one = kernel @ rng.normal(size=(10, 12, 12)) @ kernel
        found = find_clusters(*flip_networks(one, rng, permutations=99), TIMES)
        alarms += bool((found.p <= 0.05).any())
    assert alarms <= 10 + 4 * 3.1


def test_flipping_wants_networks():
    with pytest.raises(
        ValueError, match="differences: got 1 networks, need at least 2"
    ):
        flip_networks(np.ones((1, 3, 3)), np.random.default_rng(0))


def halves(n, k=1):
    long = np.arange(n) < n // 2
    return Groups(long=(long,) * k, short=(~long,) * k, edges=(0.1, 0.2))


def pearson(a, b):
    return np.array([[np.corrcoef(x, y)[0, 1] for y in b] for x in a])


def test_swapped_units_are_those_of_numpy(make):
    rng = np.random.default_rng(0)
    one = published_patterns(make(rng, persistence=np.full(16, 0.3), samples=5))
    groups = halves(16)
    observed, chance = swap_units(
        [one], groups.long, groups.short, rng, permutations=400
    )
    a, b = one.a[0], one.b[0]
    want = pearson(a[:, :8], b[:, :8]) - pearson(a[:, 8:], b[:, 8:])
    np.testing.assert_allclose(observed, want, atol=1e-9)
    # Names mean nothing: the shuffled difference is about 0 on average.
    assert np.abs(chance.mean(axis=0)).max() < 5 * chance.std(axis=0).max() / 20
    assert len(np.unique(chance[:, 0, 0])) > 390


def test_units_in_neither_group_stay_out(make):
    rng = np.random.default_rng(0)
    one = published_patterns(make(rng, persistence=np.full(16, 0.3), samples=4))
    long, short = np.arange(16) < 5, np.arange(16) > 10
    observed, _ = swap_units([one], [long], [short], rng, permutations=2)
    a, b = one.a[0], one.b[0]
    want = pearson(a[:, :5], b[:, :5]) - pearson(a[:, 11:], b[:, 11:])
    np.testing.assert_allclose(observed, want, atol=1e-9)


def test_swapping_wants_units(make):
    rng = np.random.default_rng(0)
    one = published_patterns(make(rng, persistence=np.ones(5), samples=4))
    with pytest.raises(
        ValueError, match="long, short: got 2 and 3 units, need 3 of each"
    ):
        swap_units([one], halves(5).long, halves(5).short, rng)


def test_networks_are_shuffled_where_there_are_six(make):
    rng = np.random.default_rng(0)
    persistence = np.where(np.arange(24) < 12, np.inf, 0.1)
    patterns = [
        random_patterns(make(rng, persistence=persistence, samples=12), rng, splits=2)
        for _ in range(6)
    ]
    draws = [halves(24, 6)]
    found, how = compare_groups(patterns, draws, rng, lag=0.2, permutations=200)
    assert how == "networks" and (found.p <= 0.05).sum() == 2
    assert not found.labels[~off_diagonal(found.times, 0.2)].any()
    assert found.difference[0, -1] > 0.5
    five = [halves(24, 5)]
    found, how = compare_groups(patterns[:5], five, rng, lag=0.2, permutations=200)
    assert how == "units" and (found.p <= 0.05).any() and found.signs.max() == 1
    few = [halves(4, 1)]
    small = [random_patterns(make(rng, persistence=np.ones(4)), rng)]
    assert compare_groups(small, few, rng, lag=0.2) == (None, "")


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="forming: got 5, need a probability"):
        find_clusters(np.ones((2, 2)), np.ones((3, 2, 2)), TIMES[:2], forming=5)
    with pytest.raises(ValueError, match=r"chance: got shape \(3, 2\), need several"):
        find_clusters(np.ones((2, 2)), np.ones((3, 2)), TIMES[:2])
    with pytest.raises(ValueError, match=r"difference: got shape \(2, 3\), need"):
        Clusters(
            difference=np.ones((2, 3)),
            times=[0, 1],
            labels=np.zeros((2, 2)),
            signs=[],
            p=[],
            permutations=9,
        )
