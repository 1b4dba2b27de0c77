"""Diagnostics against networks whose overflows and spikes are counted by hand."""

import dataclasses
import json
import pickle
import re

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.to_fixed.quantization_report import (
    ParameterError,
    QuantizationReport,
)
from isotau.sim.engines import diagnostics, reference
from isotau.sim.engines.diagnostics import ChipOverflow, EngineWarning, diagnose

M = 2**23


def network(n=1, *, weights=255, weight_exp=7, **registers):
    """Return n neurons, each with an input channel of its own, that forget u at once.

    A message x adds x · weights · 2^(weight_exp + 6) to u, with 255 and 7 2,088,960 x.
    """
    values = {"du": 4095, "dv": 0, "vth": 131071, "bias_mant": 0, "bias_exp": 0}
    values |= {"refractory": 0} | registers
    block = WeightBlock(
        source="input",
        pre=np.arange(n),
        weights=np.eye(n) * weights,
        weight_exp=weight_exp,
        num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY,
    )
    return FixedPointNetwork(
        blocks=(block,),
        n_in=n,
        noise_exp=None,
        state_scale=1.0,
        v_reset=np.zeros(n),
        input_scale=1.0,
        dt=1e-3,
        w_out=np.zeros((1, n)),
        b_out=np.zeros(1),
        tau_out=np.ones(n),
        **{name: np.broadcast_to(value, n) for name, value in values.items()},
    )


def run(net, messages):
    return reference.run(net, np.asarray(messages), count_overflow=True)


def column(*messages):
    """Return messages of one channel in one trial."""
    return np.array(messages)[:, None, None]


def quiet(steps, n=1, batch=1):
    return np.zeros((steps, batch, n), dtype=np.int64)


def kinds(found):
    return {finding.kind: finding for finding in diagnostics.findings(found)}


def test_u_wraps_and_v_below_are_counted():
    # 5 messages: 10,444,800 > 2^23, so u = −6,332,416, twice; v follows and at the
    # second is cut.
    net = network()
    found = diagnose(net, run(net, column(5, 5, 0, 0, 0)))
    assert (found.u_wraps, found.v_low, found.sum_wraps, found.v_high) == (2, 1, 0, 0)
    assert (found.trials, found.steps) == (1, 5)
    wraps = kinds(found)["u_wraps"]
    assert (wraps.severity, wraps.parameter) == ("error", "state_scale")
    assert (wraps.neurons, wraps.events) == (1, 2)
    assert wraps.text == (
        "state_scale: u left 24 bits and wrapped 2 times in 1 of 1 neurons (most in "
        "neuron 0); lower state_scale or raise headroom"
    )


def test_sums_beyond_32_bits_are_counted_in_their_neuron():
    # 1029 · 32640 · 2^6 = 2^31 + 2,056,192; 1028 stay below.
    net = network(3)
    messages = quiet(4, 3)
    messages[0] = [[1028, 1029, 0]]
    messages[2] = [[0, 1029, 0]]
    found = diagnose(net, run(net, messages))
    np.testing.assert_array_equal(found.sum_wraps, [0, 2, 0])
    assert kinds(found)["sum_wraps"].parameter == "weight_exp"
    assert "most in neuron 1" in kinds(found)["sum_wraps"].text


def test_v_above_is_information():
    # 524,160 a step: the 16th is at 8,386,560 ≤ 8,388,544, the 17th beyond 2^23.
    net = network(bias_mant=4095, bias_exp=7)
    found = diagnose(net, run(net, quiet(34)))
    assert (found.v_high, found.spikes) == (2, 2)
    assert kinds(found).keys() == {"v_high"}
    assert kinds(found)["v_high"].severity == "info"
    diagnostics.warn(found)  # an EngineWarning would be an error here


def test_the_biases_that_leave_the_range_alone():
    # −524,288 a step against ceil((2^23 − 1)·dv/4096): 524,288 for 256, less for 255.
    net = network(4, bias_mant=[-4096] * 3 + [4095], bias_exp=7, dv=[0, 255, 256, 0])
    found = diagnose(net, run(net, quiet(30, 4)))
    np.testing.assert_array_equal(found.bias_low, [True, True, False, False])
    found = diagnose(net, run(net, quiet(4000, 4)))
    np.testing.assert_array_equal(found.v_low > 0, [True, True, False, False])
    assert kinds(found)["bias_low"].neurons == 2


