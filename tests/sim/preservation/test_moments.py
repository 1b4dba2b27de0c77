"""Sums over neurons against numpy on the neurons themselves."""

import numpy as np
import pytest

from isotau.sim.preservation.bootstrap import (
    each,
    features,
    moments,
    pooled,
    ratio,
    within,
)

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
