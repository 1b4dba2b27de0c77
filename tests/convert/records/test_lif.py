"""`LIFNetwork` and its derived numbers."""

import dataclasses
import math
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from isotau.convert.records.lif import (
    MEMORYLESS,
    LIFNetwork,
    decay_fraction,
)

FIELDS = {
    "w_in": np.ones((2, 1)),
    "w_rec": np.array([[0.0, 0.01], [-0.02, 0.0]]),
    "w_out": np.ones((1, 2)),
    "b_out": np.zeros(1),
    "tau_syn": np.array([0.02, 0.1]),
    "tau_mem": np.array([0.01, 0.01]),
    "v_th": np.array([-0.04, -0.04]),
    "v_leak": np.array([-0.04, -0.05]),
    "v_reset": np.array([-0.065, -0.065]),
    "refractory": np.array([0.002, 0.0]),
    "noise_std": 0.001,
    "dt": 0.001,
    "i0": np.array([0.003, -0.001]),
    "v0": np.array([-0.05, -0.045]),
    "f0": np.array([40.0, 0.0]),
}
ARRAYS = [name for name, value in FIELDS.items() if isinstance(value, np.ndarray)]


def test_sizes():
    net = LIFNetwork(**FIELDS)
    assert (net.n, net.n_in, net.n_out) == (2, 1, 1)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read_only_copies(name):
    given = FIELDS[name].copy()
    kept = getattr(LIFNetwork(**FIELDS | {name: given}), name)
    given[...] = 0
    assert kept.tolist() == FIELDS[name].tolist()
    assert not kept.flags.writeable


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError):
        LIFNetwork(**FIELDS).dt = 1.0


REFUSED = [
    ("w_in", np.ones(2), "w_in: got shape (2,), need 2 axes"),
    ("w_in", np.ones((3, 1)), "w_in: got shape (3, 1), need (2, 1) (post × input)"),
    ("w_rec", np.ones((2, 3)), "w_rec: got shape (2, 3), need (2, 2) (post × pre)"),
    ("w_out", np.ones((1, 3)), "w_out: got shape (1, 3), need (1, 2)"),
    ("b_out", np.ones(2), "b_out: got shape (2,), need (1,) (output)"),
    ("tau_syn", np.zeros(2), "tau_syn: got 0.0 at [0], need numbers greater than 0"),
    ("tau_mem", np.array([0.01, -1]), "tau_mem: got -1.0 at [1], need numbers greater"),
    ("v_th", np.ones(3), "v_th: got shape (3,), need (2,) (neuron)"),
    ("v_leak", np.array([0, np.nan]), "v_leak: got nan at [1], need finite numbers"),
    (
        "v_reset",
        np.array([-0.065, -0.04]),
        "v_reset: got -0.04 V at [1], need less than v_th = -0.04 V",
    ),
    (
        "refractory",
        np.array([0.0, -0.001]),
        "refractory: got -0.001 at [1], need numbers",
    ),
    (
        "refractory",
        np.array([0.0, 0.0015]),
        "refractory: got 0.0015 s at [1], need a multiple of dt = 0.001 s",
    ),
    ("noise_std", -1.0, "noise_std: got -1.0 at [0], need numbers of at least 0"),
    ("noise_std", np.ones(3), "noise_std: got shape (3,), need (2,) (neuron)"),
    (
        "current_noise_std",
        np.array([0, -1.0]),
        "current_noise_std: got -1.0 at [1], need numbers of at least 0",
    ),
    ("dt", 0.0, "dt: got 0.0, need numbers greater than 0"),
    ("i0", np.ones(3), "i0: got shape (3,), need (2,) (neuron)"),
    ("v0", np.array([0, np.inf]), "v0: got inf at [1], need finite numbers"),
    ("f0", np.ones((1, 2)), "f0: got shape (1, 2), need (2,) (neuron)"),
]


@pytest.mark.parametrize(("name", "value", "text"), REFUSED)
def test_refusals(name, value, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        LIFNetwork(**FIELDS | {name: value})


def test_without_a_start_trials_begin_at_rest():
    net = LIFNetwork(**{k: v for k, v in FIELDS.items() if k not in ("i0", "v0", "f0")})
    assert net.i0.tolist() == net.f0.tolist() == [0, 0]
    assert net.v0.tolist() == net.v_reset.tolist()


def test_refractory_steps_survive_rounding_errors():
    times = np.array([0.003 - 1e-16, 0.1 + 0.2])
    net = LIFNetwork(**FIELDS | {"refractory": times})
    assert net.refractory_steps.tolist() == [3, 300]
    assert net.refractory_steps.dtype == np.int64


def test_decay_fraction_is_what_an_exponential_loses():
    lost = decay_fraction(np.array([0.02, 1e6]), 0.001)
    assert lost[0] == pytest.approx(1 - math.exp(-0.05), rel=1e-14)
    assert lost[1] == pytest.approx(1e-9, rel=1e-9)  # no cancellation


def test_readout_filter_and_population_are_optional(lif_net):
    np.testing.assert_array_equal(lif_net.tau_out, lif_net.tau_syn)
    np.testing.assert_array_equal(lif_net.population, np.zeros(20))
    assert lif_net.population.dtype == np.int64
    with pytest.raises(
        ValueError, match=r"tau_out: got 0.0 at \[1\], need numbers gre"
    ):
        dataclasses.replace(lif_net, tau_out=np.where(np.arange(20) == 1, 0.0, 0.1))
    with pytest.raises(ValueError, match=r"population: got shape \(3,\), need \(20,\)"):
        dataclasses.replace(lif_net, population=np.zeros(3, dtype=int))
    with pytest.raises(
        ValueError, match=r"population: got numbers \[0, 2\], need 0 to 1"
    ):
        dataclasses.replace(lif_net, population=np.repeat([0, 2], 10))


def test_something_without_memory_loses_all():
    tau = np.array([1e-3 / MEMORYLESS])
    assert decay_fraction(tau, 1e-3)[0] == 1.0


def test_channels_of_noise_are_the_last_and_change_no_earlier_hash(lif_net):
    assert lif_net.n_shown == lif_net.n_in == 2 and not lif_net.channel_group.any()
    noisy = dataclasses.replace(lif_net, input_noise_std=[0.5])
    assert (noisy.n_shown, noisy.channel_group.tolist()) == (1, [0, 1])
    assert noisy.fingerprint != lif_net.fingerprint
    assert "input_noise_std" in lif_net.LATER


@pytest.mark.parametrize(
    ("std", "message"),
    [
        ([0.1, 0.1, 0.1], "got 3 channels of noise, need at most 2"),
        ([-0.1], "input_noise_std: got -0.1"),
    ],
)
def test_noise_of_channels_is_checked(lif_net, std, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(lif_net, input_noise_std=std)
