"""What is watched of every stage: in the same units, steps and at the same time."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import unpack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import unit_rates
from isotau.jobs.pipeline import convert_for
from isotau.jobs.run_config import RunConfig
from isotau.sim.engines import reference, state_at_rest
from isotau.sim.lowrank.factors import factors
from isotau.sim.states.epochs import SETTLE, Situation
from isotau.sim.states.observables import (
    FILTER,
    network_source,
    stage_sources,
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


STEPS, BEFORE, TRIALS = 40, 10, 5


@pytest.fixture
def shown():
    """Noise as input, of which the first steps are not looked at."""
    inputs = np.random.default_rng(3).standard_normal((STEPS, TRIALS, 1))

    def show(trials, first, length, seed):
        return Situation(inputs[:, first : first + trials], BEFORE)

    return show


def stages(converted, **options):
    rate, fixed = converted.rate, converted.prepared.fixed
    return stage_sources(rate, converted.conversion, fixed, **options)


def of_copies(values):
    return values.reshape(*values.shape[:2], 12, 2).mean(axis=-1)[BEFORE:]


def lif_run(converted, inputs, **options):
    net = converted.conversion.network
    every = round(converted.rate.dt / net.dt)
    fine = np.repeat(inputs, every, axis=0)
    return simulate_lif(net, fine, seed=4, record=("i",), every=every, **options)


def chip_run(converted, inputs):
    net = converted.prepared.fixed
    every = round(converted.rate.dt / net.dt)
    sent = messages(net, np.repeat(inputs, every, axis=0), seed=4)
    return reference.run(net, sent, seed=4, record=("u",)), every


def test_states_are_x_and_i_and_u(converted, shown, monkeypatch):
    """Bit by bit those of the engines, the chip's by the reference."""
    monkeypatch.setattr(state_at_rest, "HELD_NUMBERS", 1)
    drawn = [each.draw(TRIALS, 0, 0.3, 4) for each in stages(converted, epoch=shown)]
    assert all(each.conditions is None for each in drawn)
    inputs = shown(TRIALS, 0, 0.3, 4).inputs
    run = simulate_rate(converted.rate, inputs, seed=4, keep_x=True)
    np.testing.assert_array_equal(drawn[0].x, run.x[BEFORE:])
    np.testing.assert_allclose(
        drawn[1].x, of_copies(lif_run(converted, inputs).i), rtol=1e-6, atol=1e-12
    )
    chip, every = chip_run(converted, inputs)
    u = chip.u[every - 1 :: every] / converted.prepared.fixed.u_per_volt
    np.testing.assert_allclose(drawn[2].x, of_copies(u), rtol=1e-12, atol=1e-12)


def filtered(raster, dt, every):
    """By the recurrence, step by step."""
    keep, f, samples = np.exp(-dt / FILTER), 0.0, []
    for t, fired in enumerate(raster, 1):
        f = f * keep + fired * (1 - keep) / dt
        if t % every == 0:
            samples.append(f)
    return of_copies(np.stack(samples))


def test_rates_are_spikes_filtered(converted, shown):
    sources = stages(converted, observable="rate", epoch=shown)
    drawn = [each.draw(TRIALS, 0, 0.3, 4).x for each in sources]
    inputs = shown(TRIALS, 0, 0.3, 4).inputs
    chip, every = chip_run(converted, inputs)
    for found, spikes in zip(
        drawn[1:], (lif_run(converted, inputs).spikes, chip.spikes), strict=True
    ):
        expected = filtered(unpack(spikes.bits, spikes.n), spikes.dt, every)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    # A Poisson observer's, of the rates that the curve gives.
    run = simulate_rate(converted.rate, inputs, seed=4, keep_x=True)
    hz = of_copies(unit_rates(converted.rate, converted.conversion, run))
    assert drawn[0].shape == (STEPS - BEFORE, TRIALS, 12)
    assert drawn[0].mean() == pytest.approx(hz.mean(), rel=0.2)
    assert np.unique(drawn[0]).size > 100


