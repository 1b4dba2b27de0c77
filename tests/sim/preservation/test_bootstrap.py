"""The hierarchical bootstrap against its known moments and a plain loop.

Sums over neurons against numpy on the neurons themselves.
"""

import numpy as np
import pytest

from isotau.sim.preservation.bootstrap import (
    Level,
    each,
    features,
    jackknife_means,
    leaving_out,
    moments,
    pooled,
    ratio,
    resample,
    totals,
    within,
    without_trials,
)


def level(values, **trials):
    return without_trials(np.stack([np.ones(len(values)), values], axis=1))._replace(
        **trials
    )


def test_totals_and_leaving_out():
    one = level(np.array([1.0, 2.0, 4.0]))
    np.testing.assert_array_equal(totals([one, one]), [[3, 7, 0]] * 2)
    np.testing.assert_array_equal(
        leaving_out(one)[:, 0], [[2, 6, 0], [2, 5, 0], [2, 3, 0]]
    )


def test_one_network_is_resampled_by_its_neurons():
    values = np.random.default_rng(0).normal(size=40)
    sums = resample([level(values)], 20_000, np.random.default_rng(1), fixed=True)
    assert sums.shape == (20_000, 1, 3)
    np.testing.assert_array_equal(sums[..., 0], 40)
    means = sums[:, 0, 1] / 40
    assert means.mean() == pytest.approx(values.mean(), abs=4e-3)
    assert means.std() == pytest.approx(values.std() / np.sqrt(40), rel=0.03)


def test_variance_is_that_of_both_levels():
    # Of a mean of K network means: var between/K + mean var within/(K n).
    rng = np.random.default_rng(2)
    networks = [rng.normal(rng.normal(0, 0.5), 1, 25) for _ in range(8)]
    sums = resample([level(x) for x in networks], 20_000, rng, fixed=False)
    means = (sums[..., 1] / sums[..., 0]).mean(axis=1)
    between = np.var([x.mean() for x in networks]) / 8
    inside = np.mean([x.var() for x in networks]) / (8 * 25)
    assert means.var() == pytest.approx(between + inside, rel=0.04)


def test_draws_are_those_of_a_plain_loop():
    rng = np.random.default_rng(3)
    networks = [rng.normal(size=n) + n for n in (3, 6, 4)]
    sums = resample([level(x) for x in networks], 20_000, rng, fixed=False)
    plain = []
    for _ in range(5000):
        chosen = [networks[k] for k in rng.integers(3, size=3)]
        plain.append(np.mean([rng.choice(x, len(x)).mean() for x in chosen]))
    means = (sums[..., 1] / sums[..., 0]).mean(axis=1)
    np.testing.assert_allclose(
        np.quantile(means, [0.05, 0.25, 0.5, 0.75, 0.95]),
        np.quantile(plain, [0.05, 0.25, 0.5, 0.75, 0.95]),
        atol=0.05,
    )


def test_trials_are_shared_by_all_neurons_of_a_network():
    # Rows ± 1 for every neuron: the sum is ± n exactly, b less a.
    n = 10
    trials = np.stack([np.ones(n), -np.ones(n)])
    both = level(np.zeros(n), trials_a=trials, trials_b=2 * trials)
    sums = resample([both], 4000, np.random.default_rng(4), fixed=True)[:, 0, 2]
    values, counts = np.unique(sums, return_counts=True)
    np.testing.assert_array_equal(values, [-3 * n, -n, n, 3 * n])
    assert counts.min() > 900


def test_rows_beyond_the_trials_have_none():
    one = Level(np.ones((6, 1)), np.ones((1, 4)), np.zeros((1, 4)))
    sums = resample([one], 500, np.random.default_rng(5), fixed=True)
    assert sums[..., 1].mean() == pytest.approx(-4, abs=0.2)


def test_many_neurons_are_drawn_in_parts(monkeypatch):
    monkeypatch.setattr("isotau.sim.preservation.bootstrap.ROWS", 64)
    sums = resample([level(np.arange(20.0))], 50, np.random.default_rng(6), fixed=True)
    np.testing.assert_array_equal(sums[..., 0], 20)
    assert np.ptp(sums[..., 1]) > 0


