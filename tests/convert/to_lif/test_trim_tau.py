"""Trimmed synapses: what changes with τ, what does not, and that states follow."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.ground.progress import silent
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.lif import decay_fraction
from isotau.convert.to_lif.state_match import match, rest_of_lif, rest_of_rate
from isotau.convert.to_lif.trim_tau import MOST, lacking, trim_tau, with_tau

CONSTANTS = LIFConstants(unit=2e-3, v_leak=-0.065)
TAUS = np.array([0.02, 0.05, 0.08])


def look(net, copies=1):
    return rest_of_lif(net, constants=CONSTANTS, dt=0.005, copies=copies, seed=9)


@pytest.mark.parametrize("copies", [1, 2])
def test_synapses_that_are_off_are_brought_back(silent_neurons, uncoupled, copies):
    """The first is too fast, the second too slow, the third right."""
    off = np.repeat(TAUS * [0.6, 1.5, 1.0], copies)
    off_net, units = silent_neurons(off, current_noise_std=5e-4), uncoupled(TAUS)
    net = trim_tau(
        off_net,
        units,
        constants=CONSTANTS,
        copies=copies,
        seed=3,
        progress=silent,
    )
    # what a unit of so long steps (R2) remembers: a little less than τ
    remembered = -0.005 / np.log(1 - 0.005 / TAUS)
    wanted = np.repeat(remembered, copies)
    np.testing.assert_allclose(net.tau_syn, wanted, rtol=0.1)
    reference = rest_of_rate(units, seed=8)
    before, after = (match(reference, look(each, copies)) for each in (off_net, net))
    assert after.tau_error < 0.2 < 0.3 < before.tau_error
    # the same noise in every current as before
    np.testing.assert_array_equal(net.current_noise_std, 5e-4)


def test_no_synapse_changes_by_more_than_a_factor(silent_neurons, uncoupled):
    net = trim_tau(
        silent_neurons(TAUS / 4),
        uncoupled(TAUS),
        constants=CONSTANTS,
        copies=1,
        seed=3,
        progress=silent,
    )
    np.testing.assert_allclose(net.tau_syn, MOST * TAUS / 4)


def test_what_is_not_known_is_left_alone(silent_neurons):
    state = look(silent_neurons(TAUS))
    known = np.r_[np.full(8, 20.0), np.nan, 10.0]
    unknown = state._replace(tau=known)
    other = state._replace(tau=np.r_[np.full(8, 10.0), 5.0, np.nan])
    np.testing.assert_array_equal(lacking(unknown, other), [2] * 8 + [1, 1])
    few = np.array([np.nan, np.nan, np.nan, 20.0])
    slow, fast = state._replace(tau=few), state._replace(tau=few / 2)
    assert lacking(slow, fast) is None


def test_a_network_of_memory_states_is_left_as_it_is(silent_neurons, uncoupled):
    """Synapses of 10 s: beyond the lags, so that no τ is known."""
    slow = np.full(3, 10.0)
    net = silent_neurons(slow / 2)
    made = trim_tau(
        net,
        uncoupled(slow),
        constants=CONSTANTS,
        copies=1,
        seed=3,
        progress=silent,
    )
    assert made is net


def test_constant_rates_give_the_same_current_and_noise_the_same_size(silent_neurons):
    """In closed form: w/q of a constant input, w²/(1 − (1 − q)²) of noise."""
    rng = np.random.default_rng(0)
    net = silent_neurons(
        TAUS,
        w_in=rng.standard_normal((3, 2)),
        w_rec=rng.standard_normal((3, 3)),
        input_noise_std=np.array([0.5]),
    )
    assert net.n_shown == 1
    other = with_tau(net, np.array([2.0, 0.5, 1.0]))
    np.testing.assert_allclose(other.tau_syn, TAUS * [2, 0.5, 1])
    q, after = (decay_fraction(x.tau_syn, net.dt)[:, None] for x in (net, other))
    np.testing.assert_allclose(other.w_rec / after, net.w_rec / q)
    np.testing.assert_allclose(other.w_in[:, :1] / after, net.w_in[:, :1] / q)
    power, powers = (
        x.w_in[:, 1:] ** 2 / (1 - (1 - loss) ** 2)
        for x, loss in ((net, q), (other, after))
    )
    np.testing.assert_allclose(power, powers)
    unchanged = dataclasses.replace(
        other, tau_syn=net.tau_syn, w_in=net.w_in, w_rec=net.w_rec
    )
    assert unchanged.fingerprint == net.fingerprint
    # not below a step
    assert (
        with_tau(silent_neurons(np.full(3, 1e-3)), np.full(3, 0.5)).tau_syn.min()
        == 1e-3
    )
