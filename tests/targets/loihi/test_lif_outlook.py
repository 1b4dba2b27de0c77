from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.ground.errors import Severity
from isotau.convert.records.lif import Ranges
from isotau.convert.to_fixed.quantize import quantize
from isotau.targets.loihi.demand import demand
from isotau.targets.loihi.lif_outlook import lif_outlook, sketch
from isotau.targets.loihi.limits import LOIHI1, LOIHI2
from isotau.targets.loihi.place import place


@pytest.fixture
def net(lif_net):
    return replace(lif_net, noise_std=0.0, refractory=np.zeros(lif_net.n))


def by(findings, words):
    (found,) = [f for f in findings if words in f.message]
    return found


def test_the_sketch_needs_what_the_quantized_network_needs(net):
    grouped = replace(net, population=np.arange(net.n) // 12)
    for one in (net, grouped):
        wide = np.full(one.n, 0.01)
        made = quantize(one, Ranges(wide, wide, wide), input_peak=1.0)
        guess = sketch(one)
        for chip in (LOIHI1, LOIHI2):
            needs, expected = demand(guess, chip), demand(made, chip)
            assert needs.compartment_profiles == expected.compartment_profiles
            assert needs.threshold_profiles == expected.threshold_profiles
            assert len(needs.blocks) == len(expected.blocks)
            assert place(guess, chip).cores == place(made, chip).cores


def test_nothing_to_say_about_an_easy_network(net):
    easy = replace(net, w_in=np.abs(net.w_in) + 1e-3, w_rec=np.full((20, 20), 1e-3))
    assert list(lif_outlook(easy, LOIHI2)) == []


def test_time_constants_that_no_register_holds(net):
    tau = net.tau_syn.copy()
    tau[3:5] = 9.0
    tau[7] = 2.9
    findings = list(lif_outlook(replace(net, tau_syn=tau), LOIHI1))
    long = by(findings, "need less than 8.192 s")
    assert (long.severity, long.place) == (Severity.ERROR, "neurons 3-4")
    # 4096·(1 − e^(−1/2900)) = 1.41: the register has 1, that is 4095.5 steps
    rounded = by(findings, "nearest: 4.095 s")
    assert (rounded.severity, rounded.place) == (Severity.WARNING, "neuron 7")
    assert "got 2.9 s for neuron 7" in rounded.message


def test_synapses_and_membranes_without_memory_pass(net):
    short = np.full(net.n, net.dt / 50)
    findings = list(lif_outlook(replace(net, tau_syn=short, tau_mem=short), LOIHI2))
    assert not [f for f in findings if "tau" in f.message]


def test_refractory_periods(net):
    refractory = np.zeros(net.n)
    refractory[2], refractory[5] = 0.064, 0.003
    one = replace(net, refractory=refractory)
    found = by(lif_outlook(one, LOIHI1), "refractory")
    assert (found.severity, found.place) == (Severity.ERROR, "neuron 2")
    assert "got up to 64 steps, need at most 63" in found.message
    found = by(lif_outlook(one, LOIHI2), "need 0")
    assert (found.severity, found.place) == (Severity.WARNING, "neurons 2, 5")


def test_noise(net):
    noisy = replace(net, noise_std=1e-3)
    assert by(lif_outlook(noisy, LOIHI1), "noise").severity is Severity.INFO
    assert by(lif_outlook(noisy, LOIHI2), "noise").severity is Severity.WARNING
    mixed = replace(noisy, tau_mem=np.linspace(0.01, 0.02, net.n))
    found = by(lif_outlook(mixed, LOIHI1), "one amplitude")
    assert found.severity is Severity.ERROR
    assert "tau_mem from 0.01 to 0.02 s" in found.message


def test_weights_that_round_to_zero(net):
    weights = np.full((net.n, net.n), 1e-3)
    weights[0, :10] = 1e-6
    found = by(lif_outlook(replace(net, w_rec=weights), LOIHI2), "400 that")
    assert (found.severity, found.place) == (Severity.INFO, "w_rec")
    assert found.action == "about 10 of them round to 0"
    weights[1:5] = 1e-6
    found = by(lif_outlook(replace(net, w_rec=weights), LOIHI2), "400 that")
    assert found.severity is Severity.WARNING


def test_input_of_any_value_needs_graded_spikes(net):
    found = by(lif_outlook(net, LOIHI1), "input: got channels of any value")
    assert found.severity is Severity.WARNING
    assert not [f for f in lif_outlook(net, LOIHI2) if "channels" in f.message]


def test_a_network_without_weights(net):
    silent = replace(net, w_in=0 * net.w_in, w_rec=0 * net.w_rec)
    assert sketch(silent).blocks == ()
    assert place(sketch(silent), LOIHI1).cores == 1
