from dataclasses import replace

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from benchmarks.engine.random_networks import random_network
from isotau.convert.records.lif import decay_fraction
from isotau.targets.onnx_model import interface
from isotau.targets.onnx_model.graph import Graph, to_model
from isotau.targets.onnx_model.scan import fixed_step_to_onnx

BATCH = 3


def network(**fields):
    plain = random_network(np.random.default_rng(2), 6, extreme=False, bare=True)
    return replace(plain, **fields)


def taken_in(net, **given):
    """What the state is at the start of a step: that of a network that stands still."""
    still = replace(
        net,
        blocks=tuple(replace(b, weights=0 * b.weights) for b in net.blocks),
        du=np.zeros(net.n),
        dv=np.zeros(net.n),
        vth=np.full(net.n, 131071),
        bias_mant=np.zeros(net.n),
    )
    evaluator = ReferenceEvaluator(fixed_step_to_onnx(still))
    given["messages"] = np.zeros((BATCH, net.n_in), np.int64)
    made = evaluator.run(None, given)
    return dict(zip(evaluator.output_names, made, strict=True))


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (BATCH, 1), (BATCH, 6)])
def test_a_state_is_spread_over_the_batch(shape):
    v = np.arange(1, 1 + np.prod(shape)).reshape(shape) * 4096
    made = taken_in(network(), v=v)
    np.testing.assert_array_equal(made["v_after"], np.broadcast_to(v, (BATCH, 6)))


def test_a_state_left_out_is_that_at_power_up():
    net = network(v0=np.arange(6))
    made = taken_in(net)
    np.testing.assert_array_equal(made["v_after"], np.tile(np.arange(6), (BATCH, 1)))
    for name in ("u", "rest", "ring"):
        assert not made[f"{name}_after"].any(), name
    assert made["step_after"] == 1


def test_equal_numbers_are_kept_once():
    for v0, length in ((np.full(6, 7), 1), (np.arange(6), 6)):
        model = fixed_step_to_onnx(network(v0=v0))
        held = {tensor.name: tensor for tensor in model.graph.initializer}
        assert list(held["v"].dims) == [1, length]


@pytest.mark.parametrize("step", [0, 1, 2, 3, 64])
def test_the_ring_keeps_its_places(step):
    """What was under way stays in its slot; the slot that has arrived is empty."""
    delayed = replace(network().blocks[0], delay=2)
    net = network(blocks=(delayed,))
    ring = np.arange(1, 3 * BATCH * 6 + 1).reshape(3, BATCH, 6)
    made = taken_in(net, ring=ring, step=np.array(step))
    expected = ring.copy()
    expected[step % 3] = 0
    np.testing.assert_array_equal(made["ring_after"], expected)
    arrived = ring[step % 3] * 64
    np.testing.assert_array_equal(made["u_after"], arrived)


@pytest.mark.parametrize(("interval", "offset"), [(1, 0), (3, 1), (7, 20), (5, 5)])
def test_resets_come_when_lava_has_them(interval, offset):
    net = network(reset_interval=interval, reset_offset=offset)
    graph = Graph("resets")
    numbers = graph.input("numbers", np.int64, ["steps"])
    keep = interface.unless_reset(graph, net, numbers)
    graph.output(keep, np.int64, ["steps"], name="keep")
    run = ReferenceEvaluator(to_model(graph, {})).run
    (got,) = run(None, {"numbers": np.arange(40)})
    due = [t % interval == offset % interval for t in range(1, 41)]
    assert got.tolist() == [0 if reset else 1 for reset in due]


def test_the_readout_is_a_filter_and_a_sum():
    rng = np.random.default_rng(5)
    net = network(
        w_out=rng.normal(size=(2, 6)),
        b_out=np.array([3.0, -1.0]),
        tau_out=rng.uniform(0.005, 0.1, 6),
    )
    graph = Graph("readout")
    filtered = graph.input("f", np.float64, [BATCH, 6])
    spikes = graph.input("spikes", np.uint8, [BATCH, 6])
    after, outputs = interface.read_out(graph, net, filtered, spikes)
    graph.output(after, np.float64, [BATCH, 6])
    graph.output(outputs, np.float64, [BATCH, 2])
    f, z = rng.random((BATCH, 6)), (rng.random((BATCH, 6)) < 0.5).astype(np.uint8)
    got = ReferenceEvaluator(to_model(graph, {})).run(None, {"f": f, "spikes": z})
    loss = decay_fraction(net.tau_out, net.dt)
    np.testing.assert_allclose(got[0], f * (1 - loss) + z * loss / net.dt, rtol=1e-15)
    expected = np.einsum("bn,on->bo", got[0], net.w_out) + net.b_out
    np.testing.assert_allclose(got[1], expected, rtol=1e-12)


def test_what_is_said_leads_back_to_seconds_and_volts():
    net = network()
    said = interface.said(net)
    assert said["dt"] == net.dt
    assert said["input_scale"] == net.input_scale
    assert (said["n"], said["n_in"], said["n_out"]) == (6, net.n_in, 1)
    for name in ("state_scale", "v_reset", "tau_out"):
        np.testing.assert_array_equal(said[name], getattr(net, name))