def test_without_an_observer_rates_themselves_are_filtered(converted, shown):
    source = network_source(converted.rate, "a", observable="rate", epoch=shown)
    inputs = shown(TRIALS, 0, 0.3, 4).inputs
    run = simulate_rate(converted.rate, inputs, seed=4)
    keep, f, expected = np.exp(-converted.rate.dt / FILTER), 0.0, []
    for r in run.rates:
        f = keep * f + (1 - keep) * r
        expected.append(f)
    np.testing.assert_allclose(
        source.draw(TRIALS, 0, 0.3, 4).x, np.stack(expected)[BEFORE:], rtol=1e-12
    )


def test_outputs_are_those_of_the_readout(converted, shown):
    sources = stages(converted, observable="output", epoch=shown)
    assert [source.n for source in sources] == [1, 1, 1]
    assert {source.numbers for source in sources} == {12, 24}
    drawn = [each.draw(TRIALS, 0, 0.3, 4).x for each in sources]
    inputs = shown(TRIALS, 0, 0.3, 4).inputs
    run = simulate_rate(converted.rate, inputs, seed=4)
    np.testing.assert_array_equal(drawn[0], run.outputs[BEFORE:])
    chip, every = chip_run(converted, inputs)
    outputs = network_outputs(converted.prepared.fixed, chip.spikes)
    np.testing.assert_array_equal(drawn[2], outputs[every - 1 :: every][BEFORE:])
    spikes = lif_run(converted, inputs).spikes
    outputs = network_outputs(converted.conversion.network, spikes)
    np.testing.assert_array_equal(drawn[1], outputs[every - 1 :: every][BEFORE:])


def test_kappa_is_the_projection_on_the_modes(converted, shown):
    rng = np.random.default_rng(1)
    m, n = rng.standard_normal((2, 12, 2))
    low = dataclasses.replace(
        converted.rate, w_rec=m @ n.T / 12, m_vectors=m, n_vectors=n
    )
    source = network_source(
        converted.conversion.network, "lif", like=low, observable="kappa", epoch=shown
    )
    assert source.n == 2
    states = network_source(converted.conversion.network, "lif", like=low, epoch=shown)
    x = states.draw(TRIALS, 0, 0.3, 4).x
    m = factors(low).m_vectors
    expected = np.linalg.lstsq(m, x.reshape(-1, 12).T, rcond=None)[0].T
    np.testing.assert_allclose(
        source.draw(TRIALS, 0, 0.3, 4).x.reshape(-1, 2), expected, atol=1e-9
    )
    with pytest.raises(ValueError, match="got kappa for a network without factors"):
        stages(converted, observable="kappa")


def test_sources_are_settled_and_without_input(converted):
    """What was drawn before settling is left out; trials go on counting."""
    rate, sources = converted.rate, stages(converted)
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
    run = simulate_rate(rate, silence, seed=7, keep_x=True)
    np.testing.assert_array_equal(sources[0].draw(4, 0, 0.5, 7).x, run.x[before:])
    quiet = dataclasses.replace(rate, noise_std=0.0, x0_std=0.0)
    still = network_source(quiet, "rate")
    assert np.ptp(still.draw(3, 0, 0.2, 0).x, axis=1).max() == 0


def test_networks_of_other_units_or_steps_are_refused(converted):
    lif = converted.conversion.network
    other = RateRNN(
        w_rec=np.eye(7),
        w_in=np.ones((7, 1)),
        w_out=np.ones((1, 7)),
        bias=np.zeros(7),
        b_out=[0.0],
        tau=np.full(7, 0.1),
        dale=np.zeros(7),
        activation="tanh",
        noise_std=0.1,
        dt=0.01,
    )
    with pytest.raises(ValueError, match="a: got 24 neurons, need a multiple of 7"):
        network_source(lif, "a", like=other)
    slow = dataclasses.replace(converted.rate, dt=0.0155)
    with pytest.raises(ValueError, match=r"a: got a step of 0\.001 s, need a whole"):
        network_source(lif, "a", like=slow)
    with pytest.raises(ValueError, match="observable: got 'speed'"):
        network_source(lif, "a", observable="speed")
    # Alone it is watched every 5 ms.
    assert network_source(lif, "a").interval == 0.005
