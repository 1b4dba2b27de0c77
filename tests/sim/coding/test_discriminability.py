"""Cross-temporal discriminability against loops, numpy's Pearson and closed forms."""

import numpy as np
import pytest

from isotau.sim.coding.discriminability import (
    Discriminability,
    add,
    correct,
    correlate,
    crop,
    discriminate,
    each,
    published_patterns,
    random_patterns,
    sums,
)
from isotau.sim.coding.responses import take

RNG = np.random.default_rng(3)


def by_hand(networks, chosen, trials):
    """Odd against even trials, one pair of times after the other."""
    halves = [[], []]
    for responses, mask in zip(networks, chosen, strict=True):
        for half, first in zip(halves, (0, 1), strict=True):
            means = []
            for k in (0, 1):
                picked = np.flatnonzero(responses.condition == k)[:trials][first::2]
                means.append(responses.rates[:, picked][:, :, mask].mean(axis=1))
            half.append(np.float64(means[0]) - means[1])
    a, b = (np.concatenate(half, axis=1) for half in halves)
    return np.array([[np.corrcoef(x, y)[0, 1] for y in b] for x in a])


def test_published_measure_is_pearson_over_units_of_all_networks(make):
    networks = [make(RNG, persistence=np.full(n, 0.2), trials=40) for n in (9, 14)]
    chosen = [RNG.random(one.n) < 0.7 for one in networks]
    found = discriminate([published_patterns(one) for one in networks], chosen)
    want = by_hand(networks, chosen, 12)
    np.testing.assert_allclose(found.matrix, want, atol=1e-5)
    assert (found.units, found.networks, found.trials) == (sum(map(sum, chosen)), 2, 12)
    whole = [published_patterns(one, trials=None) for one in networks]
    np.testing.assert_allclose(
        discriminate(whole, chosen).matrix, by_hand(networks, chosen, 40), atol=1e-5
    )


def test_published_measure_wants_its_trials(make):
    one = make(RNG, persistence=np.ones(4), trials=10)
    with pytest.raises(
        ValueError, match="trials: got 12 for 10 of the rarer condition"
    ):
        published_patterns(one)


def test_random_halves_share_no_trial_and_balance_labels(make):
    """Rates that name their trial tell where it went."""
    one = make(RNG, persistence=np.ones(1), samples=1, trials=12)
    weights = 2.0 ** np.arange(one.condition.size)
    marked = type(one)(
        rates=weights[None, :, None],
        condition=one.condition,
        labels=one.labels,
        dt=1.0,
    )
    found = random_patterns(marked, np.random.default_rng(0), splits=8)
    assert found.a.shape == (16, 1, 1) and found.trials == 12
    np.testing.assert_array_equal(found.a[:8], found.b[8:])
    np.testing.assert_array_equal(found.b[:8], found.a[8:])
    signed = weights * np.where(one.condition == 0, 1, -1)
    # Six of twelve trials in each half; together the halves are all trials.
    np.testing.assert_allclose(6 * (found.a + found.b)[:, 0, 0], signed.sum())
    assert len(np.unique(found.a)) > 8


def test_one_trial_of_a_label_cannot_be_halved(make):
    one = make(RNG, persistence=np.ones(3), trials=4)
    with pytest.raises(ValueError, match=r"labels: got one trial of label 3, need at"):
        random_patterns(take(one, [0, 1, 2, 3, 4, 5, 6]), RNG)


def test_random_splits_average_covariances(make):
    one = make(RNG, persistence=np.full(12, 0.3), samples=6)
    patterns = random_patterns(one, np.random.default_rng(1), splits=3)
    covariance = np.zeros((6, 6))
    variance = np.zeros((2, 6))
    for a, b in zip(patterns.a, patterns.b, strict=True):
        both = np.cov(a, b)
        covariance += both[:6, 6:]
        variance += np.diagonal(both).reshape(2, 6)
    want = covariance / np.sqrt(np.outer(*variance))
    found = discriminate([patterns])
    np.testing.assert_allclose(found.matrix, want, rtol=1e-9)
    np.testing.assert_allclose(found.matrix, found.matrix.T, rtol=1e-9)


def test_weights_stand_for_repeated_networks(make):
    patterns = [
        random_patterns(make(RNG, persistence=np.ones(n), samples=5), RNG, splits=2)
        for n in (8, 11)
    ]
    moments = each(patterns)
    twice = discriminate([patterns[1], patterns[0], patterns[1]])
    np.testing.assert_allclose(correlate(add(moments, [1, 2])), twice.matrix)


@pytest.mark.parametrize("persistence", [np.inf, 0.4, 0.1])
def test_known_code_has_its_closed_form(make, persistence):
    """C = ρ(lag) R; R is the share of the halves' variance that is not noise.

    Differences have variance 4 s², noise in them 2 σ²/m over m trials of a condition in
    each half; corrected for it, C is ρ(lag) = exp(−lag/persistence).
    """
    rng = np.random.default_rng(5)
    one = make(
        rng, persistence=np.full(4000, persistence), samples=8, trials=16, noise=6.0
    )
    found = discriminate([random_patterns(one, rng, splits=4)])
    lag = np.abs(found.times[:, None] - found.times)
    rho = np.exp(-lag / persistence)
    reliability = 16 / (16 + 2 * 36 / 8)
    np.testing.assert_allclose(found.matrix, rho * reliability, atol=0.05)
    np.testing.assert_allclose(correct(found.matrix), rho, atol=0.07)


def test_undefined_correlations_are_nan(make):
    one = make(RNG, persistence=np.ones(6), samples=3)
    flat = one.rates.copy()
    flat[1] = 7
    patterns = published_patterns(
        type(one)(rates=flat, condition=one.condition, dt=one.dt)
    )
    found = discriminate([patterns]).matrix
    assert np.isnan(found[1]).all() and np.isnan(found[:, 1]).all()
    assert np.isfinite(found[np.ix_([0, 2], [0, 2])]).all()
    two = np.arange(6) < 2
    assert np.isnan(correlate(sums(patterns, two))).all()


def test_a_window_is_cut_out(make):
    one = published_patterns(make(RNG, persistence=np.ones(4), samples=10))
    some = crop(one, (0.1, 0.25))
    np.testing.assert_allclose(some.times, [0.1, 0.15, 0.2])
    np.testing.assert_array_equal(some.b, one.b[:, 2:5])


def test_networks_must_go_together(make):
    one = published_patterns(make(RNG, persistence=np.ones(4), samples=10))
    with pytest.raises(ValueError, match="patterns: got no network, need at least one"):
        discriminate([])
    with pytest.raises(ValueError, match="chosen: got 2 networks, need 1"):
        discriminate([one], [None, None])
    with pytest.raises(ValueError, match=r"patterns\[1\]: got \(1, 2\) splits and"):
        discriminate([one, crop(one, (0.1, 0.2))])
    with pytest.raises(ValueError, match=r"matrix: got shape \(2, 3\), need \(2, 2\)"):
        Discriminability(
            matrix=np.ones((2, 3)), times=[0, 1], units=3, networks=1, trials=2
        )
