"""`RateRNN`: what it keeps and what it refuses."""

import re
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from isotau.convert.records.rate import ACTIVATIONS, RateRNN

FIELDS = {
    "w_rec": np.array([[0.0, -0.5], [0.25, 0.0]]),
    "w_in": np.ones((2, 3)),
    "w_out": np.array([[0.1, -0.2]]),
    "bias": np.zeros(2),
    "b_out": np.array([0.02]),
    "tau": np.array([0.02, 0.1]),
    "dale": np.array([1, -1], dtype=np.int8),
    "activation": "sigmoid",
    "noise_std": 0.1,
    "dt": 0.005,
    "x0": np.array([0.5, -0.5]),
    "readout_bias": np.array([0.25, -0.25]),
}
ARRAYS = [name for name, value in FIELDS.items() if isinstance(value, np.ndarray)]


def test_sizes():
    net = RateRNN(**FIELDS)
    assert (net.n, net.n_in, net.n_out) == (2, 3, 1)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read_only_copies(name):
    given = FIELDS[name].copy()
    kept = getattr(RateRNN(**FIELDS | {name: given}), name)
    given[...] = 0
    assert kept.tolist() == FIELDS[name].tolist()
    assert not kept.flags.writeable


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError):
        RateRNN(**FIELDS).dt = 1.0


REFUSED = [
    ("w_rec", np.zeros((2, 3)), "w_rec: got shape (2, 3), need (2, 2) (post × pre)"),
    ("w_rec", np.zeros((0, 0)), "w_rec: got shape (0, 0), need at least one element"),
    ("w_rec", np.zeros(2), "w_rec: got shape (2,), need 2 axes"),
    ("w_in", np.ones((3, 1)), "w_in: got shape (3, 1), need (2, 1) (post × input)"),
    ("w_out", np.ones((1, 3)), "w_out: got shape (1, 3), need (1, 2) (output × unit)"),
    ("bias", np.zeros(3), "bias: got shape (3,), need (2,) (unit)"),
    ("b_out", np.zeros(3), "b_out: got shape (3,), need (1,) (output)"),
    ("tau", np.array([0.02, 0.0]), "tau: got 0.0 at [1], need numbers greater than 0"),
    ("dale", np.array([2, 0]), "dale: got 2 at [0], need -1 to 1"),
    (
        "activation",
        "elu",
        "activation: got 'elu', need one of sigmoid, tanh, relu, softplus, lif",
    ),
    ("noise_std", -0.1, "noise_std: got -0.1, need numbers of at least 0"),
    ("dt", 0.0, "dt: got 0.0, need numbers greater than 0"),
    ("ceiling", 0.0, "ceiling: got 0.0, need numbers greater than 0"),
    ("x0", np.zeros(3), "x0: got shape (3,), need (2,) (unit)"),
    ("x0_std", -0.1, "x0_std: got -0.1, need numbers of at least 0"),
    ("readout_bias", np.zeros((2, 1)), "readout_bias: got shape (2, 1), need (2,)"),
    (
        "dale",
        np.array([1, 1]),
        "dale: got 1 for unit 1 whose outgoing weights have the other sign",
    ),
]


@pytest.mark.parametrize(("name", "value", "text"), REFUSED)
def test_refusals(name, value, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        RateRNN(**FIELDS | {name: value})


def test_zero_means_mixed_signs():
    weights = np.array([[1.0, -1.0], [-1.0, 1.0]])
    net = RateRNN(**FIELDS | {"w_rec": weights, "dale": np.zeros(2, dtype=np.int8)})
    assert net.dale.tolist() == [0, 0]


def low_rank(rank=1):
    m, n = np.random.default_rng(rank).standard_normal((2, 2, rank))
    return {"w_rec": m @ n.T / 2, "m_vectors": m, "n_vectors": n, "dale": np.zeros(2)}


def test_what_is_not_given_changes_nothing():
    given = {k: v for k, v in FIELDS.items() if k not in ("x0", "readout_bias")}
    net = RateRNN(**given)
    assert (net.ceiling, net.x0_std, net.rank) == (None, 0.01, 0)
    assert net.x0.tolist() == net.readout_bias.tolist() == [0, 0]
    assert net.m_vectors.shape == net.n_vectors.shape == (2, 0)
    again = replace(net, dt=0.001)
    assert again.m_vectors.shape == (2, 0)


def test_factors_give_the_rank():
    net = RateRNN(**FIELDS | low_rank(2))
    assert net.rank == 2
    assert not net.m_vectors.flags.writeable
    np.testing.assert_allclose(net.m_vectors @ net.n_vectors.T / net.n, net.w_rec)


def test_factors_may_be_rounded_to_float32():
    given = low_rank()
    given |= {k: given[k].astype(np.float32) for k in ("m_vectors", "n_vectors")}
    assert RateRNN(**FIELDS | given).rank == 1


@pytest.mark.parametrize("factor", [0.0, 1 + 1e-5, -1.0])
def test_factors_of_other_weights_are_refused(factor):
    given = low_rank()
    given["n_vectors"] = factor * given["n_vectors"]
    with pytest.raises(ValueError, match=r"m_vectors: got factors whose product is .*"):
        RateRNN(**FIELDS | given)


def test_weights_changed_without_their_factors_are_refused():
    net = RateRNN(**FIELDS | low_rank())
    with pytest.raises(ValueError, match=r"m_vectors @ n_vectors.T / n; leave"):
        replace(net, w_rec=2 * net.w_rec)


@pytest.mark.parametrize("alone", ["m_vectors", "n_vectors"])
def test_one_factor_alone_is_refused(alone):
    given = low_rank()
    kept = {name: given[name] for name in ("w_rec", "dale", alone)}
    with pytest.raises(ValueError, match=r"n_vectors: got shape \(2, [01]\), need"):
        RateRNN(**FIELDS | kept)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_taken(activation):
    assert RateRNN(**FIELDS | {"activation": activation}).activation == activation


def test_sources_of_shared_noise_are_columns(rate_net):
    assert rate_net.shared_noise.shape == (rate_net.n, 0) and rate_net.noisy
    shared = replace(rate_net, noise_std=0.0, shared_noise=np.ones((rate_net.n, 2)))
    assert shared.noisy and shared.fingerprint != rate_net.fingerprint
    # Records from before it was a field keep their hash.
    none = replace(rate_net, shared_noise=np.zeros((rate_net.n, 2)))
    assert none.fingerprint == rate_net.fingerprint
    assert not replace(rate_net, noise_std=0.0).noisy


def test_shared_noise_of_other_units_is_refused(rate_net):
    with pytest.raises(ValueError, match="shared_noise: got shape"):
        replace(rate_net, shared_noise=np.ones((rate_net.n + 1, 2)))
