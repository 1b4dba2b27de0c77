from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.ground.errors import Severity, exit_status
from isotau.convert.records.lif import Ranges
from isotau.convert.to_fixed.quantize import quantize
from isotau.targets.loihi.check_loihi import check_loihi, lif_outlook, sketch
from isotau.targets.loihi.demand import demand
from isotau.targets.loihi.limits import LOIHI1, LOIHI2
from isotau.targets.loihi.place import place

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


@pytest.fixture
def block(make_block):
    """Return a function that makes a block for four neurons."""

    def make(source="recurrent", columns=4, **fields):
        return make_block(np.full((4, columns), 4), source, **fields)

    return make


@pytest.fixture
def net(block, make_network):
    blocks = [block("input", 1, binary=True), block()]
    outputs = {"w_out": np.zeros((2, 4)), "b_out": np.zeros(2)}
    return make_network(blocks, 4, bias_mant=np.full(4, 90), **outputs)


def one(findings, words):
    (found,) = [f for f in findings if words in f.message]
    return found


@pytest.mark.parametrize("chip", [LOIHI1, LOIHI2])
def test_a_network_that_fits_has_only_things_to_know(net, chip):
    findings = check_loihi(net, chip)
    assert exit_status(findings) == 0
    found = one(findings, "cores: got 1, need at most 128 a chip")
    assert found.place == chip.name
    assert one(findings, "readout: got 2 real outputs").place == "w_out"


def test_a_rate_network_must_be_converted(rate_net):
    (found,) = check_loihi(rate_net, LOIHI1)
    assert found.severity is ERROR
    assert "got a rate network (sigmoid)" in found.message
    assert "isotau convert" in found.action


def test_a_lif_network_is_looked_at_ahead(lif_net):
    findings = check_loihi(lif_net, LOIHI1)
    assert one(findings, "LIF network in floats").severity is INFO
    assert one(findings, "noise").severity is INFO
    assert one(findings, "cores: got 1").severity is INFO
    assert one(findings, "input: got channels").severity is WARNING
    many = replace(lif_net, w_in=np.ones((20, 5000)))
    found = one(check_loihi(many, LOIHI1), "in_axons: got")
    assert found.severity is ERROR
    assert found.action == "prune its inputs"


def test_bias_exponents(net):
    findings = check_loihi(replace(net, bias_exp=[0, -3, 0, -1]), LOIHI1)
    found = one(findings, "bias_exp: got down to -3, need 0 to 7")
    assert (found.severity, found.place) == (ERROR, "neurons 1, 3")
    assert "effective_bias" in found.action


def test_thresholds_of_zero(net):
    low = replace(net, vth=[50, 0, 50, 50])
    found = one(check_loihi(low, LOIHI1), "vth: got 0")
    assert (found.severity, found.place) == (WARNING, "neuron 1")
    assert not [f for f in check_loihi(low, LOIHI2) if "vth" in f.message]


def test_refractory_periods(net):
    held = replace(net, refractory=[0, 5, 63, 0])
    found = one(check_loihi(held, LOIHI1), "refractory: got 63 steps")
    assert (found.severity, found.place) == (WARNING, "neuron 2")
    found = one(check_loihi(held, LOIHI2), "refractory: got up to 63 steps, need 0")
    assert (found.severity, found.place) == (WARNING, "neurons 1-2")


def test_noise(net):
    noisy = replace(net, noise_exp=9)
    assert one(check_loihi(noisy, LOIHI1), "random numbers").severity is INFO
    assert one(check_loihi(noisy, LOIHI2), "noise: got").severity is WARNING


def test_graded_input(net, block):
    graded = replace(net, blocks=(block("input", 1), block()))
    found = one(check_loihi(graded, LOIHI1), "messages: got signed integers")
    assert (found.severity, found.place) == (ERROR, "block 0 (input)")
    assert "binary=True" in found.action
    found = one(check_loihi(graded, LOIHI2), "need at most 32 bits")
    assert found.severity is INFO


def test_delays(net, block):
    late = replace(net, blocks=(block(delay=20),))
    found = one(check_loihi(late, LOIHI1), "delay: got 20 steps, need 32 acc")
    assert (found.severity, found.place) == (INFO, "block 0 (recurrent)")
    assert found.action == "at most 256 of its neurons come on a core"
    assert "not published" in one(check_loihi(late, LOIHI2), "delay: got 20").message
    short = replace(LOIHI1, delay_max=10)
    found = one(check_loihi(late, short), "delay: got 20 steps, need at most 10")
    assert found.severity is ERROR


def test_what_surrounds_a_run(net):
    started = replace(net, reset_interval=50, v0=[0, 7, 0, 0])
    findings = check_loihi(started, LOIHI1)
    assert one(findings, "reset: got one every 50 steps").severity is WARNING
    assert one(findings, "u0, v0: got a start state").place == "neuron 1"


def test_profiles_beyond_a_core(net):
    chip = replace(LOIHI1, compartment_profiles=3, threshold_profiles=1)
    mixed = replace(net, du=[1, 2, 3, 4], vth=[5, 5, 5, 6])
    findings = check_loihi(mixed, chip)
    found = one(findings, "compartment_profiles: got 4, need at most 3 a core")
    assert found.severity is WARNING
    assert "at least 2 cores, or merge profiles" in found.action
    assert one(findings, "threshold_profiles: got 2, need").severity is WARNING
    assert "not checked" in one(check_loihi(mixed, LOIHI2), "limits: got no").action


