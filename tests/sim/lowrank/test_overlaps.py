"""Overlaps and their parts: sums that must hold, moments that are known."""

import re

import numpy as np
import pytest

from isotau.sim.lowrank.factors import factors
from isotau.sim.lowrank.overlaps import Overlaps, loadings, overlaps


def test_known_overlaps(rotation):
    found = overlaps(rotation, factors(rotation, canonical=False))
    assert found.names == ("m1", "m2", "n1", "n2", "I1", "b", "w1")
    block = found.matrix[np.ix_(found.columns("n"), found.columns("m"))]
    np.testing.assert_allclose(block, [[0.8, 0.5], [-0.5, 0.8]], atol=1e-12)
    np.testing.assert_array_equal(found.columns("w"), [6])


def test_modes_are_the_eigenvalues_of_the_weights(rotation):
    """Whatever the basis: nᵀm/N has the weights' own non-zero eigenvalues."""
    found = overlaps(rotation, factors(rotation))
    block = found.matrix[np.ix_(found.columns("n"), found.columns("m"))]
    largest = np.linalg.eigvals(rotation.w_rec)
    largest = largest[np.argsort(-np.abs(largest))[:2]]
    np.testing.assert_allclose(
        np.sort_complex(np.linalg.eigvals(block)), np.sort_complex(largest), atol=1e-9
    )


def test_output_vectors_read_out_with_a_mean_over_units(full_rank):
    found = loadings(full_rank, factors(full_rank, 2))
    r = np.random.default_rng(0).random(40)
    np.testing.assert_allclose(found[:, -1] @ r / 40, (full_rank.w_out @ r)[0])
    np.testing.assert_array_equal(found[:, -2], full_rank.bias)


@pytest.mark.parametrize("soft", [False, True])
def test_populations_add_up(full_rank, soft):
    rng = np.random.default_rng(1)
    shares = rng.dirichlet([1, 1, 1], 40) if soft else rng.integers(0, 3, 40)
    found = overlaps(full_rank, factors(full_rank, 3), shares)
    means = np.einsum("pa,pb->pab", found.means, found.means)
    total = np.einsum("p,pab->ab", found.fractions, found.covariances + means)
    np.testing.assert_allclose(total, found.matrix, atol=1e-12)
    np.testing.assert_allclose(found.fractions.sum(), 1)


def test_moments_of_labelled_units(full_rank):
    labels = np.arange(40) % 2
    part = factors(full_rank, 2)
    found = overlaps(full_rank, part, labels)
    odd = loadings(full_rank, part)[1::2]
    np.testing.assert_allclose(found.means[1], odd.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(
        found.covariances[1], np.cov(odd.T, bias=True), atol=1e-12
    )


REFUSED = [
    (np.zeros(3, dtype=int), "shares: got shape (3,), need (40,)"),
    (np.repeat([0, 2], 20), "shares: got no unit in population 1, need at least one"),
    (np.full((40, 2), 0.4), "shares: got 0.8 in all for unit 0, need 1"),
    (np.repeat([-1, 0], 20), "shares: got -1 at [0], need 0 to 39"),
]


@pytest.mark.parametrize(("shares", "text"), REFUSED)
def test_refusals(full_rank, shares, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        overlaps(full_rank, factors(full_rank, 2), shares)


def test_factors_of_another_network_are_refused(full_rank, rotation):
    with pytest.raises(ValueError, match="factors: got 300 units, need 40"):
        overlaps(full_rank, factors(rotation))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="matrix: got shape"):
        Overlaps(
            names=("m1", "n1"),
            rank=1,
            matrix=np.zeros((3, 3)),
            fractions=[1.0],
            means=np.zeros((1, 2)),
            covariances=np.zeros((1, 2, 2)),
        )