def test_fixed_networks_are_each_taken_once():
    networks = [level(np.full(n, float(n))) for n in (3, 5)]
    sums = resample(networks, 50, np.random.default_rng(7), fixed=True)
    np.testing.assert_array_equal(sums[..., 0], [[3, 5]] * 50)
    np.testing.assert_array_equal(sums[..., 1], [[9, 25]] * 50)


def test_variance_of_fixed_networks_is_that_within():
    rng = np.random.default_rng(8)
    networks = [rng.normal(10 * k, 1, 25) for k in range(2)]
    sums = resample([level(x) for x in networks], 20_000, rng, fixed=True)
    means = (sums[..., 1] / sums[..., 0]).mean(axis=1)
    inside = np.mean([x.var() for x in networks]) / (2 * 25)
    assert means.var() == pytest.approx(inside, rel=0.04)


def mean(sums):
    return sums[..., 1] / np.where(sums[..., 0] > 0, sums[..., 0], np.nan)


def every(features):
    return np.ones(len(features), dtype=bool)


def test_means_without_each_network():
    networks = [level(np.array(x)) for x in ([1.0, 3], [4.0], [9.0, 9, 9])]
    networks.append(without_trials(np.zeros((2, 2))))
    (left,) = jackknife_means(networks, mean, every, fixed=False)
    np.testing.assert_allclose(left, [(4 + 9) / 2, (2 + 9) / 2, (2 + 4) / 2])


def test_means_without_each_neuron():
    networks = [level(np.array(x)) for x in ([1.0, 3, 8], [4.0, 6])]
    networks.append(without_trials(np.zeros((2, 2))))
    first, second = jackknife_means(networks, mean, every, fixed=True)
    np.testing.assert_allclose(first, [(5.5 + 5) / 2, (4.5 + 5) / 2, (2 + 5) / 2])
    np.testing.assert_allclose(second, [(4 + 6) / 2, (4 + 4) / 2])
    nothing = [without_trials(np.zeros((2, 2)))]
    assert [
        group.size for group in jackknife_means(nothing, mean, every, fixed=True)
    ] == [0]


NAN = float("nan")


@pytest.fixture
def networks():
    rng = np.random.default_rng(0)
    found = []
    for n in (5, 9, 30):
        x = rng.normal(3 * n, 1, n)
        y = x + rng.normal(size=n)
        x[0], y[1] = NAN, NAN
        found.append((x, y))
    return found


@pytest.fixture
def sums(networks):
    return moments(np.stack([features(x, y).sum(axis=0) for x, y in networks])[:, None])


def complete(networks):
    return [np.stack([x, y])[:, np.isfinite(x + y)] for x, y in networks]


def test_each_network(networks, sums):
    spread = each(sums)
    for k, both in enumerate(complete(networks)):
        covariance = np.cov(both)
        assert spread.mean_x[k, 0] == pytest.approx(both[0].mean())
        assert spread.mean_y[k, 0] == pytest.approx(both[1].mean())
        assert spread.var_x[k, 0] == pytest.approx(covariance[0, 0])
        assert spread.var_y[k, 0] == pytest.approx(covariance[1, 1])
        assert spread.cov[k, 0] == pytest.approx(covariance[0, 1])


def test_all_neurons_together(networks, sums):
    covariance = np.cov(np.concatenate(complete(networks), axis=1))
    spread = pooled(sums)
    assert spread.var_x[0] == pytest.approx(covariance[0, 0])
    assert spread.cov[0] == pytest.approx(covariance[0, 1])


def test_within_networks(networks, sums):
    both = complete(networks)
    centred = np.concatenate([b - b.mean(axis=1, keepdims=True) for b in both], axis=1)
    freedom = centred.shape[1] - len(both)
    spread = within(sums)
    assert spread.var_y[0] == pytest.approx((centred[1] ** 2).sum() / freedom)
    assert spread.cov[0] == pytest.approx((centred[0] * centred[1]).sum() / freedom)


def test_nothing_to_sum_is_nan():
    spread = each(moments(np.zeros((2, 1, 6))))
    assert all(np.isnan(part).all() for part in spread)
    one = each(moments(features(np.array([1.0]), np.array([2.0]))))
    assert one.mean_y == 2
    assert np.isnan(one.var_x)


def test_ratio():
    np.testing.assert_array_equal(
        ratio(np.ones(3), np.array([2, 0, -1])), [0.5, NAN, NAN]
    )