def test_bias_low_is_what_happens_in_the_end():
    rng = np.random.default_rng(0)
    n = 300
    net = network(
        n,
        bias_mant=-rng.integers(1, 4097, n),
        bias_exp=rng.integers(3, 8, n),
        dv=rng.integers(0, 300, n),
    )
    found = diagnose(net, run(net, quiet(1, n)))
    for neuron in range(n):
        bias = int(net.bias_mant[neuron]) * 2 ** int(net.bias_exp[neuron])
        v, before = 0, 1
        while v != before and v > -M:
            before = v
            v = -(-v * (4096 - int(net.dv[neuron])) // 4096) + bias
        assert found.bias_low[neuron] == (v <= -M), neuron
    assert 50 < found.bias_low.sum() < 250


def test_the_biases_that_fire_in_every_step():
    # 1000 > 15·64 and 1000 ≤ 16·64.
    net = network(3, bias_mant=1000, vth=[15, 16, 15], refractory=[0, 0, 3])
    found = diagnose(net, run(net, quiet(40, 3)))
    np.testing.assert_array_equal(found.bias_fires, [True, False, True])
    np.testing.assert_array_equal(found.spikes, [40, 20, 10])
    np.testing.assert_array_equal(found.saturated, [True, False, True])
    assert kinds(found)["bias_fires"].parameter == "bias_mant"
    assert kinds(found)["saturated"].neurons == 2


@pytest.mark.parametrize("spikes", [94, 95])
def test_saturation_begins_at_95_percent(spikes):
    net = network(2, weights=1, weight_exp=0, dv=4095, vth=0)
    messages = quiet(100, 2)
    messages[:spikes, 0, 0] = 1
    found = diagnose(net, run(net, messages))
    np.testing.assert_array_equal(found.spikes, [spikes, 0])
    np.testing.assert_array_equal(found.saturated, [spikes == 95, False])
    np.testing.assert_array_equal(found.dead, [False, True])


def test_one_spike_in_a_short_trial_is_no_saturation():
    net = network(bias_mant=1000, vth=1, refractory=9)
    assert not diagnose(net, run(net, quiet(10))).saturated
    assert diagnose(net, run(net, quiet(11))).saturated


def test_a_neuron_is_dead_if_no_trial_has_a_spike():
    net = network(3, weights=1, weight_exp=0, vth=0)
    messages = quiet(5, 3, batch=2)
    messages[0, 1, 2] = 1
    found = diagnose(net, run(net, messages))
    np.testing.assert_array_equal(found.dead, [True, True, False])
    assert "2 of 3 neurons (the first is neuron 0)" in kinds(found)["dead"].text


def test_spikes_are_counted_in_chunks(monkeypatch):
    net = network(3, bias_mant=[1, 2, 3], vth=0, refractory=[0, 1, 2])
    done = run(net, quiet(31, 3, batch=3))
    monkeypatch.setattr(diagnostics, "CHUNK", 7)
    np.testing.assert_array_equal(diagnose(net, done).spikes, [93, 48, 33])


def test_weights_that_became_zero_are_known_with_a_report():
    net = network(3)
    weights = np.diag([1, 0, 0])
    block = dataclasses.replace(net.blocks[0], weights=weights)
    net = dataclasses.replace(net, blocks=(block, block))
    names = [("w_in", 2), ("w_rec", 5), ("v_leak", 9)]
    tau = np.ones(3)
    report = QuantizationReport(
        parameters=tuple(
            ParameterError(name=name, rms=0.0, worst=0.0, zeroed=zeroed, total=20)
            for name, zeroed in names
        ),
        tau_syn=tau,
        tau_syn_register=tau,
        tau_syn_effective=tau,
        current_rms=tau,
        tau_mem=tau,
        tau_mem_register=np.array([1.0, 1.06, 1.0]),
        dt=1e-3,
        headroom_u=2.0,
        headroom_v=2.0,
        noise_std=(0.0, 0.0),
        current_noise_std=(0.0, 0.0),
        state_scale=1.0,
    )
    done = run(net, quiet(2, 3))
    assert diagnose(net, done).zeroed is None
    found = diagnose(net, done, report=report)
    assert found.zeroed == 7
    np.testing.assert_array_equal(found.empty_columns, [2, 2])
    text = kinds(found)["zeroed"].text
    assert text.startswith("weight_exp: 7 weights were rounded to zero; raise num_w")
    assert "4 columns of weights are zero" in kinds(found)["empty_columns"].text
    # One membrane's register is 6 % off.
    assert diagnose(net, done).tau_far is None
    np.testing.assert_array_equal(found.tau_far, [False, True, False])
    far = kinds(found)["tau_far"]
    assert (far.severity, far.neurons, far.events) == ("error", 1, 0)
    assert far.text.startswith(
        "du: no decay register is within 5 % of a time constant in 1 of 3 neurons (the "
        "first is neuron 1); take a longer step (dt)"
    )


def test_a_sound_run_gives_no_findings():
    net = network(bias_mant=10, vth=1)
    found = diagnose(net, run(net, quiet(50)))
    assert diagnostics.findings(found) == ()


def test_warnings_name_parameter_and_remedy_errors_first():
    net = network(2)
    messages = quiet(6, 2)
    messages[:2, 0, 0] = 5
    found = diagnose(net, run(net, messages))
    with pytest.warns(EngineWarning) as caught:
        diagnostics.warn(found)
    texts = [str(warning.message) for warning in caught]
    assert [text.split(":")[0] for text in texts] == ["state_scale"] * 2 + ["vth"]
    assert all("; " in text for text in texts)
    assert caught[0].filename == __file__
    assert issubclass(EngineWarning, UserWarning)


def test_the_summary_is_json():
    net = network(2)
    messages = quiet(6, 2)
    messages[:2, 0, 0] = 5
    summary = diagnostics.summarize(diagnose(net, run(net, messages)))
    read = json.loads(json.dumps(summary, allow_nan=False))
    assert read == summary
    assert (read["u_wraps"], read["v_low"], read["dead"], read["n"]) == (2, 1, 2, 2)
    assert read["zeroed"] is None
    assert [found["kind"] for found in read["findings"]] == ["u_wraps", "v_low", "dead"]


def test_runs_that_cannot_be_diagnosed():
    net = network()
    with pytest.raises(ValueError, match=r"run\.overflow: got None, need counts; run"):
        diagnose(net, reference.run(net, quiet(2)))
    with pytest.raises(ValueError, match="run: got another network's, need that of ne"):
        diagnose(network(vth=1), run(net, quiet(2)))


def test_the_exception_says_what_where_and_what_to_do():
    error = ChipOverflow("u_wraps", 3, 14, 15)
    said = (
        "state_scale: u left 24 bits and wrapped at trial 3, step 14, neuron 15; "
        "lower state_scale or raise headroom"
    )
    assert str(error) == said
    assert isinstance(error, ArithmeticError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.step) == (said, 14)
    with pytest.raises(ValueError, match=r"kind: got 'v_high', need one of sum_wraps"):
        ChipOverflow("v_high", 0, 0, 0)


@pytest.mark.parametrize(("batch", "steps"), [(1, 13), (4, 13), (5, 64)])
def test_the_first_overflow_is_found(batch, steps):
    net = network(3)
    messages = quiet(steps, 3, batch=batch)
    messages[5, batch - 1, 1] = 5  # arrives a step later
    messages[5, batch - 1, 2] = 5
    messages[7:, 0, 0] = 2000
    where = f"u left 24 bits and wrapped at trial {batch + 8}, step 6, neuron 1;"
    with pytest.raises(ChipOverflow, match=where):
        diagnostics.raise_first(reference.run, net, messages, first_trial=9)
    before = reference.run(net, quiet(20, 3, batch=batch)).state
    with pytest.raises(ChipOverflow) as caught:
        diagnostics.raise_first(reference.run, net, messages, state=before)
    assert (caught.value.trial, caught.value.step) == (batch - 1, 26)
    diagnostics.raise_first(reference.run, net, messages[:5])


def test_of_several_kinds_in_a_step_the_sum_comes_first():
    net = network()
    with pytest.raises(ChipOverflow, match="weight_exp: the synaptic sum left 32 bits"):
        diagnostics.raise_first(reference.run, net, column(0, 1029, 0))


def test_the_first_overflow_of_random_networks_is_that_of_single_steps():
    found = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        net = random_network(rng, 9, extreme=True)
        messages = random_messages(rng, net, 12, 3, extreme=seed % 2 == 0)
        first = None
        state = None
        for t in range(12):
            done = reference.run(
                net, messages[t : t + 1], seed=5, state=state, count_overflow=True
            )
            state = done.state
            count = done.overflow
            if (count.sum_wraps | count.u_wraps | count.v_low).any():
                first = t
                break
        try:
            diagnostics.raise_first(reference.run, net, messages, seed=5)
        except ChipOverflow as error:
            found += 1
            assert error.step == first
            assert getattr(count, error.kind)[error.neuron] > 0
        else:
            assert first is None
    assert found > 10


def test_an_engine_must_count():
    def engine(net, messages, **arguments):
        return reference.run(net, messages)

    message = re.escape("engine: got a run without counts, need overflow counted")
    with pytest.raises(ValueError, match=message):
        diagnostics.raise_first(engine, network(), quiet(2))
