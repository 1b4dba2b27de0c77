"""Distances of distributions against scipy, and their permutations by hand."""

import itertools
import re

import numpy as np
import pytest
from scipy import stats

from isotau.sim.preservation.distribution import Distances, distances, permutations
from isotau.sim.preservation.pair import log_tau

NAN = float("nan")


def measured(pairs, draws=200, seed=0):
    runs = [log_tau(pair) for pair in pairs]
    return runs, distances(runs, draws, np.random.default_rng(seed))


def finite(rows):
    values = np.concatenate(rows)
    return values[np.isfinite(values)]


def test_distances_are_scipy_s(make_pairs):
    runs, found = measured(make_pairs(0, 3, 40, shift=0.2, kept=0.7))
    a, again, b, b_again = (finite([run[k] for run in runs]) for k in range(4))
    assert found.wasserstein == pytest.approx(stats.wasserstein_distance(a, b))
    assert found.kolmogorov == pytest.approx(stats.ks_2samp(a, b).statistic)
    floors = (
        stats.wasserstein_distance(a, again),
        stats.wasserstein_distance(b, b_again),
    )
    assert found.wasserstein_floor == pytest.approx(np.mean(floors))


def test_tied_values():
    runs = [np.log([[1.0, 2, 2, 3], [1, 2, 2, 3], [2, 2, 3, 3], [2, 2, 3, 3]])] * 2
    found = distances(runs, 100, np.random.default_rng(0))
    assert found.kolmogorov == pytest.approx(0.25)
    assert found.wasserstein_floor == 0


def test_every_permutation_by_hand(make_pairs):
    runs, found = measured(make_pairs(1, 4, 15, shift=0.3, kept=0.8))
    seen, every = [], []
    for swap in itertools.product([False, True], repeat=4):
        a = finite([run[2 if s else 0] for run, s in zip(runs, swap, strict=True)])
        b = finite([run[0 if s else 2] for run, s in zip(runs, swap, strict=True)])
        every.append(stats.wasserstein_distance(a, b))
        seen.append(stats.ks_2samp(a, b).statistic)
    assert found.wasserstein_p == np.mean(np.array(every) >= every[0] - 1e-9)
    assert found.kolmogorov_p == np.mean(np.array(seen) >= seen[0] - 1e-9)


def test_p_is_uniform_without_a_difference(make_pairs):
    ps = [measured(make_pairs(k, 7, 10))[1].wasserstein_p for k in range(150)]
    assert np.mean(np.array(ps) <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert min(ps) >= 1 / 64


def test_many_networks_are_drawn(make_pairs):
    _, none = measured(make_pairs(2, 12, 10))
    _, apart = measured(make_pairs(2, 12, 10, shift=1.0))
    assert apart.wasserstein_p == 1 / 201
    assert none.wasserstein_p > 0.05
    swaps, exact = permutations(12, 50, np.random.default_rng(0))
    assert (swaps.shape, exact) == ((50, 12), False)


def test_a_permutation_of_neurons_is_no_distance(make_pairs):
    _, found = measured(make_pairs(3, 4, 500, permuted=True))
    assert found.wasserstein < 2 * found.wasserstein_floor


def test_one_network_has_no_permutation(make_pairs):
    _, found = measured(make_pairs(4, 1, 20))
    assert np.isnan(found.wasserstein_p)
    assert found.wasserstein > 0


def test_nothing_identified(make_pairs):
    _, found = measured(make_pairs(5, 2, 20, lost=1.1))
    assert np.isnan([found.wasserstein, found.wasserstein_p, found.kolmogorov]).all()


def test_refusal():
    text = "kolmogorov: got -1.0, need numbers of at least 0.0"
    with pytest.raises(ValueError, match=re.escape(text)):
        Distances(
            wasserstein=0.1,
            wasserstein_floor=0.1,
            wasserstein_p=NAN,
            kolmogorov=-1,
            kolmogorov_floor=0.1,
            kolmogorov_p=NAN,
        )
