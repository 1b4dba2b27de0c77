"""`RateRNN` and its activations."""

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from isotau.convert.rate import ACTIVATIONS, RateRNN, activate

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
        "tanh",
        "activation: got 'tanh', need one of sigmoid, relu, softplus",
    ),
    ("noise_std", -0.1, "noise_std: got -0.1, need numbers of at least 0"),
    ("dt", 0.0, "dt: got 0.0, need numbers greater than 0"),
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


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_at_their_formulas(activation):
    x = np.linspace(-30, 30, 121)
    by_hand = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: min(max(x, 0), 20),
        "softplus": lambda x: min(np.log1p(np.exp(x)), 20),
    }[activation]
    expected = [by_hand(value) for value in x]
    np.testing.assert_allclose(activate(x, activation), expected, atol=1e-15)


def test_activations_do_not_overflow():
    assert activate(np.array([-1e9, 1e9]), "sigmoid").tolist() == [0, 1]
    assert activate(np.array([-1e9, 1e9]), "softplus").tolist() == [0, 20]


def test_unknown_activation():
    with pytest.raises(ValueError, match="activation: got 'tanh', need one of"):
        activate(np.zeros(1), "tanh")
