"""Oracle: the chip's step for one neuron in Python's integers and fractions."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from benchmarks.engine.random_networks import random_network
from isotau.convert.chip.philox import MEMBRANE, SYNAPSE, noise_samples
from isotau.targets.onnx_model import integer_step as philox_graph
from isotau.targets.onnx_model.fixed_to_onnx import fixed_step_to_onnx
from isotau.targets.onnx_model.graph import Graph, to_model

M = 2**23
NOTHING = {"du": 0, "dv": 0, "vth": 131071, "bias_mant": 0, "bias_exp": 0}


def network(count, **fields):
    """`count` neurons that receive nothing but what the ring holds."""
    plain = random_network(np.random.default_rng(0), count, extreme=False, bare=True)
    registers = {k: np.full(count, v) for k, v in (NOTHING | fields).items()}
    return replace(plain, blocks=(), **registers)


def stepped(net, **state):
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(
        fixed_step_to_onnx(net).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {k: np.asarray(v).reshape(1, -1) for k, v in state.items()}
    feeds |= {"ring": feeds["ring"][None]} if "ring" in feeds else {}
    feeds |= {"step": np.array(state["step"])} if "step" in state else {}
    feeds["messages"] = np.zeros((1, net.n_in), np.int64)
    names = [entry.name for entry in session.get_outputs()]
    made = dict(zip(names, session.run(None, feeds), strict=True))
    return {name: np.ravel(value).tolist() for name, value in made.items()}


def wrap(x):
    return (x + 2**31) % 2**32 - 2**31


def next_u(u, a, du):
    u = wrap(math.trunc(Fraction(u * (4095 - du), 4096)) + wrap(a * 64))
    return u - 2 * M if u > M else u + 2 * M if u <= -M else u


EDGES = sorted(
    {s * x + d for s in (1, -1) for x in (0, M, 2 * M, 3 * M) for d in (-1, 0, 1)}
)


@pytest.mark.parametrize("du", [0, 1, 2048, 4095])
def test_u_decays_and_wraps_once(du):
    arriving = [0, 1, -1, M // 64, -M // 64, M // 64 + 1, 2**25, -(2**25), 2**31 - 1]
    pairs = [(u, a) for u in EDGES for a in arriving]
    got = stepped(
        network(len(pairs), du=du),
        u=[u for u, _ in pairs],
        ring=[a for _, a in pairs],
    )
    assert got["u_after"] == [next_u(u, a, du) for u, a in pairs]
    assert max(map(abs, got["u_after"])) > M
    assert got["step_after"] == [1]


@pytest.mark.parametrize(
    ("mant", "exponent"), [(0, 0), (4095, 7), (-4096, 7), (-5, -1)]
)
@pytest.mark.parametrize("dv", [0, 77, 4095])
def test_v_decays_adds_and_saturates(dv, mant, exponent):
    v = [0, 1, -1, 4095, -4097, M - 1, 1 - M]
    u = [0, 5, -M, M, 2**31 - 2**24, 2**24 - 2**31, -1]
    net = network(len(v), dv=dv, bias_mant=mant, bias_exp=exponent)
    got = stepped(net, v=v, u=u)
    bias = math.floor(mant * Fraction(2) ** exponent)
    after = [
        math.trunc(Fraction(x * (4096 - dv), 4096)) + next_u(y, 0, 0) + bias
        for x, y in zip(v, u, strict=True)
    ]
    after = [max(min(wrap(x), M - 1), 1 - M) for x in after]
    fired = [x > 131071 * 64 for x in after]
    assert got["spikes"] == fired
    assert got["v_after"] == [0 if z else x for x, z in zip(after, fired, strict=True)]


def test_a_drive_beyond_the_state_wraps_before_it_saturates():
    """The one case in which v's sum leaves 32 bits: noise and bias at their largest."""
    n = 256
    net = replace(network(n, du=4095, bias_mant=4095, bias_exp=7), noise_exp=23)
    # The largest u there is: 2^31 − 64, wrapped once.
    got = stepped(net, ring=[2**25 - 1] * n, v=[M - 1] * n)
    u = 2**31 - 64 - 2 * M
    assert set(got["u_after"]) == {u}
    samples = noise_samples(0, 0, np.zeros(1, np.int64), n)[0].tolist()
    sums = [u + M - 1 + 4095 * 128 + sample * 2**16 for sample in samples]
    wrapped = [x >= 2**31 for x in sums]
    assert 0 < sum(wrapped) < n
    assert got["v_after"] == [1 - M if w else 0 for w in wrapped]


