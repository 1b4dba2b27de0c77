"""The float twin against closed forms, and against the chip where they must agree."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.arithmetic import SignMode
from isotau.convert.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.spikes import mean_rate, unpack
from isotau.sim.engines import reference
from isotau.sim.engines.random_networks import random_messages, random_network
from isotau.sim.engines.twin import run_twin


def neuron(**change):
    """One neuron behind an input block of weight 100."""
    block = WeightBlock(
        source="input",
        pre=[0],
        weights=[[100]],
        weight_exp=0,
        num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY,
    )
    fields = {
        "blocks": (block,),
        "n_in": 1,
        "du": [99],
        "dv": [200],
        "vth": [131071],
        "bias_mant": [0],
        "bias_exp": [0],
        "refractory": [0],
        "noise_exp": None,
        "state_scale": 1.0,
        "v_reset": [0.0],
        "input_scale": 1.0,
        "dt": 1e-3,
        "w_out": [[0.0]],
        "b_out": [0.0],
        "tau_out": [1.0],
    }
    return FixedPointNetwork(**(fields | change))


def test_one_pulse_leaves_the_closed_form():
    net = neuron()
    sent = np.zeros((400, 1, 1), dtype=np.int64)
    sent[0] = 1
    run = run_twin(net, sent)
    assert run.u_peak[0] == 6400
    quiet = neuron(vth=[100])  # 6400 < v once u has added up for some steps
    keep_u, keep_v = 1 - 100 / 4096, 1 - 200 / 4096
    v, u, first = 0.0, 6400.0, 1
    while not v > 6400:
        v, u = v * keep_v + u, u * keep_u
        first += 1
    spikes = unpack(run_twin(quiet, sent).spikes.bits, 1)[:, 0, 0]
    assert np.flatnonzero(spikes)[0] == first - 1


def test_where_nothing_is_rounded_it_is_the_chip():
    """du = 4095 and dv = 0 lose all or nothing; weights at exponent 0 are whole."""
    rng = np.random.default_rng(0)
    for seed in range(10):
        net = random_network(np.random.default_rng(seed), 30, extreme=False)
        blocks = tuple(
            dataclasses.replace(b, weight_exp=max(b.weight_exp, 0), delay=3 * k)
            for k, b in enumerate(net.blocks)
        )
        net = dataclasses.replace(
            net,
            blocks=blocks,
            du=np.full(30, 4095),
            dv=np.zeros(30),
            bias_mant=np.full(30, 3000),
            bias_exp=np.full(30, 7),
            vth=np.full(30, 20000),
            noise_exp=8,
            reset_interval=7,
            reset_offset=2,
        )
        sent = random_messages(rng, net, 80, 2, extreme=False) // 20
        chip = reference.run(net, sent, seed=9, count_overflow=True)
        twin = run_twin(net, sent, seed=9)
        assert not chip.overflow.u_wraps.any() and not chip.overflow.v_low.any()
        np.testing.assert_array_equal(twin.spikes.bits, chip.spikes.bits)
        assert chip.spikes.bits.any()


def test_it_starts_where_the_network_does():
    """u decays alone; v adds it up, without the chip's rounding."""
    net = neuron(u0=[1000], v0=[5000], bias_mant=[-7])
    sent, keep_u, keep_v = np.zeros((50, 2, 1), np.int64), 3996 / 4096, 3896 / 4096
    run = run_twin(net, sent)
    assert run.u_peak[0] == pytest.approx(1000 * keep_u, rel=1e-12)
    low = neuron(u0=[0], v0=[-1000], bias_mant=[-7])
    v = [-1000.0]
    for _ in range(50):
        v.append(v[-1] * keep_v - 7)
    assert run_twin(low, sent).v_low[0] == pytest.approx(min(v[1:]), rel=1e-12)
    above = neuron(v0=[131071 * 64 + 63], dv=[0], vth=[131070])
    spikes = unpack(run_twin(above, sent).spikes.bits, 1)
    assert np.flatnonzero(spikes[:, 0, 0]).tolist() == [0]


def test_truncation_shows_in_the_difference():
    """A weak steady input: the chip's decay eats more, so it fires less."""
    net = neuron(vth=[60], du=[19], dv=[10])
    sent = np.zeros((3000, 1, 1), dtype=np.int64)
    sent[::400] = 1
    twin, chip = run_twin(net, sent), reference.run(net, sent)
    assert mean_rate(twin.spikes) > mean_rate(chip.spikes) > 0


def test_bad_arguments_are_the_engines():
    with pytest.raises(ValueError, match=r"messages: got shape \(5, 1, 2\)"):
        run_twin(neuron(), np.zeros((5, 1, 2), dtype=np.int64))
