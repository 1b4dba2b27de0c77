"""Oracle: Python's integers, which have no width."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from benchmarks.engine.random_networks import random_network
from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.targets.onnx_model import delivery
from isotau.targets.onnx_model.delivery import Sent, Sources
from isotau.targets.onnx_model.graph import Graph, to_model

N, N_IN, BATCH = 12, 5, 4


def network(*blocks):
    plain = random_network(np.random.default_rng(0), N, extreme=False, bare=True)
    return replace(plain, n_in=N_IN, blocks=blocks)


def block(source, mode, exponent, *, binary=False, pre=None, seed=1, delay=0):
    rng = np.random.default_rng(seed)
    width = N if source == "recurrent" else N_IN
    pre = np.arange(width) if pre is None else pre
    low = 0 if mode is SignMode.EXCITATORY else -256 + (mode is SignMode.INHIBITORY)
    high = 0 if mode is SignMode.INHIBITORY else 255
    weights = rng.integers(low, high, (N, len(pre)), endpoint=True)
    weights[0], weights[1] = low, high
    return WeightBlock(
        source=source,
        pre=pre,
        weights=arithmetic.on_grid(weights, 8, mode),
        weight_exp=exponent,
        num_weight_bits=8,
        sign_mode=mode,
        binary=binary,
        delay=delay,
    )


def delivered(net, messages, spikes):
    """What the nodes hand over, by delay, as int32."""
    graph = Graph("delivery")
    payloads = graph.input("payloads", np.int64, [BATCH, N_IN])
    events = graph.input("events", np.uint8, [BATCH, N_IN])
    fired = graph.input("spikes", np.uint8, [BATCH, N])
    weights = delivery.load_weights(graph, net)
    sent = delivery.deliver(graph, net, weights, Sources(payloads, events, fired))
    for delay, part in sent.items():
        value = delivery.wrapped(graph, part)
        graph.output(value, np.int32, [BATCH, N], name=f"after_{delay}")
    model = to_model(graph, {})
    feeds = {
        "payloads": messages,
        "events": (messages != 0).astype(np.uint8),
        "spikes": spikes.astype(np.uint8),
    }
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    got = session.run(None, feeds)
    again = ReferenceEvaluator(model).run(None, feeds)
    for ours, theirs in zip(got, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return dict(zip(sent, got, strict=True)), model


def wrap(x):
    return (x + 2**31) % 2**32 - 2**31


def exact(net, messages, spikes):
    """The same from the definition."""
    sums = {}
    for part in net.blocks:
        source = spikes if part.source == "recurrent" else messages
        counted = part.binary or part.source == "recurrent"
        for b in range(BATCH):
            for i in range(N):
                terms = (
                    int(part.weights[i, k])
                    * (int(source[b, p] != 0) if counted else int(source[b, p]))
                    for k, p in enumerate(part.pre)
                )
                value = wrap(sum(terms)) * Fraction(2) ** part.weight_exp
                into = sums.setdefault(part.delay, np.zeros((BATCH, N), object))
                into[b, i] = wrap(into[b, i] + wrap(math.floor(value)))
    return sums


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    messages = rng.integers(-(2**31), 2**31, (BATCH, N_IN))
    messages[0], messages[1] = 2**31 - 1, -(2**31)
    messages[2] = rng.integers(-1, 2, N_IN)
    spikes = rng.random((BATCH, N)) < 0.5
    spikes[0], spikes[1] = True, False
    return messages, spikes


def assert_exact(net):
    messages, spikes = drawn()
    got, model = delivered(net, messages, spikes)
    expected = exact(net, messages, spikes)
    assert got.keys() == expected.keys()
    for delay, value in got.items():
        np.testing.assert_array_equal(value, expected[delay].astype(np.int64))
    return model


@pytest.mark.parametrize("exponent", [-8, -3, -2, -1, 0, 1, 7])
@pytest.mark.parametrize("mode", list(SignMode))
def test_every_kind_of_block(mode, exponent):
    for source, binary in (("recurrent", False), ("input", True), ("input", False)):
        assert_exact(network(block(source, mode, exponent, binary=binary)))


def test_blocks_of_one_delay_are_added_and_wrapped():
    kinds = [("input", False), ("recurrent", False), ("input", True), ("input", False)]
    parts = [
        block(source, mode, exponent, binary=binary, seed=k, delay=k % 2)
        for k, ((source, binary), mode, exponent) in enumerate(
            zip(kinds, [*SignMode, SignMode.MIXED], [7, -2, 3, -1], strict=True)
        )
    ]
    assert_exact(network(*parts))


@pytest.mark.parametrize("pre", [[0], [2, 3, 4], [1, 4, 7, 11]])
def test_columns_of_some_neurons(pre):
    model = assert_exact(
        network(block("recurrent", SignMode.MIXED, -2, pre=np.array(pre)))
    )
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    assert list(held["w_0"].dims) == [len(pre), N]


@pytest.mark.parametrize("mode", list(SignMode))
def test_a_weight_is_a_byte(mode):
    model = assert_exact(network(block("recurrent", mode, 0)))
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    assert len(held["w_0"].raw_data) == N * N


def test_blocks_without_a_weight_leave_nothing():
    empty = replace(block("recurrent", SignMode.MIXED, 0), weights=np.zeros((N, N)))
    graph = Graph("empty")
    weights = delivery.load_weights(graph, network(empty))
    assert weights == [""]
    assert not delivery.deliver(graph, network(empty), weights, Sources("", "", "z"))
    assert not (graph.nodes or graph.initializers)


def test_a_sum_stays_in_32_bits_as_long_as_it_surely_fits():
    graph = Graph("sum")
    narrow = [graph.input(f"n{k}", np.int32, [1]) for k in range(2)]
    wide = graph.input("w", np.int64, [1])
    small = delivery.total(graph, [Sent(name, 2**30 - 1) for name in narrow])
    assert small.bound == 2**31 - 2
    assert delivery.wrapped(graph, small) == small.value
    large = delivery.total(graph, [Sent(name, 2**30) for name in narrow])
    mixed = delivery.total(graph, [small, Sent(wide, 2**40)])
    for k, part in enumerate((large, mixed)):
        graph.output(delivery.wrapped(graph, part), np.int32, [1], name=f"y{k}")
    feeds = {
        "n0": np.array([2**30], np.int32),
        "n1": np.array([2**30], np.int32),
        "w": np.array([2**40 - 5]),
    }
    got = ReferenceEvaluator(to_model(graph, {})).run(["y0"], feeds)
    assert got[0].tolist() == [-(2**31)]
    feeds |= {"n1": np.array([-7], np.int32)}
    got = ReferenceEvaluator(to_model(graph, {})).run(["y1"], feeds)
    assert got[0].tolist() == [wrap(2**30 - 7 + 2**40 - 5)]
