"""Factors: that they make the weights, and that their form is one of its kind."""

import re
from dataclasses import replace

import numpy as np
import pytest

from isotau.sim.lowrank.factors import Factors, align, factors


def product(found):
    return found.m_vectors @ found.n_vectors.T / found.n


def test_own_factors_make_the_weights(rotation):
    found = factors(rotation)
    np.testing.assert_allclose(product(found), rotation.w_rec, atol=1e-12)
    np.testing.assert_allclose(found.energy, 1.0)
    assert (found.n, found.rank) == (300, 2)


def test_the_form_is_canonical(rotation):
    found = factors(rotation)
    gram = found.m_vectors.T @ found.m_vectors / found.n
    np.testing.assert_allclose(gram, np.eye(2), atol=1e-12)
    strength = (found.n_vectors**2).sum(axis=0)
    assert strength[0] >= strength[1] * (1 - 1e-9)
    assert ((found.m_vectors**3).sum(axis=0) >= 0).all()


def test_the_form_does_not_depend_on_the_basis(make):
    """m A and n A⁻ᵀ are the same network for any A."""
    rng = np.random.default_rng(4)
    m, n = rng.standard_normal((2, 50, 3))
    a = rng.standard_normal((3, 3))
    one, other = (
        factors(make(x, y)) for x, y in ((m, n), (m @ a, n @ np.linalg.inv(a).T))
    )
    np.testing.assert_allclose(other.m_vectors, one.m_vectors, atol=1e-9)
    np.testing.assert_allclose(other.n_vectors, one.n_vectors, atol=1e-9)


def test_truncation_is_the_nearest_of_its_rank(full_rank):
    """Eckart and Young: what is left out has the discarded singular values."""
    found = factors(full_rank, 5)
    values = np.sqrt(np.linalg.eigvalsh(full_rank.w_rec.T @ full_rank.w_rec))[::-1]
    np.testing.assert_allclose(found.singular_values, values, atol=1e-9)
    left = full_rank.w_rec - product(found)
    np.testing.assert_allclose((left**2).sum(), (values[5:] ** 2).sum())
    np.testing.assert_allclose(
        found.energy, 1 - (left**2).sum() / (full_rank.w_rec**2).sum()
    )


def test_own_factors_as_they_are(rotation):
    found = factors(rotation, canonical=False)
    np.testing.assert_array_equal(found.m_vectors, rotation.m_vectors)
    np.testing.assert_array_equal(found.n_vectors, rotation.n_vectors)
    assert found.energy == 1.0


def test_no_weights_have_factors(rank_one):
    net = replace(rank_one, w_rec=np.zeros((200, 200)), n_vectors=np.zeros((200, 1)))
    found = factors(net)
    assert found.energy == 1.0
    np.testing.assert_array_equal(found.n_vectors, 0)


def test_align_undoes_a_turn_and_keeps_the_weights(rotation):
    found = factors(rotation)
    angle = 1.1
    turn = np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]])
    turned = Factors(
        m_vectors=found.m_vectors @ turn,
        n_vectors=found.n_vectors @ turn,
        energy=1.0,
        singular_values=found.singular_values,
    )
    back = align(turned, found)
    np.testing.assert_allclose(back.m_vectors, found.m_vectors, atol=1e-12)
    np.testing.assert_allclose(product(back), rotation.w_rec, atol=1e-12)


def test_refusals(rank_one, rotation, full_rank):
    with pytest.raises(ValueError, match="rank: got None for a network without factor"):
        factors(full_rank)
    with pytest.raises(ValueError, match="rank: got 41, need 1 to 40"):
        factors(full_rank, 41)
    with pytest.raises(ValueError, match="rank: got 3, need at most the 2 of the netw"):
        factors(rotation, 3)
    text = "canonical: got False with rank 1 for a network of 2 own factors"
    with pytest.raises(ValueError, match=text):
        factors(rotation, 1, canonical=False)
    text = "onto: got factors of shape (200, 1), need (300, 2) (unit × rank)"
    with pytest.raises(ValueError, match=re.escape(text)):
        align(factors(rotation), factors(rank_one))
    with pytest.raises(ValueError, match="n_vectors: got shape"):
        Factors(
            m_vectors=np.ones((3, 1)),
            n_vectors=np.ones((3, 2)),
            energy=1.0,
            singular_values=[1.0],
        )
