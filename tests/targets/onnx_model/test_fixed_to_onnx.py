from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.convert.records.lif import decay_fraction
from isotau.convert.simulate.readout import read_out
from isotau.sim.engines import reference
from isotau.targets.onnx_model import fixed_to_onnx as module
from isotau.targets.onnx_model.check_onnx import IR_VERSION, OPSET
from isotau.targets.onnx_model.fixed_to_onnx import fixed_step_to_onnx, fixed_to_onnx
from isotau.targets.onnx_model.graph import Graph, to_model
from isotau.targets.onnx_model.model_file import read_properties
from isotau.targets.onnx_model.session import run_onnx


def network(n=20, *, bare=False, seed=6):
    net = random_network(np.random.default_rng(seed), n, extreme=False, bare=bare)
    return replace(net, refractory=np.zeros(n)) if bare else net


def dense(n, seed=7):
    """N × N weights, 80 % of the columns excitatory, in two blocks."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    blocks = tuple(
        WeightBlock(
            source="recurrent",
            pre=np.sort(pre),
            weights=rng.integers(low, high + 1, (n, len(pre))),
            weight_exp=-5,
            num_weight_bits=8,
            sign_mode=mode,
        )
        for pre, low, high, mode in (
            (order[: n * 4 // 5], 0, 255, SignMode.EXCITATORY),
            (order[n * 4 // 5 :], -255, 0, SignMode.INHIBITORY),
        )
    )
    return replace(network(n), blocks=blocks, n_in=1)


def shapes(values):
    return {
        entry.name: (
            entry.type.tensor_type.elem_type,
            [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim],
        )
        for entry in values
    }


def test_inputs_and_outputs_are_those_promised():
    net = network()
    model = fixed_to_onnx(net, record=("u", "v"), readout=True)
    whole, double, byte = onnx.TensorProto.INT64, onnx.TensorProto.DOUBLE, 2
    taken, given = shapes(model.graph.input), shapes(model.graph.output)
    assert taken["messages"] == (whole, ["steps", "batch", net.n_in])
    names = {"messages", "u", "v", "rest", "ring", "step", "seed", "first_trial", "f"}
    assert taken.keys() == names
    rows = ["batch", 20]
    assert given == {
        "spikes": (byte, ["steps", *rows]),
        "u_after": (whole, rows),
        "v_after": (whole, rows),
        "rest_after": (whole, rows),
        "ring_after": (whole, [1, *rows]),
        "step_after": (whole, []),
        "f_after": (double, rows),
        "u_trace": (onnx.TensorProto.INT32, ["steps", *rows]),
        "v_trace": (onnx.TensorProto.INT32, ["steps", *rows]),
        "outputs": (double, ["steps", "batch", 1]),
    }
    step = shapes(fixed_step_to_onnx(net).graph.output)
    assert step["spikes"] == (byte, rows)
    assert not {"u_trace", "f_after", "outputs"} & step.keys()


def test_all_but_the_messages_may_be_left_out():
    for make in (fixed_to_onnx, fixed_step_to_onnx):
        graph = make(network()).graph
        held = {tensor.name for tensor in graph.initializer}
        needed = [entry.name for entry in graph.input if entry.name not in held]
        assert needed == ["messages"]


def test_a_network_without_noise_takes_no_seed():
    taken = shapes(fixed_to_onnx(network(bare=True)).graph.input)
    assert not {"seed", "first_trial", "f"} & taken.keys()


def test_only_u_and_v_are_recorded():
    with pytest.raises(ValueError, match="record: got 'ring', need one of u, v"):
        fixed_to_onnx(network(), record=("ring",))


def test_the_model_says_what_it_is():
    net = network()
    for make, kind in ((fixed_to_onnx, "scan"), (fixed_step_to_onnx, "step")):
        model = make(net)
        assert model.ir_version == IR_VERSION
        assert model.opset_import[0].version == OPSET
        said = read_properties(model)
        assert said["fingerprint"] == net.fingerprint
        assert (said["graph"], said["dt"]) == (kind, net.dt)


def test_parameters_have_the_names_of_the_fields():
    net = network()
    tensors = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in fixed_to_onnx(net).graph.initializer
    }
    for name in ("du", "dv", "vth", "refractory"):
        np.testing.assert_array_equal(tensors[name], getattr(net, name))
    bias = np.floor(net.bias_mant * 2.0**net.bias_exp)
    np.testing.assert_array_equal(tensors["bias"], bias)


@pytest.mark.parametrize("make", [fixed_to_onnx, fixed_step_to_onnx])
def test_a_file_is_little_more_than_its_weights(make):
    # Registers and the generator of noise take some of a file, whatever its weights.
    net = replace(dense(200), noise_exp=9, current_noise_exp=0)
    size = len(make(net).SerializeToString())
    assert size <= 1.5 * 200 * 200


def test_the_loop_over_time_is_short():
    silent = {"noise_exp": 0, "current_noise_exp": 0}
    bare = replace(dense(200), **silent, refractory=np.zeros(200))
    noisy = replace(dense(200), **silent | {"noise_exp": 9})
    both = replace(dense(200), **dict.fromkeys(silent, 9))
    for net, most in ((bare, 30), (noisy, 105), (both, 180)):
        model = fixed_to_onnx(net)
        (scan,) = (node for node in model.graph.node if node.op_type == "Scan")
        (body,) = (a.g for a in scan.attribute if a.name == "body")
        assert len(body.node) <= most


def test_the_readout_gives_what_the_readout_gives():
    rng = np.random.default_rng(8)
    net = replace(
        network(),
        w_out=rng.normal(size=(3, 20)),
        b_out=rng.normal(size=3),
        tau_out=rng.uniform(0.01, 0.1, 20),
        f0=rng.uniform(0, 50, 20),
    )
    sent = random_messages(rng, net, 30, 2, extreme=False)
    run = run_onnx(fixed_to_onnx(net, readout=True), sent)
    keys = {"w_out": net.w_out, "b_out": net.b_out, "tau": net.tau_out, "f0": net.f0}
    expected = read_out(reference.run(net, sent).spikes, **keys)
    assert run.spikes.bits.any()
    np.testing.assert_allclose(run.outputs, expected, rtol=1e-12, atol=1e-12)
    step, f, state = fixed_step_to_onnx(net, readout=True), None, None
    parts = []
    for part in np.array_split(sent, 2):
        half = run_onnx(step, part, f=f, state=state)
        f, state = half.f, half.state
        parts.append(half.outputs)
    np.testing.assert_allclose(np.concatenate(parts), run.outputs, rtol=1e-12)
    np.testing.assert_allclose(f, run.f, rtol=1e-12)


def test_messages_beyond_32_bits_are_wrapped():
    ort = pytest.importorskip("onnxruntime")
    net = network(bare=True)
    content = fixed_to_onnx(net).SerializeToString()
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    sent = random_messages(np.random.default_rng(9), net, 20, 2, extreme=True)
    beyond = sent + 2**32 * np.random.default_rng(10).integers(-5, 5, sent.shape)
    assert (np.abs(beyond) > 2**31).any()
    for ours, theirs in zip(
        session.run(None, {"messages": sent}),
        session.run(None, {"messages": beyond}),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_networks_without_inputs_or_connections_run():
    driven = replace(network(), bias_mant=np.full(20, 4000), bias_exp=np.full(20, 4))
    quiet = replace(driven, blocks=())
    rng = np.random.default_rng(11)
    only = replace(driven, blocks=(dense(20).blocks[0],))
    for net in (quiet, only):
        sent = random_messages(rng, net, 25, 2, extreme=False)
        ours = reference.run(net, sent, seed=3)
        run = run_onnx(fixed_to_onnx(net), sent, seed=3)
        assert run.spikes.bits.any()
        np.testing.assert_array_equal(run.spikes.bits, ours.spikes.bits)
        np.testing.assert_array_equal(run.state.ring, ours.state.ring)


BATCH = 3


def still_network(**fields):
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
    made = taken_in(still_network(), v=v)
    np.testing.assert_array_equal(made["v_after"], np.broadcast_to(v, (BATCH, 6)))


def test_a_state_left_out_is_that_at_power_up():
    net = still_network(v0=np.arange(6))
    made = taken_in(net)
    np.testing.assert_array_equal(made["v_after"], np.tile(np.arange(6), (BATCH, 1)))
    for name in ("u", "rest", "ring"):
        assert not made[f"{name}_after"].any(), name
    assert made["step_after"] == 1


def test_equal_numbers_are_kept_once():
    for v0, length in ((np.full(6, 7), 1), (np.arange(6), 6)):
        model = fixed_step_to_onnx(still_network(v0=v0))
        held = {tensor.name: tensor for tensor in model.graph.initializer}
        assert list(held["v"].dims) == [1, length]


@pytest.mark.parametrize("step", [0, 1, 2, 3, 64])
def test_the_ring_keeps_its_places(step):
    """What was under way stays in its slot; the slot that has arrived is empty."""
    delayed = replace(still_network().blocks[0], delay=2)
    net = still_network(blocks=(delayed,))
    ring = np.arange(1, 3 * BATCH * 6 + 1).reshape(3, BATCH, 6)
    made = taken_in(net, ring=ring, step=np.array(step))
    expected = ring.copy()
    expected[step % 3] = 0
    np.testing.assert_array_equal(made["ring_after"], expected)
    arrived = ring[step % 3] * 64
    np.testing.assert_array_equal(made["u_after"], arrived)


@pytest.mark.parametrize(("interval", "offset"), [(1, 0), (3, 1), (7, 20), (5, 5)])
def test_resets_come_when_lava_has_them(interval, offset):
    net = still_network(reset_interval=interval, reset_offset=offset)
    graph = Graph("resets")
    numbers = graph.input("numbers", np.int64, ["steps"])
    keep = module.unless_reset(graph, net, numbers)
    graph.output(keep, np.int64, ["steps"], name="keep")
    run = ReferenceEvaluator(to_model(graph, {})).run
    (got,) = run(None, {"numbers": np.arange(40)})
    due = [t % interval == offset % interval for t in range(1, 41)]
    assert got.tolist() == [0 if reset else 1 for reset in due]


def test_the_readout_is_a_filter_and_a_sum():
    rng = np.random.default_rng(5)
    net = still_network(
        w_out=rng.normal(size=(2, 6)),
        b_out=np.array([3.0, -1.0]),
        tau_out=rng.uniform(0.005, 0.1, 6),
    )
    graph = Graph("readout")
    filtered = graph.input("f", np.float64, [BATCH, 6])
    spikes = graph.input("spikes", np.uint8, [BATCH, 6])
    after, outputs = module.read_out(graph, net, filtered, spikes)
    graph.output(after, np.float64, [BATCH, 6])
    graph.output(outputs, np.float64, [BATCH, 2])
    f, z = rng.random((BATCH, 6)), (rng.random((BATCH, 6)) < 0.5).astype(np.uint8)
    got = ReferenceEvaluator(to_model(graph, {})).run(None, {"f": f, "spikes": z})
    loss = decay_fraction(net.tau_out, net.dt)
    np.testing.assert_allclose(got[0], f * (1 - loss) + z * loss / net.dt, rtol=1e-15)
    expected = np.einsum("bn,on->bo", got[0], net.w_out) + net.b_out
    np.testing.assert_allclose(got[1], expected, rtol=1e-12)


def test_the_properties_lead_back_to_seconds_and_volts():
    net = still_network()
    fields = read_properties(fixed_to_onnx(net))
    assert fields["dt"] == net.dt
    assert fields["input_scale"] == net.input_scale
    assert (fields["n"], fields["n_in"], fields["n_out"]) == (6, net.n_in, 1)
    for name in ("state_scale", "v_reset", "tau_out"):
        values = np.broadcast_to(fields[name], (6,))  # one number stands for equal ones
        np.testing.assert_array_equal(values, getattr(net, name))
