"""The compiled engine's own promises; its bits are tested in tests/conformance."""

import dataclasses

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.convert.records.spikes import unpack
from isotau.sim.engines import compiled, reference
from isotau.sim.engines import compiled_kernels as kernels
from isotau.sim.engines.diagnostics import ChipOverflow


def busy(n=300, seed=0):
    """A network in which nearly all neurons fire in some steps."""
    rng = np.random.default_rng(seed)
    net = random_network(rng, n, extreme=False, bare=True)
    fires = {"bias_mant": np.full(n, 4000), "bias_exp": np.full(n, 7)}
    return dataclasses.replace(net, **fires, vth=np.full(n, 3000))


@pytest.mark.parametrize("mode", list(SignMode))
def test_sums_beyond_sixteen_bits(mode):
    """300 spikes of the largest weight: more than one chunk of rows."""
    net = busy()
    top = -255 if mode is SignMode.INHIBITORY else 255 - (mode is SignMode.MIXED)
    block = WeightBlock(
        source="recurrent",
        pre=np.arange(300),
        weights=np.full((300, 300), top),
        weight_exp=0,
        num_weight_bits=8,
        sign_mode=mode,
    )
    net = dataclasses.replace(net, blocks=(block,))
    sent = np.zeros((6, 2, net.n_in), dtype=np.int64)
    ours = compiled.run(net, sent, record=("u",))
    many = unpack(ours.spikes.bits, 300).sum(axis=2)
    assert many.max() > 2 * kernels.CHUNK
    theirs = reference.run(net, sent, record=("u",))
    np.testing.assert_array_equal(ours.u, theirs.u)


def test_progress_passes_in_strides():
    passed = []

    def listen(steps, what):
        assert what == "compiled engine"
        for step in steps:
            passed.append(step)
            yield step

    net = busy(5)
    steps = 2 * compiled.STRIDE + 1
    sent = np.zeros((steps, compiled.TRIALS, net.n_in), dtype=np.int64)
    compiled.run(net, sent, progress=listen)
    assert passed == [0, 1, 2]


@pytest.mark.parametrize("engine", [compiled, reference])
def test_strict_raises_on_the_first_overflow(engine):
    """One neuron whose u doubles by its input: 2^22 << 6 would wrap at the second."""
    rng = np.random.default_rng(2)
    net = random_network(rng, 3, extreme=False, bare=True)
    block = WeightBlock(
        source="input",
        pre=[0],
        weights=[[1], [0], [0]],
        weight_exp=0,
        num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY,
    )
    registers = {"du": [0, 0, 0], "dv": [0, 0, 0], "vth": [131071] * 3}
    net = dataclasses.replace(
        net, blocks=(block,), n_in=1, bias_mant=[0, 0, 0], **registers
    )
    sent = np.zeros((9, 2, 1), dtype=np.int64)
    assert engine.run(net, sent, strict=True).overflow is not None
    sent[4, 1] = 2**17 + 10  # arrives at step 5, and 2^23 + 640 is out of range
    with pytest.raises(ChipOverflow, match="u left 24 bits") as caught:
        engine.run(net, sent, strict=True, first_trial=10)
    said = str(caught.value)
    assert "trial 11" in said and "step 5" in said and "neuron 0" in said


def test_threads_must_be_a_number():
    net = busy(5)
    with pytest.raises(ValueError, match="threads: got -2, need 1 to"):
        compiled.run(net, np.zeros((1, 1, net.n_in), dtype=int), threads=-2)


def test_an_empty_network_runs():
    net = dataclasses.replace(busy(3), blocks=())
    sent = np.zeros((4, 1, net.n_in), dtype=np.int64)
    np.testing.assert_array_equal(
        compiled.run(net, sent).spikes.bits, reference.run(net, sent).spikes.bits
    )


@pytest.mark.parametrize("record", [("u",), ("v",), ("u", "v")])
@pytest.mark.parametrize("count", [1, compiled.PAGED, compiled.PAGED + 1])
def test_some_neurons_are_recorded_as_all_are(record, count):
    """On pages and in place: more than two turns of five trials, on two threads."""
    net = busy(100)
    steps = 2 * kernels.TURN + 5
    sent = np.zeros((steps, 5, net.n_in), dtype=np.int64)
    places = np.random.default_rng(count).permutation(net.n)[:count]
    ours = compiled.run(net, sent, record=record, neurons=places, threads=2)
    theirs = reference.run(net, sent, record=record)
    for name in ("u", "v"):
        assert (getattr(ours, name) is None) == (name not in record)
        if name in record:
            expected = getattr(theirs, name)[..., places]
            np.testing.assert_array_equal(getattr(ours, name), expected)