def test_a_spike_needs_more_than_the_threshold():
    net = network(3, vth=100, dv=0)
    got = stepped(net, v=[6399, 6400, 6401])
    assert got["spikes"] == [0, 0, 1]
    assert got["v_after"] == [6399, 6400, 0]


def test_neurons_rest_after_a_spike():
    net = replace(network(4, vth=100), refractory=np.array([3, 0, 3, 3]))
    got = stepped(net, v=[9000] * 4, rest=[0, 0, 1, 2])
    assert got["spikes"] == [1, 1, 0, 0]
    assert got["v_after"] == [0, 0, 0, 0]
    assert got["rest_after"] == [3, 0, 0, 1]


def test_a_reset_comes_before_the_dynamics_and_spares_the_ring():
    net = replace(network(1), reset_interval=3, reset_offset=1)
    kept, reset = (
        stepped(net, u=[640], v=[64], ring=[2], step=step) for step in (2, 3)
    )
    assert kept["u_after"] == [next_u(640, 2, 0)]
    assert (reset["u_after"], reset["v_after"]) == ([128], [128])


def test_nothing_is_under_way_without_connections():
    got = stepped(network(2), ring=[5, -5])
    assert got["ring_after"] == [0, 0]


def samples(noise_exp, *, seed, first_trial, batch, step, stream=MEMBRANE):
    """What the nodes make, with every input given as the model runs."""
    graph, n = Graph("noise"), len(noise_exp)
    given = {
        "seed": np.array(seed, np.uint64),
        "first_trial": np.array(first_trial),
        "batch": np.array([batch]),
        "step": np.array(step),
    }
    for name, value in given.items():
        graph.input(name, value.dtype, value.shape)
    counter = philox_graph.counters(graph, "first_trial", "batch", n)
    keys = philox_graph.round_keys(graph, "seed")
    noise = philox_graph.noise_nodes(graph, counter, keys, "step", noise_exp, stream)
    graph.output(noise, np.int64, ["batch", n])
    ort = pytest.importorskip("onnxruntime")
    model = to_model(graph, {})
    session = ort.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (got,) = session.run(None, given)
    (again,) = ReferenceEvaluator(model).run(None, given)
    np.testing.assert_array_equal(got, again)
    return got


@pytest.mark.parametrize("n", [1, 7, 8, 9, 40])
@pytest.mark.parametrize(
    ("seed", "step", "first_trial"),
    [
        (0, 0, 0),
        (2**64 - 1, 2**32 - 1, 2**32 - 3),
        (0x299F31D0_082EFA98, 12345, 2**31),
        (1 << 63, 1, 7),
    ],
)
def test_samples_are_those_of_the_engines(n, seed, step, first_trial):
    where = {"seed": seed, "first_trial": first_trial, "step": step}
    trials, exponents = first_trial + np.arange(3), np.full(n, 7)
    for stream in (MEMBRANE, SYNAPSE):
        got = samples(exponents, batch=3, stream=stream, **where)
        expected = noise_samples(seed, step, trials, n, stream)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("noise_exp", range(1, 24))
def test_they_are_scaled_and_floored(noise_exp):
    exponents = np.full(200, noise_exp)
    got = samples(exponents, seed=5, first_trial=0, batch=2, step=3)
    plain = noise_samples(5, 3, np.arange(2), 200)
    np.testing.assert_array_equal(got, np.floor(plain * 2.0 ** (noise_exp - 7)))


def test_each_neuron_has_an_exponent_of_its_own():
    exponents = np.arange(200) % 24
    got = samples(exponents, seed=5, first_trial=0, batch=2, step=3)
    plain = noise_samples(5, 3, np.arange(2), 200)
    expected = np.floor(plain * 2.0 ** (exponents - 7)) * (exponents > 0)
    np.testing.assert_array_equal(got, expected)


def test_noise_joins_the_current_before_it_wraps():
    net = replace(network(64, du=0), current_noise_exp=[23, 1, 0, 7] * 16)
    got = stepped(net, u=[M] * 64)
    samples = noise_samples(0, 0, np.zeros(1, np.int64), 64, SYNAPSE)[0]
    noise = [
        0 if e == 0 else x * 2 ** (e - 7) if e >= 7 else x >> (7 - e)
        for x, e in zip(samples.tolist(), net.current_noise_exp.tolist(), strict=True)
    ]
    sums = [M * 4095 // 4096 + x for x in noise]
    assert got["u_after"] == [u - 2 * M if u > M else u for u in sums]
    assert 0 < sum(u > M for u in sums) < 64
