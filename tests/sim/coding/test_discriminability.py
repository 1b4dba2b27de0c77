"""Cross-temporal discriminability against loops, numpy's Pearson and closed forms.

Stability of a code, its correction for noise, and intervals over networks.
"""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from isotau.sim.coding.discriminability import (
    Discriminability,
    add,
    correct,
    correlate,
    crop,
    discriminate,
    each,
    mean_matrix,
    off_diagonal,
    over_networks,
    published_patterns,
    random_patterns,
    stability,
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


TIMES = np.arange(6) * 0.1


def test_off_and_on_the_diagonal():
    far = off_diagonal(TIMES, 0.3)
    # Exactly 0.3 s apart is not more.
    assert [tuple(pair) for pair in np.argwhere(far)] == [
        *((0, 4), (0, 5), (1, 5)),
        *((4, 0), (5, 0), (5, 1)),
    ]
    matrix = np.where(far, 0.2, 0.8)
    matrix[1, 5] = np.nan
    found = stability(matrix, TIMES, (0, 1), lag=0.3)
    assert found == pytest.approx((0.25, 0.2, 0.8))


def test_only_the_window_counts():
    matrix = np.full((6, 6), 9.0)
    matrix[1:4, 1:4] = [[1, 0, 0.5], [0, 1, 0], [0.5, 0, 1]]
    found = stability(matrix, TIMES, (0.1, 0.4), lag=0.15)
    assert found == pytest.approx((0.5, 0.5, 1))
    with pytest.raises(
        ValueError, match=r"window: got 3 samples in 0.1 to 0.4 s, need"
    ):
        stability(matrix, TIMES, (0.1, 0.4), lag=0.25)


def test_there_is_no_ratio_without_a_code():
    assert np.isnan(stability(np.zeros((6, 6)), TIMES, (0, 1), lag=0.3).ratio)
    nothing = stability(np.full((6, 6), np.nan), TIMES, (0, 1), lag=0.3)
    assert np.isnan(nothing).all()


def test_noise_is_taken_out():
    truth = np.exp(-np.abs(TIMES[:, None] - TIMES))
    noisy = np.array([0.5, 0.9, 0.8, 0.7, 0.6, 0.5])
    np.testing.assert_allclose(correct(truth * np.sqrt(np.outer(noisy, noisy))), truth)
    without = correct(np.array([[0.5, 0.2], [0.2, -0.1]]))
    assert np.isnan(without[0, 1]) and without[0, 0] == pytest.approx(1)


def moments(make, rng, networks, n=20):
    return each(
        [
            random_patterns(
                make(rng, persistence=np.full(n, 0.3), samples=6, trials=8),
                rng,
                splits=2,
            )
            for _ in range(networks)
        ]
    )


def trace(matrix):
    return [float(np.trace(matrix))]


def test_jackknife_of_a_mean_is_the_t_interval(monkeypatch, make):
    """For a mean over networks, the interval that scipy has in closed form."""
    values = np.array([0.3, 0.1, 0.4, 0.2, 0.9])
    monkeypatch.setattr(
        "isotau.sim.coding.discriminability.mean_matrix",
        lambda draws, w=None: np.average(values, weights=w),
    )
    (found,) = over_networks([[[None] * 5]], lambda m: [m], level=0.9)
    want = ttest_1samp(values, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((want.low, want.high))
    assert found.value == pytest.approx(values.mean())


@pytest.mark.parametrize("networks", [4, 16])
def test_groups_that_hold_alike_rarely_seem_to_differ(make, networks):
    """5 % of intervals of the difference leave out 0; 3 SE of 100 more."""
    rng = np.random.default_rng(0)
    half = np.arange(20) < 10

    def difference(a, b):
        return [float(a[0, -1] / a[0, 0] - b[0, -1] / b[0, 0])]

    wrong = 0
    for _ in range(100):
        patterns = [
            random_patterns(
                make(rng, persistence=np.full(20, 0.3), samples=6, trials=8),
                rng,
                splits=2,
            )
            for _ in range(networks)
        ]
        pair = [[each(patterns, [mask] * networks)] for mask in (half, ~half)]
        (found,) = over_networks(pair, difference)
        wrong += not found.low < 0 < found.high
    assert wrong <= 5 + 3 * 2.2


def test_intervals_hold_the_value(make):
    rng = np.random.default_rng(0)
    group = moments(make, rng, 5)
    (found,) = over_networks([[group]], trace)
    assert found.value == pytest.approx(trace(mean_matrix([group]))[0])
    assert found.low < found.value < found.high


def test_groups_go_through_networks_together(make):
    """The difference of a group to itself is exactly 0 without any network."""
    group = moments(make, np.random.default_rng(0), 4)

    def difference(a, b):
        return [float((a - b).sum()), float(a.sum() / b.sum())]

    found = over_networks([[group], [group, group]], difference)
    np.testing.assert_allclose(found[0], 0, atol=1e-12)
    np.testing.assert_allclose(found[1], 1)


def test_a_single_network_has_no_interval(make):
    group = moments(make, np.random.default_rng(0), 1)
    (found,) = over_networks([[group]], trace)
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).all()


def test_intervals_want_every_network(make):
    """Two units of one network have no correlation; four of two networks have one."""
    rng = np.random.default_rng(0)
    (found,) = over_networks([[moments(make, rng, 2, n=2)]], trace)
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).all()


def test_the_level_is_checked(make):
    group = moments(make, np.random.default_rng(0), 2)
    with pytest.raises(
        ValueError, match="level: got 95, need a number between 0 and 1"
    ):
        over_networks([[group]], trace, level=95)