def test_several_chips(net):
    chip = replace(LOIHI1, neurons=1, cores=3)
    found = one(check_loihi(net, chip), "cores: got 4, need at most 3 a chip")
    assert (found.severity, found.action) == (WARNING, "needs 2 chips")


def test_every_limit_that_breaks_is_named(net):
    chip = replace(LOIHI1, memory_bits=64, in_axons=2)
    findings = check_loihi(net, chip)
    assert one(findings, "memory_bits: got 320 bits").severity is ERROR
    assert one(findings, "in_axons: got 5 input axons").severity is ERROR
    late = replace(LOIHI1, synapse_formats=0)
    found = one(check_loihi(net, late), "synapse_formats: got 1")
    assert (found.severity, found.place) == (ERROR, "Loihi 1")


@pytest.fixture
def quiet(lif_net):
    return replace(lif_net, noise_std=0.0, refractory=np.zeros(lif_net.n))


def by(findings, words):
    (found,) = [f for f in findings if words in f.message]
    return found


def test_the_sketch_needs_what_the_quantized_network_needs(quiet):
    grouped = replace(quiet, population=np.arange(quiet.n) // 12)
    for one in (quiet, grouped):
        wide = np.full(one.n, 0.01)
        made = quantize(one, Ranges(wide, wide, wide), input_peak=1.0)
        guess = sketch(one)
        for chip in (LOIHI1, LOIHI2):
            needs, expected = demand(guess, chip), demand(made, chip)
            assert needs.compartment_profiles == expected.compartment_profiles
            assert needs.threshold_profiles == expected.threshold_profiles
            assert len(needs.blocks) == len(expected.blocks)
            assert place(guess, chip).cores == place(made, chip).cores


def test_nothing_to_say_about_an_easy_network(quiet):
    easy = replace(
        quiet,
        w_in=np.abs(quiet.w_in) + 1e-3,
        w_rec=np.full((20, 20), 1e-3),
    )
    assert list(lif_outlook(easy, LOIHI2)) == []


def test_time_constants_that_no_register_holds(quiet):
    tau = quiet.tau_syn.copy()
    tau[3:5] = 9.0
    tau[7] = 2.9
    findings = list(lif_outlook(replace(quiet, tau_syn=tau), LOIHI1))
    long = by(findings, "need less than 8.192 s")
    assert (long.severity, long.place) == (Severity.ERROR, "neurons 3-4")
    # 4096·(1 − e^(−1/2900)) = 1.41: the register has 1, that is 4095.5 steps
    rounded = by(findings, "nearest: 4.095 s")
    assert (rounded.severity, rounded.place) == (Severity.WARNING, "neuron 7")
    assert "got 2.9 s for neuron 7" in rounded.message


def test_synapses_and_membranes_without_memory_pass(quiet):
    short = np.full(quiet.n, quiet.dt / 50)
    findings = list(lif_outlook(replace(quiet, tau_syn=short, tau_mem=short), LOIHI2))
    assert not [f for f in findings if "tau" in f.message]


def test_refractory_periods_of_lif_neurons(quiet):
    refractory = np.zeros(quiet.n)
    refractory[2], refractory[5] = 0.064, 0.003
    one = replace(quiet, refractory=refractory)
    found = by(lif_outlook(one, LOIHI1), "refractory")
    assert (found.severity, found.place) == (Severity.ERROR, "neuron 2")
    assert "got up to 64 steps, need at most 63" in found.message
    found = by(lif_outlook(one, LOIHI2), "need 0")
    assert (found.severity, found.place) == (Severity.WARNING, "neurons 2, 5")


def test_noise_of_lif_neurons(quiet):
    noisy = replace(quiet, noise_std=1e-3)
    assert by(lif_outlook(noisy, LOIHI1), "noise").severity is Severity.INFO
    assert by(lif_outlook(noisy, LOIHI2), "noise").severity is Severity.WARNING
    mixed = replace(noisy, tau_mem=np.linspace(0.01, 0.02, quiet.n))
    found = by(lif_outlook(mixed, LOIHI1), "one amplitude")
    assert (found.severity, found.place) == (Severity.WARNING, "noise_std")
    both = replace(noisy, current_noise_std=np.arange(quiet.n) < 2)
    found = by(lif_outlook(both, LOIHI1), "in the current and in the membrane")
    assert (found.severity, found.place) == (Severity.WARNING, "neurons 0-1")


def test_weights_that_round_to_zero(quiet):
    weights = np.full((quiet.n, quiet.n), 1e-3)
    weights[0, :10] = 1e-6
    found = by(lif_outlook(replace(quiet, w_rec=weights), LOIHI2), "400 that")
    assert (found.severity, found.place) == (Severity.INFO, "w_rec")
    assert found.action == "about 10 of them round to 0"
    weights[1:5] = 1e-6
    found = by(lif_outlook(replace(quiet, w_rec=weights), LOIHI2), "400 that")
    assert found.severity is Severity.WARNING


def test_input_of_any_value_needs_graded_spikes(quiet):
    found = by(lif_outlook(quiet, LOIHI1), "input: got channels of any value")
    assert found.severity is Severity.WARNING
    assert not [f for f in lif_outlook(quiet, LOIHI2) if "channels" in f.message]


def test_a_network_without_weights(quiet):
    silent = replace(
        quiet,
        w_in=0 * quiet.w_in,
        w_rec=0 * quiet.w_rec,
    )
    assert sketch(silent).blocks == ()
    assert place(sketch(silent), LOIHI1).cores == 1
