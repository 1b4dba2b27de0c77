"""Populations: known mixtures come back, one cloud stays one."""

import re

import numpy as np
import pytest

from isotau.sim.lowrank.populations import Populations, find_populations


def draw(covariances, sizes, rng):
    parts = [
        rng.multivariate_normal(np.zeros(len(c)), c, size)
        for c, size in zip(covariances, sizes, strict=True)
    ]
    return np.vstack(parts), np.repeat(np.arange(len(sizes)), sizes)


def test_two_populations_of_one_centre_are_found():
    """They differ in covariance alone, as those of trained networks do."""
    rng = np.random.default_rng(1)
    cloud, truth = draw([[[1, 0.9], [0.9, 1]], [[1, -0.9], [-0.9, 1]]], (600, 300), rng)
    found = find_populations(
        cloud, rng=np.random.default_rng(2), counts=(1, 2, 3), restarts=3
    )
    assert found.counts[int(np.argmin(found.bic))] == 2
    np.testing.assert_allclose(found.shares.mean(axis=0), [2 / 3, 1 / 3], atol=0.05)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    assert (found.labels == truth).mean() > 0.8


def test_one_cloud_is_one_population():
    cloud = np.random.default_rng(3).standard_normal((400, 3))
    found = find_populations(
        cloud, rng=np.random.default_rng(4), counts=(1, 2), restarts=2
    )
    np.testing.assert_array_equal(found.shares, np.ones((400, 1)))


def test_the_seed_decides_and_scale_does_not():
    cloud, _ = draw([np.eye(2), 9 * np.eye(2)], (200, 200), np.random.default_rng(5))
    constant = np.full((400, 1), 3.0)
    one, other = (
        find_populations(c, rng=np.random.default_rng(6), counts=(2,), restarts=2)
        for c in (cloud, np.hstack([1e3 * cloud, constant]))
    )
    np.testing.assert_allclose(one.shares, other.shares, atol=1e-6)


CLOUD = np.random.default_rng(7).standard_normal((10, 2))


@pytest.mark.parametrize(
    ("cloud", "counts", "text"),
    [
        (CLOUD, (), "counts: got (), need numbers from 1 to 10"),
        (CLOUD, (0, 1), "counts: got (0, 1), need numbers from 1 to 10"),
        (CLOUD, (11,), "counts: got (11,), need numbers from 1 to 10"),
        (np.ones((10, 2)), (1,), "loadings: got the same for every unit"),
        (np.full((10, 2), np.nan), (1,), "loadings: got nan at [0, 0], need finite"),
    ],
)
def test_refusals(cloud, counts, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        find_populations(cloud, rng=np.random.default_rng(0), counts=counts)


def test_shares_are_checked():
    with pytest.raises(ValueError, match="shares: got"):
        Populations(shares=[[-0.5, 1.5]], counts=(2,), bic=(0.0,))
