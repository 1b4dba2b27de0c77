"""States of every stage: what it records, in the same units and at the same time."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_fixed.quantize import messages
from isotau.jobs.pipeline import convert_for
from isotau.jobs.run_config import RunConfig
from isotau.sim.engines import reference, state_at_rest
from isotau.sim.states.network_states import (
    SETTLE,
    chip_states,
    lif_states,
    rate_states,
    resting_sources,
)


@pytest.fixture(scope="module")
def converted():
    """A small network with two copies of every unit, in floats and on the chip."""
    rng = np.random.default_rng(0)
    n = 12
    net = RateRNN(
        w_rec=rng.standard_normal((n, n)) / np.sqrt(n) * 0.5,
        w_in=rng.standard_normal((n, 1)),
        w_out=rng.standard_normal((1, n)),
        bias=0.1 * rng.standard_normal(n),
        b_out=[0.0],
        tau=rng.uniform(0.03, 0.1, n),
        dale=np.zeros(n),
        activation="tanh",
        noise_std=0.1,
        dt=0.01,
    )
    config = RunConfig(task="rdm", copies=2, trials=6, search_trials=12, lava_trials=1)
    return convert_for(net, config)


@pytest.fixture
def inputs():
    return np.random.default_rng(3).standard_normal((40, 5, 1))


def test_the_rate_networks_state_is_x(converted, inputs):
    run = simulate_rate(converted.rate, inputs, seed=4, first_trial=2, keep_x=True)
    np.testing.assert_array_equal(rate_states(converted.rate, inputs, 4, 2), run.x)


def test_the_neurons_state_is_i_in_units_of_x(converted, inputs):
    conversion, net = converted.conversion, converted.conversion.network
    x, spikes = lif_states(converted.rate, conversion, inputs, 4, 2)
    every = round(converted.rate.dt / net.dt)
    fine = np.repeat(inputs, every, axis=0)
    run = simulate_lif(net, fine, seed=4, first_trial=2, record=("i",), every=every)
    constant = net.v_leak - conversion.constants.v_leak
    each = (run.i + constant) / conversion.constants.unit
    expected = each.reshape(40, 5, 12, 2).mean(axis=-1)
    np.testing.assert_allclose(x, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(spikes.bits, run.spikes.bits)


@pytest.mark.parametrize("held", [1 << 25, 1])
def test_the_chips_state_is_u_in_units_of_x(converted, inputs, monkeypatch, held):
    """Bit by bit that of the reference, however much of it is held at a time."""
    monkeypatch.setattr(state_at_rest, "HELD_NUMBERS", held)
    conversion, net = converted.conversion, converted.prepared.fixed
    x, spikes = chip_states(converted.rate, conversion, net, inputs, 4, 2)
    every = round(converted.rate.dt / net.dt)
    sent = messages(net, np.repeat(inputs, every, axis=0), seed=4, first_trial=2)
    run = reference.run(net, sent, seed=4, first_trial=2, record=("u",))
    u = run.u[every - 1 :: every] / net.u_per_volt
    constant = conversion.network.v_leak - conversion.constants.v_leak
    each = (u + constant) / conversion.constants.unit
    expected = each.reshape(40, 5, 12, 2).mean(axis=-1)
    np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(spikes.bits, run.spikes.bits)


def test_sources_are_settled_and_without_input(converted):
    """What was drawn before settling is left out; trials go on counting."""
    rate = converted.rate
    sources = resting_sources(rate, converted.conversion, converted.prepared.fixed)
    assert [source.name for source in sources] == ["rate", "lif", "fixed"]
    before = round(SETTLE / rate.dt)
    for source in sources:
        assert (source.n, source.interval) == (rate.n, rate.dt)
        x = source.draw(4, 0, 0.5, 7).x
        assert x.shape == (50, 4, rate.n)
        # Other trials by their numbers, others by the seed.
        np.testing.assert_array_equal(source.draw(2, 2, 0.5, 7).x, x[:, 2:])
        assert (source.draw(2, 2, 0.5, 8).x != x[:, 2:]).any()
    silence = np.zeros((before + 50, 4, rate.n_in))
    np.testing.assert_array_equal(
        sources[0].draw(4, 0, 0.5, 7).x, rate_states(rate, silence, 7)[before:]
    )
    quiet = dataclasses.replace(rate, noise_std=0.0, x0_std=0.0)
    still = resting_sources(quiet, converted.conversion, converted.prepared.fixed)[0]
    assert np.ptp(still.draw(3, 0, 0.2, 0).x, axis=1).max() == 0
